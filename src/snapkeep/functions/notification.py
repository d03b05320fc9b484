"""Notification: a run has failed; keep what somebody should be told for the next digest."""

from __future__ import annotations

from functools import cache
from typing import Any

from snapkeep.adapters.sqs_notices import SqsNotices
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.notify import notices_of_run


def build(parts: Composition) -> SqsNotices:
    """Given the parts, return where notices go."""
    return parts.notices


@cache
def _ready() -> tuple[Composition, SqsNotices]:
    parts = composition()
    return parts, build(parts)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `state`, the failed run's, return how many notices came of it."""
    log = started(event, context)
    parts, notices = _ready()
    found = notices_of_run(event["state"], parts.environment.region, event["execution"], parts.clock.now())
    for notice in found:
        notices.add(notice)
        log.error(notice.kind, extra={"subject": notice.subject, "cause": notice.cause})
    return {"notices": len(found)}
