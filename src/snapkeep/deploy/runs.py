"""Executions that have not ended: a state machine is deleted only when the last one has (botocore: DeleteStateMachine)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

ERROR, CAUSE = "StackDeleted", "the stack of its state machine is deleted"


def stop_runs(stepfunctions: Any, state_machines: Iterable[str]) -> int:
    """Given state machines' ARNs, stop their executions that have not ended, and return how many there were."""
    stopped = 0
    for arn in state_machines:
        pages = stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=arn, statusFilter="RUNNING")
        for run in (run for page in pages for run in page["executions"]):
            stepfunctions.stop_execution(executionArn=run["executionArn"], error=ERROR, cause=CAUSE)
            stopped += 1
    return stopped
