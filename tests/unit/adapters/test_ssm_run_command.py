"""Commands in instances: how they are sent, found by their comment, and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from snapkeep.adapters.ssm_run_command import SsmRunCommand
from snapkeep.domain.commands import MOST_OUTPUT, CommandResult, CommandStatus, document_arn

SINCE = datetime(2026, 11, 30, 12, tzinfo=UTC)


def runner(**calls: Any) -> SsmRunCommand:
    client: Any = SimpleNamespace(**calls)
    return SsmRunCommand(client_of=lambda: client)


def found(**invocation: Any) -> CommandResult:
    listed = [{"Comment": "of others", "Status": "Success"}, {"Comment": "ours", **invocation}]
    result = runner(list_command_invocations=lambda **_: {"CommandInvocations": listed}).find("i-1", "ours", SINCE)
    assert result is not None
    return result


def test_each_status_of_aws_is_known() -> None:
    model = boto3.client("ssm", region_name="us-east-1").meta.service_model
    assert {*model.shape_for("CommandInvocationStatus").enum, "Unknown"} == {*CommandStatus}


@pytest.mark.parametrize("status", [*CommandStatus, "NewAtAws"])
def test_a_status_shows_whether_a_command_ended_and_succeeded(status: str) -> None:
    result = found(Status=str(status))
    assert result.ended is (status in {"Success", "Cancelled", "TimedOut", "Failed"})
    assert result.succeeded is (status == "Success")


def test_a_command_is_found_by_its_comment_on_any_page() -> None:
    requests: list[dict[str, Any]] = []

    def list_command_invocations(**request: Any) -> dict[str, Any]:
        requests.append(request)
        if "NextToken" in request:
            return {"CommandInvocations": [{"Comment": "ours", "Status": "Failed", "StatusDetails": "DeliveryTimedOut"}]}
        return {"CommandInvocations": [], "NextToken": "more"}

    result = runner(list_command_invocations=list_command_invocations).find("i-1", "ours", SINCE)
    assert result is not None
    assert result.text == "DeliveryTimedOut"
    since = {"key": "InvokedAfter", "value": "2026-11-30T11:59:00Z"}
    assert requests[0] == {"InstanceId": "i-1", "Filters": [since], "Details": True}


def test_an_unlisted_command_is_none() -> None:
    assert runner(list_command_invocations=lambda **_: {"CommandInvocations": []}).find("i-1", "ours", SINCE) is None


@pytest.mark.parametrize(("codes", "expected"), [([], None), ([-1], -1), ([0, 0], 0), ([0, 3, 0], 3), ([None, 0], 0)])
def test_the_exit_code_is_that_of_the_first_step_that_failed(codes: list[int | None], expected: int | None) -> None:
    steps = [{"ResponseCode": code, "Output": "x"} for code in codes]
    assert found(Status="Failed", CommandPlugins=steps) == CommandResult(CommandStatus.FAILED, expected, "x" * len(codes))


def test_output_is_cut_and_without_control_characters() -> None:
    result = found(Status="Success", CommandPlugins=[{"Output": "\x1b[2J\n\t"}, {"Output": "x" * 2500}])
    assert (len(result.output), result.output[:7]) == (MOST_OUTPUT, "\ufffd[2J\n\tx")


@pytest.mark.parametrize(("seconds", "expected"), [(10, 30), (120, 120)])
def test_a_command_is_sent_with_document_comment_and_time_of_delivery(seconds: int, expected: int) -> None:
    requests: list[dict[str, Any]] = []
    sender = runner(send_command=lambda **request: requests.append(request))
    sender.send("i-1", "freeze", "ours", within=timedelta(seconds=seconds))
    assert requests == [{"InstanceIds": ["i-1"], "DocumentName": "freeze", "Comment": "ours", "TimeoutSeconds": expected}]


@pytest.mark.parametrize(
    ("document", "arn"),
    [
        ("freeze", "arn:aws-cn:ssm:cn-north-1:111122223333:document/freeze"),
        ("AWSEC2-CreateVssSnapshot", "arn:aws-cn:ssm:cn-north-1::document/AWSEC2-CreateVssSnapshot"),
        ("Amazon-Freeze", "arn:aws-cn:ssm:cn-north-1::document/Amazon-Freeze"),
        ("arn:aws-cn:ssm:cn-north-1:444455556666:document/shared", "arn:aws-cn:ssm:cn-north-1:444455556666:document/shared"),
    ],
)
def test_documents_of_aws_have_no_account_in_their_arn(document: str, arn: str) -> None:
    assert document_arn(document, "cn-north-1", "111122223333", "aws-cn") == arn
