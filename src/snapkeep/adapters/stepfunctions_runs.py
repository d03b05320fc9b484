"""Starts executions of one state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import accepted, translated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StateMachineRuns:
    """`ProtectRuns` over a Step Functions client and one state machine."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        """Start an execution. Return False if one of that name was started already (names are good once in 90 days)."""
        request = {"stateMachineArn": self._arn, "name": name, "input": json.dumps(event)}
        doing = f"start_execution of {self._arn}"
        return accepted(self._client.start_execution, doing, ("ExecutionAlreadyExists",), **request)

    def deployed_at(self) -> datetime:
        """Return when the state machine was made."""
        with translated(f"describe_state_machine {self._arn}"):
            return self._client.describe_state_machine(stateMachineArn=self._arn)["creationDate"]
