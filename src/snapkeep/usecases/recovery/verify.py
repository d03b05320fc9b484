"""Verify: compare a copy with its source, portion by portion, and keep the proof.

A portion fits within one call of a function; the next one continues from the progress that it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from snapkeep.domain.errors import RETRYABLE, BlocksUnreadable, InvalidEvent, ProofNotFound, SnapshotGone
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery import blocks, proof
from snapkeep.domain.recovery.blocks import BlockDigests, BlockList, Extent
from snapkeep.domain.recovery.methods import Method, MethodKind
from snapkeep.domain.recovery.proof import MOST_DIFFERENCES, Pair, Proof, ProofEnd, ProofProgress, pair_of
from snapkeep.domain.tag_names import DRILL
from snapkeep.usecases.ports import Clock, SnapshotReader
from snapkeep.usecases.recovery.measure_changes import MeasureChanges
from snapkeep.usecases.recovery.ports import BlockReader, ProofStore, Result, Workers

LIST_BLOCKS = 400_000
"""Indexes of one window of the listings: what they are at most travels between regions, in one answer of a function."""
FEWEST_READS, MOST_READS = 1_000, 10_000
"""Blocks of one side that are read between two looks at the clock."""
PORTION = timedelta(minutes=8)
"""After it no further step begins. Its last step and it fit into a call of the function."""
SHORT, LONG = timedelta(seconds=20), timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCopy:
    """Compares copies with their sources. It changes nothing in EC2 (INV-14)."""

    reader: SnapshotReader
    reader_of: Callable[[str], SnapshotReader]
    """Returns the reader of the snapshots of a region."""
    blocks_of: Callable[[str], BlockReader]
    """Returns the reader of the blocks of a region."""
    proofs: ProofStore
    clock: Clock
    sides: Workers
    """Reads source and copy at the same time."""
    changes: MeasureChanges | None = None
    """Measures how much changed before a copy was made; None where it is not measured, as in most simulations."""
    portion: timedelta = PORTION
    reads_at_first: int = FEWEST_READS

    def begin_drill(self, snapshot_id: str, point_id: str, method: Method) -> ProofProgress:
        """Return the progress of a comparison of a drill's snapshot with the point whose restored volume it was made of.

        Raise SnapshotGone for a snapshot that is not there, or InvalidEvent for one that no drill made.
        """
        snapshot = self.reader.snapshots([snapshot_id]).get(snapshot_id)
        if snapshot is None:
            raise SnapshotGone(f"{snapshot_id} is not in {self.reader.region} any more")
        if DRILL not in snapshot.tags:
            raise InvalidEvent(f"{snapshot_id} was made by no drill: only such a snapshot is compared with a point")
        region = self.reader.region
        pair = Pair(snapshot.origin.volume_id, region, point_id, region, snapshot_id)
        return ProofProgress(pair, method, self.clock.now(), snapshot.size_gib, snapshot.size_gib)

    def begin(self, copy_id: str, method: Method, budget_usd: float = 0.0, month_usd: float = 0.0) -> ProofProgress:
        """Return the progress of a comparison that begins; its pair is what EC2 says.

        Where the copy's policy has spent its budget of the month, `month_usd`, it compares structure alone.

        Raise SnapshotGone for a snapshot that is not there, or InvalidEvent for one that is not a copy.
        """
        copy = self.reader.snapshots([copy_id]).get(copy_id)
        if copy is None:
            raise SnapshotGone(f"{copy_id} is not in {self.reader.region} any more")
        if not copy.is_copy or copy.origin.snapshot_id == copy.id:
            raise InvalidEvent(f"{copy_id} in {self.reader.region} is not a copy of a known source: name a copy")
        pair = pair_of(copy)
        if self.changes is not None:
            self.changes.run(copy)
        base = self._base(pair) if method.kind is MethodKind.CHANGED else None
        begun = ProofProgress(pair, method, self.clock.now(), copy.size_gib, copy.size_gib, base, budget_usd)
        # Structure alone costs next to nothing, and is what remains when the budget is spent.
        if not month_usd or method.kind is MethodKind.STRUCTURE:
            return begun
        begun = replace(begun, policy=copy.policy)
        spending = self.proofs.spending(copy.policy, begun.started_at)
        dollars_left = month_usd - spending.dollars
        if dollars_left <= 0:
            return begun.reduced(first_of_month=not spending.reduced)
        return replace(begun, budget_usd=min(budget_usd or dollars_left, dollars_left))

    def _reduced(self, progress: ProofProgress) -> ProofProgress:
        spending = self.proofs.spending(progress.policy, self.clock.now())
        return progress.reduced(first_of_month=not spending.reduced)

    def _base(self, pair: Pair) -> Pair | None:
        try:
            last = self.proofs.last_base(pair.volume_id, pair.copy_region)
        except ProofNotFound:
            return None
        base = last.progress.pair
        if not last.covers_everything:
            return None
        return base if base.source_region == pair.source_region and base.copy_id != pair.copy_id else None

    def run(self, progress: ProofProgress) -> ProofProgress | Proof:
        """Compare for one portion. Return the progress, or the proof, which is kept then."""
        stop_at = self.clock.now() + self.portion
        start, reads, region = progress, self.reads_at_first, ""
        try:
            end = ProofEnd.NO_BASE if progress.method.kind is MethodKind.CHANGED and progress.base is None else None
            while end is None and not progress.complete and progress.differing < MOST_DIFFERENCES:
                began = self.clock.now()
                progress, end = self._step(progress, reads)
                if end is ProofEnd.BUDGET and progress.policy and not progress.differing:
                    progress, end = self._reduced(progress), None
                now = self.clock.now()
                reads = _next_reads(reads, now - began)
                if now >= stop_at:
                    break
        except BlocksUnreadable as error:
            end, region = self._reason(progress.pair, error), error.region
        except RETRYABLE:  # what was compared is not compared again
            if progress == start:
                raise
        progress = progress.next_portion(start)
        now = self.clock.now()
        unfinished = not progress.complete and progress.differing < MOST_DIFFERENCES
        end = end or (progress.limit_reached(now) if unfinished else None)
        if unfinished and end is None:
            return progress
        result = proof.conclude(progress, now, end, region)
        self.proofs.put(result)
        return result

    def _reason(self, pair: Pair, error: BlocksUnreadable) -> ProofEnd:
        """Return why blocks cannot be read. A deleted snapshot has no tags, by which roles may read: IAM may refuse it first."""
        if error.reason != ProofEnd.DENIED:
            return ProofEnd(error.reason)
        snapshot_id = pair.source_id if error.region == pair.source_region else pair.copy_id
        exists = snapshot_id in self.reader_of(error.region).snapshots([snapshot_id])
        return ProofEnd.DENIED if exists else ProofEnd.DELETED

    def _step(self, progress: ProofProgress, reads: int) -> tuple[ProofProgress, ProofEnd | None]:
        """Return the progress after one window of the listings, or some blocks of the sample; and what ends it, if anything."""
        if progress.listed:
            extents = proof.next_of_sample(progress, reads)
            if progress.exceeds_budget(2 * blocks.count(extents)):
                return progress, ProofEnd.BUDGET
            source, copy = self._digests(progress.pair, extents, extents)
            after = proof.after_sample(progress, extents, source.digests, copy.digests)
            return _with_requests(after, (), (source, copy)), None
        most = _listed_at_once(progress.method, reads)
        lists = self._lists(progress, most)
        changes = self._changes(progress, most)
        progress = _with_requests(progress, (*lists, *changes), ())
        if not all(change.related for change in changes):
            return progress, ProofEnd.UNRELATED
        window = proof.window_of(progress.method, *lists, changes, most_reads=reads)
        of_source, of_copy = window.of_source, window.of_copy
        if progress.exceeds_budget(blocks.count(of_source) + blocks.count(of_copy)):
            return progress, ProofEnd.BUDGET
        source, copy = self._digests(progress.pair, of_source, of_copy)
        after = proof.after_window(progress, window, source.digests, copy.digests)
        sizes = replace(after, source_size_gib=lists[0].size_gib, copy_size_gib=lists[1].size_gib)
        return _with_requests(sizes, (), (source, copy)), None

    def _lists(self, progress: ProofProgress, most: int) -> tuple[BlockList, BlockList]:
        pair, first = progress.pair, progress.next_index
        source, copy = self.blocks_of(pair.source_region), self.blocks_of(pair.copy_region)
        return self._both(
            partial(source.listing, pair.source_id, first, most, progress.source_size_gib),
            partial(copy.listing, pair.copy_id, first, most, progress.copy_size_gib),
        )

    def _changes(self, progress: ProofProgress, most: int) -> tuple[BlockList, ...]:
        """Return what changed in both since the pair that is proved already. Raise BlocksUnreadable without that pair."""
        pair, base, first = progress.pair, progress.base, progress.next_index
        if base is None:
            return ()
        source, copy = self.blocks_of(pair.source_region), self.blocks_of(pair.copy_region)
        try:
            return self._both(
                partial(source.changes, base.source_id, pair.source_id, first, most),
                partial(copy.changes, base.copy_id, pair.copy_id, first, most),
            )
        except BlocksUnreadable as error:  # the pair itself was listed just now
            raise BlocksUnreadable(str(error), ProofEnd.NO_BASE, error.region) from error

    def _digests(self, pair: Pair, of_source: Sequence[Extent], of_copy: Sequence[Extent]) -> tuple[BlockDigests, BlockDigests]:
        return self._both(
            partial(self._read, pair.source_region, pair.source_id, of_source),
            partial(self._read, pair.copy_region, pair.copy_id, of_copy),
        )

    def _both(self, of_source: Callable[[], Result], of_copy: Callable[[], Result]) -> tuple[Result, Result]:
        source, copy = self.sides.run([of_source, of_copy])
        return source, copy

    def _read(self, region: str, snapshot_id: str, extents: Sequence[Extent]) -> BlockDigests:
        return self.blocks_of(region).digests(snapshot_id, extents) if extents else BlockDigests((), 0, 0)


def _listed_at_once(method: Method, reads: int) -> int:
    """Return how many indexes to list for a window that needs about so many reads."""
    if method.kind is MethodKind.FULL:
        return reads
    return min(LIST_BLOCKS, reads * method.parts) if method.kind is MethodKind.SUBSET else LIST_BLOCKS


def _next_reads(reads: int, taken: timedelta) -> int:
    """Return how many blocks to read at once after a step that took so long."""
    if taken > LONG:
        return max(FEWEST_READS // 10, reads // 2)
    return min(MOST_READS, reads * 2) if taken < SHORT else reads


def _with_requests(progress: ProofProgress, lists: Sequence[BlockList], digests: Sequence[BlockDigests]) -> ProofProgress:
    listed = sum(part.requests for part in lists) + sum(part.list_requests for part in digests)
    read = sum(part.reads for part in digests)
    return replace(progress, list_requests=progress.list_requests + listed, reads=progress.reads + read)
