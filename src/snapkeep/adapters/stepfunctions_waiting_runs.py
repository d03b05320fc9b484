"""Executions that have not ended, and the task tokens for which they wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import pages
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.sweep.findings import CopyWait
from snapkeep.domain.sweep.waiting_runs import OpenRun

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ReadCall = Callable[[Mapping[str, Any]], tuple[str, CopyRequest]]

PAGE = 1000
"""The largest page of ListExecutions and of GetExecutionHistory (botocore: stepfunctions)."""
CALLBACK = ".waitForTaskToken"
ON_THE_WAY = frozenset({"TaskStarted", "TaskSubmitted"})
TASK_ENDS = frozenset({"TaskSucceeded", "TaskFailed", "TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed", "TaskStateAborted"})
RUN_ENDS = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut", "ExecutionRedriven"})
"""The events after which no earlier token is in use: a redriven execution calls again."""


class WaitingExecutions:
    """`WaitingRuns` over a Step Functions client and the state machine Protect.

    `read_call` reads the payload of a call of CopySnapshotToDR: the task token and the requested copy.
    """

    def __init__(self, *, client: SFNClient, state_machine_arn: str, read_call: ReadCall) -> None:
        self._client = client
        self._arn = state_machine_arn
        self._read_call = read_call

    def under_way(self) -> list[OpenRun]:
        """Return all executions that run."""
        pages = self._pages("list_executions", stateMachineArn=self._arn, statusFilter="RUNNING")
        return [OpenRun(run["executionArn"], run["startDate"]) for page in pages for run in page["executions"]]

    def waits(self, run: str) -> list[CopyWait]:
        """Return the copies that an execution waits for. Raise InvalidEvent if its history cannot be read."""
        pages = self._pages("get_execution_history", executionArn=run, includeExecutionData=True)
        events = (event for page in pages for event in page["events"])
        return [self._wait(run, scheduled, submitted) for scheduled, submitted in open_callbacks(events)]

    def _wait(self, run: str, scheduled: Mapping[str, Any], submitted: Mapping[str, Any]) -> CopyWait:
        """Return the wait of a run.

        Raise InvalidEvent if its history cannot be read. TaskScheduled holds "the JSON data passed to the resource" (botocore:
        TaskScheduledEventDetails), the token with it.
        """
        try:
            payload = json.loads(scheduled["taskScheduledEventDetails"]["parameters"])["Payload"]
            token, request = self._read_call(payload)
        except (InvalidEvent, KeyError, TypeError, ValueError) as error:
            raise InvalidEvent(f"{run}: the copy that it waits for cannot be read from its history: {error!r}") from error
        return CopyWait(run, token, request, submitted["timestamp"])

    def _pages(self, operation: str, **request: Any) -> Iterator[Mapping[str, Any]]:
        query = {**request, "maxResults": PAGE}
        return pages(self._client, operation, query, f"{operation} of {self._arn}", more="nextToken")


def open_callbacks(history: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return each call that waits for its token, as scheduled and as submitted, from an execution's events, oldest first.

    The items of a Map run in parallel; `previousEventId` links each event to the one before it (botocore: HistoryEvent).
    """
    scheduled: dict[int, Mapping[str, Any]] = {}
    call_of: dict[int, int] = {}
    waiting: dict[int, Mapping[str, Any]] = {}
    for event in history:
        kind, number = event["type"], event["id"]
        call = call_of.get(event.get("previousEventId", 0), 0)
        if kind == "TaskScheduled" and event["taskScheduledEventDetails"]["resource"].endswith(CALLBACK):
            scheduled[number], call_of[number] = event, number
        elif kind in ON_THE_WAY and call:
            call_of[number] = call
            if kind == "TaskSubmitted":
                waiting[call] = event
        elif kind in TASK_ENDS:
            # The call was answered, failed or timed out: in each case the token is no longer valid.
            waiting.pop(call, None)
        elif kind in RUN_ENDS:
            waiting.clear()
    return [(scheduled[call], event) for call, event in waiting.items()]
