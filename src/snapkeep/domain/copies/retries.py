"""The number and the delays of a failed copy's retries."""

from __future__ import annotations

from datetime import datetime, timedelta

from snapkeep.domain.records import dataclass

LONGEST_DELAY = timedelta(hours=6)
MOST_DOUBLINGS = 16
"""Enough doublings to reach the longest delay from one second."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `limit` attempts; the delay starts at `first_delay` and doubles, up to six hours."""

    limit: int = 3
    first_delay: timedelta = timedelta(minutes=5)

    def next_attempt_at(self, attempts: int, now: datetime) -> datetime | None:
        """Return the time of the next attempt after this number of failed ones; None if no attempt is left."""
        if attempts >= self.limit:
            return None
        delay = self.first_delay * (1 << min(max(attempts - 1, 0), MOST_DOUBLINGS))
        return now + min(delay, LONGEST_DELAY)
