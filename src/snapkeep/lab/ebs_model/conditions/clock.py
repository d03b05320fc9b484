"""Real, scaled and virtual clocks. All count seconds since the epoch (UTC)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

VIRTUAL_START = datetime(2026, 1, 1, tzinfo=UTC)


class WorldClock(Protocol):
    """A source of the time."""

    def now(self) -> float:
        """Return seconds since the epoch."""


LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""The latest time that every form of answer can show."""


def seconds_of(moment: float | datetime) -> float:
    """Return a time as seconds since the epoch. Raise ValueError on a naive datetime or a number that is not a time."""
    if type(moment) is float and -LATEST <= moment <= LATEST:
        return moment
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(f"a datetime without a time zone: {moment.isoformat()}")
        return moment.timestamp()
    return finite(moment, "a moment")


def finite(number: float, name: str) -> float:
    """Return a number that is valid as seconds. Raise ValueError on NaN, infinity, or a value that is not a number."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"{name} is {number!r}: not a finite number of seconds")
    if abs(number) > LATEST:
        raise ValueError(f"{name} is {number!r}: beyond the year 9000")
    return float(number)


class VirtualClock:
    """A clock that stands still until it is advanced. Its worlds follow every advance."""

    def __init__(self, start: float | datetime = VIRTUAL_START) -> None:
        self._now = seconds_of(start)
        self._drivers: list[Callable[[float], None]] = []

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._now

    def move_to(self, moment: float) -> None:
        """Set the time without running the timers, never to an earlier one."""
        self._now = max(self._now, seconds_of(moment))

    def attach(self, driver: Callable[[float], None]) -> None:
        """Call a world's function at every advance, which runs its timers up to a time."""
        self._drivers.append(driver)

    def advance(self, seconds: float) -> None:
        """Advance by seconds, and run every timer in them in order. Raise ValueError if they are negative or not finite."""
        if finite(seconds, "advance") < 0:
            raise ValueError(f"time does not go back: advance({seconds})")
        target = seconds_of(self._now + seconds)
        for driver in self._drivers:
            driver(target)
        self.move_to(target)


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()


class ScaledClock:
    """A clock that runs ``factor`` times as fast as the machine's, from ``start`` (default: now)."""

    def __init__(self, factor: float, start: float | datetime | None = None) -> None:
        if finite(factor, "factor") <= 0:
            raise ValueError(f"factor must be greater than 0, not {factor}")
        self.factor = factor
        self._start = time.time() if start is None else seconds_of(start)
        self._origin = time.monotonic()

    def now(self) -> float:
        """Return seconds since the epoch, scaled."""
        return self._start + (time.monotonic() - self._origin) * self.factor


@lru_cache(maxsize=16_384)
def utc(seconds: float) -> datetime:
    """Return seconds since the epoch as an aware UTC datetime in whole milliseconds, like EC2's answers.

    A world shows the same times often: the latest ones are cached.
    """
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def iso(seconds: float) -> str:
    """Return `2026-01-01T00:00:00Z`, the form that events use."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def iso_milliseconds(seconds: float) -> str:
    """Return `2026-01-01T00:00:00.000Z`, the form that EC2 filters compare."""
    whole = round(seconds * 1000)
    return f"{iso(whole // 1000)[:-1]}.{whole % 1000:03d}Z"
