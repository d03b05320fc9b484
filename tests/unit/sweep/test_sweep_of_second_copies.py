"""Copies made twice go by the plan of their region, like all that a sweep deletes: with what AMIs use, what is locked, and the limits."""

from __future__ import annotations

import pytest

from snapkeep.domain.policy.model import Limits, PolicySet
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import SweepReport
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold


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
    return sorted(one["SnapshotId"] for one in world.managed(DR))


def kinds(report: SweepReport) -> set[FindingKind]:
    return {item.kind for item in report.items} - {FindingKind.SHARING_NOT_BLOCKED}


def use_in_an_ami(world: SweepingWorld, copy: str) -> None:
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": copy}}]
    world.ec2_dr.register_image(Name="golden", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)


def lock(world: SweepingWorld, copy: str) -> None:
    world.ec2_dr.lock_snapshot(SnapshotId=copy, LockMode="governance", LockDuration=30)


@pytest.mark.parametrize("hold", [use_in_an_ami, lock])
def test_a_second_copy_that_an_ami_uses_or_that_is_locked_is_never_given_to_aws_to_delete(hold: object) -> None:
    world, copies = a_snapshot_copied_twice()
    assert callable(hold)
    hold(world, copies[0])
    report = world.sweep(DR)
    assert kept(world) == sorted(copies)
    assert kinds(report) == set(), "nothing was tried, so nothing failed"


def test_more_second_copies_than_a_plan_may_delete_are_refused_whole_and_told() -> None:
    world, copies = a_snapshot_copied_twice(gold(limits=Limits(max_deletions=2, max_share_percent=100)), more=3)
    report = world.sweep(DR)
    assert kept(world) == sorted(copies)
    assert kinds(report) == {FindingKind.PLAN_REFUSED}
    assert any("INV-08" in item.text for item in report.items)


def test_within_the_limits_all_but_the_last_one_made_go() -> None:
    world, copies = a_snapshot_copied_twice(gold(limits=Limits(max_deletions=3, max_share_percent=100)), more=3)
    report = world.sweep(DR)
    assert kept(world) == [copies[-1]]
    assert kinds(report) == {FindingKind.COPY_TWICE}
