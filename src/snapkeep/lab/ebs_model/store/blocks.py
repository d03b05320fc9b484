"""The content of volumes in blocks of 512 KiB, stored sparsely.

A volume keeps a log of its writes, each an extent of blocks; a snapshot is a position in that log. The content of a block
derives from (log, block, position of its last write), so that memory grows with writes, not with bytes. A copy is a position in
the same log, in another region: equal byte for byte by construction, unless faults are planted in it. Planted faults are writes
in a log of its own, on the base of the common one.

The oldest snapshot of a chain that holds a version of a block pays for it. Deleting a snapshot frees only what
the next one does not share [EBS user guide: how snapshots work].
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Protocol

BLOCK_SIZE = 524_288
BLOCKS_PER_GIB = 2048

Extent = tuple[int, int]
"""The first block, and the block after the last one."""


ZEROS, ERASED = "zeros", "erased"
"""The marks of a write: zeros were written; the blocks are as if never written. A number is the content of another block."""


def merged(extents: Iterable[Extent]) -> list[Extent]:
    """Return extents sorted and without overlap."""
    result: list[Extent] = []
    for first, end in sorted(extents):
        if result and first <= result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((first, end))
    return result


def size(extents: Iterable[Extent]) -> int:
    """Return the number of blocks in extents without overlap."""
    return sum(end - first for first, end in extents)


def without(extents: Iterable[Extent], removed: Extent) -> list[Extent]:
    """Return extents without the blocks of one of them."""
    first, end = removed
    parts: list[Extent] = []
    for begin, until in extents:
        if begin < min(until, first):
            parts.append((begin, min(until, first)))
        if max(begin, end) < until:
            parts.append((max(begin, end), until))
    return parts


class WriteLog:
    """The writes of one volume, in order. ``generation`` counts them, ``marks`` has the special ones."""

    __slots__ = ("_covered", "_covered_blocks", "base", "base_generation", "data_key_id", "entries", "marks", "origin")

    def __init__(self, origin: str, data_key_id: str, base: WriteLog | None = None, base_generation: int = 0) -> None:
        self.origin = origin
        self.data_key_id = data_key_id
        self.base = base
        self.base_generation = base_generation
        self.entries: list[Extent] = []
        self.marks: dict[int, str | int] = {}
        self._covered: list[Extent] = base.extents(-1, base_generation) if base else []
        self._covered_blocks = [size(self._covered)]
        """The number of blocks ever written up to each position: a deletion needs it regardless of the length of the log."""

    @property
    def generation(self) -> int:
        """Return the position after the last write."""
        return len(self.entries)

    @property
    def covered_blocks(self) -> int:
        """Return the number of blocks ever written, including the base."""
        return self._covered_blocks[-1]

    def write(self, first_block: int, count: int, mark: str | int | None = None) -> None:
        """Write new content to an extent, or the content of the mark."""
        end = first_block + count
        self.entries.append((first_block, end))
        if mark is not None:
            self.marks[self.generation] = mark
        if mark == ERASED:
            self._covered = without(self._covered, (first_block, end))
            self._covered_blocks.append(size(self._covered))
            return
        covered, blocks = self._covered, self._covered_blocks[-1]
        low = bisect_left(covered, (first_block,))
        if low and covered[low - 1][1] >= first_block:
            low -= 1
        high = low
        while high < len(covered) and covered[high][0] <= end:
            blocks -= covered[high][1] - covered[high][0]
            first_block = min(first_block, covered[high][0])
            end = max(end, covered[high][1])
            high += 1
        covered[low:high] = [(first_block, end)]
        self._covered_blocks.append(blocks + end - first_block)

    def extents(self, after: int, until: int) -> list[Extent]:
        """Return the blocks written between two positions, merged; after -1, including those of the base."""
        parts = self.entries[max(after, 0) : until]
        if after < 0 and self.base is not None:
            parts = [*self.base.extents(-1, self.base_generation), *parts]
        if after < 0 and ERASED in self.marks.values():
            return self._unerased(until)
        return merged(parts)

    def _unerased(self, until: int) -> list[Extent]:
        extents = self.base.extents(-1, self.base_generation) if self.base else []
        for position, entry in enumerate(self.entries[:until], 1):
            erased = self.marks.get(position) == ERASED
            extents = without(extents, entry) if erased else merged([*extents, entry])
        return extents

    def zeros(self, until: int) -> list[Extent]:
        """Return the written blocks that hold zeros at a position."""
        extents = self.base.zeros(self.base_generation) if self.base else []
        if not self.marks and not extents:
            return []
        for position, entry in enumerate(self.entries[:until], 1):
            extents = without(extents, entry)
            if self.marks.get(position) == ZEROS:
                extents = merged([*extents, entry])
        return extents

    def changed_blocks(self, after: int, until: int) -> int:
        """Return the number of blocks that differ between two positions; after -1, from an empty volume."""
        if after < 0 or (after == 0 and self.base is None):
            return self._covered_blocks[until]
        if after == until:
            return 0
        if until - after == 1:
            first, end = self.entries[after]
            return end - first
        return size(self.extents(after, until))

    def version(self, block: int, generation: int) -> tuple[WriteLog, int]:
        """Return the log and the position of a block's last write before a position; position 0 if it was never written."""
        for index in range(generation - 1, -1, -1):
            first, end = self.entries[index]
            if first <= block < end:
                return self, 0 if self.marks.get(index + 1) == ERASED else index + 1
        if self.base is not None:
            return self.base.version(block, self.base_generation)
        return self, 0

    def read(self, block: int, generation: int) -> bytes:
        """Return the 524,288 bytes of a block at a position; zeros if it was never written."""
        log, position = self.version(block, generation)
        mark = log.marks.get(position)
        if position == 0 or mark == ZEROS:
            return bytes(BLOCK_SIZE)
        if isinstance(mark, int) and log.base is not None:
            return log.base.read(mark, log.base_generation)
        digest = hashlib.sha256(f"{log.origin}/{block}/{position}".encode()).digest()
        return digest * (BLOCK_SIZE // len(digest))


_by_generation = attrgetter("generation", "seq")


class ChainMember(Protocol):
    """The facts of a snapshot that its chain uses."""

    @property
    def generation(self) -> int:
        """Its position in the log."""

    @property
    def seq(self) -> int:
        """Its order number."""


class Chain:
    """Snapshots of one log in one region that share blocks, ordered by their position in the log."""

    __slots__ = ("data_key_id", "log", "members", "stored_blocks")

    def __init__(self, log: WriteLog, data_key_id: str) -> None:
        self.log = log
        self.data_key_id = data_key_id
        self.members: list[ChainMember] = []
        self.stored_blocks = 0

    def add(self, snapshot: ChainMember) -> int:
        """Add a snapshot, and return the number of blocks that it adds."""
        index = bisect_right(self.members, (snapshot.generation, snapshot.seq), key=_by_generation)
        before = self._generation_before(index)
        following = self._changed_until(index, before)
        self.members.insert(index, snapshot)
        new = self._changed_until(index, before) + self._changed_until(index + 1, snapshot.generation) - following
        self.stored_blocks += new
        return new

    def remove(self, snapshot: ChainMember) -> int:
        """Remove a member, and return the number of freed blocks."""
        freed = self.freed_by_removing(snapshot)
        self.members.pop(self._index(snapshot))
        self.stored_blocks -= freed
        return freed

    def freed_by_removing(self, snapshot: ChainMember) -> int:
        """Return the number of blocks that only this member needs."""
        index = self._index(snapshot)
        before = self._generation_before(index)
        own_blocks = self._changed_until(index, before)
        if index + 1 == len(self.members):
            return own_blocks
        return own_blocks + self._changed_until(index + 1, snapshot.generation) - self._changed_until(index + 1, before)

    def _index(self, snapshot: ChainMember) -> int:
        return bisect_left(self.members, (snapshot.generation, snapshot.seq), key=_by_generation)

    def _generation_before(self, index: int) -> int:
        return self.members[index - 1].generation if index else -1

    def _changed_until(self, index: int, after: int) -> int:
        """Return the blocks of the member at an index (0 past the end) that were written after a position."""
        if index >= len(self.members):
            return 0
        return self.log.changed_blocks(after, self.members[index].generation)
