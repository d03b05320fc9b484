"""What a sweep repaired, as audit lines."""

from __future__ import annotations

from snapkeep.domain.sweep.report import Handling, SweepReport
from snapkeep.functions.log import logger


def audit_sweep(report: SweepReport) -> None:
    """Leave a line for everything that a sweep repaired, or tried to."""
    for item in report.items:
        if item.handling in (Handling.REPAIRED, Handling.FAILED):
            logger().info(
                "repair",
                extra={
                    "audit": "repair",
                    "sweep": report.id,
                    "kind": str(item.kind),
                    "snapshot": item.subject,
                    "volume": item.volume_id,
                    "reasons": [item.text],
                    "outcome": str(item.handling),
                    "cause": item.cause,
                },
            )
