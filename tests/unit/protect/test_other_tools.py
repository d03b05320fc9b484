"""Snapshots and tags of other tools: what they own is theirs to delete, and what they claim or expire by tags is not made theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.other_tools import BACKUP_TAG, tool_of
from snapkeep.domain.policy.model import CarryTags, LeaveAlone, PolicySet
from snapkeep.domain.tag_names import OWN_TAGS
from snapkeep.lab.ebs_model import FaultRule
from support.lineages import snapshot
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold

NOW = datetime(2026, 11, 20, tzinfo=UTC)


CLAIMS = (
    *("kubernetes.io/cluster/x", "KubernetesCluster", "ebs.csi.aws.com/cluster", "CSIVolumeSnapshotName", "velero.io/backup"),
    *("maid_status", "custodian_snapshot", "c7n", "c7n:FindingId", "shelvery:backup", "DeleteOn", "Expiration", "dlm:managed"),
    *("AWSElasticDisasterRecoveryManaged", "AWSApplicationMigrationServiceManaged", "awsbackup-restore-test", "team:a"),
)


def snapshots(world: SweepingWorld, volume: str, count: int, **tags: str) -> list[str]:
    """Return the ids of snapshots that another tool makes of a volume, an hour apart."""
    made = []
    for _ in range(count):
        specifications = [{"ResourceType": "snapshot", "Tags": tag_list(tags)}]
        made.append(str(world.ec2.create_snapshot(VolumeId=volume, TagSpecifications=specifications)["SnapshotId"]))
        world.later(HOUR)
    return made


def ids(world: SweepingWorld, region: str = PRIMARY) -> list[str]:
    listed = sorted(world.snapshots(region), key=lambda snapshot: snapshot["StartTime"])
    return [snapshot["SnapshotId"] for snapshot in listed]


def other_tags(world: SweepingWorld, region: str) -> dict[str, str]:
    """Return the tags of a region's only snapshot that are not ours."""
    (snapshot,) = world.snapshots(region)
    return {tag["Key"]: tag["Value"] for tag in snapshot["Tags"] if tag["Key"] not in OWN_TAGS}


def policy(**changes: object) -> PolicySet:
    policies = gold(keep=1, keep_copies=1)
    return replace(policies, policies=tuple(replace(policy, **changes) for policy in policies.policies))  # type: ignore[arg-type]


@pytest.mark.parametrize("tag", ["CSIVolumeSnapshotName", "velero.io/backup", "OwnedBy"])
def test_another_tools_snapshots_are_copied_and_never_deleted(tag: str) -> None:
    """Retention deleted the snapshots of the EBS CSI driver, which the cluster still listed."""
    world = SweepingWorld(policies=policy(leave_alone=LeaveAlone({"OwnedBy": ("team-*",)})))
    volume = world.volume()
    theirs = snapshots(world, volume, 3, **{tag: "team-a"})
    newest = world.snapshot(volume)
    world.later(HOUR)
    world.sweep()
    world.sweep(DR)
    assert ids(world) == [*theirs, newest]
    assert len(ids(world, DR)) == 1
    assert other_tags(world, DR).keys() == {"Backup"}


def test_a_tag_with_another_value_leaves_nothing_alone() -> None:
    world = SweepingWorld(policies=policy(leave_alone=LeaveAlone({"OwnedBy": ("team-*",)})))
    *_, newest = snapshots(world, world.volume(), 3, OwnedBy="nobody")
    world.sweep()
    assert ids(world) == [newest]


def test_only_a_tag_of_aws_makes_a_copy_another_tools() -> None:
    """Copies of earlier versions have all tags of their sources."""
    copies = [replace(snapshot(NOW, 1), is_copy=True, tags={tag: ""}) for tag in ("CSIVolumeSnapshotName", BACKUP_TAG)]
    assert [tool_of(copy) for copy in copies] == [None, tool_of(replace(copies[1], is_copy=False))]


@pytest.mark.parametrize(
    "tag", ["AWSElasticDisasterRecoveryManaged", "AWSApplicationMigrationServiceManaged", "awsbackup-restore-test"]
)
def test_working_material_of_other_tools_is_neither_tagged_nor_copied_nor_deleted(tag: str) -> None:
    world = SweepingWorld(policies=policy())
    theirs = snapshots(world, world.volume(), 3, **{tag: "yes"})
    world.sweep(adopt=True)
    world.sweep()
    assert ids(world) == theirs
    assert (world.managed(PRIMARY), ids(world, DR)) == ([], [])


def test_tags_by_which_other_tools_claim_snapshots_are_not_carried() -> None:
    """The tool that destroyed a cluster deleted the snapshots and the copies of its volumes, which had the cluster's tag."""
    world = SweepingWorld(policies=policy(carry_tags=CarryTags(("team:*",))))
    world.snapshot(world.volume(Backup="gold", Name="web", **dict.fromkeys(CLAIMS, "theirs")))
    world.later(HOUR)
    assert other_tags(world, PRIMARY) == other_tags(world, DR) == {"Backup": "gold", "Name": "web"}


def test_only_the_volumes_own_tags_travel_to_a_copy() -> None:
    """A copy had all tags of its snapshot, and another tool's clean-up in the DR region took it for one of its own."""
    world = SweepingWorld()
    snapshots(world, world.volume(Backup="gold", Name="web"), 1, **{"shelvery:backup": "true", "made-by": "a script"})
    assert other_tags(world, PRIMARY).keys() > {"shelvery:backup", "made-by"}
    assert other_tags(world, DR) == {"Backup": "gold", "Name": "web"}


def test_copies_that_a_sweep_makes_of_adopted_history_have_the_volumes_tags() -> None:
    """An adopted snapshot has none of its volume's tags, so that its copy had none either, not even the name."""
    world = SweepingWorld()
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    world.snapshot(world.volume(Backup="gold", Name="web"))
    world.later(HOUR)
    world.runs[PRIMARY].deployed = world.runner.composition.clock.now()
    world.sweep(adopt=True)
    world.sweep()
    assert other_tags(world, DR) == {"Backup": "gold", "Name": "web"}
