"""Executions of one state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import accepted, translated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class ExecutionStarter:
    """Starts executions of one state machine, by a Step Functions client."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start_once(self, name: str, request: Mapping[str, Any]) -> bool:
        """Start an execution. Return False if one with this name was started (a name is valid once in 90 days)."""
        call = {"stateMachineArn": self._arn, "name": name, "input": json.dumps(request)}
        return accepted(self._client.start_execution, f"start_execution of {self._arn}", ("ExecutionAlreadyExists",), **call)

    def execution_arn(self, name: str) -> str:
        """Return the ARN of an execution."""
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"


class StateMachineRuns(ExecutionStarter):
    """`ProtectRuns` over a Step Functions client and one state machine."""

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        """Start an execution. Return False if one with this name was started (a name is valid once in 90 days)."""
        return self.start_once(name, event)

    def deployed_at(self) -> datetime:
        """Return when the state machine was made."""
        with translated(f"describe_state_machine {self._arn}"):
            return self._client.describe_state_machine(stateMachineArn=self._arn)["creationDate"]
