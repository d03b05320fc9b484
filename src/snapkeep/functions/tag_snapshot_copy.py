"""TagSnapshotCopy: a copy has ended in this DR region. Check it, answer who waits, plan the lineage's retention."""

from __future__ import annotations

from typing import Any

from snapkeep.domain import events
from snapkeep.domain.copies.entry import entry_key
from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_copy, started
from snapkeep.functions.payloads import EventCall, from_json
from snapkeep.functions.plan_retention import build as build_planner
from snapkeep.functions.state_budget import receive_answer
from snapkeep.usecases.copies.receive import ReceiveCopy, ReceiveOutcome, ReceiveResult


def build(parts: Composition) -> ReceiveCopy:
    """Make the use case of the composition."""
    return ReceiveCopy(
        system=parts.environment.system,
        reader=parts.points,
        tagger=parts.tagger,
        queue=parts.queue_of(parts.environment.region),
        settlement=parts.settlement,
        retry_policy=parts.retry_policy,
        planner=build_planner(parts),
        clock=parts.clock,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Receive the copy of an `EventCall`; return a `ReceiveAnswer`, with the retention plan of the copy's lineage."""
    log = started(event, context)
    parts = composition()
    ended = events.parse_copy_event(from_json(EventCall, event).event)
    if isinstance(ended, events.IgnoredEvent):
        log.info("not ours", extra={"why": ended.why})
        received = ReceiveResult(ReceiveOutcome.NOT_OURS, ended.why)
    else:
        received = build(parts).run(ended)
        key = entry_key(ended.source_region, ended.source_snapshot_id, ended.region)
        audit_copy(key, ended.copy_id, str(received.outcome), received.why)
    return to_object(receive_answer(received, parts.environment.region, parts.clock.now()))
