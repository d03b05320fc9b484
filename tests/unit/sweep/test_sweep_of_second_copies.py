"""Copies made twice go by the plan of their region, like all that a sweep deletes: with what AMIs use, what is locked, and the limits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.policy.model import Limits, PolicySet
from snapkeep.domain.retention.second_copies import second_copies
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import SweepReport
from snapkeep.domain.tags import tags_for_copy
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


def a_snapshot_copied_twice(policies: PolicySet | None = None, *, more: int = 1) -> tuple[SweepingWorld, list[str]]:
    """Return the world, and the ids of the copies of one snapshot, oldest first."""
    world = SweepingWorld(policies=policies)
    world.snapshot(world.volume())
    world.later(HOUR)
    (first,) = world.managed(DR)
    source = next(tag["Value"] for tag in first["Tags"] if tag["Key"] == "snapkeep:source-snapshot")
    tags = [{"ResourceType": "snapshot", "Tags": first["Tags"]}]
    copies = [first["SnapshotId"]]
    for _ in range(more):
        made = world.ec2_dr.copy_snapshot(
            SourceRegion=PRIMARY, SourceSnapshotId=source, TagSpecifications=tags, Description=first["Description"]
        )
        copies.append(made["SnapshotId"])
        world.later(HOUR)
    return world, copies


def kept(world: SweepingWorld) -> list[str]:
    return sorted(copy["SnapshotId"] for copy in world.managed(DR))


def kinds(report: SweepReport) -> set[FindingKind]:
    return {item.kind for item in report.items} - {FindingKind.SHARING_NOT_BLOCKED}


def use_in_an_ami(world: SweepingWorld, copy: str) -> None:
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": copy}}]
    world.ec2_dr.register_image(Name="golden", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)


def lock(world: SweepingWorld, copy: str) -> None:
    world.ec2_dr.lock_snapshot(SnapshotId=copy, LockMode="governance", LockDuration=30)


@pytest.mark.parametrize("hold", [use_in_an_ami, lock])
def test_a_second_copy_in_use_or_locked_is_never_deleted(hold: object) -> None:
    world, copies = a_snapshot_copied_twice()
    assert callable(hold)
    hold(world, copies[-1])
    report = world.sweep(DR)
    assert kept(world) == sorted(copies)
    assert kinds(report) == set(), "nothing was tried, so nothing failed"


def test_too_many_second_copies_for_a_plan_are_refused_and_reported() -> None:
    world, copies = a_snapshot_copied_twice(gold(limits=Limits(max_deletions=2, max_share_percent=100)), more=3)
    report = world.sweep(DR)
    assert kept(world) == sorted(copies)
    assert kinds(report) == {FindingKind.PLAN_REFUSED}
    assert any("INV-08" in item.text for item in report.items)


def test_within_the_limits_all_but_the_checked_copy_are_deleted() -> None:
    world, copies = a_snapshot_copied_twice(gold(limits=Limits(max_deletions=3, max_share_percent=100)), more=3)
    report = world.sweep(DR)
    assert kept(world) == [copies[0]]
    assert kinds(report) == {FindingKind.COPY_TWICE}


def test_anothers_copy_of_our_copy_never_replaces_the_checked_one() -> None:
    """A tool copied our copy within the DR region, with its tags, under another key; the sweep deleted ours as made twice."""
    for description_too in (False, True):
        world, (ours,) = a_snapshot_copied_twice(more=0)
        (copy,) = world.managed(DR)
        key = world.world.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
        stranger = world.ec2_dr.copy_snapshot(
            SourceRegion=DR,
            SourceSnapshotId=ours,
            Encrypted=True,
            KmsKeyId=key,
            Description=copy["Description"] if description_too else "",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": copy["Tags"]}],
        )["SnapshotId"]
        world.later(HOUR)
        world.sweep(DR)
        assert ours in kept(world)
        assert (stranger in kept(world)) is not description_too


@pytest.mark.parametrize(("checked", "kept_copy"), [(set(), "snap-3"), ({"snap-1"}, "snap-1"), ({"snap-0gone"}, "snap-3")])
def test_the_checked_copy_stays_else_the_last_with_the_right_key(checked: set[str], kept_copy: str) -> None:
    origin = Origin(PRIMARY, "vol-1", "snap-0", NOW)
    tags = tags_for_copy("snapkeep", "gold", origin)
    keys = ("another", "the-rules", "the-rules", "another")
    copies = [
        Snapshot(
            f"snap-{number}", DR, SnapshotState.COMPLETED, NOW, origin, 8, tags, encrypted=True, kms_key_id=key, is_copy=True
        )
        for number, key in enumerate(keys, 1)
    ]
    others = second_copies(copies, "snapkeep", "the-rules", checked)
    assert {copy.id for copy in copies} - others.keys() == {kept_copy}
