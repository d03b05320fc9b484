"""CopySnapshotToDR: put a copy into the DR region's queue; the execution waits for the token's answer."""

from __future__ import annotations

from functools import cache
from typing import Any

from snapkeep.domain.copies.codec import request_from_json
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_copy, started
from snapkeep.usecases.copies.enqueue import EnqueueCopy


def build(parts: Composition) -> EnqueueCopy:
    """Given the parts, return the use case."""
    return EnqueueCopy(queue_of=parts.queue_of, task_tokens=parts.task_tokens, clock=parts.clock)


@cache
def _ready() -> EnqueueCopy:
    return build(composition())


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `copy`, `token` and `execution`, return the state of the entry."""
    started(event, context)
    entry = _ready().run(request_from_json(event["copy"]["wanted"]), event["token"], event["execution"])
    audit_copy(entry.key, entry.copy_id, "asked for")
    return {"entry": entry.key, "state": str(entry.state)}
