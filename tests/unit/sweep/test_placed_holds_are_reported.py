"""Sweeps keep what is held, report each hold, ask for a review of old ones, and report holds that cannot be read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, Handling, SweepOutcome
from snapkeep.domain.tag_names import POLICY
from support.placing import hold
from support.sweeping_world import DAY, DR, PRIMARY, SweepingWorld, gold


def world_with_more_than_is_kept() -> SweepingWorld:
    world = SweepingWorld(policies=gold(keep=9, keep_copies=9))
    volume = world.volume()
    for _ in range(3):
        world.snapshot(volume)
        world.later(DAY)
    world.policies = gold(keep=1, keep_copies=1)
    return world


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_sweep_keeps_held_snapshots_and_names_the_hold(region: str) -> None:
    world = world_with_more_than_is_kept()
    now = world.composition().clock.now()
    world.composition().hold_stores[PRIMARY].place(hold(since=now, review_after=timedelta(days=5)))
    report = world.sweep(region)
    (item,) = [item for item in report.items if item.kind is FindingKind.HOLD_PLACED]
    assert (item.subject, item.handling, report.outcome) == ("hold-1", Handling.NOTED, SweepOutcome.OK)
    assert "everything: held since" in item.text
    assert report.counts[Figure.SNAPSHOTS_HELD] == 3
    assert len(world.managed(region)) == 3
    world.later(6 * DAY)
    assert [item.subject for item in world.sweep(region).items if item.kind is FindingKind.HELD_LONG] == ["hold-1"]
    world.composition().hold_stores[PRIMARY].release("hold-1")
    report = world.sweep(region)
    assert Figure.SNAPSHOTS_HELD not in report.counts
    assert len(world.managed(region)) == 1


@pytest.mark.parametrize(("policy", "held"), [("gold", 3), ("bronze", 0)])
def test_a_hold_of_a_policy_counts_all_that_the_policy_governs(policy: str, held: int) -> None:
    world = world_with_more_than_is_kept()
    ids = [snapshot["SnapshotId"] for snapshot in world.managed(PRIMARY)]
    world.ec2.create_tags(Resources=ids, Tags=[{"Key": POLICY, "Value": "silver"}])
    world.composition().hold_stores[PRIMARY].place(hold(policies=(policy,)))
    assert world.sweep(PRIMARY).counts[Figure.SNAPSHOTS_HELD] == held


def test_a_sweep_that_cannot_read_holds_deletes_nothing_and_reports_it() -> None:
    world = world_with_more_than_is_kept()
    world.world.take_region_away(PRIMARY)
    report = world.sweep(DR)
    assert [item.subject for item in report.items if item.kind is FindingKind.OUT_OF_REACH] == [f"holds in {PRIMARY}"]
    assert Figure.SNAPSHOTS_HELD not in report.counts
    assert len(world.managed(DR)) == 3
