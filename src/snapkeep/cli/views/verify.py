"""The output of `snapkeep verify`: estimates and proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Snapshot
from snapkeep.domain.plural import counted
from snapkeep.domain.recovery.methods import FULL, Estimate, Method, MethodKind, estimate
from snapkeep.domain.recovery.proof import Proof, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict

SHOWN = 10
"""Differing blocks that are listed; the proof has the first hundred."""


def estimates_as_data(copies: Sequence[Snapshot], method: Method) -> dict[str, Any]:
    """Return the estimates of copies, and their total, as JSON values."""
    estimates = {copy.id: estimate(method, copy.size_gib) for copy in copies}
    return {
        "method": str(method),
        "copies": [{"copy_id": copy_id, **to_object(estimated)} for copy_id, estimated in estimates.items()],
        "total": to_object(_total(list(estimates.values()))),
    }


def lines_of_estimates(copies: Sequence[Snapshot], method: Method) -> Iterator[str]:
    """Return a line for each copy, and the total. All are at most: blocks that were never written take nothing."""
    estimates = [estimate(method, copy.size_gib) for copy in copies]
    yield f"{method}: finds {method.finds}. At most:"
    for copy, estimated in zip(copies, estimates, strict=True):
        yield f"  {copy.id}  {copy.origin.volume_id}  {copy.size_gib} GiB  {_taken(estimated)}"
    if len(copies) > 1:
        yield f"  all {len(copies)} copies, side by side  {_taken(_total(estimates))}"


def _total(estimates: Sequence[Estimate]) -> Estimate:
    return Estimate(
        sum(estimate.blocks for estimate in estimates),
        sum(estimate.list_requests for estimate in estimates),
        sum(estimate.reads for estimate in estimates),
        max(estimate.seconds for estimate in estimates),
        sum(estimate.dollars for estimate in estimates),
    )


def _taken(estimated: Estimate) -> str:
    return f"{estimated.blocks} blocks of each side, {estimated.seconds / 60:.1f} minutes at least, ${estimated.dollars:.6f}"


def lines_of_proof(proof: Proof) -> Iterator[str]:
    """Return the lines of a proof. Only one that is complete is called a proof (INV-15)."""
    progress, pair = proof.progress, proof.progress.pair
    yield f"{pair.copy_id} in {pair.copy_region}, copy of {pair.source_id} in {pair.source_region} ({pair.volume_id})"
    verdict = f"  {proof.verdict}: {proof.verdict.label}"
    if proof.end is not None:
        verdict += f": {proof.end.label}" + (f" ({proof.region})" if proof.region else "")
    yield verdict
    yield (
        f"  {progress.method}: {counted(progress.source_blocks, 'block')} listed in the source, "
        f"{progress.copy_blocks} in the copy, {progress.compared} compared, {progress.reads} reads, ${progress.dollars:.6f}"
    )
    if proof.proved:
        yield f"  finds {_finds(progress)}" + (f"; root {progress.root}" if progress.root else "")
    if proof.verdict is ProofVerdict.DIFFERS:
        yield from _differences(proof)


def _finds(progress: ProofProgress) -> str:
    """Return the faults that a comparison finds, in words: a sample of all listed blocks leaves none out."""
    listed = (progress.source_blocks + progress.copy_blocks + progress.one_sided) // 2
    everything = progress.method.kind is MethodKind.SAMPLE and progress.sampled == listed
    return (FULL if everything else progress.method).finds


def _differences(proof: Proof) -> Iterator[str]:
    progress = proof.progress
    if progress.source_size_gib != progress.copy_size_gib:
        yield f"  its size is {progress.copy_size_gib} GiB, its source's {progress.source_size_gib} GiB"
    for difference in progress.differences[:SHOWN]:
        checksums = f"{difference.source_checksum or 'not listed'}, {difference.copy_checksum or 'not listed'}"
        yield f"  block {difference.index} at byte {difference.offset_bytes}: {difference.kind.label} ({checksums})"
    if progress.differing > SHOWN:
        yield f"  and {progress.differing - SHOWN} further blocks; the proof lists the first hundred"
