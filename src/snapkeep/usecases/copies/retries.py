"""How often a failed copy is tried again, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from snapkeep.domain.copies.entry import EntryState, QueueEntry

LONGEST_DELAY = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `limit` attempts; the delay starts at `first_delay` and doubles, up to six hours."""

    limit: int = 3
    first_delay: timedelta = timedelta(minutes=5)

    def after_failure(self, entry: QueueEntry, cause: str, now: datetime) -> QueueEntry:
        """Given an entry whose attempt failed, return it as it goes on: DELAYED, or FAILED when no attempt is left."""
        if entry.attempts >= self.limit:
            return replace(entry, state=EntryState.FAILED, cause=cause)
        delay = min(self.first_delay * 2 ** max(entry.attempts - 1, 0), LONGEST_DELAY)
        return replace(entry, state=EntryState.DELAYED, cause=cause, copy_id="", not_before=now + delay)
