"""Starts executions of one state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import accepted, translated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start_once(client: SFNClient, state_machine_arn: str, name: str, request: Mapping[str, Any]) -> bool:
    """Start an execution. Return False if one of that name was started already (names are good once in 90 days)."""
    call = {"stateMachineArn": state_machine_arn, "name": name, "input": json.dumps(request)}
    return accepted(client.start_execution, f"start_execution of {state_machine_arn}", ("ExecutionAlreadyExists",), **call)


def execution_arn(state_machine_arn: str, name: str) -> str:
    """Return the ARN of a state machine's execution."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


class StateMachineRuns:
    """`ProtectRuns` over a Step Functions client and one state machine."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        """Start an execution. Return False if one of that name was started already (names are good once in 90 days)."""
        return start_once(self._client, self._arn, name, event)

    def deployed_at(self) -> datetime:
        """Return when the state machine was made."""
        with translated(f"describe_state_machine {self._arn}"):
            return self._client.describe_state_machine(stateMachineArn=self._arn)["creationDate"]
