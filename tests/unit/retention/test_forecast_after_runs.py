"""Forecasts of snapshots among which runs have already deleted: no announced time is later than the deletion."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.model import Action, Reason, Snapshot
from snapkeep.domain.policy.model import Limits, Retention
from snapkeep.domain.retention.deletion_forecast import DeletionForecast, ForecastKind, deletion_forecasts
from snapkeep.domain.retention.plan import LineageFacts, plan_lineage
from snapkeep.domain.retention.verdicts import decide
from support.lineages import at, snapshot
from unit.retention.test_deletion_forecast import DAY, HOUR, REGION, RETENTIONS, SYSTEM, forecast

BEGUN = at("2026-02-01T05:00")


def run(live: list[Snapshot], retention: Retention, moment: datetime, number: int) -> list[Snapshot]:
    """Return the snapshots that are left once another one is made."""
    verdicts = decide([*live, snapshot(moment, number)], retention, moment, system=SYSTEM)
    return [verdict.snapshot for verdict in verdicts if verdict.action is Action.KEEP]


def after_runs(retention: Retention, distance: timedelta, runs: int) -> tuple[list[Snapshot], datetime]:
    """Return the snapshots that regular runs leave, and the time of the last one."""
    live: list[Snapshot] = []
    for number in range(runs):
        live = run(live, retention, BEGUN + distance * number, number)
    return live, live[-1].origin.start_time


def of_kept(live: list[Snapshot], retention: Retention, now: datetime) -> dict[datetime, DeletionForecast]:
    return forecast([each.origin.start_time for each in live], retention, now)


@pytest.mark.parametrize("retention", [Retention(keep_weekly=4), Retention(keep_daily=3, keep_weekly=8)])
def test_a_week_s_newest_snapshot_is_not_announced_to_stay_for_weeks(retention: Retention) -> None:
    """Of daily snapshots a week keeps one: their distance was taken for a week."""
    live, newest = after_runs(retention, DAY, 31)
    found = of_kept(live, retention, newest + HOUR)[newest]
    kept_daily = retention.keep_daily
    assert found.at is not None
    assert found.at <= newest + DAY * max(1, kept_daily)
    assert kept_daily or (found.kind, "cannot be seen" in found.why) == (ForecastKind.LATER, True)


def test_daily_snapshots_under_a_daily_rule_have_expected_times() -> None:
    retention = Retention(keep_daily=7)
    live, newest = after_runs(retention, DAY, 20)
    found = of_kept(live, retention, newest + HOUR)
    assert {each.kind for each in found.values()} == {ForecastKind.EXPECTED}
    assert found[live[0].origin.start_time].at == newest + DAY


def test_weekly_snapshots_under_a_daily_rule_have_expected_times() -> None:
    retention = Retention(keep_daily=7)
    live, newest = after_runs(retention, 7 * DAY, 20)
    assert of_kept(live, retention, newest + HOUR)[live[0].origin.start_time].at == newest + 7 * DAY


def test_one_snapshot_by_hand_announces_no_other_distance() -> None:
    retention = Retention(keep_daily=7)
    live, newest = after_runs(retention, DAY, 20)
    by_hand = newest + timedelta(minutes=10)
    found = of_kept([*live, snapshot(by_hand, 99)], retention, by_hand + HOUR)[by_hand]
    assert found.kind is ForecastKind.LATER
    assert found.at is not None
    assert newest + 6 * DAY < found.at <= newest + 7 * DAY


def test_a_held_snapshot_shows_no_distance() -> None:
    """Of the week's snapshots the rules deleted those between the held one and the newest."""
    retention = Retention(keep_weekly=4)
    live, newest = after_runs(retention, DAY, 33)
    held = snapshot(newest - 3 * DAY, 99)
    facts = {held.id: (Reason("INV-06", "in use by ami-1"),)}
    about = LineageFacts(held.origin.lineage, [*live, held], retention)
    plan = plan_lineage(about, REGION, newest, system=SYSTEM, limits=Limits(1000, 100), protected_ids=facts)
    found = deletion_forecasts(plan, newest, system=SYSTEM)[live[-1].id]
    assert found.at is not None
    assert found.at <= newest + DAY


@settings(max_examples=40)
@given(RETENTIONS, st.sampled_from([4, 6, 12, 24, 72, 168]), st.integers(5, 70))
def test_no_snapshot_is_deleted_before_its_announced_time(retention: Retention, hours: int, runs: int) -> None:
    distance = timedelta(hours=hours)
    live, newest = after_runs(retention, distance, runs)
    kept, gone = live, dict[datetime, datetime]()
    found = of_kept(live, retention, newest)
    for number in range(1, 120):
        moment = newest + distance * number
        left = run(live, retention, moment, runs + number)
        gone |= {each.origin.start_time: moment for each in live if each not in left}
        live = left
    for each in kept:
        start = each.origin.start_time
        announced = found[start]
        if announced.kind is ForecastKind.EXPECTED:
            assert gone.get(start, announced.at) == announced.at
        elif announced.kind is ForecastKind.LATER and start in gone:
            assert announced.at is not None
            assert announced.at <= gone[start]
        assert announced.kind is not ForecastKind.NEXT_RUN
