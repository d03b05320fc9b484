"""Snapshots that the system makes, over worlds made by chance: kept RPOs, one in each period, none twice, no quota run into."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from snapkeep.domain.policy.frequency import Periods
from snapkeep.domain.policy.model import SnapshotRule
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.ebs_model.conditions.clock import utc
from support.flows import DAY, HOUR
from support.making import MakingWorld, making
from support.policy_strategies import ZONES

pytestmark = pytest.mark.slow

REFUSALS = (
    ("UnauthorizedOperation", 403),
    ("InvalidParameterValue", 400),
    ("IncorrectState", 400),
    ("ConcurrentSnapshotLimitExceeded", 400),
    ("PendingSnapshotLimitExceeded", 400),
    ("RequestLimitExceeded", 503),
)
FAULTS = ("event_lost", "event_delayed", "api_timeout", "api_error", "slow_snapshot", "snapshot_fails")
WORLDS = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])

volumes = st.lists(st.tuples(st.sampled_from([8, 100]), st.sampled_from([0.0, 0.0, 1.0, 3.0, 12.0])), min_size=1, max_size=3)
"""For each volume its size in GiB, and how often somebody else makes a snapshot of it, in hours; 0 for never."""


def world_of(policies: Any, fleet: list[tuple[int, float]]) -> tuple[MakingWorld, list[str]]:
    world = MakingWorld(policies)
    ids = []
    for size, others in fleet:
        ids.append(world.lab.make_volume(size_gib=size))
        if others:
            world.others_make(ids[-1], others)
    world.lab.runner.advance(90)
    return world, ids


@WORLDS
@given(fleet=volumes, rpo=st.sampled_from([4, 8, 30]), every=st.sampled_from([0, 0, 1]))
def test_no_rpo_is_missed_that_could_be_met(fleet: list[tuple[int, float]], rpo: int, every: int) -> None:
    between = timedelta(hours=every)
    world, ids = world_of(making(SnapshotRule(when="rpo"), rpo=timedelta(hours=rpo), every=between), fleet)
    world.run(2 * DAY, watch_rpo=True)
    assert world.missed == []
    for volume_id, (_, others) in zip(ids, fleet, strict=True):
        # Others that come often enough make every snapshot of the system superfluous.
        assert not (others and others <= rpo / 2 - 1 and world.made(volume_id))


@WORLDS
@given(
    fleet=volumes,
    zone=st.sampled_from(ZONES),
    every=st.sampled_from([1, 4, 24]),
    kills=st.lists(st.integers(0, 14), max_size=30),
    faults=st.lists(st.sampled_from(FAULTS), max_size=3, unique=True),
    refusals=st.lists(st.sampled_from(REFUSALS), max_size=3),
    attached=st.booleans(),
)
def test_each_period_has_one_snapshot_whatever_happens(
    fleet: list[tuple[int, float]],
    zone: str,
    every: int,
    kills: list[int],
    faults: list[str],
    refusals: list[tuple[str, int]],
    attached: bool,
) -> None:
    rpo = timedelta(hours=every + 24)
    world, ids = world_of(making(SnapshotRule(every=timedelta(hours=every), timezone=zone), rpo=rpo), fleet)
    if attached:
        world.attach(*ids)
    for action in ("CreateSnapshot", "CreateSnapshots"):
        for code, status in refusals:
            fault = FaultRule("api_error", action=action, probability=0.5, times=4, code=code, http_status=status)
            world.lab.world.add_fault(fault)
    for name in faults:
        world.lab.world.add_fault(FaultRule(name, probability=0.3, times=20, delay_seconds=900.0, effect="after"))
    world.run(2 * DAY, kills)
    periods = Periods(timedelta(hours=every), "", zone)
    for volume_id in ids:
        starts = [item.start for item in world.made(volume_id)]
        numbers = Counter(periods.numbers([utc(start) for start in starts]))
        assert not numbers or max(numbers.values()) == 1


@pytest.mark.parametrize(
    "rule",
    [
        SnapshotRule(every=timedelta(days=1), timezone="Europe/Berlin"),
        SnapshotRule(cron="30 2 * * ? *", timezone="Europe/Berlin"),
    ],
)
@pytest.mark.parametrize("clock_change", ["2026-03-27", "2026-10-23"])
def test_each_day_of_a_clock_change_has_one(rule: SnapshotRule, clock_change: str) -> None:
    world, (volume_id,) = world_of(making(rule, rpo=timedelta(hours=40)), [(8, 0.0)])
    world.lab.runner.advance(
        (utc(world.lab.world.now()).fromisoformat(f"{clock_change}T00:00:00+00:00") - utc(world.lab.world.now())).total_seconds()
    )
    world.run(5 * DAY)
    of_days = Periods(timedelta(days=1), "", "Europe/Berlin")
    numbers = Counter(of_days.numbers([utc(item.start) for item in world.made(volume_id)]))
    first, *others = sorted(numbers)
    # The very first one is made at once, whatever the moment.
    assert others == list(range(first + 1, first + 6))[: len(others)]
    assert len(others) >= 4
    assert {numbers[day] for day in others} == {1}


def test_others_run_into_no_quota_because_of_it() -> None:
    world, ids = world_of(making(SnapshotRule(every=timedelta(hours=1)), rpo=timedelta(hours=30)), [(8, 0.0)] * 150)
    world.run(3 * HOUR)
    assert {len(world.made(volume_id)) for volume_id in ids} <= {3, 4}
    assert world.lab.notified == []
