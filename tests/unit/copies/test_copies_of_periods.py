"""A copy rule copies one snapshot of each period: the first, until the period has its copy."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.frequency import Periods, between_copies, periods_of, same_period, to_copy
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.lab.ebs_model.store.records import COMPLETED
from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions
from snapkeep.lab.simulator.fleet import generate, make_world
from support.flows import DAY, DR, HOUR, PRIMARY, Laboratory
from support.lineages import snapshot
from support.policy_strategies import ZONES

DAILY = CopyRule(DR, every=timedelta(days=1), retention=Retention(keep_last=9))
BERLIN = Retention(timezone="Europe/Berlin")


def hourly(start: str, count: int) -> list[Snapshot]:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return [snapshot(begin + timedelta(hours=number), number + 1) for number in range(count)]


def starts(snapshots: Sequence[Snapshot]) -> list[str]:
    return [f"{item.origin.start_time:%m-%d %H}" for item in snapshots]


def test_a_rule_without_periods_copies_every_snapshot() -> None:
    assert to_copy(hourly("2026-11-20T00:00", 5), CopyRule(DR)) == hourly("2026-11-20T00:00", 5)


@pytest.mark.parametrize(
    ("rule", "copied"),
    [
        (DAILY, ["11-20 20", "11-21 00"]),
        (CopyRule(DR, every=timedelta(days=1), retention=BERLIN), ["11-20 20", "11-20 23"]),
        (CopyRule(DR, every=timedelta(hours=4)), ["11-20 20", "11-21 00", "11-21 04"]),
        (CopyRule(DR, every=timedelta(weeks=1)), ["11-20 20"]),
        (CopyRule(DR, only="kept", retention=Retention(keep_daily=7)), ["11-20 20", "11-21 00"]),
        (CopyRule(DR, only="kept", retention=Retention(keep_weekly=7, keep_monthly=3)), ["11-20 20"]),
        (CopyRule(DR, only="kept", retention=Retention(keep_monthly=3)), ["11-20 20"]),
    ],
)
def test_the_first_snapshot_of_each_period_is_copied(rule: CopyRule, copied: list[str]) -> None:
    assert starts(to_copy(hourly("2026-11-20T20:00", 10), rule)) == copied


def test_weeks_begin_on_monday() -> None:
    rule = CopyRule(DR, every=timedelta(weeks=1))
    assert starts(to_copy(hourly("2026-11-22T20:00", 10), rule)) == ["11-22 20", "11-23 00"]


def test_a_period_with_a_copy_gets_no_other() -> None:
    candidates = hourly("2026-11-20T20:00", 10)
    earlier = datetime(2026, 11, 20, 3, tzinfo=UTC)  # copied, and deleted since
    assert starts(to_copy(candidates, DAILY, [earlier])) == ["11-21 00"]


def test_the_copy_that_is_in_progress_is_the_period_s_copy() -> None:
    candidates = hourly("2026-11-20T20:00", 10)
    assert starts(to_copy(candidates, DAILY, in_progress={candidates[2].id})) == ["11-20 22", "11-21 00"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28T23:00", 23), ("2026-10-24T22:00", 25)])
def test_days_of_clock_changes_have_one_copy_each(day: str, hours: int) -> None:
    rule = CopyRule(DR, every=timedelta(days=1), retention=BERLIN)
    candidates = hourly(day, 72)
    chosen = to_copy(candidates, rule)
    assert [item.id for item in chosen[:3]] == [candidates[0].id, candidates[hours].id, candidates[hours + 24].id]


def test_an_hour_that_the_clock_repeats_is_two_periods() -> None:
    rule = CopyRule(DR, every=timedelta(hours=1), retention=BERLIN)
    assert len(to_copy(hourly("2026-10-24T22:00", 25), rule)) == 25


@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24, 48, 168]),
    minutes=st.lists(st.integers(0, 60 * 24 * 400), min_size=1, max_size=40, unique=True),
)
def test_each_period_has_exactly_one_copy(zone: str, every: int, minutes: list[int]) -> None:
    rule = CopyRule(DR, every=timedelta(hours=every), retention=Retention(timezone=zone))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    candidates = [snapshot(begin + timedelta(minutes=minute), number) for number, minute in enumerate(minutes, start=1)]
    copied = to_copy(candidates, rule)
    periods = periods_of(rule)
    assert periods is not None
    numbers = periods.numbers([item.origin.start_time for item in copied])
    assert sorted(numbers) == sorted(set(periods.numbers([item.origin.start_time for item in candidates])))
    # A day on which the clock is put back is an hour longer.
    longest = between_copies(rule) + timedelta(hours=1)
    first = candidates[0].origin.start_time
    assert not any(
        same_period(rule, first, item.origin.start_time) and abs(item.origin.start_time - first) >= longest for item in candidates
    )


@given(
    zone=st.sampled_from(ZONES),
    every=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24, 48, 168]),
    minutes=st.integers(0, 60 * 24 * 400),
)
def test_a_period_ends_where_the_next_one_begins(zone: str, every: int, minutes: int) -> None:
    periods = Periods(timedelta(hours=every), "", zone)
    moment, little = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes), timedelta(seconds=1)
    begin, end = periods.bounds(moment)
    assert begin <= moment < end
    before, first, last, after = periods.numbers((begin - little, begin, end - little, end))
    assert before < first == last < after


def laboratory(rule: CopyRule, keep: int = 3) -> Laboratory:
    return Laboratory(policies=PolicySet((Policy("gold", Selector(), Retention(keep_last=keep), (rule,)),)))


def test_runs_copy_the_first_snapshot_of_a_day() -> None:
    lab = laboratory(DAILY)
    volume = lab.make_volume()
    first, *_, last = [lab.protect(volume) for _ in range(3)]
    assert lab.sources_of_copies() == [first]
    lab.runner.advance(DAY)
    next_day = lab.protect(volume)
    assert lab.sources_of_copies() == sorted([first, next_day])
    assert last not in lab.sources_of_copies()
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}


def test_snapshots_that_are_left_out_are_deleted_as_others_are() -> None:
    lab = laboratory(DAILY, keep=2)
    volume = lab.make_volume()
    made = [lab.protect(volume) for _ in range(5)]
    assert lab.ids() == made[-2:]


def test_snapshots_are_kept_while_the_period_s_copy_is_missing() -> None:
    lab = laboratory(DAILY, keep=2)
    volume = lab.make_volume()
    lab.world.take_region_away(DR)
    made = [lab.start_snapshot(volume)]
    for _ in range(4):
        lab.runner.advance(HOUR)
        made.append(lab.start_snapshot(volume))
    lab.runner.advance(HOUR)
    assert [item.id for item in lab.snapshots() if item.state == COMPLETED] == made
    lab.world.bring_region_back(DR)
    lab.settle()
    assert lab.sources_of_copies() == made[:1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        CopyRule(DR, every=timedelta(days=1), retention=Retention(keep_last=30)),
        CopyRule(DR, only="kept", retention=Retention(keep_daily=30)),
    ],
)
def test_an_hourly_fleet_makes_one_copy_a_day(rule: CopyRule) -> None:
    policies = PolicySet((Policy("gold", Selector(), Retention(keep_last=6), (rule,)),))
    world = make_world(generate(3, 1, {}), PRIMARY, (DR,), seed=1)
    options = ExperimentOptions(days=14, every_hours=1.0, spread_hours=0.1, sweep_hours=6.0)
    result = Experiment("test", world, policies, options).run()
    assert (result.copies, result.violations, sum(result.notices.values())) == (42, [], 0)
    assert result.rpo_worst_hours < 26
    assert result.days[-1].regions[PRIMARY].snapshots == 18
    assert result.rpo_met_share == 1.0
