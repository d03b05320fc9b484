"""Executions of both state machines while they run: the current step of each, read from their histories."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from snapkeep.usecases.protect import TagOutcome

PROTECT = "protect"
RECEIVE = "receive"
RUNNING = "RUNNING"
TAG_STEP = "TagSnapshots"
COPY_STEP = "CopyToDR"
"""The Map around the copies; the result of each copy is in its output."""


class StepStatus(StrEnum):
    """The status of one step of a run."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FollowedExecution:
    """One execution."""

    arn: str
    machine: str
    status: str
    event: Mapping[str, Any]
    """The event that started it."""
    steps: Mapping[str, StepStatus]
    """Steps by the state's name, in the order in which they were entered."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """The newest complete output of a step."""
    error: str = ""
    cause: str = ""

    @property
    def ended(self) -> bool:
        """Whether the execution has ended."""
        return self.status != RUNNING

    @property
    def snapshot_ids(self) -> tuple[str, ...]:
        """The source snapshots of the execution."""
        detail = self.event.get("detail", {})
        if self.machine == RECEIVE:
            return (_id(detail.get("source", "")),)
        members = detail.get("snapshots") or [detail]
        return tuple(_id(member.get("snapshot_id", "")) for member in members)

    @property
    def copy_id(self) -> str:
        """The copy of the execution; empty for a run of Protect."""
        return _id(self.event.get("detail", {}).get("snapshot_id", "")) if self.machine == RECEIVE else ""

    def step(self, name: str) -> StepStatus:
        """Return the status of a state."""
        return self.steps.get(name, StepStatus.WAITING)

    def deletions(self) -> list[Mapping[str, Any]]:
        """Return its deletions with the reasons: those of its plan, and failed copies."""
        received = self.state.get("received", {})
        parts = (self.state.get("deletion", {}), received.get("plan", {}) if isinstance(received, Mapping) else {})
        return [deletion for part in parts if isinstance(part, Mapping) for deletion in part.get("delete", ())]

    def outcome(self) -> str:
        """Return the outcome of its first step, such as `MANAGED` or `VOLUME_NOT_TAGGED`."""
        first = self.state.get("tagged") or self.state.get("received") or {}
        return str(first.get("outcome", ""))

    @property
    def left_alone(self) -> bool:
        """Whether it ended at its first step because no policy includes the volume."""
        return self.outcome() == TagOutcome.VOLUME_NOT_TAGGED


class ExecutionFollower:
    """Reads the executions of both state machines; ended ones are read once."""

    def __init__(self, client: Callable[[str, str], Any], machines: Mapping[str, tuple[str, str]]) -> None:
        self._machines = {name: (client("stepfunctions", region), arn) for name, (region, arn) in machines.items()}
        self._runs: dict[str, FollowedExecution] = {}

    def poll(self) -> list[FollowedExecution]:
        """Return the current state of every execution so far, the oldest first."""
        for machine, (client, arn) in self._machines.items():
            pages = client.get_paginator("list_executions").paginate(stateMachineArn=arn)
            listed = [execution for page in pages for execution in page["executions"]]
            for execution in reversed(listed):
                known = self._runs.get(execution["executionArn"])
                if known is None or not known.ended:
                    self._runs[execution["executionArn"]] = _read(client, machine, execution)
        return list(self._runs.values())


def _read(client: Any, machine: str, execution: Mapping[str, Any]) -> FollowedExecution:
    arn = execution["executionArn"]
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    history = [event for page in pages for event in page["events"]]
    steps, state = read_history(history)
    started, failed = _details(history, "executionStartedEventDetails"), _details(history, "executionFailedEventDetails")
    return FollowedExecution(
        arn=arn,
        machine=machine,
        status=execution["status"],
        event=json.loads(started.get("input", "{}")),
        steps=steps,
        state=state,
        error=failed.get("error", ""),
        cause=failed.get("cause", ""),
    )


def _details(history: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    """Return the details of the first event with these details; empty if there is none."""
    return next((event[kind] for event in history if kind in event), {})


def read_history(history: Iterable[Mapping[str, Any]]) -> tuple[dict[str, StepStatus], dict[str, Any]]:
    """Return the steps of an execution's events and the newest complete output of a step.

    A step of several items of a Map is running while one of them runs. The copies have failed if one has, and tagging has
    failed if it left a problem: the run continues after both, and ends FAILED.
    """
    steps: dict[str, StepStatus] = {}
    inside: dict[str, int] = {}
    state: dict[str, Any] = {}
    for event in history:
        if entered := event.get("stateEnteredEventDetails"):
            name = entered["name"]
            inside[name] = inside.get(name, 0) + 1
            steps[name] = StepStatus.RUNNING
        elif details := event.get("stateExitedEventDetails"):
            name = details["name"]
            inside[name] = inside.get(name, 1) - 1
            if not inside[name]:
                steps[name] = StepStatus.DONE
            output = json.loads(details.get("output") or "null")
            if isinstance(output, dict) and "detail-type" in output:
                state = output
    if state.get("copies", {}).get("any_failed"):
        steps[COPY_STEP] = StepStatus.FAILED
    if state.get("tagged", {}).get("problems"):
        steps[TAG_STEP] = StepStatus.FAILED
    return steps, state


def _id(arn: str) -> str:
    return str(arn).rpartition("/")[2]
