"""A run's history holds 25,000 events (Step Functions developer guide: quotas): the largest set with every retry stays below."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.functions.state_budget import fit_copies
from support.asl import definition, definition_names

HISTORY_EVENTS = 25_000
ATTEMPT_EVENTS = 3
"""TaskScheduled, TaskStarted, and TaskFailed or TaskTimedOut (botocore: stepfunctions, HistoryEventType)."""
CALLBACK_EVENTS = 1
"""TaskSubmitted: the task waits for its token."""
SURROUNDING_EVENTS = 2
"""Events of a beginning and an end: of an execution, a state, a Map, an iteration."""
EPOCH = datetime(2026, 11, 23, tzinfo=UTC)


def most_copies() -> int:
    """Return how many of the shortest possible copies one run can hold."""
    origin = Origin("us-east-1", "vol-1234567", "snap-1234567", EPOCH)
    shortest = CopyRequest(origin, "p", "us-east-1", "", EPOCH, 1, encrypted=False)
    return len(fit_copies([shortest] * 1000, EPOCH).orders)


def most_events(states: Mapping[str, Mapping[str, Any]], iterations: int) -> int:
    """Return an upper bound of the events of states that are each entered once, with every retry that they have."""
    events = SURROUNDING_EVENTS
    for state in states.values():
        events += SURROUNDING_EVENTS
        if state["Type"] == "Task":
            retries = sum(retrier["MaxAttempts"] for retrier in state.get("Retry", []))
            events += ATTEMPT_EVENTS * (1 + retries) + CALLBACK_EVENTS
        elif state["Type"] == "Map":
            events += SURROUNDING_EVENTS + iterations * most_events(state["ItemProcessor"]["States"], iterations)
    return events


def test_a_run_holds_a_copy_of_every_volume_of_an_instance() -> None:
    assert most_copies() >= 128


@pytest.mark.parametrize("name", definition_names())
def test_the_longest_history_stays_below_the_quota(name: str) -> None:
    assert most_events(definition(name)["States"], most_copies()) < HISTORY_EVENTS
