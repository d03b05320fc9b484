"""The executions that handled a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import pages, translated
from snapkeep.usecases.look.explain import ExecutionSummary

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

EARLIER_SECONDS, LATER_SECONDS = 3_600, 2 * 86_400


class RunHistory:
    """Finds executions of one state machine by their input."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str, most: int = 500) -> None:
        self._client = client
        self._arn = state_machine_arn
        self._most = most

    def about(self, words: frozenset[str], around: datetime) -> list[ExecutionSummary]:
        """Return the executions that started from an hour before to two days after a time, and whose input names one of the ids.

        At most `most` executions are read.
        """
        summaries: list[ExecutionSummary] = []
        read = 0
        for run in self._listed():
            since = (run["startDate"] - around).total_seconds()
            # ListExecutions returns the newest first, so that all later items are older.
            if since < -EARLIER_SECONDS or read >= self._most:
                break
            if since > LATER_SECONDS:
                continue
            read += 1
            with translated("describe_execution"):
                execution = self._client.describe_execution(executionArn=run["executionArn"])
            if any(word in execution.get("input", "") for word in words):
                summaries.append(_summary(run | execution))
        return summaries

    def latest(self, most: int) -> list[ExecutionSummary]:
        """Return the latest executions, newest first. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        return [_summary(run) for run in islice(self._listed(), most)]

    def _listed(self) -> Iterator[Any]:
        request = {"stateMachineArn": self._arn, "maxResults": 200}
        for page in pages(self._client, "list_executions", request, "list_executions", more="nextToken"):
            yield from page["executions"]


def _summary(run: Mapping[str, Any]) -> ExecutionSummary:
    return ExecutionSummary(run["executionArn"], run["status"], run["startDate"], run.get("stopDate"))
