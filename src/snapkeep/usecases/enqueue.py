"""Put a copy into its DR region's queue, once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from snapkeep.domain.model import CopyWanted
from snapkeep.usecases.ports import Clock, CopyQueue, EntryChanged, EntryState, QueueEntry, Waiters
from snapkeep.usecases.settle import success_output

COPIED_EARLIER = "COPIED_EARLIER"
"""The answer for a copy that an earlier run saw complete: it may be gone since, so retention lists the region (INV-04)."""


def joined(entry: QueueEntry, wanted: CopyWanted, token: str, run: str, now: datetime) -> QueueEntry:
    """Given the entry that is there and another asking for the same copy, return the entry as it goes on.

    The token joins those that wait. An entry that failed for good starts again, as somebody asks for it again.
    """
    tokens = entry.tokens if not token or token in entry.tokens else (*entry.tokens, token)
    runs = entry.runs if not run or run in entry.runs else (*entry.runs, run)
    if entry.state is EntryState.FAILED:
        entry = replace(entry, wanted=wanted, state=EntryState.WAITING, attempts=0, copy_id="", not_before=now)
    return replace(entry, tokens=tokens, runs=runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueCopy:
    """The way into the queue, for Protect (with a task token) and for the sweep (without)."""

    queue_of: Callable[[str], CopyQueue]
    waiters: Waiters
    clock: Clock

    def run(self, wanted: CopyWanted, token: str, run: str = "") -> QueueEntry:
        """Given a copy, and the token and the execution that wait for it, return its entry. A done copy is answered at once."""
        queue = self.queue_of(wanted.region)
        now = self.clock.now()
        fresh = QueueEntry(wanted, EntryState.WAITING, now, now, tokens=(token,) if token else (), runs=(run,) if run else ())
        while True:
            try:
                return queue.insert(fresh)
            except EntryChanged:
                entry = queue.get(fresh.key)
            if entry.state is EntryState.DONE:
                if token:
                    answer = {**success_output(entry.wanted, entry.copy_id, now), "status": COPIED_EARLIER}
                    self.waiters.succeed(wanted.origin.region, token, answer)
                return entry
            after = joined(entry, wanted, token, run, now)
            if after == entry:
                return entry
            try:
                return queue.write(after)
            except EntryChanged:
                continue
