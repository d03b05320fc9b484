"""Windows of two listings, and what a comparison that has not ended proves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from snapkeep.domain.recovery.blocks import ZEROS, BlockDigest, BlockList
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method, MethodKind
from snapkeep.domain.recovery.proof import Pair, Proof, ProofEnd, ProofProgress, after_sample, conclude, is_weaker, window_of
from snapkeep.domain.recovery.verdict import ProofVerdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROGRESS = ProofProgress(Pair("vol-1", "us-east-1", "snap-1", "us-east-2", "snap-2"), FULL, NOW, 1, 1)


def test_a_comparison_that_has_not_ended_is_no_proof() -> None:
    proof = conclude(PROGRESS, NOW)
    assert (proof.verdict, proof.end, proof.covers_everything) == (ProofVerdict.INCOMPLETE, ProofEnd.STALLED, False)


def test_a_window_ends_where_the_shorter_listing_ends() -> None:
    source = BlockList(((0, 10),), 10, ended=False, size_gib=1, requests=1)
    copy = BlockList(((0, 30),), 30, ended=False, size_gib=1, requests=1)
    window = window_of(STRUCTURE, source, copy)
    assert (window.until, window.ended, window.copy_only) == (10, False, ())


def test_a_listing_that_ended_is_compared_with_all_of_the_other() -> None:
    source = BlockList(((0, 10),), 10, ended=True, size_gib=1, requests=1)
    copy = BlockList(((0, 30),), 30, ended=True, size_gib=1, requests=1)
    window = window_of(STRUCTURE, source, copy)
    assert (window.until, window.ended, window.copy_only) == (30, True, ((10, 30),))


def test_a_window_ends_before_it_needs_more_reads_than_it_may() -> None:
    source = BlockList(((0, 10), (20, 40)), 40, ended=True, size_gib=1, requests=1)
    window = window_of(FULL, source, source, most_reads=15)
    assert (window.until, window.ended, window.chosen) == (25, False, ((0, 10), (20, 25)))


def test_a_sampled_block_that_was_read_on_neither_side_is_not_equal() -> None:
    sampled = replace(PROGRESS, method=Method(MethodKind.SAMPLE, sample=2), listed=True, sample=(3, 7))
    one = [BlockDigest(3, ZEROS, ZEROS)]
    with pytest.raises(ValueError, match="not read"):
        after_sample(sampled, [(3, 4), (7, 8)], one, one)


@pytest.mark.parametrize(
    ("earlier", "later", "weaker"),
    [("full", "sample:300", True), ("sample:3000", "sample:300", True), ("sample:300", "sample:3000", False)],
)
def test_of_two_proofs_the_stronger_one_stays_on_the_copy(earlier: str, later: str, weaker: bool) -> None:
    sample = int(later.partition(":")[2])
    proof = Proof(ProofVerdict.PROVED, NOW, replace(PROGRESS, method=Method(MethodKind.SAMPLE, sample=sample)))
    assert is_weaker(proof, f"PROVED {earlier} 2026-01-01T00:00:00.000Z") is weaker
    assert not is_weaker(proof, f"DIFFERS {earlier} 2026-01-01T00:00:00.000Z")
