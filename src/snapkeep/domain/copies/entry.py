"""One copy in the queue, and its states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.copies.urgency import latest_start


class EntryState(StrEnum):
    """Where a copy stands in the queue."""

    WAITING = "WAITING"
    DELAYED = "DELAYED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


NOT_STARTED = (EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING)
"""CopySnapshot is not known to have started the copy."""
OPEN = (*NOT_STARTED, EntryState.RUNNING)
"""The copy is not started or runs; somebody settles the entry later."""
SETTLED = (EntryState.DONE, EntryState.FAILED)
"""The copy is done, or failed for good. Every state is either open or settled."""
LABELS = {
    EntryState.WAITING: "waiting",
    EntryState.DELAYED: "tried again later",
    EntryState.STARTING: "starting",
    EntryState.RUNNING: "running",
    EntryState.DONE: "done",
    EntryState.FAILED: "failed",
}
"""The states as people read them."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One copy in the queue: of one source snapshot, by one copy rule."""

    request: CopyRequest
    state: EntryState
    enqueued_at: datetime
    not_before: datetime
    attempts: int = 0
    copy_id: str = ""
    cause: str = ""
    tokens: tuple[str, ...] = ()
    """Task tokens of the executions that wait (one for each run of Protect for this snapshot)."""
    runs: tuple[str, ...] = ()
    """The executions (ARNs) that these tokens are of, so that a sweep can tell whom nobody would answer."""
    version: int = 0
    """Grows with every write; a write names the version that it read (optimistic locking)."""

    @property
    def key(self) -> str:
        """Identity: `<source region>#<source snapshot>#<destination region>`."""
        return entry_key(self.request.origin.region, self.request.origin.snapshot_id, self.request.region)

    @property
    def snapshot_in_region(self) -> tuple[str, str]:
        """Source snapshot and destination region: its identity within one source region."""
        return self.request.origin.snapshot_id, self.request.region

    @property
    def is_open(self) -> bool:
        """Whether somebody settles it later, and answers the executions that wait."""
        return self.state in OPEN

    @property
    def due(self) -> datetime:
        """Its place in its state's order: while it rests, until when; else the latest start that still meets the deadline."""
        return self.not_before if self.state is EntryState.DELAYED else latest_start(self.request)


def entry_key(source_region: str, snapshot_id: str, destination_region: str) -> str:
    """Given what a copy is of and where it goes, return its key in the queue (INV-09)."""
    return f"{source_region}#{snapshot_id}#{destination_region}"
