"""Choose how a copy with `completion: auto` is made.

The choice is made right before the copy starts: only then the time until its deadline, and the throughput left, are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from snapkeep.domain.copies.check import has_key
from snapkeep.domain.copies.completion import ALL_COPIES_MIB_PER_SECOND, CompletionFacts, PastCopy, choose_minutes, pace
from snapkeep.domain.copies.entry import QueueEntry
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.blocks import BLOCK_BYTES
from snapkeep.usecases.ports import Clock, CopyQueue, SnapshotReader
from snapkeep.usecases.recovery.ports import BlockPage

LOOKED_AT = 500
"""Copies that are done, those that had to start last: the history is those of them between the same regions."""
BLOCKS_OF_PAGE = 10_000
"""MaxResults of ListChangedBlocks: at most 10,000 (ebs 2019-11-02)."""
LISTING_TIME = timedelta(seconds=5)
"""A listing that takes longer is left: the whole volume is taken to have changed. In 5 seconds, about 250 GiB are listed."""
MIB = 1024 * 1024


class ChangedBlocks(Protocol):
    """Lists which blocks changed between two snapshots of a region. The role behind it cannot read any."""

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        """Return a page of the blocks that changed since another snapshot; None where AWS does not compare the two."""
        ...


@dataclass(slots=True, kw_only=True)
class ChooseCompletion:
    """The choices of one dispatch."""

    reader: SnapshotReader
    queue: CopyQueue
    changes_of: Callable[[str], ChangedBlocks]
    """Returns the lister of the changed blocks in a source region."""
    clock: Clock
    _paces: dict[str, float] = field(default_factory=dict)
    """MiB a second of each time-based copy in progress, by its id."""
    _history: list[QueueEntry] | None = None

    def in_flight(self, copies: Iterable[Snapshot]) -> None:
        """Record the throughput of all time-based copies in progress, including those of other callers."""
        self._paces |= {
            copy.id: pace(copy.size_gib * 1024, copy.completion_minutes) for copy in copies if copy.completion_minutes
        }

    def started(self, entry: QueueEntry) -> None:
        """Note the throughput of a copy that was started: EC2 may not list it yet."""
        if entry.request.completion_minutes:
            self._paces[entry.copy_id] = pace(entry.request.size_gib * 1024, entry.request.completion_minutes)

    def chosen(self, entry: QueueEntry) -> QueueEntry:
        """Return an entry with the completion duration of its copy, and the MiB that change where they could be listed."""
        request = entry.request
        if not request.chooses_completion:
            return entry
        full_mib = request.size_gib * 1024
        changed_mib = self._changed_mib(entry)
        facts = CompletionFacts(
            changed_mib=full_mib if changed_mib is None else min(changed_mib, full_mib),
            full_mib=full_mib,
            left=request.deadline - self.clock.now(),
            free_mib_per_second=ALL_COPIES_MIB_PER_SECOND - sum(self._paces.values()),
        )
        minutes = choose_minutes(facts, self._past(request.origin.region))
        # Without a known size, the duration would teach a wrong speed.
        return replace(entry, request=replace(request, completion_minutes=minutes), moved_mib=changed_mib or 0)

    def _changed_mib(self, entry: QueueEntry) -> int | None:
        """Return the MiB that changed since the source of the newest copy here; None where that is not known."""
        request = entry.request
        try:
            copies = [
                copy
                for copy in self.reader.copies_of_volumes([request.origin.volume_id])
                if copy.completed and copy.origin.lineage == request.origin.lineage
            ]
            # Incremental to the most recent copy, if all copies have one key (EBS user guide: copy a snapshot).
            newest = max(copies, key=lambda copy: copy.start_time, default=None)
            if newest is None or not all(has_key(copy, request.kms_key) for copy in copies):
                return None
            return self._listed_mib(request.origin.region, newest.origin.snapshot_id, request.origin.snapshot_id)
        except SnapkeepError:  # the copy must not depend on an estimate
            return None

    def _listed_mib(self, region: str, base_id: str, snapshot_id: str) -> int | None:
        changes, until, blocks, token = self.changes_of(region), self.clock.now() + LISTING_TIME, 0, ""
        while self.clock.now() <= until:
            page = changes.page_of_changes(base_id, snapshot_id, 0, BLOCKS_OF_PAGE, token)
            if page is None:
                return None
            blocks, token = blocks + len(page.indexes), page.more
            if not token:
                return max(1, -(-blocks * BLOCK_BYTES // MIB))
        return None

    def _past(self, source_region: str) -> list[PastCopy]:
        if self._history is None:
            self._history = self.queue.recently_done(LOOKED_AT)
        return [
            PastCopy(entry.moved_mib, entry.seconds)
            for entry in self._history
            if entry.request.origin.region == source_region
            and entry.moved_mib
            and entry.seconds
            and not (entry.request.completion_minutes or entry.full)
        ]
