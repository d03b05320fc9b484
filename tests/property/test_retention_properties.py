"""Properties of every decision, for any snapshots and rules."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.model import Action, Origin, Reason, Snapshot
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.policy.periods import PERIODS, Calendar
from snapkeep.domain.retention.verdicts import RETENTION_WORDS, decide
from support.lineages import SYSTEM, copy_of
from support.policy_strategies import NOW, ZONES, lineages, retentions
from support.retention_oracle import PERIOD_OF, expected_verdicts

FOUR_CENTURIES = timedelta(days=146_097)
"""After which the Gregorian calendar repeats itself, weekdays and leap days included."""


def kept(snapshots: list[Snapshot], retention: Retention, **more: object) -> set[str]:
    return {v.snapshot.id for v in decide(snapshots, retention, NOW, system=SYSTEM, **more) if v.action is Action.KEEP}


def counting(snapshots: list[Snapshot]) -> list[Snapshot]:
    return sorted((s for s in snapshots if s.completed and s.managed_by(SYSTEM)), key=lambda s: (s.start_time, s.id))


@given(lineages(), retentions)
def test_every_snapshot_gets_exactly_one_verdict_with_at_least_one_reason(
    snapshots: list[Snapshot], retention: Retention
) -> None:
    verdicts = decide(snapshots, retention, NOW, system=SYSTEM)
    assert sorted(v.snapshot.id for v in verdicts) == sorted(s.id for s in snapshots)
    assert all(v.reasons for v in verdicts)
    assert [(v.snapshot.start_time, v.snapshot.id) for v in verdicts] == sorted((s.start_time, s.id) for s in snapshots)


@given(lineages(), retentions)
def test_uncounted_snapshots_are_kept_and_change_no_other_verdict(snapshots: list[Snapshot], retention: Retention) -> None:
    good = counting(snapshots)
    everything = kept(snapshots, retention)
    assert {s.id for s in snapshots} - {s.id for s in good} <= everything
    assert everything & {s.id for s in good} == kept(good, retention)


@given(lineages(), retentions)
def test_the_newest_that_count_are_kept_as_many_as_the_minimum_says(snapshots: list[Snapshot], retention: Retention) -> None:
    assert {s.id for s in counting(snapshots)[-retention.minimum :]} <= kept(snapshots, retention)


@given(lineages(), retentions, st.sampled_from(sorted(RETENTION_WORDS - {"keep_within"})), st.integers(1, 5))
def test_adding_or_raising_a_rule_never_deletes_more(
    snapshots: list[Snapshot], retention: Retention, word: str, more: int
) -> None:
    if retention == Retention(minimum=retention.minimum, timezone=retention.timezone):
        return  # no rule keeps everything: the first rule is what begins to delete
    raised = replace(retention, **{word: getattr(retention, word) + more})
    assert kept(snapshots, retention) <= kept(snapshots, raised)


@given(lineages(), retentions, st.integers(1, 60 * 24 * 30))
def test_a_longer_keep_within_never_deletes_more(snapshots: list[Snapshot], retention: Retention, minutes: int) -> None:
    before = replace(retention, keep_last=max(1, retention.keep_last))
    after = replace(before, keep_within=before.keep_within + timedelta(minutes=minutes))
    assert kept(snapshots, before) <= kept(snapshots, after)


@given(lineages(), retentions, st.randoms(use_true_random=False))
def test_the_order_in_which_snapshots_come_does_not_matter(
    snapshots: list[Snapshot], retention: Retention, dice: random.Random
) -> None:
    shuffled = list(snapshots)
    dice.shuffle(shuffled)
    assert decide(shuffled, retention, NOW, system=SYSTEM) == decide(snapshots, retention, NOW, system=SYSTEM)


@given(lineages(all_count=True), retentions)
def test_copies_are_kept_as_their_sources_would_be_whenever_they_were_made(
    snapshots: list[Snapshot], retention: Retention
) -> None:
    copies = [copy_of(source, "us-east-2", number) for number, source in enumerate(snapshots, start=1)]
    of_sources = decide(snapshots, retention, NOW, system=SYSTEM)
    of_copies = decide(copies, retention, NOW, system=SYSTEM)
    assert [(v.snapshot.origin, v.action, v.reasons) for v in of_copies] == [
        (v.snapshot.origin, v.action, v.reasons) for v in of_sources
    ]


@given(lineages(), lineages(), retentions)
def test_the_same_facts_give_the_same_decision_whatever_was_decided_before(
    snapshots: list[Snapshot], others: list[Snapshot], retention: Retention
) -> None:
    first = decide(snapshots, retention, NOW, system=SYSTEM)
    decide(others, retention, NOW, system=SYSTEM)
    assert decide(snapshots, retention, NOW, system=SYSTEM) == first


@given(lineages(all_count=True), retentions)
def test_once_a_plan_is_carried_out_the_next_one_deletes_nothing(snapshots: list[Snapshot], retention: Retention) -> None:
    staying = kept(snapshots, retention)
    left = [snapshot for snapshot in snapshots if snapshot.id in staying]
    assert kept(left, retention) == staying


@given(lineages(), retentions, st.timedeltas(timedelta(0), timedelta(days=4000)))
def test_time_that_passes_without_snapshots_deletes_nothing_more(
    snapshots: list[Snapshot], retention: Retention, later: timedelta
) -> None:
    verdicts = decide(snapshots, retention, NOW + later, system=SYSTEM)
    assert {v.snapshot.id for v in verdicts if v.action is Action.KEEP} == kept(snapshots, retention)


@given(lineages(all_count=True), retentions)
def test_the_calendar_repeats_after_four_centuries_and_so_do_decisions(snapshots: list[Snapshot], retention: Retention) -> None:
    utc = replace(retention, timezone="UTC")
    later = [with_start(snapshot, snapshot.start_time + FOUR_CENTURIES) for snapshot in snapshots]
    then = decide(later, utc, NOW + FOUR_CENTURIES, system=SYSTEM)
    assert {v.snapshot.id for v in then if v.action is Action.KEEP} == kept(snapshots, utc)


def with_start(snapshot: Snapshot, start: datetime) -> Snapshot:
    origin = Origin(snapshot.origin.region, snapshot.origin.volume_id, snapshot.origin.snapshot_id, start)
    return replace(snapshot, start_time=start, origin=origin)


@given(lineages(all_count=True), retentions, st.sampled_from(["Etc/GMT+5", "Etc/GMT-14", "Etc/GMT+12"]))
def test_a_zone_moves_the_calendar_as_moving_the_snapshots_would(
    snapshots: list[Snapshot], retention: Retention, zone: str
) -> None:
    offset = NOW.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    there = [with_start(snapshot, snapshot.start_time + offset) for snapshot in snapshots]
    then = decide(there, replace(retention, timezone="UTC"), NOW + offset, system=SYSTEM)
    assert {v.snapshot.id for v in then if v.action is Action.KEEP} == kept(snapshots, replace(retention, timezone=zone))


@given(lineages(), retentions, st.data())
def test_a_hold_keeps_its_snapshot_and_changes_no_other_verdict(
    snapshots: list[Snapshot], retention: Retention, data: st.DataObject
) -> None:
    held = data.draw(st.sets(st.sampled_from([s.id for s in snapshots]))) if snapshots else set()
    reason = Reason("INV-06", "locked")
    before = {v.snapshot.id: v for v in decide(snapshots, retention, NOW, system=SYSTEM)}
    good = {s.id for s in counting(snapshots)}
    for verdict in decide(snapshots, retention, NOW, system=SYSTEM, holds=dict.fromkeys(held, (reason,))):
        if verdict.snapshot.id in held & good:
            assert verdict.action is Action.KEEP
            assert reason in verdict.reasons
        else:
            assert verdict == before[verdict.snapshot.id]


@given(lineages(most=12), retentions, st.lists(st.integers(0, 150), min_size=12, max_size=12))
def test_every_verdict_is_that_of_the_plain_slow_decision(
    first: list[Snapshot], retention: Retention, minutes: list[int]
) -> None:
    second = [
        with_start(snapshot, snapshot.start_time - timedelta(minutes=earlier))
        for snapshot, earlier in zip(first, minutes, strict=False)
    ]
    for snapshots in (first, second):  # much alike: what is remembered of one volume must not decide about the next
        verdicts = decide(snapshots, retention, NOW, system=SYSTEM)
        expected = expected_verdicts(snapshots, retention, NOW)
        decided = {v.snapshot.id: (v.action, [reason.rule for reason in v.reasons]) for v in verdicts}
        assert {snapshot_id: decided[snapshot_id] for snapshot_id in expected} == expected
        assert {decided[snapshot_id][0] for snapshot_id in decided.keys() - expected.keys()} <= {Action.KEEP}


@given(lineages(all_count=True), st.sampled_from(sorted(PERIODS)), st.sampled_from(ZONES))
def test_times_in_one_period_have_one_label(snapshots: list[Snapshot], word: str, zone: str) -> None:
    period = PERIODS[word]
    starts = [snapshot.start_time for snapshot in snapshots]
    local = [start.astimezone(ZoneInfo(zone)) for start in starts]
    numbers = period.numbers(Calendar(starts, zone))
    expected = [PERIOD_OF[word](time) for time in local]
    pairs = set(zip(numbers, expected, [period.label(number) for number in numbers], strict=True))
    assert len(pairs) == len({number for number, _, _ in pairs}) == len(set(expected)) == len({label for _, _, label in pairs})
