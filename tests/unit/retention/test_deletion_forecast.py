"""When each snapshot will be deleted: the forecast agrees with the decisions that runs make as snapshots come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.model import Reason, Snapshot, SnapshotState
from snapkeep.domain.policy.model import GoneRetention, Limits, Retention
from snapkeep.domain.retention.deletion_forecast import FEWEST, OVERDUE, DeletionForecast, ForecastKind, deletion_forecasts
from snapkeep.domain.retention.plan import LineageFacts, LineagePlan, plan_lineage
from snapkeep.domain.retention.verdicts import decide
from support.lineages import at, lineage, snapshot

SYSTEM, REGION = "snapkeep", "us-east-1"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = at("2026-03-31T12:00")
DAILY = [NOW - DAY * days - HOUR for days in range(9, -1, -1)]


def planned(snapshots: Sequence[Snapshot], retention: Retention, now: datetime = NOW, **facts: object) -> LineagePlan:
    about = LineageFacts(snapshots[0].origin.lineage, snapshots, retention, **facts)  # type: ignore[arg-type]
    return plan_lineage(about, REGION, now, system=SYSTEM, limits=Limits(1000, 100))


def forecast(starts: Sequence[datetime], retention: Retention, now: datetime = NOW) -> dict[datetime, DeletionForecast]:
    """Return the forecasts by start time."""
    snapshots = lineage(starts)
    found = deletion_forecasts(planned(snapshots, retention, now), now, system=SYSTEM)
    return {each.origin.start_time: found[each.id] for each in snapshots}


def test_snapshots_are_deleted_one_by_one_as_newer_ones_are_made() -> None:
    found = forecast(DAILY, Retention(keep_last=4))
    assert [found[start].kind for start in DAILY] == [ForecastKind.NEXT_RUN] * 6 + [ForecastKind.EXPECTED] * 4
    assert [found[start].at for start in DAILY[-4:]] == [DAILY[-1] + DAY * days for days in (1, 2, 3, 4)]
    assert found[DAILY[-1]].why == "beyond last 4"
    assert found[DAILY[-1]].text == "about 2026-04-04 11:00 UTC"


def test_a_snapshot_that_a_month_keeps_stays_longer() -> None:
    found = forecast(DAILY, Retention(keep_last=2, keep_monthly=2))
    assert found[DAILY[-2]].at == DAILY[-1] + DAY, "another of the month is newer"
    newest = found[DAILY[-1]].at
    assert newest is not None
    assert newest.month == 5, "the newest of March goes when April and May have one"


@pytest.mark.parametrize("newest", [{"keep_last": 3}, {"keep_within": HOUR * 3}])
def test_gaps_that_the_rules_made_are_not_the_usual_distance(newest: dict[str, Any]) -> None:
    hourly = [NOW - HOUR * hours for hours in (3, 2, 1)]
    found = forecast([*DAILY[:-1], *hourly], Retention(keep_daily=7, **newest))
    assert [found[start].at for start in hourly[:2]] == [NOW, NOW + HOUR]


def test_a_forecast_has_its_end() -> None:
    found = forecast(DAILY, Retention(keep_last=1, keep_yearly=50))
    assert found[DAILY[0]].kind is ForecastKind.LATER, "the oldest stands for the years that have no snapshot yet"
    assert found[DAILY[0]].text.startswith("not before 2031")


@pytest.mark.parametrize(
    ("starts", "now", "why"),
    [
        (DAILY[-FEWEST + 1 :], NOW, "fewer than 3 snapshots count"),
        (DAILY, NOW + DAY * OVERDUE, "delete nothing without a newer one"),
    ],
)
def test_a_time_that_cannot_be_forecast_is_not_known(starts: list[datetime], now: datetime, why: str) -> None:
    found = forecast(starts, Retention(keep_last=2), now)[starts[-1]]
    assert (found.kind, found.at) == (ForecastKind.NOT_KNOWN, None)
    assert why in found.why


def test_held_snapshots_are_not_forecast_and_keep_their_place() -> None:
    snapshots = lineage(DAILY)
    held = {snapshots[-2].id: (Reason("INV-06", "in use by ami-1"),)}
    facts = LineageFacts(snapshots[0].origin.lineage, snapshots, Retention(keep_last=4))
    plan = plan_lineage(facts, REGION, NOW, system=SYSTEM, limits=Limits(1000, 100), protected_ids=held)
    found = deletion_forecasts(plan, NOW, system=SYSTEM)
    assert (found[snapshots[-2].id].kind, found[snapshots[-2].id].why) == (ForecastKind.NOT_KNOWN, "in use by ami-1")
    assert found[snapshots[-1].id].at == DAILY[-1] + DAY * 4


def test_snapshots_apart_from_the_rules_take_no_place() -> None:
    snapshots = lineage(DAILY)
    plan = planned(snapshots, Retention(keep_last=4), held_by_tag={snapshots[-2].id: (Reason("INV-26", "held"),)})
    assert deletion_forecasts(plan, NOW, system=SYSTEM)[snapshots[-3].id].at == DAILY[-1] + DAY * 3


def test_a_snapshot_that_no_rule_deletes_stays() -> None:
    snapshots = [*lineage(DAILY), replace(snapshot(DAILY[0] + HOUR, 99), tags={})]
    found = deletion_forecasts(planned(snapshots, Retention(keep_last=20)), NOW, system=SYSTEM)
    assert (found[snapshots[-1].id].kind, found[snapshots[-1].id].why) == (
        ForecastKind.STAYS,
        "not managed: it does not carry our tag",
    )
    assert {each.kind for each in forecast(DAILY, Retention()).values()} <= {ForecastKind.STAYS, ForecastKind.LATER}


def test_pending_snapshots_and_refused_plans_are_not_known() -> None:
    pending = replace(snapshot(NOW, 98), state=SnapshotState.PENDING)
    found = deletion_forecasts(planned([*lineage(DAILY), pending], Retention(keep_last=4)), NOW, system=SYSTEM)
    assert found[pending.id].kind is ForecastKind.NOT_KNOWN
    refused = replace(planned(lineage(DAILY), Retention(keep_last=4)), refusals=("INV-05",))
    oldest = deletion_forecasts(refused, NOW, system=SYSTEM)[refused.verdicts[0].snapshot.id]
    assert oldest.kind is ForecastKind.NOT_KNOWN
    assert "its plan is refused" in oldest.why


def test_a_deleted_volume_s_snapshots_leave_by_their_age() -> None:
    found = forecast(DAILY, GoneRetention(keep_within=DAY * 20))
    assert found[DAILY[0]].at == DAILY[0] + DAY * 20 + timedelta(seconds=1)
    assert found[DAILY[-1]].kind is ForecastKind.STAYS, "the newest is never deleted"


RETENTIONS = st.builds(
    Retention,
    keep_last=st.integers(0, 4),
    keep_within=st.integers(0, 6).map(lambda days: DAY * days),
    keep_daily=st.integers(0, 5),
    keep_weekly=st.integers(0, 3),
    keep_monthly=st.integers(0, 2),
    minimum=st.integers(1, 3),
).filter(lambda retention: any((retention.keep_last, retention.keep_within, retention.keep_daily, retention.keep_weekly)))


@settings(max_examples=40)
@given(RETENTIONS, st.sampled_from([6, 12, 24]), st.integers(FEWEST, 20))
def test_runs_delete_at_the_forecast_time(retention: Retention, hours: int, count: int) -> None:
    distance = timedelta(hours=hours)
    starts = [NOW - HOUR - distance * number for number in range(count - 1, -1, -1)]
    found = forecast(starts, retention)
    live = lineage(starts)
    gone: dict[datetime, datetime] = {}
    for number in range(400):
        moment = starts[-1] + distance * number
        if number:
            live.append(snapshot(moment, 1000 + number))
        deleted = {
            verdict.snapshot.id for verdict in decide(live, retention, moment, system=SYSTEM) if verdict.action == "delete"
        }
        gone |= {each.origin.start_time: moment for each in live if each.id in deleted}
        live = [each for each in live if each.id not in deleted]
    for start in starts:
        if found[start].kind is ForecastKind.NEXT_RUN:
            assert gone[start] == starts[-1]
        elif found[start].kind is ForecastKind.EXPECTED and start in gone:
            assert gone[start] == found[start].at
        else:
            assert start not in gone
