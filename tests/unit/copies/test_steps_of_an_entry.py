"""An entry's steps: each is allowed from the states of the table, and leads where the table says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.copies.completion import TO_BE_CHOSEN
from snapkeep.domain.copies.entry import (
    NOT_STARTED,
    OPEN,
    SETTLED,
    TRANSITIONS,
    EntryState,
    EntryStep,
    QueueEntry,
    StepNotAllowed,
)
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import CLOCK_SKEW, Origin
from snapkeep.domain.policy.completion import COMPLETION_AUTO

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
REQUEST = CopyRequest(Origin("us-east-1", "vol-1", "snap-1", NOW), "gold", "us-east-2", "", LATER, 8, encrypted=False)
WAITING = QueueEntry.requested(REQUEST, NOW, "token", "run")
TAKE: dict[EntryStep, Callable[[QueueEntry], QueueEntry]] = {
    EntryStep.JOIN: lambda entry: entry.joined("another token", "another run"),
    EntryStep.WAKE: lambda entry: entry.woken(),
    EntryStep.DELAY: lambda entry: entry.delayed(LATER),
    EntryStep.START: lambda entry: entry.starting(LATER),
    EntryStep.AWAIT_START: lambda entry: entry.awaiting_start(LATER),
    EntryStep.POSTPONE: lambda entry: entry.postponed(LATER),
    EntryStep.RUN: lambda entry: entry.running("snap-copy", LATER),
    EntryStep.RETRY: lambda entry: entry.retrying("a cause", LATER),
    EntryStep.MISS: lambda entry: entry.missed("too little throughput"),
    EntryStep.SUCCEED: lambda entry: entry.done("snap-copy", NOW),
    EntryStep.PROVE: lambda entry: entry.proved("PROVED full 2026-11-23T12:00:00.000Z"),
    EntryStep.FAIL: lambda entry: entry.failed("a cause", "snap-copy"),
    EntryStep.RESTART: lambda entry: entry.restarted(replace(REQUEST, kms_key="alias/new"), LATER),
}
"""Each step with arguments."""

W, D, S, R, OK, F = "WAITING", "DELAYED", "STARTING", "RUNNING", "DONE", "FAILED"
ALLOWED = {
    "joined": {(W, W), (D, D), (S, S), (R, R)},
    "woken": {(D, W)},
    "delayed": {(W, D)},
    "starting": {(W, S), (S, S)},
    "awaiting_start": {(S, S)},
    "postponed": {(S, D)},
    "running": {(W, R), (S, R)},
    "retrying": {(S, D), (R, D)},
    "missed": {(R, R)},
    "done": {(W, OK), (D, OK), (S, OK), (R, OK), (F, OK)},
    "proved": {(OK, OK)},
    "failed": {(W, F), (D, F), (S, F), (R, F), (F, F)},
    "restarted": {(OK, W), (F, W)},
}
"""The table once more, as the design has it: nothing leaves DONE but a new request."""


def test_every_method_that_changes_an_entry_is_a_step_of_the_table() -> None:
    methods = {
        name
        for name, method in inspect.getmembers(QueueEntry, inspect.isfunction)
        if not name.startswith("_") and inspect.get_annotations(method).get("return") == "QueueEntry"
    }
    assert methods == set(EntryStep) == set(TRANSITIONS) == set(TAKE) == set(ALLOWED)


@pytest.mark.parametrize("state", list(EntryState))
@pytest.mark.parametrize("step", list(EntryStep))
def test_a_step_follows_the_table_or_is_refused(step: EntryStep, state: EntryState) -> None:
    entry = replace(WAITING, state=state, attempts=1)
    allowed = dict(ALLOWED[step])
    if state in allowed:
        assert TAKE[step](entry).state == allowed[state] == TRANSITIONS[step][state]
    else:
        assert state not in TRANSITIONS[step]
        with pytest.raises(StepNotAllowed, match=f"is {state}; it cannot be '{step}'"):
            TAKE[step](entry)


def test_every_state_is_either_open_or_settled_and_has_a_label() -> None:
    assert not set(OPEN) & set(SETTLED)
    assert set(OPEN) | set(SETTLED) == set(EntryState)
    assert set(OPEN) - set(NOT_STARTED) == {EntryState.RUNNING}
    assert [replace(WAITING, state=state).is_open for state in EntryState] == [state in OPEN for state in EntryState]


def test_a_new_entry_waits_and_has_its_waiting_executions() -> None:
    assert (WAITING.state, WAITING.enqueued_at, WAITING.not_before) == (EntryState.WAITING, NOW, NOW)
    assert (WAITING.tokens, WAITING.runs, WAITING.attempts) == (("token",), ("run",), 0)
    assert QueueEntry.requested(REQUEST, NOW).tokens == ()


def test_an_execution_joins_once() -> None:
    joined = WAITING.joined("second", "second run")
    assert (joined.tokens, joined.runs) == (("token", "second"), ("run", "second run"))
    assert joined.joined("second", "run") == joined.joined("", "") == joined


def test_a_start_counts_as_an_attempt_unless_it_repeats_an_interrupted_one() -> None:
    starting = WAITING.starting(LATER)
    assert (starting.attempts, starting.not_before, starting.copy_id) == (1, LATER, "")
    assert starting.starting(LATER).attempts == 1
    assert starting.awaiting_start(NOW) == replace(starting, not_before=NOW)


def test_a_postponed_start_gives_its_attempt_back() -> None:
    postponed = WAITING.starting(NOW).postponed(LATER)
    assert (postponed.attempts, postponed.not_before) == (0, LATER)


def test_a_failed_attempt_leaves_its_cause_until_the_next_copy_runs() -> None:
    retrying = WAITING.starting(NOW).running("snap-first", NOW).retrying("no key", LATER)
    assert (retrying.cause, retrying.copy_id, retrying.not_before, retrying.attempts) == ("no key", "", LATER, 1)
    running = retrying.woken().starting(LATER).running("snap-second", LATER)
    assert (running.cause, running.copy_id, running.not_before, running.attempts) == ("", "snap-second", LATER, 2)


@pytest.mark.parametrize("step", [EntryStep.SUCCEED, EntryStep.FAIL])
def test_no_execution_waits_for_a_settled_entry(step: EntryStep) -> None:
    settled = TAKE[step](replace(WAITING, cause="an old cause"))
    assert (settled.tokens, settled.runs, settled.copy_id) == ((), (), "snap-copy")
    assert settled.cause == ("" if step is EntryStep.SUCCEED else "a cause")


def test_a_restart_uses_the_new_request_and_resets_the_attempts() -> None:
    again = TAKE[EntryStep.RESTART](replace(WAITING, attempts=3).failed("no key", "snap-copy"))
    assert (again.request.kms_key, again.attempts, again.copy_id, again.not_before) == ("alias/new", 0, "", LATER)
    assert (again.cause, again.enqueued_at) == ("no key", LATER)


def test_only_a_first_request_that_was_never_tried_shows_that_there_is_no_copy() -> None:
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    assert WAITING.is_first_since(NOW - CLOCK_SKEW, NOW + hour)
    assert not WAITING.is_first_since(NOW - CLOCK_SKEW + second, NOW)
    assert not WAITING.is_first_since(NOW - CLOCK_SKEW, NOW + hour + second)
    again = WAITING.failed("a cause", "").restarted(REQUEST, NOW)
    for entry in (again, WAITING.delayed(LATER), replace(WAITING, attempts=1)):
        assert not entry.is_first_since(NOW - CLOCK_SKEW, NOW)


def test_the_way_of_a_copy_is_chosen_when_it_starts() -> None:
    entry = replace(WAITING, request=replace(REQUEST, completion=COMPLETION_AUTO))
    tried = entry.starting(LATER)
    assert {one.way for one in (entry, entry.delayed(LATER), entry.failed("a cause", ""))} == {TO_BE_CHOSEN}
    assert TO_BE_CHOSEN not in {one.way for one in (tried, tried.failed("a cause", ""), entry.done("snap-copy", NOW))}
