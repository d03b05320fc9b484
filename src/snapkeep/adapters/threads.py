"""Concurrent calls in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Threads:
    """`Workers` over a pool of threads, which starts with the first call."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="blocks")

    def run(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the results in the order of the calls.

        Raise the error of the first failed call; calls that have not begun are cancelled.
        """
        futures = [self._pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
