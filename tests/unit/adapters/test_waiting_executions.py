"""The waits of an execution, read from its history; every request is checked against botocore's model."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from snapkeep.adapters.stepfunctions_waiting_runs import WaitingExecutions
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Origin
from snapkeep.functions.payloads import CopyCall, CopyOrder, waiting_call

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:snapkeep-protect"
RUN = "arn:aws:states:us-east-1:123456789012:execution:snapkeep-protect:one"


def request(region: str = "us-east-2") -> CopyRequest:
    origin = Origin("us-east-1", "vol-00000001", "snap-00000001", NOON)
    return CopyRequest(origin, "gold", region, "", NOON + timedelta(hours=24), 8, encrypted=False)


class History:
    """Writes an execution's events as Step Functions numbers and links them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.add("ExecutionStarted", 0)

    def add(self, kind: str, after: int, **details: Any) -> int:
        number = len(self.events) + 1
        moment = NOON + timedelta(seconds=number)
        self.events.append({"timestamp": moment, "type": kind, "id": number, "previousEventId": after, **details})
        return number

    def ask(self, after: int, token: str, region: str = "us-east-2", *, resource: str = "invoke.waitForTaskToken") -> int:
        payload = to_object(CopyCall(RUN, token, CopyOrder("snap-00000001", "vol-00000001", region, 60, request(region))))
        details = {
            "resourceType": "lambda",
            "resource": resource,
            "region": "us-east-1",
            "parameters": json.dumps({"FunctionName": "CopySnapshotToDR", "Payload": payload}),
        }
        scheduled = self.add("TaskScheduled", after, taskScheduledEventDetails=details)
        return self.add("TaskStarted", scheduled)


def executions(*answers: tuple[str, dict[str, Any], dict[str, Any]]) -> WaitingExecutions:
    client = botocore.session.Session().create_client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    stub = Stubber(client)
    for operation, request, answer in answers:
        stub.add_response(operation, answer, request)
    stub.activate()
    return WaitingExecutions(client=client, state_machine_arn=MACHINE, read_call=waiting_call)


def asked(**more: Any) -> dict[str, Any]:
    return {"executionArn": RUN, "includeExecutionData": True, "maxResults": 1000, **more}


def read(history: History) -> list[tuple[str, str]]:
    waits = executions(("get_execution_history", asked(), {"events": history.events})).waits(RUN)
    return [(wait.token, wait.request.region) for wait in waits]


def test_all_pages_of_running_executions_are_read() -> None:
    def page(number: int) -> dict[str, Any]:
        name = f"run-{number}"
        listed = {"executionArn": name, "stateMachineArn": MACHINE, "name": name, "status": "RUNNING", "startDate": NOON}
        return {"executions": [listed]}

    request = {"stateMachineArn": MACHINE, "statusFilter": "RUNNING", "maxResults": 1000}
    runs = executions(
        ("list_executions", request, page(1) | {"nextToken": "more"}),
        ("list_executions", request | {"nextToken": "more"}, page(2)),
    ).under_way()
    assert [(run.id, run.started_at) for run in runs] == [("run-1", NOON), ("run-2", NOON)]


def test_a_submitted_call_waits_for_its_copy_since_its_submission() -> None:
    history = History()
    history.add("TaskSubmitted", history.ask(1, "token-1"))
    answer = ("get_execution_history", asked(), {"events": history.events})
    (wait,) = executions(answer).waits(RUN)
    assert (wait.run, wait.token, wait.request) == (RUN, "token-1", request())
    assert wait.since == history.events[-1]["timestamp"]


def test_only_unanswered_items_of_a_map_wait() -> None:
    history = History()
    first, second, third = (history.ask(1, f"token-{number}", f"us-{number}") for number in range(3))
    submitted = [history.add("TaskSubmitted", started) for started in (second, first, third)]
    history.add("TaskSucceeded", submitted[1])
    history.add("TaskTimedOut", submitted[2])
    assert read(history) == [("token-1", "us-1")]


def test_a_failed_call_that_is_retried_does_not_wait() -> None:
    history = History()
    history.add("TaskFailed", history.ask(1, "token-1"))
    assert read(history) == []
    history.add("TaskSubmitted", history.ask(len(history.events), "token-2"))
    assert read(history) == [("token-2", "us-east-2")]


def test_a_call_whose_function_has_not_answered_yet_does_not_wait() -> None:
    history = History()
    history.ask(1, "token-1")
    assert read(history) == []


def test_a_step_without_a_token_does_not_wait() -> None:
    history = History()
    history.add("TaskSubmitted", history.ask(1, "none", resource="invoke"))
    assert read(history) == []


@pytest.mark.parametrize("end", ["ExecutionAborted", "ExecutionRedriven"])
def test_an_ended_execution_waits_with_no_token(end: str) -> None:
    history = History()
    history.add(end, history.add("TaskSubmitted", history.ask(1, "token-1")))
    assert read(history) == []


def test_a_long_history_is_read_to_its_end() -> None:
    history = History()
    submitted = history.add("TaskSubmitted", history.ask(1, "token-1"))
    history.add("TaskSucceeded", submitted)
    waits = executions(
        ("get_execution_history", asked(), {"events": history.events[:-1], "nextToken": "more"}),
        ("get_execution_history", asked(nextToken="more"), {"events": history.events[-1:]}),
    ).waits(RUN)
    assert waits == []


def test_a_history_without_the_token_is_an_error() -> None:
    history = History()
    history.add("TaskSubmitted", history.ask(1, "token-1"))
    del history.events[1]["taskScheduledEventDetails"]["parameters"]
    history.events[1]["taskScheduledEventDetails"]["parameters"] = "{}"
    with pytest.raises(InvalidEvent, match=r"snapkeep-protect:one: the copy that it waits for cannot be read"):
        read(history)
