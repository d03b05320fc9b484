"""Executions of the state machine Verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.adapters.stepfunctions_runs import ExecutionStarter
from snapkeep.domain.json_codec import to_object

if TYPE_CHECKING:
    from snapkeep.domain.recovery.methods import Method


class StepFunctionsVerifications(ExecutionStarter):
    """`Verifications` over a Step Functions client of the DR region."""

    def start(self, copy_id: str, method: Method, name: str, budget_usd: float = 0.0, *, month_usd: float = 0.0) -> str:
        """Start the comparison of a copy; return its execution. A name that was taken in the last 90 days starts no new one."""
        budget = {key: value for key, value in (("budget_usd", budget_usd), ("month_usd", month_usd)) if value}
        self.start_once(name, {"copy": copy_id, "method": to_object(method), **budget})
        return self.execution_arn(name)
