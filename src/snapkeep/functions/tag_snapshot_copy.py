"""TagSnapshotCopy: a copy has ended in this DR region: check it, and answer the waiting execution.

Or a copy was compared with its source: record the proof on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.domain import events
from snapkeep.domain.copies.entry import entry_key
from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_copy, started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import EventCall
from snapkeep.functions.state_budget import receive_answer
from snapkeep.usecases.copies.receive import ReceiveCopy, ReceiveOutcome, ReceiveResult

if TYPE_CHECKING:
    from snapkeep.functions.verify_payloads import RecordAnswer
    from snapkeep.usecases.copies.record_proof import RecordProof


def build(parts: Composition) -> ReceiveCopy:
    """Make the use case of the composition."""
    return ReceiveCopy(
        system=parts.environment.system,
        reader=parts.points,
        tagger=parts.tagger,
        queue=parts.queue_of(parts.environment.region),
        settlement=parts.settlement,
        retry_policy=parts.retry_policy,
        policies=parts.policies,
        verifications=None if parts.is_vault else parts.verifications,
        clock=parts.clock,
        locks=parts.locks,
    )


def build_record(parts: Composition) -> RecordProof:
    """Make the use case that records a proof."""
    from snapkeep.usecases.copies.record_proof import RecordProof  # noqa: PLC0415 - copies that arrive need none

    return RecordProof(
        system=parts.environment.system,
        reader=parts.reader,
        tagger=parts.tagger,
        queue=parts.queue_of(parts.environment.region),
        clock=parts.clock,
        notices=parts.notices,
        locks=parts.locks,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Receive the copy of an `EventCall`; return a `ReceiveAnswer`.

    Or record the proof of a `RecordCall`; return a `RecordAnswer`.
    """
    log = started(event, context)
    parts = composition()
    if "proof" in event:
        return to_object(_record(parts, event))
    ended = events.parse_copy_event(from_json(EventCall, event).event)
    if isinstance(ended, events.IgnoredEvent):
        log.info("not ours", extra={"why": ended.why})
        received = ReceiveResult(ReceiveOutcome.NOT_OURS, ended.why)
    else:
        received = build(parts).run(ended)
        key = entry_key(ended.source_region, ended.source_snapshot_id, ended.region)
        audit_copy(key, ended.copy_id, str(received.outcome), received.why)
    return to_object(receive_answer(received, parts.environment.region, parts.clock.now()))


def _record(parts: Composition, event: dict[str, Any]) -> RecordAnswer:
    from snapkeep.functions.verify_payloads import RecordAnswer, RecordCall  # noqa: PLC0415 - copies that arrive need none

    proof = from_json(RecordCall, event).proof
    requested = build_record(parts).run(proof)
    pair = proof.progress.pair
    key = entry_key(pair.source_region, pair.source_id, pair.copy_region)
    audit_copy(key, pair.copy_id, f"proof {proof.verdict}", proof.tag)
    return RecordAnswer(copy_requested=requested, share=proof.proved and bool(parts.environment.vault_accounts))
