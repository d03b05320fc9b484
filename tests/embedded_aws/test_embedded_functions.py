"""Functions and state machines in the embedded AWS fail where they fail on AWS."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import Builder, statement, task, wait_for

RAISING = """
class SnapshotGone(Exception):
    pass

def handler(event, context):
    raise SnapshotGone("it went")
"""
ECHO = """
def handler(event, context):
    return event
"""
COUNTING = """
import os
calls, region = 0, os.environ["AWS_REGION"]

def handler(event, context):
    global calls
    calls += 1
    if event == "fail":
        raise ValueError("it failed")
    return [calls, region]
"""
MEETING = """
import os, time
from pathlib import Path

def handler(event, context):
    Path(event["folder"], str(os.getpid())).touch()
    while len(list(Path(event["folder"]).iterdir())) < event["count"]:
        time.sleep(0.01)
    return [os.getpid(), os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], os.environ["KEY"]]
"""


@pytest.fixture
def build(embedded: EmbeddedAws, account_id: str) -> Builder:
    return Builder(embedded, account_id)


def test_an_exception_is_caught_by_its_class_name(build: Builder) -> None:
    function = build.function("Raising", RAISING)
    assert build.invoke("Raising", {})["errorType"] == "SnapshotGone"
    definition = task(function, Catch=[{"ErrorEquals": ["SnapshotGone"], "Next": "Caught"}])
    definition["States"]["Caught"] = {"Type": "Pass", "Result": "caught", "End": True}
    run = build.run(build.machine("catching", definition, statement("lambda:InvokeFunction", function)), {})
    assert (run["status"], json.loads(run["output"])) == ("SUCCEEDED", "caught")


def test_a_function_goes_on_in_its_process_after_an_exception(build: Builder) -> None:
    build.function("Counting", COUNTING)
    assert build.invoke("Counting", {}) == [1, "us-east-1"]
    assert build.invoke("Counting", "fail")["errorType"] == "ValueError"
    assert build.invoke("Counting", {})[0] == 3


def test_calls_at_once_have_processes_of_their_own(build: Builder, tmp_path: Path) -> None:
    build.function("Meeting", MEETING, Timeout=60, Environment={"Variables": {"KEY": "value"}})
    event = {"folder": str(tmp_path), "count": 3}
    with ThreadPoolExecutor(event["count"]) as threads:
        answers = list(threads.map(lambda _: build.invoke("Meeting", event), range(event["count"])))
    pids, streams, values = zip(*answers, strict=True)
    assert (len(set(pids)), len(set(streams)), set(values)) == (3, 3, {"value"})


def test_a_module_that_cannot_be_imported_fails_its_calls(build: Builder) -> None:
    build.function("Broken", "import no_such_module\n")
    assert "no_such_module" in build.invoke("Broken", {})["errorMessage"]


def test_a_state_machine_whose_role_may_not_invoke_its_function_fails(build: Builder) -> None:
    function = build.function("Echo", ECHO)
    run = build.run(build.machine("powerless", task(function), statement("lambda:InvokeFunction", f"{function}-other")), {})
    assert (run["status"], run["error"]) == ("FAILED", "Lambda.AWSLambdaException")


def test_a_failing_function_behind_a_task_token_ends_the_wait(build: Builder) -> None:
    function = build.function("Raising", RAISING)
    waiting = task(
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        Parameters={"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
        TimeoutSeconds=60,
    )
    run = build.run(build.machine("waiting", waiting, statement("lambda:InvokeFunction", function)), {})
    assert (run["status"], run["error"]) == ("FAILED", "SnapshotGone")


def test_a_task_token_times_out_after_timeout_seconds_path(build: Builder) -> None:
    function = build.function("Echo", ECHO)
    waiting = task(
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        Parameters={"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
        TimeoutSecondsPath="$.seconds",
    )
    run = build.run(build.machine("waiting", waiting, statement("lambda:InvokeFunction", function)), {"seconds": 1})
    assert (run["status"], run["error"]) == ("FAILED", "States.Timeout")


def test_a_wait_for_a_token_without_heartbeats_ends(build: Builder) -> None:
    function = build.function("Echo", ECHO)
    waiting = task(
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        Parameters={"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
        TimeoutSeconds=60,
        HeartbeatSeconds=1,
    )
    run = build.run(build.machine("waiting", waiting, statement("lambda:InvokeFunction", function)), {})
    assert (run["status"], run["error"]) == ("FAILED", "States.HeartbeatTimeout")


SENDING = """
import boto3

def handler(event, context):
    answers = []
    for region in event["regions"]:
        client = boto3.client("stepfunctions", region_name=region)
        try:
            client.send_task_success(taskToken=event["token"], output='{"copied": true}')
            answers.append("taken")
        except client.exceptions.ClientError as error:
            answers.append(error.response["Error"]["Code"])
    return answers
"""


def test_a_task_token_is_answered_in_its_own_region_alone(build: Builder) -> None:
    queue = build.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    waiting = task(
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        Parameters={"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        TimeoutSeconds=60,
    )
    machine = build.machine("waiting", waiting, statement("sqs:SendMessage"))
    execution = build.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    message = wait_for(lambda: build.client("sqs").receive_message(QueueUrl=queue).get("Messages"))[0]
    token = json.loads(message["Body"])["token"]
    dr = Builder(build.aws, build.account_id, "us-east-2")
    dr.function("Sender", SENDING, statement("states:SendTaskSuccess"))
    answers = dr.invoke("Sender", {"token": token, "regions": ["us-east-2", "us-east-1"]})
    assert answers == ["TaskDoesNotExist", "taken"]
    assert json.loads(build.finished(execution)["output"]) == {"copied": True}
    assert dr.invoke("Sender", {"token": token, "regions": ["us-east-1"]}) == ["TaskTimedOut"]


def test_a_payload_above_256_kib_fails_the_state(build: Builder) -> None:
    function = build.function("Large", "def handler(event, context):\n    return 'x' * 270000\n")
    run = build.run(build.machine("large", task(function), statement("lambda:InvokeFunction", function)), {})
    assert (run["status"], run["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_function_s_package_must_bring_what_lambda_does_not_have(build: Builder) -> None:
    build.function("Needing", "def handler(event, context):\n    import boto3, dateutil\n    import yaml\n")
    assert build.invoke("Needing", {})["errorType"] == "ModuleNotFoundError"


def test_a_function_acts_as_its_own_role(build: Builder) -> None:
    source = "import boto3\ndef handler(event, context):\n    return boto3.client('sts').get_caller_identity()['Arn']\n"
    build.function("Who", source)
    assert build.invoke("Who", {}) == f"arn:aws:sts::{build.account_id}:assumed-role/Who-role/Who"


def test_sixty_executions_at_once_run_on_a_bounded_number_of_processes(build: Builder) -> None:
    function = build.function(
        "Busy", "import os, time\ndef handler(event, context):\n    time.sleep(0.1)\n    return os.getpid()\n"
    )
    machine = build.machine("burst", task(function), statement("lambda:InvokeFunction", function))
    client = build.client("stepfunctions")
    executions = [client.start_execution(stateMachineArn=machine, input="{}")["executionArn"] for _ in range(60)]
    runs = [build.finished(execution) for execution in executions]
    assert {run["status"] for run in runs} == {"SUCCEEDED"}
    assert len({run["output"] for run in runs}) <= 8


def test_a_map_obeys_its_concurrency_and_a_retry_its_attempts(build: Builder) -> None:
    function = build.function("Echo", ECHO)
    inner = {"Type": "Task", "Resource": function, "End": True}
    definition = {
        "StartAt": "Each",
        "States": {
            "Each": {
                "Type": "Map",
                "MaxConcurrency": 2,
                "ItemsPath": "$.items",
                "ItemProcessor": {"StartAt": "One", "States": {"One": inner}},
                "End": True,
            }
        },
    }
    run = build.run(build.machine("mapping", definition, statement("lambda:InvokeFunction", function)), {"items": [1, 2, 3, 4]})
    assert json.loads(run["output"]) == [1, 2, 3, 4]


def test_no_time_out_counts_a_function_s_wait_for_a_slot(account_id: str) -> None:
    with EmbeddedAws(max_workers=1) as aws:
        build = Builder(aws, account_id)
        function = build.function(
            "Slow", "import time\ndef handler(event, context):\n    time.sleep(2)\n    return 1\n", Timeout=30
        )
        machine = build.machine("slow", task(function, TimeoutSeconds=8), statement("lambda:InvokeFunction", function))
        client = build.client("stepfunctions")
        executions = [client.start_execution(stateMachineArn=machine, input="{}")["executionArn"] for _ in range(6)]
        assert [build.finished(execution)["status"] for execution in executions] == ["SUCCEEDED"] * 6


def test_a_task_ends_at_its_time_out(build: Builder) -> None:
    function = build.function("Slow", "import time\ndef handler(event, context):\n    time.sleep(30)\n", Timeout=60)
    run = build.run(build.machine("slow", task(function, TimeoutSeconds=1), statement("lambda:InvokeFunction", function)), {})
    assert (run["status"], run["error"]) == ("FAILED", "States.Timeout")


def test_a_state_above_256_kib_fails_and_no_wildcard_catches_it(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    large = "x" * 200_000
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    branch = {"StartAt": "Large", "States": {"Large": {"Type": "Pass", "Result": large, "End": True}}}
    definition = {
        "StartAt": "Both",
        "States": {
            "Both": {"Type": "Parallel", "Branches": [branch, branch], "Catch": catch, "End": True},
            "Caught": {"Type": "Pass", "End": True},
        },
    }
    execution = build.run(build.machine("large", definition), {})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_an_inline_map_runs_forty_iterations_at_once(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    item = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 2, "End": True}}}
    definition = {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": item, "End": True}}}
    execution = build.run(build.machine("forty", definition), list(range(41)))
    seconds = (execution["stopDate"] - execution["startDate"]).total_seconds()
    assert execution["status"] == "SUCCEEDED"
    assert seconds >= 4, "41 iterations need two rounds"


def test_variables_above_4_kb_are_refused(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        build.function(
            "Large", "def handler(event, context):\n    return 1\n", Environment={"Variables": {"ACCOUNTS": "1" * 4096}}
        )
    build.client("iam").delete_role_policy(RoleName="Large-role", PolicyName="policy")
    build.client("iam").delete_role(RoleName="Large-role")
    build.function("Large", "def handler(event, context):\n    return 1\n", Environment={"Variables": {"ACCOUNTS": "1" * 4000}})
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        build.client("lambda").update_function_configuration(
            FunctionName="Large", Environment={"Variables": {"ACCOUNTS": "1" * 4096}}
        )


def test_starting_a_running_execution_again_gives_the_same_one(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    states = build.client("stepfunctions")
    wait = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": True}}}
    arn = build.machine("waiting", wait)
    first = states.start_execution(stateMachineArn=arn, name="once", input="{}")
    again = states.start_execution(stateMachineArn=arn, name="once", input="{}")
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=arn, name="once", input='{"other": 1}')
    build.finished(first["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=arn, name="once", input="{}")


def test_the_history_has_the_states_of_items_and_branches(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    item = {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}}}
    branch = {"StartAt": "Branch", "States": {"Branch": {"Type": "Pass", "End": True}}}
    definition = {
        "StartAt": "Each",
        "States": {
            "Each": {"Type": "Map", "ItemProcessor": item, "Next": "Both"},
            "Both": {"Type": "Parallel", "Branches": [branch], "End": True},
        },
    }
    execution = build.run(build.machine("history", definition), [1])
    history = build.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])["events"]
    within_map = ["MapStateStarted", "MapIterationStarted", "PassStateEntered", "PassStateExited", "MapIterationSucceeded"]
    within_parallel = ["ParallelStateStarted", "PassStateEntered", "PassStateExited", "ParallelStateSucceeded"]
    assert [event["type"] for event in history] == [
        "ExecutionStarted",
        "MapStateEntered",
        *within_map,
        "MapStateSucceeded",
        "MapStateExited",
        "ParallelStateEntered",
        *within_parallel,
        "ParallelStateExited",
        "ExecutionSucceeded",
    ]
