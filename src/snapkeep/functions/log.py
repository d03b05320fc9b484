"""Structured logs, one JSON object a line, through Powertools."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from snapkeep.domain.tags import format_time

if TYPE_CHECKING:
    from snapkeep.domain.retention.deletion import DeletionOrder
    from snapkeep.usecases.ports import DeletionResult


@cache
def logger() -> Logger:
    """Return the functions' logger; service and level come from Powertools' environment variables."""
    return Logger()


def started(payload: dict[str, Any], context: Any) -> Logger:
    """Return the logger, with the execution and the request of a call on every line."""
    log = logger()
    log.append_keys(execution=payload.get("execution", ""), request_id=getattr(context, "aws_request_id", ""))
    return log


def audit_deletion(order: DeletionOrder, result: DeletionResult, plan_id: str) -> None:
    """Leave the one line that every deletion leaves, done or not."""
    logger().info(
        "deletion",
        extra={
            "audit": "deletion",
            "snapshot": order.snapshot_id,
            "volume": order.volume_id,
            "origin_start": format_time(order.origin_start),
            "policy": order.policy,
            "kind": str(order.kind),
            "reasons": list(order.reasons),
            "plan": plan_id,
            "outcome": str(result.outcome),
            "cause": result.cause,
        },
    )


def audit_copy(key: str, copy_id: str, step: str, cause: str = "") -> None:
    """Leave the line that every step of a copy leaves."""
    logger().info("copy", extra={"audit": "copy", "entry": key, "copy": copy_id, "step": step, "cause": cause})
