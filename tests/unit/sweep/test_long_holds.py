"""Holds that outlive their recovery are reported: nothing deletes what they hold."""

from __future__ import annotations

from datetime import timedelta

import pytest

from snapkeep.domain.recovery.holders import holder_tag
from snapkeep.domain.sweep.findings import HELD_LONG_AFTER, FindingKind
from snapkeep.domain.sweep.report import Handling, ReportItem
from snapkeep.domain.tag_names import HOLD
from support.sweeping_world import DR, PRIMARY, SweepingWorld


def held(world: SweepingWorld, region: str) -> list[ReportItem]:
    return [item for item in world.sweep(region).items if item.kind is FindingKind.HELD_LONG]


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_hold_of_three_days_is_a_finding_of_either_region(region: str) -> None:
    world = SweepingWorld()
    world.snapshot(world.volume(8))
    world.later(3600)
    ec2 = world.world.client("ec2", region)
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    tags = {HOLD: "recovery-1", **holder_tag("recovery-1", snapshot["StartTime"])}
    ec2.create_tags(Resources=[snapshot["SnapshotId"]], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    assert held(world, region) == []
    world.later(int((HELD_LONG_AFTER + timedelta(hours=2)).total_seconds()))
    (item,) = held(world, region)
    assert (item.subject, item.handling) == ("recovery-1", Handling.NOTED)
    assert snapshot["SnapshotId"] in item.text


def test_a_hold_without_a_holder_is_a_finding_at_once() -> None:
    """A person wrote it, or its recovery ended while another passed it on."""
    world = SweepingWorld()
    source = world.snapshot(world.volume(8))
    world.later(3600)
    world.world.client("ec2", PRIMARY).create_tags(Resources=[source], Tags=[{"Key": HOLD, "Value": "legal"}])
    (item,) = held(world, PRIMARY)
    assert (item.subject, "not known" in item.text) == ("legal", True)
