"""Comparisons of any two contents say what a comparison of both whole contents says."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.recovery import blocks
from snapkeep.domain.recovery.blocks import ZEROS, BlockDigest, BlockList, extents_of
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method
from snapkeep.domain.recovery.proof import Pair, ProofProgress, after_window, conclude, is_weaker, window_of
from snapkeep.domain.recovery.verdict import ProofVerdict

SIZE = 40
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIR = Pair("vol-1", "us-east-1", "snap-1", "us-east-2", "snap-2")
CHECKSUMS = st.sampled_from([ZEROS, "QQ==", "Qg=="])
CONTENTS = st.dictionaries(st.integers(0, SIZE - 1), CHECKSUMS, max_size=SIZE)
EXTENTS = st.sets(st.integers(0, SIZE)).map(lambda indexes: extents_of(sorted(indexes)))


def indexes(extents: object) -> set[int]:
    return set(blocks.indexes_of(extents))  # type: ignore[arg-type]


@given(EXTENTS, EXTENTS, st.integers(0, SIZE + 1))
def test_extents_are_sets_of_blocks(some: list[blocks.Extent], others: list[blocks.Extent], until: int) -> None:
    assert indexes(blocks.union(some, others)) == indexes(some) | indexes(others)
    assert indexes(blocks.difference(some, others)) == indexes(some) - indexes(others)
    assert indexes(blocks.intersection(some, others)) == indexes(some) & indexes(others)
    assert indexes(blocks.before(some, until)) == {index for index in indexes(some) if index < until}
    assert blocks.count(some) == len(indexes(some))
    assert blocks.union(some, some) == some


@given(EXTENTS, st.integers(1, 7))
def test_the_parts_of_extents_are_each_block_once(extents: list[blocks.Extent], parts: int) -> None:
    found = [index for part in range(1, parts + 1) for index in blocks.indexes_of(blocks.part_of(extents, part, parts))]
    assert sorted(found) == sorted(indexes(extents))


def listing(content: dict[int, str], first: int, length: int) -> BlockList:
    listed = sorted(index for index in content if index >= first)
    until = listed[length - 1] + 1 if len(listed) > length else SIZE
    shown = [index for index in listed if index < until]
    return BlockList(tuple(extents_of(shown)), until, len(listed) <= length, 1, 1)


def compare(method: Method, source: dict[int, str], copy: dict[int, str], lengths: list[int], most: int) -> ProofProgress:
    """Compare two contents by listings of any lengths and windows of any size."""
    progress = ProofProgress(PAIR, method, NOW, 1, 1)
    steps = 0
    while not progress.complete:
        one, two = (lengths[(steps + side) % len(lengths)] for side in (0, 1))
        window = window_of(
            method, listing(source, progress.next_index, one), listing(copy, progress.next_index, two), most_reads=most
        )
        assert window.until > progress.next_index or window.ended
        digests = [
            [BlockDigest(index, content[index], content[index]) for index in blocks.indexes_of(extents)]
            for content, extents in ((source, window.of_source), (copy, window.of_copy))
        ]
        assert len(digests[0]) <= max(most, 1)
        assert len(digests[1]) <= max(most, 1)
        progress = after_window(progress, window, *digests)
        steps += 1
        assert steps <= 3 * SIZE + 3
    return progress


@given(CONTENTS, CONTENTS, st.lists(st.integers(1, SIZE), min_size=1, max_size=3), st.integers(1, SIZE))
def test_a_comparison_says_what_both_whole_contents_say(
    source: dict[int, str], copy: dict[int, str], lengths: list[int], most: int
) -> None:
    different = {index for index in range(SIZE) if source.get(index, ZEROS) != copy.get(index, ZEROS)}
    one_sided = {index for index in different if (index in source) != (index in copy)}
    full = compare(FULL, source, copy, lengths, most)
    assert {difference.index for difference in full.differences} == different
    assert full.differing == len(different)
    structure = compare(STRUCTURE, source, copy, lengths, most)
    assert {difference.index for difference in structure.differences} == one_sided
    assert conclude(full, NOW).proved is not bool(different)


@given(CONTENTS, CONTENTS, st.lists(st.integers(1, SIZE), min_size=1, max_size=3), st.integers(1, SIZE))
def test_one_root_is_one_content(source: dict[int, str], copy: dict[int, str], lengths: list[int], most: int) -> None:
    same = all(source.get(index, ZEROS) == copy.get(index, ZEROS) for index in range(SIZE))
    roots = [compare(FULL, content, content, lengths, most).root for content in (source, copy)]
    assert (roots[0] == roots[1]) is same


@given(CONTENTS, st.integers(1, SIZE))
def test_a_comparison_that_stopped_is_no_proof(content: dict[int, str], most: int) -> None:
    progress = ProofProgress(PAIR, FULL, NOW, 1, 1)
    window = window_of(FULL, listing(content, 0, most), listing(content, 0, most), most_reads=most)
    digests = [BlockDigest(index, content[index], content[index]) for index in blocks.indexes_of(window.of_source)]
    after = after_window(progress, window, digests, digests)
    proof = conclude(after, NOW)
    assert proof.proved is window.ended
    assert proof.verdict in (ProofVerdict.PROVED, ProofVerdict.INCOMPLETE)
    assert not conclude(progress, NOW).proved


def test_an_earlier_and_stronger_proof_is_not_hidden() -> None:
    structure = conclude(compare(STRUCTURE, {}, {}, [1], 1), NOW)
    full = conclude(compare(FULL, {}, {}, [1], 1), NOW)
    assert is_weaker(structure, full.tag)
    assert not is_weaker(full, structure.tag)
    assert not is_weaker(structure, "")
    assert not is_weaker(structure, "DIFFERS full 2026-01-01T00:00:00.000Z")
