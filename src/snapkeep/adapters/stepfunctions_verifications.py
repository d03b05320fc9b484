"""Starts executions of the state machine Verify."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, translated
from snapkeep.domain.json_codec import to_object

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from snapkeep.domain.recovery.methods import Method


class StepFunctionsVerifications:
    """`Verifications` over a Step Functions client of the DR region."""

    def __init__(self, *, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, copy_id: str, method: Method, name: str, budget_usd: float = 0.0, *, month_usd: float = 0.0) -> str:
        """Start the comparison of a copy; return its execution. A name that was taken in 90 days starts nothing anew."""
        budget = {key: value for key, value in (("budget_usd", budget_usd), ("month_usd", month_usd)) if value}
        request = json.dumps({"copy": copy_id, "method": to_object(method), **budget})
        with translated(f"start_execution of {self._arn}"):
            try:
                return self._client.start_execution(stateMachineArn=self._arn, name=name, input=request)["executionArn"]
            except ClientError as error:
                if code_of(error) == "ExecutionAlreadyExists":
                    return f"{self._arn.replace(':stateMachine:', ':execution:')}:{name}"
                raise
