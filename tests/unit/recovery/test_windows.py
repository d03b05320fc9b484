"""Windows of two listings, and what a comparison that has not ended proves."""

from __future__ import annotations

from datetime import UTC, datetime

from snapkeep.domain.recovery.blocks import BlockList
from snapkeep.domain.recovery.methods import FULL, STRUCTURE
from snapkeep.domain.recovery.proof import Pair, ProofEnd, ProofProgress, conclude, window_of
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
