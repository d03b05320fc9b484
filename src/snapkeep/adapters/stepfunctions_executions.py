"""Starts executions, and reads what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, translated
from snapkeep.usecases.look.explain import ExecutionSummary

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


EARLIER_SECONDS, LATER_SECONDS = 3_600, 2 * 86_400


class StateMachineRuns:
    """`ProtectRuns` over a Step Functions client and one state machine."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        """Start an execution. Return False if one of that name was started already (names are good once in 90 days)."""
        with translated(f"start_execution of {self._arn}"):
            try:
                self._client.start_execution(stateMachineArn=self._arn, name=name, input=json.dumps(event))
            except ClientError as error:
                if code_of(error) == "ExecutionAlreadyExists":
                    return False
                raise
        return True

    def deployed_at(self) -> datetime:
        """Return when the state machine was made."""
        with translated(f"describe_state_machine {self._arn}"):
            return self._client.describe_state_machine(stateMachineArn=self._arn)["creationDate"]


class RunHistory:
    """Finds the executions that dealt with a snapshot."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str, most: int = 500) -> None:
        self._client = client
        self._arn = state_machine_arn
        self._most = most

    def about(self, words: frozenset[str], around: datetime) -> list[ExecutionSummary]:
        """Given ids and a time, return the executions begun from an hour before to two days after it whose input names one.

        Looks into at most `most` executions.
        """
        found: list[ExecutionSummary] = []
        looked = 0
        for run in self._listed():
            since = (run["startDate"] - around).total_seconds()
            if since < -EARLIER_SECONDS or looked >= self._most:
                break
            if since > LATER_SECONDS:
                continue
            looked += 1
            with translated("describe_execution"):
                whole = self._client.describe_execution(executionArn=run["executionArn"])
            if any(word in whole.get("input", "") for word in words):
                found.append(ExecutionSummary(run["executionArn"], whole["status"], run["startDate"], whole.get("stopDate")))
        return found

    def _listed(self) -> Iterator[Any]:
        request: dict[str, Any] = {"stateMachineArn": self._arn, "maxResults": 200}
        while True:
            with translated("list_executions"):
                page = self._client.list_executions(**request)
            yield from page["executions"]
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]
