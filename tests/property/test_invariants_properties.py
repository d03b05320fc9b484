"""Verdicts pass the second look, and verdicts that were tampered with do not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from snapkeep.domain.model import Action, Lineage, Reason, Snapshot, Verdict
from snapkeep.domain.policy.model import CopyRule, Limits, Retention
from snapkeep.domain.retention.holds import copy_facts, holds_from_facts
from snapkeep.domain.retention.invariants import find_problems
from snapkeep.domain.retention.verdicts import decide
from support.lineages import REGION, SYSTEM, VOLUME
from support.policy_strategies import NOW, lineages, retentions

GENEROUS = Limits(max_deletions=10**6, max_share_percent=100)
GONE = (Reason("keep_last", "beyond last 1"),)
DR = "us-east-2"


def problems_of(verdicts: Sequence[Verdict], **more: object) -> list[str]:
    facts = {"system": SYSTEM, "limits": GENEROUS} | more
    return find_problems(verdicts, Lineage(REGION, VOLUME), REGION, **facts)


@given(lineages(), retentions)
def test_verdicts_break_no_invariant(snapshots: list[Snapshot], retention: Retention) -> None:
    verdicts = decide(snapshots, retention, NOW, system=SYSTEM)
    assert problems_of(verdicts) == []


@given(lineages(), retentions, st.data())
def test_verdicts_with_holds_for_copies_break_no_invariant(
    snapshots: list[Snapshot], retention: Retention, data: st.DataObject
) -> None:
    ids = st.sets(st.sampled_from([s.id for s in snapshots])) if snapshots else st.just(set())
    confirmed = {(snapshot_id, DR) for snapshot_id in data.draw(ids)}
    waiting = {(snapshot_id, DR) for snapshot_id in data.draw(ids)}
    facts = copy_facts(snapshots, {}, waiting, confirmed)
    verdicts = decide(snapshots, retention, NOW, system=SYSTEM, holds=holds_from_facts(snapshots, facts, [CopyRule(DR)]))
    assert problems_of(verdicts, copies=facts, copy_rules=[CopyRule(DR)]) == []


@given(lineages(), retentions, st.data())
def test_deleting_anything_that_does_not_count_is_refused(
    snapshots: list[Snapshot], retention: Retention, data: st.DataObject
) -> None:
    verdicts = decide(snapshots, retention, NOW, system=SYSTEM)
    others = [v for v in verdicts if not (v.snapshot.completed and v.snapshot.managed_by(SYSTEM))]
    assume(others)
    chosen = data.draw(st.sampled_from(others))
    tampered = [Verdict(v.snapshot, Action.DELETE, GONE) if v is chosen else v for v in verdicts]
    assert any(
        problem.startswith((f"INV-01: {chosen.snapshot.id}", f"INV-03: {chosen.snapshot.id}"))
        for problem in problems_of(tampered)
    )


@given(lineages(all_count=True), st.booleans())
def test_deleting_the_newest_is_refused(snapshots: list[Snapshot], copies: bool) -> None:
    assume(snapshots)
    snapshots = [replace(snapshot, is_copy=copies) for snapshot in snapshots]
    newest_start = max(snapshot.start_time for snapshot in snapshots)
    verdicts = [
        Verdict(s, Action.DELETE, GONE) if s.start_time == newest_start else Verdict(s, Action.KEEP, GONE) for s in snapshots
    ]
    assert any(problem.startswith("INV-05" if copies else "INV-02") for problem in problems_of(verdicts))


@given(lineages(all_count=True), st.integers(1, 10))
def test_more_deletions_than_the_limit_are_refused(snapshots: list[Snapshot], most: int) -> None:
    ordered = sorted(snapshots, key=lambda s: (s.start_time, s.id))
    verdicts = [Verdict(s, Action.DELETE, GONE) for s in ordered[:-1]] + [Verdict(s, Action.KEEP, GONE) for s in ordered[-1:]]
    problems = problems_of(verdicts, limits=replace(GENEROUS, max_deletions=most))
    too_many = len(ordered) - 1 > most
    assert any(f"the limit is {most} in one plan" in problem for problem in problems) == too_many


@given(lineages(all_count=True), st.integers(0, 60))
def test_a_snapshot_without_a_copy_stays_until_a_newer_one_has_one(snapshots: list[Snapshot], hours: int) -> None:
    facts = copy_facts(snapshots, {}, (), {(s.id, DR) for s in snapshots if s.start_time <= NOW - timedelta(hours=hours)})
    held = holds_from_facts(snapshots, facts, [CopyRule(DR)])
    copied = {s.id for s in snapshots if s.start_time <= NOW - timedelta(hours=hours)}
    assert set(held) == {s.id for s in snapshots} - copied
