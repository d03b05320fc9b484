"""The proof that a copy equals its source: the state of a comparison, every step of it, and its verdict.

A proof names its pair, its method and its numbers; an incomplete proof proves nothing (INV-15).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from snapkeep.domain.json_codec import OPTIONAL, inline
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery import blocks
from snapkeep.domain.recovery.blocks import BLOCK_BYTES, ZEROS, BlockDigest, BlockList, Extent, Sample
from snapkeep.domain.recovery.methods import STRUCTURE, Method, MethodKind, dollars_of, strength_of
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.tags import format_time

MOST_DIFFERENCES = 100
"""The number of differences that ends a comparison: more of them would cost, and change nothing."""
LONGEST = timedelta(days=7)
IDLE_PORTIONS = 3
"""The number of consecutive portions without progress that ends a comparison."""


class ProofEnd(LabelledEnum):
    """The reason why a comparison has no result: a snapshot that cannot be read (with its region), or a limit."""

    KEY = "key", "its key cannot be used"
    NOT_STANDARD = "not_standard", "it is archived, or not completed"
    DELETED = "deleted", "it was deleted"
    DENIED = "denied", "reading it is not allowed"
    TIME = "time", "it took too long"
    STALLED = "stalled", "AWS gave no further blocks"
    BUDGET = "budget", "its budget is spent"
    NO_BASE = "no_base", "no earlier copy of this volume that still exists is proved in full"
    UNRELATED = "unrelated", "AWS does not compare it with the earlier snapshot"


UNREADABLE = frozenset({ProofEnd.KEY, ProofEnd.NOT_STANDARD, ProofEnd.DELETED, ProofEnd.DENIED})


class DifferenceKind(LabelledEnum):
    """The kind of a block's difference."""

    CONTENT = "content", "other content"
    MISSING = "missing", "missing in the copy"
    EXTRA = "extra", "in the copy alone"
    UNSOUND = "unsound", "its bytes do not have the checksum that AWS states"


@dataclass(frozen=True, slots=True)
class Pair:
    """A copy and its source."""

    volume_id: str
    source_region: str
    source_id: str
    copy_region: str
    copy_id: str

    @property
    def seed(self) -> str:
        """A text that names the pair; its sample derives from it."""
        return f"{self.source_region}/{self.source_id}/{self.copy_region}/{self.copy_id}"


def pair_of(copy: Snapshot) -> Pair:
    """Return the pair of a copy."""
    origin = copy.origin
    return Pair(origin.volume_id, origin.region, origin.snapshot_id, copy.region, copy.id)


@dataclass(frozen=True, slots=True)
class Difference:
    """A block that differs, with both checksums of its bytes; empty for a block that is not listed."""

    index: int
    kind: DifferenceKind
    source_checksum: str = field(default="", metadata=OPTIONAL)
    copy_checksum: str = field(default="", metadata=OPTIONAL)

    @property
    def offset_bytes(self) -> int:
        """The position of the block in the volume, in bytes."""
        return self.index * BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class ProofProgress:
    """The progress of a comparison. Each step returns the progress after it; the next portion continues from its JSON."""

    pair: Pair
    method: Method
    started_at: datetime
    source_size_gib: int
    copy_size_gib: int
    base: Pair | None = None
    """CHANGED: the proved pair since which changes are compared."""
    budget_usd: float = 0.0
    """The most that requests may cost; 0 for no limit."""
    next_index: int = 0
    """Both listings are compared up to this block."""
    listed: bool = False
    """Whether both listings are compared to their ends."""
    source_blocks: int = 0
    copy_blocks: int = 0
    one_sided: int = 0
    """Blocks that only one side lists."""
    compared: int = 0
    """Blocks whose content was compared; blocks that one side lacks were compared with zeros."""
    sample: tuple[int, ...] = ()
    sampled: int = 0
    """The number of compared blocks at the start of the sample."""
    list_requests: int = 0
    reads: int = 0
    differing: int = 0
    differences: tuple[Difference, ...] = ()
    root: str = ""
    """FULL: the root of all blocks of both, as far as they are compared and equal."""
    portions: int = 0
    idle: int = 0
    """The number of consecutive portions without progress."""
    policy: str = field(default="", metadata=OPTIONAL)
    """The policy whose monthly budget pays; empty without a budget."""
    due: Method | None = field(default=None, metadata=OPTIONAL)
    """The method of the rule, if the monthly budget allowed only structure."""
    first_of_month: bool = field(default=False, metadata=OPTIONAL)
    """Whether this is the first reduced comparison of the month, which is notified."""

    @property
    def complete(self) -> bool:
        """Whether everything that the method promises was compared."""
        return self.listed and self.sampled == len(self.sample)

    @property
    def dollars(self) -> float:
        """The price of the requests so far, in USD."""
        return dollars_of(self.list_requests, self.reads)

    def exceeds_budget(self, further_reads: int) -> bool:
        """Whether more reads would exceed the budget."""
        return bool(self.budget_usd) and dollars_of(self.list_requests, self.reads + further_reads) > self.budget_usd

    def limit_reached(self, now: datetime) -> ProofEnd | None:
        """Return the limit that ends the comparison, if one does."""
        if self.idle >= IDLE_PORTIONS:
            return ProofEnd.STALLED
        return ProofEnd.TIME if now - self.started_at > LONGEST else None

    def reduced(self, *, first_of_month: bool) -> ProofProgress:
        """Return a comparison of only structure, which begins again. The cost of the requests so far stays."""
        begun = ProofProgress(self.pair, STRUCTURE, self.started_at, self.source_size_gib, self.copy_size_gib)
        return replace(
            begun,
            list_requests=self.list_requests,
            reads=self.reads,
            portions=self.portions,
            policy=self.policy,
            due=self.method,
            first_of_month=first_of_month,
        )

    def next_portion(self, before: ProofProgress) -> ProofProgress:
        """Return the progress at the end of a portion that began as `before`."""
        further = (self.next_index, self.listed, self.sampled) != (before.next_index, before.listed, before.sampled)
        return replace(self, portions=self.portions + 1, idle=0 if further else self.idle + 1)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of both listings, and the blocks in it that have to be read."""

    until: int
    ended: bool
    source_blocks: int
    copy_blocks: int
    source_only: tuple[Extent, ...]
    copy_only: tuple[Extent, ...]
    chosen: tuple[Extent, ...]
    """Blocks to compare that both list."""
    offered: tuple[Extent, ...]
    """Blocks from which the sample is drawn."""

    @property
    def of_source(self) -> list[Extent]:
        """The blocks to read in the source."""
        return blocks.union(self.chosen, self.source_only)

    @property
    def of_copy(self) -> list[Extent]:
        """The blocks to read in the copy."""
        return blocks.union(self.chosen, self.copy_only)


def window_of(
    method: Method, source: BlockList, copy: BlockList, changes: Iterable[BlockList] = (), *, most_reads: int = 0
) -> Window:
    """Return the part that all listings cover.

    `changes` are those on both sides, for CHANGED. `most_reads` limits the reads of one side, but admits at least one block.
    """
    lists = (source, copy, *changes)
    open_lists = [part.until for part in lists if not part.ended]
    until = min(open_lists) if open_lists else max(part.until for part in lists)
    window = _window(method, source, copy, lists[2:], until, ended=not open_lists)
    for side in (window.of_source, window.of_copy):
        if most_reads and blocks.count(side) > most_reads:
            until = min(until, _end_of_first(side, most_reads))
    if until == window.until:
        return window
    return _window(method, source, copy, lists[2:], until, ended=False)


def _window(
    method: Method, source: BlockList, copy: BlockList, changes: Iterable[BlockList], until: int, *, ended: bool
) -> Window:
    of_source, of_copy = blocks.before(source.extents, until), blocks.before(copy.extents, until)
    same = of_source == of_copy
    both = of_source if same else blocks.intersection(of_source, of_copy)
    either = of_source if same else blocks.union(of_source, of_copy)
    chosen: list[Extent] = []
    offered: list[Extent] = []
    if method.kind is MethodKind.FULL:
        chosen = both
    elif method.kind is MethodKind.SUBSET:
        chosen = blocks.part_of(both, method.part, method.parts)
    elif method.kind is MethodKind.CHANGED:
        changed: list[Extent] = []
        for part in changes:
            changed = blocks.union(changed, blocks.before(part.extents, until))
        chosen, offered = blocks.intersection(both, changed), blocks.difference(either, changed)
    elif method.kind is MethodKind.SAMPLE:
        offered = either
    return Window(
        until,
        ended,
        blocks.count(of_source),
        blocks.count(of_copy),
        () if same else tuple(blocks.difference(of_source, of_copy)),
        () if same else tuple(blocks.difference(of_copy, of_source)),
        tuple(chosen),
        tuple(offered),
    )


def _end_of_first(extents: Iterable[Extent], most: int) -> int:
    end = 0
    for first, last in extents:
        end = min(last, first + most)
        most -= end - first
        if most <= 0:
            break
    return end


def after_window(
    progress: ProofProgress, window: Window, source: Iterable[BlockDigest], copy: Iterable[BlockDigest]
) -> ProofProgress:
    """Return the progress after a window, given its blocks. Raise ValueError if one of them is missing."""
    of_source, of_copy = _by_index(source), _by_index(copy)
    expected = (window.of_source, of_source), (window.of_copy, of_copy)
    if any(set(digests) != set(blocks.indexes_of(extents)) for extents, digests in expected):
        raise ValueError(f"blocks before {window.until} of {progress.pair.seed} were requested and not read")
    sample = Sample(progress.pair.seed, progress.method.sample, progress.sample)
    sample.offer(window.offered)
    full = progress.method.kind is MethodKind.FULL
    return _compared(
        replace(
            progress,
            next_index=window.until,
            listed=window.ended,
            source_blocks=progress.source_blocks + window.source_blocks,
            copy_blocks=progress.copy_blocks + window.copy_blocks,
            one_sided=progress.one_sided + blocks.count(window.source_only) + blocks.count(window.copy_only),
            sample=sample.indexes,
            root=blocks.grown_root(progress.root, source) if full else "",
        ),
        of_source,
        of_copy,
        sorted(of_source.keys() | of_copy.keys()),
    )


def next_of_sample(progress: ProofProgress, most: int) -> list[Extent]:
    """Return the next blocks of the sample."""
    return blocks.extents_of(progress.sample[progress.sampled : progress.sampled + most])


def after_sample(
    progress: ProofProgress, extents: Iterable[Extent], source: Iterable[BlockDigest], copy: Iterable[BlockDigest]
) -> ProofProgress:
    """Return the progress after blocks of the sample.

    A side does not list a block that was not read. Raise ValueError for a block that neither side lists.
    """
    source, copy = list(source), list(copy)
    indexes = list(blocks.indexes_of(extents))
    if set(indexes) != {digest.index for digest in (*source, *copy)}:
        raise ValueError(f"blocks of the sample of {progress.pair.seed} were listed and not read")
    further = replace(progress, sampled=progress.sampled + len(indexes))
    return _compared(further, _by_index(source), _by_index(copy), indexes)


def _by_index(digests: Iterable[BlockDigest]) -> dict[int, BlockDigest]:
    return {digest.index: digest for digest in digests}


def _compared(
    progress: ProofProgress, source: Mapping[int, BlockDigest], copy: Mapping[int, BlockDigest], indexes: list[int]
) -> ProofProgress:
    pairs = ((index, source.get(index), copy.get(index)) for index in indexes)
    differences = [difference for pair in pairs if (difference := difference_of(*pair)) is not None]
    known = {difference.index for difference in progress.differences}
    fresh = [difference for difference in differences if difference.index not in known]
    return replace(
        progress,
        compared=progress.compared + len(indexes),
        differing=progress.differing + len(fresh),
        differences=(*progress.differences, *fresh)[:MOST_DIFFERENCES],
    )


def difference_of(index: int, source: BlockDigest | None, copy: BlockDigest | None) -> Difference | None:
    """Return the difference of one block; None if it is equal.

    A block that one side does not list equals only zeros. AWS's checksums and those of the bytes must all agree.
    """
    sides = [digest for digest in (source, copy) if digest is not None]
    checksums = {checksum for digest in sides for checksum in (digest.stated, digest.computed)}
    if len(sides) < 2:  # noqa: PLR2004 - a pair
        checksums.add(ZEROS)
    if len(checksums) == 1:
        return None
    if not all(digest.sound for digest in sides):
        kind = DifferenceKind.UNSOUND
    elif copy is None:
        kind = DifferenceKind.MISSING
    else:
        kind = DifferenceKind.EXTRA if source is None else DifferenceKind.CONTENT
    return Difference(index, kind, source.computed if source else "", copy.computed if copy else "")


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of comparing one copy with its source, with its method and its numbers."""

    verdict: ProofVerdict
    ended_at: datetime
    progress: ProofProgress = field(metadata=inline(idle="idle_portions"))
    end: ProofEnd | None = None
    """The reason why there is no result; None if there is one."""
    region: str = ""
    """UNREADABLE: the region of the snapshot that could not be read."""

    @property
    def proved(self) -> bool:
        """Whether the copy is proved to be equal, within the limits of the method."""
        return self.verdict is ProofVerdict.PROVED

    @property
    def covers_everything(self) -> bool:
        """Whether every block is proved: it was read, or is unchanged since it was read."""
        return self.proved and self.progress.method.kind in (MethodKind.FULL, MethodKind.CHANGED)

    @property
    def decides_base(self) -> bool:
        """Whether it decides the base of later comparisons of changes: it covers every block, or found a difference."""
        # After a difference, no earlier proof is a base: later copies may share it. The pair of a drill is in one region.
        pair = self.progress.pair
        return pair.source_region != pair.copy_region and (self.covers_everything or self.verdict is ProofVerdict.DIFFERS)

    @property
    def tag(self) -> str:
        """The value of the copy's tag `snapkeep:proof`."""
        return f"{self.verdict} {self.progress.method} {format_time(self.ended_at)}"


def conclude(progress: ProofProgress, now: datetime, end: ProofEnd | None = None, region: str = "") -> Proof:
    """Return the proof of a comparison that ended; `end` is the reason of an early end.

    A difference counts whatever else is not known. Without a difference, only a complete comparison proves anything.
    """
    if progress.differing or progress.source_size_gib != progress.copy_size_gib:
        return Proof(ProofVerdict.DIFFERS, now, progress)
    if end in UNREADABLE:
        return Proof(ProofVerdict.UNREADABLE, now, progress, end, region)
    if end is not None or not progress.complete:
        return Proof(ProofVerdict.INCOMPLETE, now, progress, end or ProofEnd.STALLED, region)
    return Proof(ProofVerdict.PROVED, now, progress)


def is_weaker(proof: Proof, tag: str) -> bool:
    """Whether the tag of an earlier proof is stronger than this proof."""
    verdict, _, rest = tag.partition(" ")
    earlier = rest.partition(" ")[0]
    return verdict == ProofVerdict.PROVED and strength_of(earlier) > strength_of(str(proof.progress.method))
