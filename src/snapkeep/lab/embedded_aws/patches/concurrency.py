"""A limit of concurrent functions on this machine, and the time for which a call waits for a free slot."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class SlotWait:
    """The time for which a call waits for a slot. Lambda has no such wait, so no time-out may count it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    def begin(self) -> None:
        """Start the clock of the wait."""
        self._since = time.monotonic()

    def end(self) -> None:
        """Stop the clock of the wait, because the call has its slot."""
        self._seconds, self._since = self.seconds(), None

    def seconds(self) -> float:
        """Return the seconds waited so far."""
        since = self._since
        return self._seconds + (0.0 if since is None else time.monotonic() - since)


slot_wait: ContextVar[SlotWait | None] = ContextVar("slot_wait", default=None)


class FunctionSlots:
    """A fixed number of slots, of which each running function holds one."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and hold it."""
        wait = slot_wait.get() or SlotWait()
        wait.begin()
        with self._free:
            wait.end()
            yield
