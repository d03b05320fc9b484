"""RedriveExecution in the embedded AWS: an execution goes on from the state that did not succeed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import Builder, statement

SOURCE = """
import os
def handler(event, context):
    if event == int(os.environ["BROKEN"]):
        raise ValueError("broken")
    return event
"""


def flow(function: str) -> dict[str, Any]:
    """Return a definition: a Pass, a Map with a task for each item, and a task."""

    def task(payload: str, **after: Any) -> dict[str, Any]:
        parameters = {"FunctionName": function, "Payload.$": payload}
        resource = "arn:aws:states:::lambda:invoke"
        return {"Type": "Task", "Resource": resource, "Parameters": parameters, "TimeoutSeconds": 60, **after}

    item = {"StartAt": "Mark", "States": {"Mark": {"Type": "Pass", "Next": "Call"}, "Call": task("$", End=True)}}
    states = {
        "Begin": {"Type": "Pass", "Next": "Each"},
        "Each": {"Type": "Map", "ItemProcessor": item, "Next": "Last"},
        "Last": task("$[0].Payload", ResultSelector={"last.$": "$.Payload"}, End=True),
    }
    return {"StartAt": "Begin", "States": states}


def events_of(build: Builder, execution_arn: str) -> list[dict[str, Any]]:
    history = build.client("stepfunctions").get_execution_history(executionArn=execution_arn, maxResults=1000)
    return list(history["events"])


def break_at(build: Builder, item: int) -> None:
    client = build.client("lambda")
    client.update_function_configuration(FunctionName="Flaky", Environment={"Variables": {"BROKEN": str(item)}})
    client.get_waiter("function_updated_v2").wait(FunctionName="Flaky", WaiterConfig={"Delay": 0.1})


def test_a_failed_execution_goes_on_with_what_failed(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    arn = build.function("Flaky", SOURCE, Environment={"Variables": {"BROKEN": "2"}})
    client = build.client("stepfunctions")
    failed = build.run(build.machine("flow", flow(arn), statement("lambda:InvokeFunction", arn)), [1, 2])
    execution = failed["executionArn"]
    assert (failed["status"], failed["error"]) == ("FAILED", "ValueError")
    assert (failed["redriveStatus"], failed["redriveCount"]) == ("REDRIVABLE", 0)
    before = events_of(build, execution)
    assert Counter(event["type"] for event in before)["TaskStarted"] == 2

    break_at(build, 1)  # which the first item would find out, if it ran again; the state after the Map does
    client.redrive_execution(executionArn=execution)
    again = build.finished(execution)
    assert (again["status"], again["redriveCount"]) == ("FAILED", 1)
    events = events_of(build, execution)
    assert events[: len(before)] == before
    added = [event["type"] for event in events[len(before) :]]
    assert added[0] == "ExecutionRedriven"
    assert added.count("MapIterationStarted") == 1
    assert added.count("PassStateEntered") == 0, "the item goes on from its own failed state"
    assert added.count("MapStateSucceeded") == 1
    assert events[len(before)]["previousEventId"] == before[-1]["id"]

    break_at(build, 3)
    client.redrive_execution(executionArn=execution)
    done = build.finished(execution)
    assert (done["status"], json.loads(done["output"]), done["redriveCount"]) == ("SUCCEEDED", {"last": 1}, 2)
    assert done["redriveStatus"] == "NOT_REDRIVABLE"
    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        client.redrive_execution(executionArn=execution)
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        client.redrive_execution(executionArn=f"{execution}-other")


def test_an_aborted_execution_waits_anew_and_its_former_token_is_void(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    resource = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    queue = build.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    parameters = {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"}
    wait = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    machine = build.machine("waiting", {"StartAt": "Wait", "States": {"Wait": wait}}, statement("sqs:SendMessage"))
    client = build.client("stepfunctions")

    def token() -> str:
        (message,) = build.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
        build.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return str(message["Body"])

    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    former = token()
    client.stop_execution(executionArn=execution)
    client.redrive_execution(executionArn=execution)
    current = token()
    client.send_task_failure(taskToken=former, error="Late", cause="of the aborted attempt")
    assert client.describe_execution(executionArn=execution)["status"] == "RUNNING"
    client.send_task_success(taskToken=current, output='{"done": true}')
    assert json.loads(build.finished(execution)["output"]) == {"done": True}
    types = Counter(event["type"] for event in events_of(build, execution))
    assert (types["ExecutionRedriven"], types["TaskFailed"], types["ExecutionAborted"]) == (1, 0, 1)
