"""Clocks: real, scaled, or virtual. All count seconds since the epoch (UTC)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

VIRTUAL_START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...


def seconds_of(moment: float | datetime) -> float:
    """Given a time-zone aware datetime or seconds since the epoch, return seconds. Raise ValueError on a naive one."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(f"a datetime without a time zone: {moment.isoformat()}")
        return moment.timestamp()
    return float(moment)


class VirtualClock:
    """A clock that stands still until it is advanced. Worlds on it follow every advance."""

    def __init__(self, start: float | datetime = VIRTUAL_START) -> None:
        self._now = seconds_of(start)
        self._drivers: list[Callable[[float], None]] = []

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._now

    def move_to(self, moment: float) -> None:
        """Set the time without running what was due. Never backwards."""
        self._now = max(self._now, moment)

    def attach(self, driver: Callable[[float], None]) -> None:
        """Let a world run its due happenings, up to a time, at every advance."""
        self._drivers.append(driver)

    def advance(self, seconds: float) -> None:
        """Given seconds, let them pass, and everything in them happen in order. Raise ValueError when negative."""
        if seconds < 0:
            raise ValueError(f"time does not go back: advance({seconds})")
        target = self._now + seconds
        for driver in self._drivers:
            driver(target)
        self.move_to(target)


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()


class ScaledClock:
    """A clock that runs ``factor`` times as fast as the machine's, from ``start`` on (default: now)."""

    def __init__(self, factor: float, start: float | datetime | None = None) -> None:
        if factor <= 0:
            raise ValueError(f"factor must be greater than 0, not {factor}")
        self.factor = factor
        self._start = time.time() if start is None else seconds_of(start)
        self._origin = time.monotonic()

    def now(self) -> float:
        """Return seconds since the epoch, scaled."""
        return self._start + (time.monotonic() - self._origin) * self.factor


@lru_cache(maxsize=16_384)
def utc(seconds: float) -> datetime:
    """Given seconds since the epoch, return an aware UTC datetime in whole milliseconds, as EC2 answers it.

    What a world shows it shows many times: the moments asked for lately are remembered.
    """
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def iso(seconds: float) -> str:
    """Given seconds since the epoch, return `2026-01-01T00:00:00Z`, the form that events use."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def iso_milliseconds(seconds: float) -> str:
    """Given seconds since the epoch, return `2026-01-01T00:00:00.000Z`, the form that EC2 filters compare."""
    whole = round(seconds * 1000)
    return f"{iso(whole // 1000)[:-1]}.{whole % 1000:03d}Z"
