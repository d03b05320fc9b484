"""Starts executions of the state machine Drill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import accepted

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsDrills:
    """`DrillRuns` over a Step Functions client of the DR region."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, run_id: str, name: str, *, end: bool = False) -> str:
        """Start an execution for a drill, or one that ends it; return its ARN. A name that was taken starts nothing anew."""
        request = json.dumps({"run": run_id, "end": end})
        doing = f"start_execution of {self._arn}"
        taken = ("ExecutionAlreadyExists",)
        accepted(self._client.start_execution, doing, taken, stateMachineArn=self._arn, name=name, input=request)
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"
