"""Record a time-based copy that missed its completion duration, by a notice and in its entry."""

from __future__ import annotations

from contextlib import suppress

from snapkeep.domain.copies.entry import EntryState, entry_key
from snapkeep.domain.errors import EntryChanged
from snapkeep.domain.events import LateCopyEvent
from snapkeep.domain.records import dataclass
from snapkeep.usecases.copies.enqueue import find_entry
from snapkeep.usecases.copies.settle import describe
from snapkeep.usecases.ports import Clock, CopyQueue, Notice, Notices, ProblemKind, SnapshotReader


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLateCopy:
    """Records late copies into one DR region."""

    reader: SnapshotReader
    queue: CopyQueue
    notices: Notices
    clock: Clock

    def run(self, late: LateCopyEvent) -> bool:
        """Record a late copy once. Return False for a copy that the queue does not know, or that was recorded before."""
        copy = self.reader.snapshots([late.copy_id]).get(late.copy_id)
        key = entry_key(copy.origin.region, copy.origin.snapshot_id, self.queue.region) if copy else ""
        entry = find_entry(self.queue, key) if key else None
        if entry is None or entry.copy_id != late.copy_id or entry.late:
            return False
        detail = f"{describe(entry.request)}, {late.copy_id}, was to complete within {entry.request.completion_minutes} minutes"
        self.notices.add(Notice(ProblemKind.COPY_LATE, late.cause, late.copy_id, detail, self.queue.region, self.clock.now()))
        if entry.state is EntryState.RUNNING:
            with suppress(EntryChanged):  # it has completed in the meantime
                self.queue.write(entry.missed(late.cause))
        return True
