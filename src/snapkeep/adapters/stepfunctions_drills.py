"""Starts executions of the state machine Drill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.adapters.stepfunctions_runs import execution_arn, start_once

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsDrills:
    """`DrillRuns` over a Step Functions client of the DR region."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, run_id: str, name: str, *, end: bool = False) -> str:
        """Start an execution for a drill, or one that ends it; return its ARN. A name that was taken starts nothing anew."""
        start_once(self._client, self._arn, name, {"run": run_id, "end": end})
        return execution_arn(self._arn, name)
