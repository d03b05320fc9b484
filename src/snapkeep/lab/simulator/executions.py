"""Executions of state machines in virtual time: their timings, their failures, and totals over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROTECT, RECEIVE, SWEEP, VERIFY, DRILL = "protect", "receive", "sweep", "verify", "drill"
SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
KILLED = "Lambda.Unknown"
"""Step Functions' error for a function that was stopped (Step Functions developer guide: error names)."""


@dataclass(frozen=True, slots=True)
class Timings:
    """The durations of the services around the functions, in seconds."""

    event_seconds: float = 0.5
    step_seconds: float = 0.3
    stream_seconds: float = 1.0
    """The batching window of the table's stream."""
    wake_seconds: float = 0.5
    """The time from the end of a copy until its region's dispatcher runs; other wake-ups in this time cause no second run."""
    schedule_seconds: float = 60.0
    undelivered_seconds: float = 86_400.0
    """The time for which an event is retried while its target is unreachable (EventBridge: 24 hours)."""


class TaskFailed(Exception):
    """The failure of a Task state, with the error's name and its cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause

    def caught(self) -> dict[str, str]:
        """Return the error in the form of a Catch."""
        return {"Error": self.error, "Cause": self.cause}


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A Task that waits for the answer to its task token."""

    payload: Mapping[str, Any]
    """The function's payload."""
    since: float


@dataclass(slots=True)
class Execution:
    """One execution of a state machine."""

    id: str
    machine: str
    region: str
    event: Mapping[str, Any]
    """Its input."""
    started: float
    state: dict[str, Any] = field(default_factory=dict)
    """The output of the last state."""
    status: str = "RUNNING"
    error: str = ""
    ended: float = 0.0
    transitions: int = 0
    entered: list[str] = field(default_factory=list)
    """The entered states, in order, including those of a Map's iterations."""
    callbacks: dict[str, PendingCallback] = field(default_factory=dict)
    """The Tasks that wait for an answer, by task token."""


@dataclass(slots=True)
class Totals:
    """Counts over all executions."""

    runs: Counter[str] = field(default_factory=Counter)
    transitions: int = 0
    invocations: int = 0
    dispatches: int = 0
    deletions: int = 0
    kills: int = 0
