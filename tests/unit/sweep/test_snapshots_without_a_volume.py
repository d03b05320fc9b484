"""Imports, direct-API backups and copies by others share an arbitrary volume id, which is not a lineage."""

from __future__ import annotations

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.model import Lineage
from snapkeep.domain.sweep.report import Figure
from snapkeep.domain.tag_names import MANAGED, SOURCE_REGION, SOURCE_SNAPSHOT, SOURCE_VOLUME
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.executions import PROTECT
from snapkeep.usecases.sweep.events import snapshot_event
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold


def world_with_strays(count: int) -> tuple[SweepingWorld, list[str]]:
    world = SweepingWorld(policies=gold(keep_copies=2))
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "Backup", "Value": "gold"}]}]
    sources = [world.snapshot(world.volume(Scratch="yes")) for _ in range(count)]
    world.later(HOUR)
    strays = [
        world.ec2.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, TagSpecifications=tags)["SnapshotId"]
        for source in sources
    ]
    world.later(HOUR)
    return world, strays


def test_unrelated_snapshots_with_an_arbitrary_volume_id_are_kept_and_counted() -> None:
    """Each was run by its createSnapshot event: they became one lineage, whose retention deleted the first copies."""
    world, strays = world_with_strays(4)
    reader = Ec2Reader(client=world.ec2, region=PRIMARY)
    for snapshot in reader.snapshots(strays).values():
        event = snapshot_event(snapshot, utc(world.world.now()))
        event["detail"]["source"] = f"arn:aws:ec2::{PRIMARY}:volume/vol-ffffffff"
        world.runner.start(PROTECT, PRIMARY, event)
        world.later(HOUR)
    assert world.snapshots(DR) == []
    assert world.managed(PRIMARY) == []
    report = world.sweep()
    assert report.counts[Figure.SNAPSHOTS_NOT_COVERED] == 4
    assert {snapshot_id.origin.lineage for snapshot_id in reader.snapshots(strays).values()} == {
        Lineage(PRIMARY, snapshot_id) for snapshot_id in strays
    }


def test_copies_from_an_earlier_version_are_separate_lineages() -> None:
    world = SweepingWorld()
    described = f"[Snapkeep: snap-{{}} of vol-ffffffff from {PRIMARY}]"
    source = world.snapshot(world.volume(Scratch="yes"))
    world.later(HOUR)
    for number in ("0a", "0b"):
        origin = {
            MANAGED: world.runner.layout.system,
            SOURCE_REGION: PRIMARY,
            SOURCE_VOLUME: "vol-ffffffff",
            SOURCE_SNAPSHOT: f"snap-{number}",
        }
        world.ec2_dr.copy_snapshot(
            SourceRegion=PRIMARY,
            SourceSnapshotId=source,
            Description=described.format(number),
            TagSpecifications=[
                {"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in origin.items()]}
            ],
        )
        world.later(HOUR)
    copies = list(Ec2Reader(client=world.ec2_dr, region=DR).all_snapshots())
    assert {copy.origin.volume_id for copy in copies} == {"snap-0a", "snap-0b"}
    assert all(copy.managed_by(world.runner.layout.system) for copy in copies)
