"""Put a copy into its DR region's queue, once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.usecases.copies.settle import success_output
from snapkeep.usecases.ports import Clock, CopyQueue, EntryChanged, TaskTokens

COPIED_EARLIER = "COPIED_EARLIER"
"""The answer for a copy that an earlier run saw complete: it may be gone since, so retention lists the region (INV-04)."""


def joined(entry: QueueEntry, request: CopyRequest, token: str, run: str, now: datetime) -> QueueEntry:
    """Given the entry that is there and another asking for the same copy, return the entry as it goes on.

    The token joins those that wait. An entry that failed for good starts again, as somebody asks for it again.
    """
    tokens = entry.tokens if not token or token in entry.tokens else (*entry.tokens, token)
    runs = entry.runs if not run or run in entry.runs else (*entry.runs, run)
    if entry.state is EntryState.FAILED:
        entry = replace(entry, request=request, state=EntryState.WAITING, attempts=0, copy_id="", not_before=now)
    return replace(entry, tokens=tokens, runs=runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueCopy:
    """The way into the queue, for Protect (with a task token) and for the sweep (without)."""

    queue_of: Callable[[str], CopyQueue]
    task_tokens: TaskTokens
    clock: Clock

    def run(self, request: CopyRequest, token: str, run: str = "") -> QueueEntry:
        """Given a copy, and the token and the execution that wait for it, return its entry. A done copy is answered at once."""
        queue = self.queue_of(request.region)
        now = self.clock.now()
        fresh = QueueEntry(request, EntryState.WAITING, now, now, tokens=(token,) if token else (), runs=(run,) if run else ())
        while True:
            try:
                return queue.insert(fresh)
            except EntryChanged:
                entry = queue.get(fresh.key)
            if entry.state is EntryState.DONE:
                if token:
                    answer = {**success_output(entry.request, entry.copy_id, now), "status": COPIED_EARLIER}
                    self.task_tokens.succeed(request.origin.region, token, answer)
                return entry
            after = joined(entry, request, token, run, now)
            if after == entry:
                return entry
            try:
                return queue.write(after)
            except EntryChanged:
                continue
