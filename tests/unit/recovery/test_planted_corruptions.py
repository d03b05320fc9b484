"""Corruptions planted in copies: each is found by every method that promises it, and by no other by chance."""

from __future__ import annotations

import random
from typing import Any

import pytest

from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method, MethodKind
from snapkeep.domain.recovery.proof import Difference, DifferenceKind
from snapkeep.domain.recovery.verdict import ProofVerdict
from support.proving import ProvingWorld

WRITTEN = 12
CHANGED = (5, 6, 7, 11)
"""Blocks that the second snapshot has anew."""
LAST = 2047


def corruptions() -> list[tuple[str, bool, dict[str, Any]]]:
    dice = random.Random(8)
    cases: list[tuple[str, bool, dict[str, Any]]] = []
    for incremental in (False, True):
        for block in (0, WRITTEN - 1, 5, *dice.sample(range(1, WRITTEN - 1), 3)):
            cases += [("wrong", incremental, {"wrong": (block,)}), ("missing", incremental, {"missing": (block,)})]
        cases += [("extra", incremental, {"extra": (block,)}) for block in (WRITTEN, LAST, *dice.sample(range(WRITTEN, LAST), 3))]
        for _ in range(5):
            cases.append(("swapped", incremental, {"swapped": (tuple(dice.sample(range(WRITTEN), 2)),)}))
        cases.append(("swapped", incremental, {"swapped": ((0, WRITTEN - 1),)}))
        cases.append(("size", incremental, {"size_gib": 2}))
        cases.append(("many", incremental, {"wrong": (3,), "missing": (9,), "extra": (99,), "swapped": ((1, 2),)}))
    return cases


CORRUPTIONS = corruptions()


def planted(incremental: bool, faults: dict[str, Any]) -> tuple[ProvingWorld, Snapshot]:
    world = ProvingWorld(written=WRITTEN)
    copy = world.new_copy()
    if incremental:
        assert world.verify(copy, FULL).proved
        for block in CHANGED:
            world.write(block, 1)
        copy = world.new_copy()
    world.plant(copy, **faults)
    return world, copy


def blocks_of(faults: dict[str, Any]) -> set[int]:
    swapped = {block for pair in faults.get("swapped", ()) for block in pair}
    return {*faults.get("wrong", ()), *faults.get("missing", ()), *faults.get("extra", ()), *swapped}


def promised(method: Method, kind: str, faults: dict[str, Any]) -> bool:
    """Whether a method promises to find it."""
    if kind in ("missing", "extra", "size", "many") or method.kind in (MethodKind.FULL, MethodKind.CHANGED):
        return True
    return method.kind is MethodKind.SUBSET and any(block % method.parts == method.part - 1 for block in blocks_of(faults))


def test_there_are_at_least_fifty_corruptions() -> None:
    assert len(CORRUPTIONS) >= 50


@pytest.mark.parametrize(("kind", "incremental", "faults"), CORRUPTIONS)
def test_a_corruption_is_found_by_the_methods_that_promise_it(kind: str, incremental: bool, faults: dict[str, Any]) -> None:
    world, copy = planted(incremental, faults)
    parts = [Method(MethodKind.SUBSET, part=part, parts=3) for part in (1, 2, 3)]
    methods = [*([Method(MethodKind.CHANGED)] if incremental else []), STRUCTURE, FULL, *parts]
    for method in methods:
        proof = world.verify(copy, method)
        expected = ProofVerdict.DIFFERS if promised(method, kind, faults) else ProofVerdict.PROVED
        assert proof.verdict is expected, method
        if method is FULL:
            assert {difference.index for difference in proof.progress.differences} == blocks_of(faults)


def test_a_difference_names_its_place_and_both_checksums() -> None:
    world, copy = planted(False, {"wrong": (3,), "missing": (9,), "extra": (99,)})
    wrong, missing, extra = world.verify(copy, FULL).progress.differences
    assert [(d.index, d.kind) for d in (wrong, missing, extra)] == [
        (3, DifferenceKind.CONTENT),
        (9, DifferenceKind.MISSING),
        (99, DifferenceKind.EXTRA),
    ]
    assert wrong.source_checksum
    assert wrong.copy_checksum
    assert wrong.source_checksum != wrong.copy_checksum
    assert (missing.copy_checksum, extra.source_checksum) == ("", "")
    assert wrong.offset_bytes == 3 * 524_288


def test_the_first_hundred_differences_are_listed_and_then_nothing_more_is_read() -> None:
    world = ProvingWorld(written=300)
    copy = world.new_copy()
    world.plant(copy, wrong=tuple(range(300)))
    proof = world.verify(copy, FULL, reads_at_first=80)
    assert [difference.index for difference in proof.progress.differences] == list(range(100))
    assert proof.verdict is ProofVerdict.DIFFERS
    assert (proof.progress.differing, proof.progress.reads) == (240, 480)


def test_a_copy_without_its_blocks_of_zeros_is_equal() -> None:
    world = ProvingWorld()
    world.write(4, 3, zeros=True)
    world.write(40, 2, zeros=True)
    copy = world.new_copy()
    whole = world.verify(copy, FULL)
    world.plant(copy, zeros_left_out=True)
    proof = world.verify(copy, FULL)
    assert proof.proved
    assert (proof.progress.source_blocks, proof.progress.copy_blocks, proof.progress.one_sided) == (26, 21, 5)
    assert proof.progress.root == whole.progress.root
    assert world.verify(copy, STRUCTURE).proved


def test_one_content_has_one_root_and_another_content_another() -> None:
    world = ProvingWorld()
    first = world.verify(world.new_copy(), FULL).progress.root
    again = world.verify(world.new_copy(), FULL).progress.root
    world.write(0, 1)
    other = world.verify(world.new_copy(), FULL).progress.root
    assert first == again != other
    assert len(first) == 64


def test_the_parts_of_a_subset_are_every_block_once() -> None:
    world = ProvingWorld(written=100)
    copy = world.new_copy()
    proofs = [world.verify(copy, Method(MethodKind.SUBSET, part=part, parts=7)) for part in range(1, 8)]
    assert sum(proof.progress.compared for proof in proofs) == 100


def test_changes_are_compared_since_a_full_proof_and_carry_it_on() -> None:
    world = ProvingWorld(written=300)
    assert world.verify(world.new_copy(), FULL).proved
    for block in (7, 8, 250):
        world.write(block, 1)
        proof = world.verify(world.new_copy(), Method(MethodKind.CHANGED, sample=5))
        assert proof.covers_everything
        assert proof.progress.compared == 1 + 5
    base = world.proofs.kept[-2].progress.pair
    assert proof.progress.base == base


@pytest.mark.parametrize("delete", [False, True])
def test_changes_without_a_pair_that_is_proved_in_full_prove_nothing(delete: bool) -> None:
    world = ProvingWorld()
    earlier = world.new_copy()
    world.verify(earlier, FULL if delete else STRUCTURE)
    copy = world.new_copy()
    if delete:
        world.dr.delete_snapshot(SnapshotId=earlier.id)
    proof = world.verify(copy, Method(MethodKind.CHANGED))
    assert (proof.verdict, proof.end) == (ProofVerdict.INCOMPLETE, "no_base")


def test_after_a_difference_no_earlier_proof_is_a_base_of_changes() -> None:
    world = ProvingWorld()
    proved = world.new_copy()
    assert world.verify(proved, FULL).proved
    world.plant(proved, wrong=(3,))
    assert world.verify(proved, Method(MethodKind.SAMPLE, sample=300)).verdict is ProofVerdict.DIFFERS
    proof = world.verify(world.new_copy(), Method(MethodKind.CHANGED))
    assert (proof.verdict, proof.end) == (ProofVerdict.INCOMPLETE, "no_base")
    assert world.verify(world.new_copy(), FULL).proved
    assert world.verify(world.new_copy(), Method(MethodKind.CHANGED)).covers_everything


def test_a_block_whose_bytes_have_another_checksum_is_a_difference() -> None:
    world = ProvingWorld(written=3)
    copy = world.new_copy()

    class Damaged:
        """The copy's side, whose second block arrives damaged, every time."""

        def __init__(self) -> None:
            self.inner = world.world.client("ebs", "us-east-2")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def get_snapshot_block(self, **request: Any) -> Any:
            answer = self.inner.get_snapshot_block(**request)
            if request["BlockIndex"] == 1:
                data = bytearray(answer["BlockData"].read())
                data[77] ^= 1
                answer["BlockData"] = type(answer["BlockData"])(bytes(data))
            return answer

    damaged = Damaged()
    client = world.world.client
    world.world.client = lambda service, region, **more: (
        damaged if (service, region) == ("ebs", "us-east-2") else client(service, region, **more)
    )  # type: ignore[method-assign,assignment]
    (difference,) = world.verify(copy, FULL).progress.differences
    assert isinstance(difference, Difference)
    assert (difference.index, difference.kind) == (1, DifferenceKind.UNSOUND)
    assert world.proofs.kept[-1].progress.reads == 3 + 2 + 3
