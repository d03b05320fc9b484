"""Notification: a run has failed; keep its failures for the next digest."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.sqs_notices import SqsNotices
from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import NotificationAnswer, NotificationCall, run_state
from snapkeep.usecases.notify import notices_of_run


def build(parts: Composition) -> SqsNotices:
    """Return the queue of notices."""
    return parts.notices


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Keep one notice for each failure in the state of a `NotificationCall`; return a `NotificationAnswer`."""
    log = started(event, context)
    parts = composition()
    notices = build(parts)
    call = from_json(NotificationCall, event)
    failures = notices_of_run(run_state(call.state), parts.environment.region, call.execution, parts.clock.now())
    for notice in failures:
        notices.add(notice)
        log.error(notice.kind, extra={"subject": notice.subject, "cause": notice.cause})
    return to_object(NotificationAnswer(len(failures)))
