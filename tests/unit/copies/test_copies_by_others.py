"""Copies that other people and tools make with all tags of their source: AWS Backup does, and scripts."""

from __future__ import annotations

import pytest

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.sweep.report import SweepOutcome
from snapkeep.domain.tag_names import MANAGED, SOURCE_SNAPSHOT, SOURCE_VOLUME
from support.flows import DR, PRIMARY, Laboratory, policy_set
from support.sweeping_world import HOUR, SweepingWorld, gold


def copied_along(lab: Laboratory, snapshot_id: str) -> str:
    """Another principal's copy in the DR region, with all tags of its source ("Copying tags onto backups": AWS Backup's guide)."""
    tags = [{"ResourceType": "snapshot", "Tags": tag_list(lab.tags(snapshot_id))}]
    made = lab.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id, TagSpecifications=tags)
    lab.settle()
    return str(made["SnapshotId"])


def test_a_copy_with_snapkeeps_tags_and_no_source_is_left_alone() -> None:
    lab = Laboratory(policies=policy_set(keep_copies=1))
    volume = lab.make_volume()
    foreign = copied_along(lab, lab.protect(volume))
    newest = [lab.protect(volume) for _ in range(2)][-1]
    assert lab.runs("receive", "FAILED") == []
    assert [copy.source_id for copy in lab.snapshots(DR) if copy.id != foreign] == [newest]
    assert foreign in lab.ids(DR)
    assert lab.notified == []


def test_such_a_copy_is_not_managed() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    foreign = copied_along(lab, lab.protect(volume))
    reader = Ec2Reader(client=lab.ec2(DR), region=DR)
    assert lab.tags(foreign, DR)[MANAGED] == "snapkeep"
    assert not reader.snapshots([foreign])[foreign].managed_by("snapkeep")
    assert foreign not in [copy.id for copy in reader.copies_of_volumes([volume])]


@pytest.mark.parametrize("lost", [SOURCE_VOLUME, SOURCE_SNAPSHOT])
def test_a_copy_that_lost_an_origin_tag_fails_no_other_copy(lost: str) -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    lab.protect(volume)
    lab.ec2(DR).delete_tags(Resources=lab.ids(DR), Tags=[{"Key": lost}])
    lab.protect(volume)
    assert lab.runs("receive", "FAILED") == []


def test_copies_within_the_primary_region_have_no_lineage_and_stay() -> None:
    """EC2's "arbitrary source volume ID" is the same for copies of all volumes: retention would keep one of them all."""
    world = SweepingWorld(policies=gold(keep=1))
    sources = [world.snapshot(world.volume()) for _ in range(4)]
    world.later(HOUR)
    made = []
    for source in sources:
        (described,) = world.ec2.describe_snapshots(SnapshotIds=[source])["Snapshots"]
        tags = [{"ResourceType": "snapshot", "Tags": described["Tags"]}]
        copy = world.ec2.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, TagSpecifications=tags)
        made.append(copy["SnapshotId"])
        world.later(HOUR)
    for _ in range(3):
        assert world.sweep().outcome is SweepOutcome.OK
        world.later(HOUR)
        world.sweep(DR)
    assert {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)} == {*sources, *made}
    assert len(world.snapshots(DR)) == len(sources)
