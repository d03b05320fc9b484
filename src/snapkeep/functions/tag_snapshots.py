"""TagSnapshots: a snapshot, or a multi-volume set, has ended in the primary region."""

from __future__ import annotations

from typing import Any

from snapkeep.domain import events
from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import NOT_OURS, EventCall, TagAnswer
from snapkeep.functions.state_budget import tag_answer
from snapkeep.usecases.protect import TagSnapshots
from snapkeep.usecases.recovery.write_records import WriteRecords


def build(parts: Composition) -> TagSnapshots:
    """Make the use case of the composition."""
    return TagSnapshots(
        system=parts.environment.system,
        reader=parts.reader,
        tagger=parts.tagger,
        records=WriteRecords(reader=parts.record_reader, documents_of=parts.documents_of, clock=parts.clock),
        reader_of=parts.reader_of,
        queue_of=parts.queue_of,
        policies=parts.policies,
        deployed_at=parts.deployed_at,
        locks=parts.locks,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tag the snapshots of an `EventCall`; return a `TagAnswer`."""
    log = started(event, context)
    parts = composition()
    ended = events.parse_snapshot_event(from_json(EventCall, event).event)
    # The rule's pattern admits little else, but anyone who may start executions can send any event.
    if isinstance(ended, events.IgnoredEvent):
        log.info("not ours", extra={"why": ended.why})
        return to_object(TagAnswer(NOT_OURS, (), (), ()))
    tagged = build(parts).run(ended)
    log.info("tagged", extra={"outcome": str(tagged.outcome), "reasons": list(tagged.reasons)})
    answer, left_out = tag_answer(tagged, parts.clock.now())
    if left_out:
        log.warning("copies carry fewer tags: the set has too many for one run", extra={"left_out": list(left_out)})
    return to_object(answer)
