"""Dispatch: start waiting copies. Invoked by the queue's stream, by ends of copies, and each minute."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.kms_keys import KmsKeys
from snapkeep.domain.events import parse_late_copy
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_copy, started
from snapkeep.usecases.copies.completion import ChooseCompletion
from snapkeep.usecases.copies.dispatch import Dispatch
from snapkeep.usecases.copies.late_copies import NoteLateCopy


def build(parts: Composition) -> Dispatch:
    """Make the use case of the composition."""
    environment = parts.environment
    queue = parts.queue_of(environment.region)

    def completion() -> ChooseCompletion:
        return ChooseCompletion(
            reader=parts.reader, queue=queue, changes_of=parts.changes_of, notices=parts.notices, clock=parts.clock
        )

    return Dispatch(
        system=environment.system,
        reader=parts.points,
        copier=parts.copier,
        keys=KmsKeys(client_of=lambda: parts.clients.get("kms"), region=environment.region),
        queue=queue,
        completion_of=completion,
        settlement=parts.settlement,
        notices=parts.notices,
        retry_policy=parts.retry_policy,
        clock=parts.clock,
        quota=environment.copy_quota,
        locks=parts.locks,
    )


def build_late(parts: Composition) -> NoteLateCopy:
    """Make what notes late copies."""
    queue = parts.queue_of(parts.environment.region)
    return NoteLateCopy(reader=parts.reader, queue=queue, notices=parts.notices, clock=parts.clock)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return how many copies were started, and how many are in flight. It does the same whatever invoked it.

    The event of a late copy is noted first. No record of the stream fails by itself: each only wakes the dispatcher.
    """
    log = started(event, context)
    parts = composition()
    late = parse_late_copy(event)
    if late is not None:
        build_late(parts).run(late)
    result = build(parts).run(context.aws_request_id)
    for step, keys in (("started", result.started), ("settled", result.settled), ("failed", result.failed)):
        for key in keys:
            audit_copy(key, "", step)
    for left_out in result.tags_left_out:
        log.warning("AWS refused the tags that a copy carries; it has Snapkeep's alone", extra={"left_out": left_out})
    log.info("dispatched", extra={"lease": result.lease_taken, "started": len(result.started), "in_flight": result.in_flight})
    return {"batchItemFailures": [], "started": len(result.started), "failed": len(result.failed), "in_flight": result.in_flight}
