"""CopySnapshotToDR: put a copy into the DR region's queue; the execution waits for the token's answer."""

from __future__ import annotations

from typing import Any

from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.errors import with_short_cause
from snapkeep.functions.log import audit_copy, started
from snapkeep.functions.payloads import CopyCall, from_json
from snapkeep.usecases.copies.enqueue import EnqueueCopy


def build(parts: Composition) -> EnqueueCopy:
    """Make the use case of the composition."""
    return EnqueueCopy(queue_of=parts.queue_of, task_tokens=parts.task_tokens, clock=parts.clock)


@with_short_cause
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Put the copy of a `CopyCall` into the queue; return its key and state, which no state reads."""
    started(event, context)
    call = from_json(CopyCall, event)
    entry = build(composition()).run(call.copy.request, call.token, call.execution)
    audit_copy(entry.key, entry.copy_id, "requested")
    return {"entry": entry.key, "state": str(entry.state)}
