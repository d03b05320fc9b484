"""The metrics of AWS services: AWS/States and AWS/SQS. ministack has none.

Sources: Step Functions developer guide, "Monitoring Step Functions metrics using CloudWatch"; SQS developer guide, "Available
CloudWatch metrics for Amazon SQS".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

EXECUTION_METRICS: Mapping[str, str] = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def apply(locked_world: LockedWorld) -> None:
    """Apply the patch; metrics carry the world's time."""
    from ministack.services import stepfunctions

    replace(stepfunctions, "_emit_execution_status_event", lambda emit: _with_metric(emit, locked_world.clock.now))


def _with_metric(emit: Any, now: Callable[[], float]) -> Any:
    def emit_execution_status_event(execution: Mapping[str, Any]) -> None:
        from ministack.core.responses import request_scope

        machine_arn = str(execution["stateMachineArn"])
        _, _, _, region, account_id, _ = machine_arn.split(":", 5)
        with request_scope(account_id, region):
            _put("AWS/States", EXECUTION_METRICS[str(execution["status"])], {"StateMachineArn": machine_arn}, now(), 1.0, "Count")
        emit(execution)

    return emit_execution_status_event


def sample_queues(now: float) -> None:
    """Write the metrics of every queue for a time in seconds since the epoch, as SQS does each minute."""
    from ministack.core.responses import request_scope
    from ministack.services import sqs

    for (account_id, region, _), queue in list(sqs._queues._data.items()):
        with request_scope(account_id, region):
            metrics = queue_metrics(queue["messages"], time.time()) | {"NumberOfMessagesSent": (_count_sent(queue), "Count")}
            for name, (value, unit) in metrics.items():
                _put("AWS/SQS", name, {"QueueName": str(queue["name"])}, now, value, unit)


def _count_sent(queue: Mapping[str, Any]) -> float:
    """Return the number of messages since the last call, without those that were deleted in between."""
    new = [message for message in queue["messages"] if not message.get("counted_as_sent")]
    for message in new:
        message["counted_as_sent"] = True
    return float(len(new))


def queue_metrics(messages: list[Mapping[str, Any]], now: float) -> dict[str, tuple[float, str]]:
    """Return (value, unit) of each metric of a queue. Messages have the machine's time, in seconds."""
    invisible = sum(1 for message in messages if float(message.get("visible_at", now)) > now)
    oldest = min((float(message.get("sent_at", now)) for message in messages), default=now)
    return {
        "ApproximateNumberOfMessagesVisible": (float(len(messages) - invisible), "Count"),
        "ApproximateNumberOfMessagesNotVisible": (float(invisible), "Count"),
        "ApproximateAgeOfOldestMessage": (max(0.0, now - oldest), "Seconds"),
    }


def _put(namespace: str, name: str, dimensions: dict[str, str], at: float, value: float, unit: str) -> None:
    from ministack.services import cloudwatch

    cloudwatch._store_datum(namespace, name, dimensions, at, unit, value, None, None, None)
