"""The content of a snapshot, and planted faults, which a proof has to detect.

A copy with planted faults keeps its place in its lineage (`log`, `generation`); only its read content differs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from snapkeep.lab.ebs_model.store.blocks import BLOCKS_PER_GIB, ERASED, Extent, WriteLog
from snapkeep.lab.ebs_model.store.records import SnapshotRecord


class Content(NamedTuple):
    """A position in a write log."""

    log: WriteLog
    generation: int

    def extents(self) -> list[Extent]:
        """Return the blocks that are listed."""
        return self.log.extents(-1, self.generation)

    def holds(self, block: int) -> bool:
        """Return whether a block is listed."""
        return self.log.version(block, self.generation)[1] > 0

    def read(self, block: int) -> bytes:
        """Return the bytes of a block; zeros when it is not listed."""
        return self.log.read(block, self.generation)


def content_of(snapshot: SnapshotRecord) -> Content:
    """Return the content that is read from a snapshot."""
    if snapshot.altered is not None:
        return Content(snapshot.altered, snapshot.altered.generation)
    return Content(snapshot.log, snapshot.generation)


def planted_extents(snapshot: SnapshotRecord) -> list[Extent]:
    """Return the blocks in which faults were planted."""
    extents: list[Extent] = []
    log = snapshot.altered
    while log is not None and log is not snapshot.log:
        extents.extend(log.entries)
        log = log.base
    return extents


@dataclass(frozen=True, slots=True)
class ContentFaults:
    """The differences of a copy from its source: block indexes, pairs of swapped blocks, the size, and omitted zero blocks.

    ``wrong`` blocks have other bytes, ``missing`` ones are not listed, ``extra`` ones are listed but were never written.
    """

    wrong: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    extra: tuple[int, ...] = ()
    swapped: tuple[tuple[int, int], ...] = ()
    size_gib: int = 0
    zeros_left_out: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(tuple(v) if isinstance(v, list) else v for v in value))
        blocks = [*self.wrong, *self.missing, *self.extra, *(block for pair in self.swapped for block in pair)]
        if not all(isinstance(block, int) and block >= 0 for block in blocks):
            raise ValueError(f"blocks are whole numbers from 0 on, not {blocks}")
        if any(len(pair) != 2 for pair in self.swapped):  # noqa: PLR2004 - a pair
            raise ValueError(f"swapped holds pairs of blocks, not {self.swapped}")
        if not isinstance(self.size_gib, int) or self.size_gib < 0:
            raise ValueError(f"size_gib is {self.size_gib}: a whole number of GiB")


def _check(snapshot: SnapshotRecord, content: Content, faults: ContentFaults) -> None:
    for block in (*faults.wrong, *faults.missing, *(block for pair in faults.swapped for block in pair)):
        if not content.holds(block):
            raise ValueError(f"block {block} is not listed in {snapshot.id}")
    for block in faults.extra:
        if content.holds(block) or block >= snapshot.size_gib * BLOCKS_PER_GIB:
            raise ValueError(f"block {block} is listed in {snapshot.id} already, or beyond its size")


def plant(snapshot: SnapshotRecord, faults: ContentFaults) -> None:
    """Plant faults in the content of a snapshot.

    Raise ValueError if a wrong, missing or swapped block is not listed, or if an extra one is.
    """
    content = content_of(snapshot)
    _check(snapshot, content, faults)
    origin = f"{content.log.origin}/{snapshot.id}"
    altered = WriteLog(origin, content.log.data_key_id, content.log, content.generation)
    if faults.zeros_left_out:
        for first, end in content.log.zeros(content.generation):
            altered.write(first, end - first, ERASED)
    for block in (*faults.wrong, *faults.extra):
        altered.write(block, 1)
    for block in faults.missing:
        altered.write(block, 1, ERASED)
    for block, other in faults.swapped:
        altered.write(block, 1, other)
        altered.write(other, 1, block)
    if altered.entries:
        snapshot.altered = altered
        snapshot.full_blocks = altered.covered_blocks
    snapshot.size_gib = faults.size_gib or snapshot.size_gib
