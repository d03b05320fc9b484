"""Random walks of an entry through its steps stay within the table of transitions, and reach every row of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.copies.entry import OPEN, TRANSITIONS, EntryState, EntryStep, QueueEntry, StepNotAllowed
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REQUEST = CopyRequest(Origin("us-east-1", "vol-1", "snap-1", NOW), "gold", "us-east-2", "", NOW, 8, encrypted=False)
MOMENTS = st.integers(0, 600).map(lambda minutes: NOW + timedelta(minutes=minutes))
IDS = st.sampled_from(("snap-a", "snap-b"))
ARGUMENTS = {
    EntryStep.JOIN: st.tuples(st.sampled_from(("", "one", "two")), st.sampled_from(("", "run-1", "run-2"))),
    EntryStep.WAKE: st.tuples(),
    EntryStep.DELAY: st.tuples(MOMENTS),
    EntryStep.START: st.tuples(MOMENTS),
    EntryStep.AWAIT_START: st.tuples(MOMENTS),
    EntryStep.POSTPONE: st.tuples(MOMENTS),
    EntryStep.RUN: st.tuples(IDS, MOMENTS),
    EntryStep.RETRY: st.tuples(st.just("a cause"), MOMENTS),
    EntryStep.MISS: st.tuples(st.just("too little throughput")),
    EntryStep.SUCCEED: st.tuples(IDS, MOMENTS),
    EntryStep.PROVE: st.tuples(st.just("PROVED full 2026-11-23T12:00:00.000Z")),
    EntryStep.FAIL: st.tuples(st.just("a cause"), IDS),
    EntryStep.RESTART: st.tuples(st.just(REQUEST), MOMENTS),
}
STEPS = st.sampled_from(list(EntryStep)).flatmap(lambda step: st.tuples(st.just(step), ARGUMENTS[step]))


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_a_walk_takes_allowed_steps_and_keeps_each_states_fields(
    steps: list[tuple[EntryStep, tuple[object, ...]]],
) -> None:
    entry = QueueEntry.requested(REQUEST, NOW, "token", "run")
    for step, arguments in steps:
        before = entry
        if before.state not in TRANSITIONS[step]:
            with pytest.raises(StepNotAllowed):
                getattr(before, step)(*arguments)
            continue
        entry = getattr(before, step)(*arguments)
        assert entry.state is TRANSITIONS[step][before.state]
        enqueued_at = arguments[1] if step is EntryStep.RESTART else before.enqueued_at
        assert (entry.key, entry.enqueued_at, entry.version) == (before.key, enqueued_at, before.version)
        assert entry.attempts >= 0
        if entry.state in OPEN:
            assert (entry.state is EntryState.RUNNING) == bool(entry.copy_id)
            assert set(before.tokens) <= set(entry.tokens), "an execution that waits was forgotten"
        else:
            assert (entry.tokens, entry.runs) == ((), ())
            assert (entry.state is EntryState.FAILED) == bool(entry.cause)
        assert entry.state is EntryState.DONE or not (entry.proof or entry.done_at)


def test_walks_reach_every_row_of_the_table_and_no_other() -> None:
    table = {(step, origin, target) for step, row in TRANSITIONS.items() for origin, target in row.items()}
    start = QueueEntry.requested(REQUEST, NOW)
    reached: set[tuple[EntryStep, EntryState, EntryState]] = set()
    known, frontier = {start.state}, [start]
    while frontier:
        entry = frontier.pop()
        for step, strategy in ARGUMENTS.items():
            arguments = _some(strategy)
            try:
                after = getattr(entry, step)(*arguments)
            except StepNotAllowed:
                continue
            reached.add((step, entry.state, after.state))
            if after.state not in known:
                known.add(after.state)
                frontier.append(after)
    assert reached == table


def _some(strategy: st.SearchStrategy[tuple[object, ...]]) -> tuple[object, ...]:
    """Return some arguments; which ones does not matter to the state."""
    found: list[tuple[object, ...]] = []

    @settings(max_examples=1, database=None, derandomize=True)
    @given(strategy)
    def draw(arguments: tuple[object, ...]) -> None:
        found.append(arguments)

    draw()
    return found[0]
