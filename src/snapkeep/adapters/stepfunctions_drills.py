"""Executions of the state machine Drill."""

from __future__ import annotations

from snapkeep.adapters.stepfunctions_runs import ExecutionStarter


class StepFunctionsDrills(ExecutionStarter):
    """`DrillRuns` over a Step Functions client of the DR region."""

    def start(self, run_id: str, name: str, *, end: bool = False) -> str:
        """Start an execution for a drill, or one that ends it; return its ARN. A name that is taken starts no new one."""
        self.start_once(name, {"run": run_id, "end": end})
        return self.execution_arn(name)
