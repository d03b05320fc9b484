"""`copy_budget`: the most that time-based copies cost in a month; further ones are ordinary, with one notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.domain.copies.completion import month_of
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.policy.model import PolicySet
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.copies.completion import ChooseCompletion
from snapkeep.usecases.look.budgets import CopyBudget, copy_budgets
from snapkeep.usecases.ports import ProblemKind
from support.flows import DAY, DR, HOUR, PRIMARY, KillAt, Laboratory, policy_set

GIB = 400
WITHIN = timedelta(hours=4)
FULL_USD = 0.014 * GIB
"""A copy of the whole volume within 225 minutes."""


def budgeted(budget: str = "6 USD/month", *, completion: str = "auto", minutes: int = 0) -> PolicySet:
    policies = policy_set(copy_within=WITHIN, keep=9, keep_copies=9)
    (policy,) = policies.policies
    ways = {"completion": completion, "completion_minutes": minutes, "copy_budget": budget}
    rules = tuple(replace(rule, **ways) for rule in policy.copies)
    return replace(policies, policies=(replace(policy, rpo=WITHIN, copies=rules),))


def durations(laboratory: Laboratory) -> list[int]:
    return [copy.duration_minutes for copy in laboratory.snapshots(DR)]


def told(laboratory: Laboratory) -> int:
    return sum(kind == ProblemKind.COPY_BUDGET_SPENT for kind, _ in laboratory.notified)


def spent(laboratory: Laboratory) -> CopyBudget:
    (budget,) = copy_budgets(
        laboratory.policies, laboratory.runner.composition.queues[DR], laboratory.runner.composition.clock.now()
    )
    return budget


@pytest.mark.parametrize(("completion", "minutes", "taken"), [("auto", 0, 225), ("", 120, 120)])
def test_copies_beyond_the_budget_are_ordinary_and_notified_once_a_month(completion: str, minutes: int, taken: int) -> None:
    laboratory = Laboratory(budgeted(completion=completion, minutes=minutes))
    for _ in range(3):
        laboratory.protect(laboratory.make_volume(size_gib=GIB))
    assert durations(laboratory) == [taken, 0, 0]
    assert told(laboratory) == 1
    assert spent(laboratory) == CopyBudget("default", DR, month_of(laboratory.runner.composition.clock.now()), 6, FULL_USD, True)
    laboratory.runner.advance(31 * DAY)
    for _ in range(2):
        laboratory.protect(laboratory.make_volume(size_gib=GIB))
    assert durations(laboratory)[3:] == [taken, 0]
    assert told(laboratory) == 2


def test_only_changed_blocks_count_if_they_can_be_listed() -> None:
    laboratory = Laboratory(budgeted("12 USD/month", completion="", minutes=225))
    volume = laboratory.make_volume(size_gib=GIB)
    laboratory.protect(volume)
    laboratory.world.write(volume, 0, 2048, region=PRIMARY)
    laboratory.protect(volume)
    assert spent(laboratory).spent_usd == pytest.approx(FULL_USD + 0.014)


def test_a_smaller_copy_that_the_budget_covers_is_time_based() -> None:
    laboratory = Laboratory(budgeted(completion="", minutes=225))
    for size in (GIB, GIB, 20):
        laboratory.protect(laboratory.make_volume(size_gib=size))
    assert durations(laboratory) == [225, 0, 225]
    assert spent(laboratory).spent_usd == pytest.approx(FULL_USD + 20 * 0.014)


def test_a_refused_duration_costs_nothing() -> None:
    laboratory = Laboratory(budgeted())
    fault = FaultRule("api_error", action="CopySnapshot", times=1, code="InvalidParameterValue", http_status=400)
    laboratory.world.add_fault(fault)
    laboratory.protect(laboratory.make_volume(size_gib=GIB))
    assert durations(laboratory) == [0]
    assert spent(laboratory).spent_usd == 0
    assert told(laboratory) == 0


def test_a_throttled_start_is_counted_once() -> None:
    laboratory = Laboratory(budgeted())
    fault = FaultRule("api_error", action="CopySnapshot", times=1, code="RequestLimitExceeded", http_status=503)
    laboratory.world.add_fault(fault)
    laboratory.protect(laboratory.make_volume(size_gib=GIB))
    assert durations(laboratory) == [225]
    assert spent(laboratory).spent_usd == pytest.approx(FULL_USD)


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("call", ["queue.spend", "queue.spending", "queue.write", "copier.start_copy"])
def test_a_dispatcher_killed_at_any_call_spends_no_more_than_the_budget(call: str, time: int) -> None:
    laboratory = Laboratory(budgeted("12 USD/month"), hook=KillAt(call, time))
    laboratory.protect(laboratory.make_volume(size_gib=GIB))
    assert laboratory.runner.totals.kills == 1
    assert durations(laboratory) == [225]
    # After an interruption between the count and the entry, one copy is counted twice: the count is never too low.
    assert FULL_USD - 0.01 < spent(laboratory).spent_usd < 2 * FULL_USD + 0.01


def chooser(laboratory: Laboratory, clock: Any) -> ChooseCompletion:
    composition = laboratory.runner.composition
    changes: Any = SimpleNamespace(page_of_changes=lambda *_: None)
    return ChooseCompletion(
        reader=composition.reader(DR), queue=composition.queues[DR], changes_of=lambda _: changes, notices=[], clock=clock
    )


@pytest.mark.parametrize(("looked_for_at", "counted"), [(timedelta(minutes=1), 2 * FULL_USD), (timedelta(minutes=6), FULL_USD)])
def test_a_start_that_last_month_interrupted_counts_in_this_one(looked_for_at: timedelta, counted: float) -> None:
    """It took its cost off this month's, which had not counted it: one copy more was time-based than the budget covers."""
    laboratory = Laboratory(budgeted("12 USD/month", completion="", minutes=225))
    laboratory.protect(laboratory.make_volume(size_gib=GIB))
    composition = laboratory.runner.composition
    (done,) = composition.queues[DR].recently_done(9)
    started = composition.clock.now().replace(day=1, hour=0, minute=0, second=0)
    entry = replace(done, state=EntryState.STARTING, moved_mib=0, not_before=started + looked_for_at)
    chooser(laboratory, composition.clock).chosen(entry)
    assert spent(laboratory).spent_usd == pytest.approx(counted)


def test_each_copy_of_a_dispatch_counts_in_the_month_of_its_start() -> None:
    laboratory = Laboratory(budgeted("12 USD/month", completion="", minutes=225))
    laboratory.protect(laboratory.make_volume(size_gib=GIB))
    queue = laboratory.runner.composition.queues[DR]
    (done,) = queue.recently_done(9)
    moments = [datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)]
    entry, clock = replace(done, state=EntryState.WAITING, moved_mib=0), SimpleNamespace()
    chosen = chooser(laboratory, clock)
    for moment in moments:
        clock.now = lambda now=moment: now
        chosen.chosen(entry)
    chosen.taken_back(entry)
    assert [queue.spending("default", month_of(moment)).usd for moment in moments] == pytest.approx([FULL_USD, 0.0])


@pytest.mark.parametrize("time", [1, 2])
def test_an_interrupted_start_is_counted_once(time: int) -> None:
    laboratory = Laboratory(budgeted("12 USD/month"), hook=KillAt("copier.start_copy", time))
    laboratory.runner.advance(HOUR)  # in the first minutes of a month, the start may be one of the last
    laboratory.protect(laboratory.make_volume(size_gib=GIB))
    assert spent(laboratory).spent_usd == pytest.approx(FULL_USD)
