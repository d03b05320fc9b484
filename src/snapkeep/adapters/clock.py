"""The wall clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class WallClock:
    """`Clock` and `Pacer` of the machine."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        time.sleep(seconds)
