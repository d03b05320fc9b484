"""Turns of functions to run: a bound on how many do at once, and how long a call has waited for its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Waiting:
    """How long a call waited for its turn. On Lambda it would not have waited, so no time-out may count it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    def begin(self) -> None:
        """Note that the wait begins."""
        self._since = time.monotonic()

    def end(self) -> None:
        """Note that the turn has come."""
        self._seconds, self._since = self.seconds(), None

    def seconds(self) -> float:
        """Return the seconds waited so far."""
        since = self._since
        return self._seconds + (0.0 if since is None else time.monotonic() - since)


waiting: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


class Turns:
    """So many at once."""

    def __init__(self, at_once: int) -> None:
        self._free = threading.BoundedSemaphore(at_once)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn and hold it."""
        noted = waiting.get() or Waiting()
        noted.begin()
        with self._free:
            noted.end()
            yield
