"""An execution that waits no more is not an error; every other refusal is one, and AWS's limits are kept."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from snapkeep.adapters.stepfunctions_task_tokens import CAUSE_LIMIT, ERROR_LIMIT, StepFunctionsTaskTokens
from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, SnapkeepError

REGION = "eu-west-1"


class Client:
    """Answers every call, or fails it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.requests = error, list[dict[str, Any]]()

    def _answer(self, **request: Any) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise self.error

    send_task_success = send_task_failure = _answer


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "SendTaskFailure")  # type: ignore[typeddict-item]


def fail(error: Exception | None, text: str = "CopyFailed", cause: str = "a cause") -> tuple[bool, Client]:
    client = Client(error)
    tokens = StepFunctionsTaskTokens(client_of=lambda _: client)  # type: ignore[arg-type,return-value]
    return tokens.send_failure(REGION, "token", text, cause), client


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_execution_that_waits_no_more_is_not_answered(code: str) -> None:
    assert fail(refused(code))[0] is False


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (refused("ThrottlingException"), AwsThrottled),
        (refused("AccessDeniedException"), AwsRefused),
        (refused("InvalidOutput"), AwsRefused),
        (refused("Whatever", 500), AwsUnavailable),
        (ConnectTimeoutError(endpoint_url="https://states"), AwsUnavailable),
    ],
    ids=["throttled", "denied", "invalid output", "server fault", "no answer"],
)
def test_every_other_fault_is_raised_and_names_the_region(error: Exception, raised: type[SnapkeepError]) -> None:
    with pytest.raises(raised, match=f"send_task_failure in {REGION}"):
        fail(error)


def test_an_answer_keeps_to_the_limits_of_step_functions() -> None:
    answered, client = fail(None, "e" * 300, "c" * 2_000)
    assert answered
    assert client.requests == [{"taskToken": "token", "error": "e" * ERROR_LIMIT, "cause": "c" * CAUSE_LIMIT}]
