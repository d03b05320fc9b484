"""Which drills are due, which volumes and points they take, and what the budget leaves out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.drills.ledger import DrillLedger, evidence_of
from snapkeep.domain.drills.run import estimate_of, estimate_of_instances, make_run
from snapkeep.domain.drills.schedule import choose_runs, due_at, points_of
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.drill_rules import DrillLevel, DrillPick, DrillRule, DrillSchedule
from snapkeep.domain.tag_names import INSTANCE, MANAGED, POLICY

SUNDAY = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
RULE = DrillRule("weekly", ("gold",), "us-east-2", DrillSchedule("0 4 ? * SUN *"))


def copy(volume: int, days_old: int = 1, size_gib: int = 8, policy: str = "gold") -> Snapshot:
    start = SUNDAY - timedelta(days=days_old)
    name = f"{volume:04d}{days_old:04d}"
    return Snapshot(
        id=f"snap-{name}",
        region="us-east-2",
        state=SnapshotState.COMPLETED,
        start_time=start,
        size_gib=size_gib,
        origin=Origin("us-east-1", f"vol-{volume}", f"snap-s{name}", start),
        tags={MANAGED: "snapkeep", POLICY: policy},
        is_copy=True,
    )


def chosen(rule: DrillRule, copies: list[Snapshot], ledger: DrillLedger, now: datetime = SUNDAY) -> list[str]:
    return [run.volume_id for run in choose_runs(rule, points_of(rule, copies, "snapkeep"), ledger, now, now).runs]


@pytest.mark.parametrize(
    ("minutes_later", "due"), [(-1, False), (0, True), (3, True), (59, True), (60, False), (24 * 60, False), (7 * 24 * 60, True)]
)
def test_a_missed_drill_is_made_up_within_an_hour(minutes_later: int, due: bool) -> None:
    now = SUNDAY + timedelta(minutes=minutes_later)
    assert (due_at(RULE, DrillLedger(), now) is not None) is due


def test_a_drill_that_was_begun_is_not_due_again() -> None:
    ledger = DrillLedger().begun((make_run(RULE, [copy(1)], SUNDAY, SUNDAY),))
    assert due_at(RULE, ledger, SUNDAY + timedelta(minutes=5)) is None
    assert due_at(RULE, ledger, SUNDAY + timedelta(days=7)) == SUNDAY + timedelta(days=7)


def test_a_schedule_follows_its_time_zone_over_a_change_of_the_clock() -> None:
    berlin = replace(RULE, schedule=DrillSchedule("30 3 * * ? *", "Europe/Berlin"))
    assert due_at(berlin, DrillLedger(), datetime(2026, 10, 24, 1, 30, tzinfo=UTC)) is not None
    assert due_at(berlin, DrillLedger(), datetime(2026, 10, 26, 2, 30, tzinfo=UTC)) is not None
    assert due_at(berlin, DrillLedger(), datetime(2026, 10, 26, 1, 29, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("day", "due"),
    [
        # 02:30 does not exist on 29 March, and exists twice on 25 October.
        ("2026-03-29", "2026-03-29 01:30"),
        ("2026-10-25", "2026-10-25 00:30"),
    ],
)
def test_a_time_that_the_clock_skips_or_repeats_is_one_drill(day: str, due: str) -> None:
    berlin = replace(RULE, schedule=DrillSchedule("30 2 * * ? *", "Europe/Berlin"))
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = {due_at(berlin, DrillLedger(), midnight + timedelta(minutes=5 * tick)) for tick in range(4 * 12)}
    assert found - {None} == {datetime.fromisoformat(due).replace(tzinfo=UTC)}


def test_every_volume_has_its_turn() -> None:
    rule, copies, ledger, seen = replace(RULE, pick=DrillPick(rotate=2)), [copy(number) for number in range(5)], DrillLedger(), []
    for week in range(15):
        now = SUNDAY + timedelta(weeks=week)
        runs = choose_runs(rule, points_of(rule, copies, "snapkeep"), ledger, now, now).runs
        seen += [run.volume_id for run in runs]
        ledger = ledger.begun(runs)
        for run in runs:
            ledger = ledger.concluded(evidence_of(run.failed("it failed"), "1", ledger.last_hash))
    assert sorted(seen[:5]) == sorted({f"vol-{number}" for number in range(5)})
    assert {seen.count(f"vol-{number}") for number in range(5)} <= {5, 6, 7}


def test_other_policies_and_unusable_copies_are_not_drilled() -> None:
    pending = replace(copy(2), state=SnapshotState.PENDING)
    other = replace(copy(4), tags={MANAGED: "snapkeep2", POLICY: "gold"})
    rule = replace(RULE, pick=DrillPick(rotate=9))
    assert chosen(rule, [copy(1), pending, copy(3, policy="silver"), other], DrillLedger()) == ["vol-1"]


def test_a_volume_that_is_being_drilled_is_passed_over() -> None:
    ledger = DrillLedger().begun((make_run(RULE, [copy(1)], SUNDAY - timedelta(hours=1), SUNDAY),))
    assert chosen(RULE, [copy(1), copy(2)], ledger) == ["vol-2"]


@pytest.mark.parametrize(
    ("pick", "days_old"),
    [
        (DrillPick(), 1),
        (DrillPick(latest=True), 1),
        (DrillPick(oldest_within=timedelta(days=30)), 20),
        (DrillPick(oldest_within=timedelta(days=400)), 300),
    ],
)
def test_the_words_of_pick_choose_the_point(pick: DrillPick, days_old: int) -> None:
    copies = [copy(1, days) for days in (5, 1, 300, 20)]
    [run] = choose_runs(replace(RULE, pick=pick), points_of(RULE, copies, "snapkeep"), DrillLedger(), SUNDAY, SUNDAY).runs
    assert run.point == copy(1, days_old).id


def test_a_random_point_is_any_and_the_same_for_one_due_time() -> None:
    rule, copies = replace(RULE, pick=DrillPick(random=True)), [copy(1, days) for days in range(1, 9)]
    points = points_of(rule, copies, "snapkeep")

    def point(week: int) -> str:
        due = SUNDAY + timedelta(weeks=week)
        return choose_runs(rule, points, DrillLedger(), due, due).runs[0].point

    assert point(0) == point(0)
    assert len({point(week) for week in range(40)}) == 8


def test_no_point_is_young_enough_then_the_volume_is_not_drilled() -> None:
    assert chosen(replace(RULE, pick=DrillPick(oldest_within=timedelta(days=2))), [copy(1, 5)], DrillLedger()) == []


def test_the_budget_of_thirty_days_holds() -> None:
    price = estimate_of(8)
    rule = replace(RULE, pick=DrillPick(rotate=5), budget=f"{2.5 * price} USD/month")
    points = points_of(rule, [copy(number) for number in range(5)], "snapkeep")
    choice = choose_runs(rule, points, DrillLedger(), SUNDAY, SUNDAY)
    assert [run.volume_id for run in choice.runs] == ["vol-0", "vol-1"]
    assert choice.too_expensive == ("vol-2", "vol-3", "vol-4")
    ledger = DrillLedger().begun(choice.runs)
    later = SUNDAY + timedelta(hours=2)
    assert choose_runs(rule, points, ledger, later, later).runs == ()


def of_instance(number: int) -> list[Snapshot]:
    """Two volumes of an instance."""
    tags = {MANAGED: "snapkeep", POLICY: "gold", INSTANCE: f"i-{number}"}
    return [replace(copy(10 * number + volume), tags=tags) for volume in (1, 2)]


def test_a_budget_counts_the_instances_of_a_drill_until_its_end() -> None:
    volumes = estimate_of_instances(16, 1, 0)
    rule = replace(RULE, level=DrillLevel.INSTANCE, pick=DrillPick(rotate=5), instance_price="0.5 USD/hour")
    points = points_of(rule, [point for number in (1, 2, 3) for point in of_instance(number)], "snapkeep")
    choice = choose_runs(
        replace(rule, budget=f"{2 * (volumes + 12) + 0.01:.2f} USD/month"), points, DrillLedger(), SUNDAY, SUNDAY
    )
    assert [run.volume_id for run in choice.runs] == ["i-1", "i-2"]
    assert choice.too_expensive == ("i-3",)
    assert {run.estimate_usd for run in choice.runs} == {volumes + 24 * 0.5}
    [group] = choose_runs(replace(rule, group="shop"), points, DrillLedger(), SUNDAY, SUNDAY).runs
    assert group.estimate_usd == pytest.approx(3 * (volumes + 12))


def test_a_small_volume_is_drilled_where_a_large_one_is_too_expensive() -> None:
    rule = replace(RULE, budget=f"{estimate_of(10)} USD/month")
    assert chosen(rule, [copy(1, size_gib=1000), copy(2)], DrillLedger()) == ["vol-2"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0 4 ? * SUN *", "2026-11-29 04:00"),
        ("0/15 8-18 ? * MON-FRI *", "2026-11-30 17:45"),
        ("30 2 1,15 * ? 2026", "2026-12-15 02:30"),
        ("0 0 ? JAN,FEB 2 2027-2030", "2027-02-01 00:00"),
        ("* * * * ? *", "2026-12-31 23:59"),
        ("5/20 * */10 * ? *", "2026-12-21 00:45"),
    ],
)
def test_schedules_of_eventbridge_match_their_minutes(text: str, at: str) -> None:
    cron, moment = parse_cron(text), datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert cron.latest(moment, "UTC") == moment
    if text != "* * * * ? *":
        assert cron.latest(moment + timedelta(minutes=1), "UTC") == moment


@pytest.mark.parametrize(
    "text",
    ["0 4 * * SUN *", "0 4 ? * ? *", "0 4 ? * SUN", "60 4 ? * SUN *", "0 4 ? * SUNDAY *", "0 4 0 * ? *", "0/0 4 ? * SUN *", "0 9-5 ? * SUN *", "a 4 ? * SUN *", "0 ?,4 ? * SUN *", "", "0 4 L * ? *"],
)  # fmt: skip
def test_a_schedule_that_eventbridge_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_cron(text)


def test_the_looks_of_the_longest_drill_fit_within_a_history() -> None:
    """Each look is three states, of about nine events; a history holds 25,000 (Step Functions developer guide: quotas)."""
    run, looks = make_run(RULE, [copy(1)], SUNDAY, SUNDAY), 0
    at = run.asked_at
    while at < run.ends_at:
        at += timedelta(seconds=run.wait_seconds(at))
        looks += 1
    assert looks * 9 < 25_000 / 4
