"""Verify: compare a copy with its source for one portion. It reads blocks and keeps proofs, and changes nothing in EC2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.lambda_blocks import LambdaBlocks
from snapkeep.adapters.s3_proofs import S3Proofs
from snapkeep.domain.errors import BlocksUnreadable, CopyDiffers, InvalidEvent, ProofIncomplete, SnapshotGone
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.recovery.proof import Proof, ProofEnd, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.system import function_name
from snapkeep.functions import metrics, proof_metrics, read_blocks
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.verify_payloads import VerifyAnswer, VerifyCall, VerifyRequest
from snapkeep.usecases.ports import Problem
from snapkeep.usecases.recovery.measure_changes import MeasureChanges
from snapkeep.usecases.recovery.verify import VerifyCopy

if TYPE_CHECKING:
    from snapkeep.usecases.recovery.ports import BlockReader

PROBLEMS = {
    ProofVerdict.DIFFERS: CopyDiffers.__name__,
    ProofVerdict.UNREADABLE: BlocksUnreadable.__name__,
    ProofVerdict.INCOMPLETE: ProofIncomplete.__name__,
}


def build(parts: Composition) -> VerifyCopy:
    """Make the use case of the composition."""
    environment = parts.environment
    here = read_blocks.build(parts)

    @cache
    def blocks_of(region: str) -> BlockReader:
        if region == environment.region:
            return here
        client = parts.clients.get("lambda", region=region)
        return LambdaBlocks(client=client, function=function_name("ReadBlocks", environment.system), region=region)

    return VerifyCopy(
        reader=parts.reader,
        reader_of=parts.reader_of,
        blocks_of=blocks_of,
        proofs=S3Proofs(client=parts.clients.get("s3"), bucket=environment.reports_bucket),
        clock=parts.clock,
        sides=parts.workers(2),
        changes=MeasureChanges(documents=parts.documents, blocks_of=blocks_of),
    )


@cache
def _use_case() -> VerifyCopy:
    """Return the use case of the function, with its threads."""
    return build(composition())


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Compare the copy of a `VerifyCall` for one portion; return a `VerifyAnswer`."""
    log = started(event, context)
    result = compare(_use_case(), event)
    if isinstance(result, Proof):
        when_ms, of_drill = int(result.ended_at.timestamp() * 1000), bool(_asked(event).point)
        metrics.emit(proof_metrics.proof_lines(result, composition().environment.system, when_ms, of_drill=of_drill))
        log.info("proof", extra={"audit": "proof", "proof": to_object(result)})
    return to_object(answer_of(result))


def compare(use_case: VerifyCopy, event: Mapping[str, Any]) -> ProofProgress | Proof | None:
    """Compare the copy of a `VerifyCall` for one portion. Return None for one that was deleted before it was begun."""
    asked = _asked(event)
    progress = asked.verified.progress if asked.verified else None
    if progress is None:
        try:
            if asked.point:
                progress = use_case.begin_drill(asked.copy, asked.point, asked.method)
            else:
                progress = use_case.begin(asked.copy, asked.method, asked.budget_usd, asked.month_usd)
        except SnapshotGone:
            return None
    return use_case.run(progress)


def _asked(event: Mapping[str, Any]) -> VerifyRequest:
    """Return the request of an event. A progress that cannot be read, as of another version, is begun again."""
    try:
        return from_json(VerifyCall, event).asked
    except InvalidEvent:
        asked = event.get("asked")
        if not isinstance(asked, dict) or not asked.get("verified"):
            raise
        return from_json(VerifyCall, {"asked": {**asked, "verified": None}}).asked


def answer_of(result: ProofProgress | Proof | None) -> VerifyAnswer:
    """Return the answer of a portion. A copy or source that was deleted makes no problem."""
    if result is None:
        return VerifyAnswer(more=False, verdict=str(ProofVerdict.UNREADABLE), end=str(ProofEnd.DELETED))
    if isinstance(result, ProofProgress):
        return VerifyAnswer(more=True, progress=result)
    kind = PROBLEMS.get(result.verdict)
    problems = () if kind is None or result.end is ProofEnd.DELETED else (_problem(kind, result),)
    return VerifyAnswer(False, str(result.verdict), str(result.end or ""), proof=result, problems=problems)


def _problem(kind: str, proof: Proof) -> Problem:
    pair = proof.progress.pair
    cause = f"it is {proof.verdict.label}, {pair.source_id} in {pair.source_region}, by {proof.progress.method}"
    if proof.end is not None:
        cause = f"{proof.end.label}{f' ({proof.region})' if proof.region else ''}"
    return Problem(kind, pair.copy_id, cause)
