"""The wall clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class WallClock:
    """`Clock` and `Pacer` of the real world."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)
