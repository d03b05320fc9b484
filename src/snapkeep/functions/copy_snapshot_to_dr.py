"""CopySnapshotToDR: put copies into the DR regions' queues; for each, the execution waits for its token's answer."""

from __future__ import annotations

from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.errors import with_short_cause
from snapkeep.functions.log import audit_copy, started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import CopyCall, EnqueueAnswer, EnqueueCall
from snapkeep.usecases.copies.enqueue import EnqueueCopy


def build(parts: Composition) -> EnqueueCopy:
    """Make the use case of the composition."""
    return EnqueueCopy(queue_of=parts.queue_of, task_tokens=parts.task_tokens, clock=parts.clock)


@with_short_cause
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Put the copies of an `EnqueueCall`, or that of a `CopyCall`, into queues; return an `EnqueueAnswer`."""
    started(event, context)
    enqueue = build(composition())
    if "copies" in event:
        call = from_json(EnqueueCall, event)
        entries, step = enqueue.run_all([order.request for order in call.copies], call.execution), "requested"
    else:
        waiting = from_json(CopyCall, event)
        entries, step = [enqueue.run(waiting.copy.request, waiting.token, waiting.execution)], "awaited"
    for entry in entries:
        audit_copy(entry.key, entry.copy_id, step)
    return to_object(EnqueueAnswer({entry.key: entry.state for entry in entries}))
