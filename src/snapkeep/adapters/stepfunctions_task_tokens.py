"""Answers to waiting executions, in any region."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import accepted
from snapkeep.domain.json_codec import to_text
from snapkeep.usecases.ports import CopyResult

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

NO_LONGER_WAITING = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
"""botocore: stepfunctions, errors of SendTaskSuccess and SendTaskFailure."""
ERROR_LIMIT = 256
"""Characters of SendTaskFailure's `error` (botocore: stepfunctions)."""
CAUSE_LIMIT = 480
"""The most characters of `cause`: Step Functions accepts 32,768, but all causes of a multi-volume set share the run's state of
256 KiB."""


class StepFunctionsTaskTokens:
    """`TaskTokens` over Step Functions clients, one for each region."""

    def __init__(self, *, client_of: Callable[[str], SFNClient]) -> None:
        self._client_of = client_of

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        """Answer with success. Return False if the execution no longer waits."""
        return self._send(region, "send_task_success", taskToken=token, output=to_text(output))

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        """Answer with failure. Return False if the execution no longer waits."""
        return self._send(region, "send_task_failure", taskToken=token, error=error[:ERROR_LIMIT], cause=cause[:CAUSE_LIMIT])

    def _send(self, region: str, operation: str, **answer: str) -> bool:
        return accepted(getattr(self._client_of(region), operation), f"{operation} in {region}", NO_LONGER_WAITING, **answer)
