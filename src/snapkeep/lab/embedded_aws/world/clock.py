"""The clock of a server's world: the machine's or a scaled one, with an offset."""

from __future__ import annotations

from snapkeep.lab.ebs_model import RealClock, ScaledClock


class AdjustableClock:
    """A running clock that can be put forward; everything due in the skipped time happens at once."""

    def __init__(self, scale: float) -> None:
        self._running = RealClock() if scale == 1 else ScaledClock(scale)
        self._forward_seconds = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._running.now() + self._forward_seconds

    def put_forward(self, seconds: float) -> None:
        """Put the clock forward by a number of seconds. Raise ValueError if it is negative: time does not go back."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} seconds")
        self._forward_seconds += seconds
