"""Samples find what they promise; a volume of 64 TiB fits into portions and little memory."""

from __future__ import annotations

import json
import math
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from snapkeep.cli.views.verify import lines_of_proof
from snapkeep.domain.json_codec import from_json, to_object, to_text
from snapkeep.domain.recovery.blocks import ZEROS, BlockDigest, Sample
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method, MethodKind, estimate, parse_part, share_found
from snapkeep.domain.recovery.proof import Pair, Proof, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.lab.simulator.memory_proofs import MemoryProofs, OneAfterAnother
from snapkeep.usecases.recovery.ports import BlockPage
from snapkeep.usecases.recovery.read_blocks import ReadBlocks
from snapkeep.usecases.recovery.verify import VerifyCopy
from support.proving import Ticking

TIB_64 = 65_536
MOST_STATE_BYTES = 256 * 1024


@pytest.mark.slow
def test_300_sampled_blocks_find_one_percent_wrong_with_95_percent() -> None:
    blocks, share, seeds = 2000, 0.01, 1000
    wrong = {index * 97 % blocks for index in range(int(blocks * share))}
    found = 0
    for seed in range(seeds):
        sample = Sample(f"pair {seed}", 300)
        sample.offer([(0, blocks)])
        found += bool(wrong & set(sample.indexes))
    assert found >= 0.95 * seeds


def test_a_sample_is_independent_of_the_portions() -> None:
    whole = Sample("pair", 50)
    whole.offer([(0, 3000), (5000, 6000)])
    indexes: tuple[int, ...] = ()
    for extents in ([(5000, 6000)], [(0, 1)], [(1, 2999)], [(2999, 3000)]):
        portion = Sample("pair", 50, indexes)
        portion.offer(extents)
        indexes = portion.indexes
    assert indexes == whole.indexes
    assert len(indexes) == 50


def test_a_sample_is_uniform() -> None:
    hits = [0] * 10
    for seed in range(400):
        sample = Sample(f"{seed}", 10)
        sample.offer([(0, 100), (900, 1000)])
        for index in sample.indexes:
            hits[index // 10 % 10] += 1
    assert all(320 < hit < 480 for hit in hits)


def test_a_sample_larger_than_the_volume_has_all_its_blocks() -> None:
    sample = Sample("pair", 300)
    sample.offer([(3, 7)])
    assert sample.indexes == (3, 4, 5, 6)


def test_the_share_that_a_sample_finds() -> None:
    assert share_found(300) == pytest.approx(0.00994, rel=0.01)
    assert share_found(3000) == pytest.approx(0.001, rel=0.01)


class Written:
    """`BlockApi` of one snapshot whose blocks are computed: a page takes no more memory than it has indexes."""

    region = "us-east-2"

    def __init__(self, blocks: int, every: int = 1, lazily: bool = True) -> None:
        self.blocks, self.every, self.lazily = blocks, every, lazily
        self.requests = 0

    def page(self, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage:
        self.requests += 1
        start = -(-first // self.every) * self.every
        indexes = range(start, min(self.blocks, start + most * self.every), self.every)
        more = "more" if indexes and indexes[-1] + self.every < self.blocks else ""
        size = -(-self.blocks // 2048)
        if self.lazily:
            return BlockPage(indexes, [], size, more)
        return BlockPage(list(indexes), [f"token of block {index}" for index in indexes], size, more)

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        raise NotImplementedError

    def read(self, snapshot_id: str, index: int, token: str) -> BlockDigest:
        return BlockDigest(index, ZEROS, ZEROS)


PAIR = Pair("vol-1", "us-east-1", "snap-1", "us-east-2", "snap-2")


def verify(api: Written, method: Method, portion: timedelta) -> tuple[Proof, int, int]:
    """Return the proof, the most bytes that were held at once, and the most bytes of a progress as JSON."""
    clock = Ticking()
    blocks = ReadBlocks(api=api, workers=OneAfterAnother(), clock=clock)
    use_case = VerifyCopy(
        reader=None,  # type: ignore[arg-type]
        reader_of=None,  # type: ignore[arg-type]
        blocks_of=lambda region: blocks,
        proofs=MemoryProofs(),
        clock=clock,
        sides=OneAfterAnother(),
        portion=portion,
    )
    result: ProofProgress | Proof = ProofProgress(PAIR, method, clock.now(), -(-api.blocks // 2048), -(-api.blocks // 2048))
    largest = 0
    tracemalloc.start()
    try:
        while isinstance(result, ProofProgress):
            text = to_text(result)
            largest = max(largest, len(text))
            result = use_case.run(from_json(ProofProgress, json.loads(text)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return result, peak, largest


@pytest.mark.parametrize(("sample", "found"), [(50, "every difference"), (20, "every difference"), (19, "% of wrong blocks")])
def test_a_sample_of_all_blocks_finds_every_difference(sample: int, found: str) -> None:
    """A sample of 50 blocks, of 20 that there are, was said to find 5.8 % of wrong blocks."""
    proof, _, _ = verify(Written(20, lazily=False), Method(MethodKind.SAMPLE, sample=sample), timedelta(minutes=1))
    assert found in "\n".join(lines_of_proof(proof))


@pytest.mark.slow
def test_64_tib_are_verified_by_structure_in_portions_with_little_memory() -> None:
    api = Written(TIB_64 * 2048)
    proof, peak, state = verify(api, STRUCTURE, timedelta(minutes=2))
    assert proof.verdict is ProofVerdict.PROVED
    assert proof.progress.source_blocks == proof.progress.copy_blocks == TIB_64 * 2048
    assert proof.progress.portions > 3
    assert proof.progress.list_requests == 2 * math.ceil(TIB_64 * 2048 / 10_000)
    assert peak < 256 * 1024**2
    assert state < MOST_STATE_BYTES


def test_a_portion_of_real_pages_needs_little_memory() -> None:
    api = Written(80_000, every=2, lazily=False)
    proof, peak, _ = verify(api, STRUCTURE, timedelta(minutes=1))
    assert proof.proved
    assert proof.progress.source_blocks == 40_000
    assert peak < 256 * 1024**2


def test_the_largest_sample_and_a_hundred_differences_travel_through_the_state_machine() -> None:
    api = Written(12_000, lazily=False)
    proof, _, state = verify(api, Method(MethodKind.SAMPLE, sample=10_000), timedelta(minutes=1))
    assert proof.proved
    assert state < MOST_STATE_BYTES / 2
    assert len(to_text(proof)) < MOST_STATE_BYTES / 2


def test_the_estimate_is_the_documented_price() -> None:
    structure, sample, full = (estimate(method, 100) for method in (STRUCTURE, Method(MethodKind.SAMPLE, sample=300), FULL))
    assert (structure.list_requests, structure.reads) == (42, 0)
    assert structure.dollars == pytest.approx(0.0000252)
    assert sample.reads == 600
    assert sample.dollars == pytest.approx(0.0018, rel=0.05)
    assert full.reads == 409_600
    assert full.dollars == pytest.approx(1.23, rel=0.01)
    assert full.seconds / 60 == pytest.approx(3.4, rel=0.02)


def test_no_proof_takes_more_than_its_estimate() -> None:
    for method in (STRUCTURE, Method(MethodKind.SAMPLE, sample=300), Method(MethodKind.SUBSET, part=2, parts=30)):
        api = Written(10 * 2048, lazily=False)
        proof, _, _ = verify(api, method, timedelta(minutes=9))
        expected = estimate(method, 10)
        assert proof.progress.reads == expected.reads
        assert proof.progress.list_requests <= expected.list_requests


def test_without_counted_changes_the_estimate_is_that_of_all_blocks() -> None:
    changed = Method(MethodKind.CHANGED, sample=300)
    assert estimate(changed, 100).blocks == estimate(FULL, 100).blocks
    assert estimate(changed, 100, changed_blocks=50).blocks == 350


@pytest.mark.parametrize("text", ["", "0/30", "31/30", "1/0", "1/1001", "a/b", "1/30/2", "-1/3"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1/30"):
        parse_part(text)


def test_a_progress_and_a_proof_survive_json() -> None:
    api = Written(1000, lazily=False)
    proof, _, _ = verify(api, Method(MethodKind.SAMPLE, sample=5), timedelta(minutes=9))
    assert from_json(Proof, json.loads(to_text(proof))) == proof
    data = to_object(proof)
    assert (data["verdict"], data["pair"]["copy_id"], data["method"]["kind"]) == ("PROVED", "snap-2", "sample")


def test_a_progress_and_a_proof_of_0_2_0_can_be_read() -> None:
    """Executions that are in flight during an upgrade, and the proofs in buckets, have this JSON: a new field is OPTIONAL."""
    stored = json.loads((Path(__file__).parent / "progress_of_0_2_0.json").read_text(encoding="utf-8"))
    progress = from_json(ProofProgress, stored)
    assert (progress.sampled, progress.differing, progress.differences[0].index) == (1, 1, 7)
    proof = {key: value for key, value in stored.items() if key != "idle"}
    concluded = {"verdict": "DIFFERS", "ended_at": "2026-11-30T02:08:00.000Z", "end": None, "region": "", "idle_portions": 0}
    assert from_json(Proof, proof | concluded).progress == progress
