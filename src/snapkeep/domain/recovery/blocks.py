"""Blocks of snapshots: their listings, samples of them, and the root of their content.

The EBS direct APIs read snapshots in blocks of 512 KiB and list only blocks that were written, by ascending index (EBS user
guide: EBS direct APIs). Listings are stored as extents, so that a volume of 64 TiB needs little memory.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.records import dataclass

BLOCK_BYTES = 524_288
BLOCKS_PER_GIB = 2048
PAGE_BLOCKS = 10_000
"""The most blocks in a page of a listing (botocore: ebs, MaxResults)."""
SMALLEST_PAGE_BLOCKS = 100
ZEROS = "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE="
"""The checksum of a block of zeros. A block that is not listed holds zeros."""

Extent = tuple[int, int]
"""The first block, and the block after the last one. Extents are ascending and do not touch each other."""


@dataclass(frozen=True, slots=True)
class BlockDigest:
    """The known digests of one block's content: SHA-256 in base64, as the service states it and as the bytes give it."""

    index: int
    stated: str
    computed: str

    @property
    def sound(self) -> bool:
        """Whether the bytes have the service's checksum."""
        return self.stated == self.computed


@dataclass(frozen=True, slots=True)
class BlockList:
    """A part of a snapshot's listing: every block from a first index until `until` is in `extents`."""

    extents: tuple[Extent, ...]
    until: int
    ended: bool
    """Whether no block follows at `until` or after it."""
    size_gib: int
    """The volume's size, as the listing states it."""
    requests: int
    related: bool = field(default=True, metadata=OPTIONAL)
    """False in a listing of changes if AWS does not compare the two snapshots."""


@dataclass(frozen=True, slots=True)
class BlockDigests:
    """The digests of the requested blocks that are listed, by ascending index, and the requests for them."""

    digests: tuple[BlockDigest, ...]
    list_requests: int
    reads: int


def extents_of(indexes: Sequence[int]) -> list[Extent]:
    """Return ascending indexes as extents. Raise ValueError when they are not ascending."""
    if not indexes:
        return []
    if indexes[-1] - indexes[0] + 1 == len(indexes):
        return [(indexes[0], indexes[-1] + 1)]
    extents: list[Extent] = []
    first = end = indexes[0]
    for index in indexes:
        if index != end:
            if index < end:
                raise ValueError(f"block {index} is listed after block {end - 1}")
            extents.append((first, end))
            first = index
        end = index + 1
    extents.append((first, end))
    return extents


def indexes_of(extents: Iterable[Extent]) -> Iterator[int]:
    """Return the indexes in extents."""
    for first, end in extents:
        yield from range(first, end)


def count(extents: Iterable[Extent]) -> int:
    """Return the number of blocks in extents."""
    return sum(end - first for first, end in extents)


def before(extents: Iterable[Extent], until: int) -> list[Extent]:
    """Return the part of extents before a block."""
    return [(first, min(end, until)) for first, end in extents if first < until]


def union(extents: Iterable[Extent], others: Iterable[Extent]) -> list[Extent]:
    """Return the blocks that are in either, or in both."""
    result: list[Extent] = []
    for first, end in heapq.merge(extents, others):
        if result and first <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((first, end))
    return result


def difference(extents: Iterable[Extent], removed: Iterable[Extent]) -> list[Extent]:
    """Return the blocks of the first that are not in the second."""
    result: list[Extent] = []
    holes = iter(removed)
    hole = next(holes, None)
    for first, end in extents:
        start = first
        while hole is not None and hole[1] <= start:
            hole = next(holes, None)
        while hole is not None and hole[0] < end:
            if hole[0] > start:
                result.append((start, hole[0]))
            start = hole[1]
            if start >= end:
                break
            hole = next(holes, None)
        if start < end:
            result.append((start, end))
    return result


def intersection(extents: Sequence[Extent], others: Sequence[Extent]) -> list[Extent]:
    """Return the blocks that are in both."""
    return difference(extents, difference(extents, others))


def part_of(extents: Iterable[Extent], part: int, parts: int) -> list[Extent]:
    """Return every `parts`-th block: parts 1 to `parts` together are all of them, each once."""
    return extents_of([index for first, end in extents for index in range(first + (part - 1 - first) % parts, end, parts)])


class Sample:
    """A sample of blocks, uniform over all that are offered: the blocks with the smallest hashes of seed and index.

    The choice does not depend on the order or the portions in which blocks are offered. Only the sample is in memory.
    """

    def __init__(self, seed: str, size: int, indexes: Iterable[int] = ()) -> None:
        self._seed = hashlib.sha256(seed.encode())
        self._size = size
        self._kept = [(-self._rank(index), index) for index in indexes]
        heapq.heapify(self._kept)

    def _rank(self, index: int) -> int:
        digest = self._seed.copy()
        digest.update(index.to_bytes(8, "big"))
        return int.from_bytes(digest.digest()[:8], "big")

    def offer(self, extents: Iterable[Extent]) -> None:
        """Offer blocks that were not offered before."""
        if not self._size:
            return
        kept = self._kept
        for index in indexes_of(extents):
            rank = self._rank(index)
            if len(kept) < self._size:
                heapq.heappush(kept, (-rank, index))
            elif rank < -kept[0][0]:
                heapq.heapreplace(kept, (-rank, index))

    @property
    def indexes(self) -> tuple[int, ...]:
        """The chosen indexes, ascending."""
        return tuple(sorted(index for _, index in self._kept))


def grown_root(root: str, digests: Iterable[BlockDigest]) -> str:
    """Return the root of a snapshot's content with further blocks, which follow by index; empty is the root of no block.

    Each block's index and checksum are hashed with the root of all blocks before it, so that a later portion can continue.
    Blocks of zeros are left out: the content of a snapshot is the same whether it lists them or not.
    """
    link = bytes.fromhex(root)
    for digest in digests:
        if digest.computed != ZEROS:
            checksum = base64.b64decode(digest.computed)
            link = hashlib.sha256(link + digest.index.to_bytes(8, "big") + checksum).digest()
    return link.hex()
