"""The order in which copies start: first the one that must start first to meet its deadline.

By latest start, and not by deadline alone, a large copy is not left to the end, where it would be late and delay the rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from snapkeep.domain.copies.request import CopyRequest

EXPECTED_SECONDS_PER_GIB = 1024 / 120
"""AWS documents no speed of a standard copy. This only orders the queue: 120 MiB a second, as if the whole volume moved."""


def latest_start(request: CopyRequest) -> datetime:
    """Return when a copy has to start at the latest to meet its deadline, by its expected duration."""
    return request.deadline - expected_duration(request)


def expected_duration(request: CopyRequest) -> timedelta:
    """Return how long a copy may take: a time-based one its completion duration, another one by its size."""
    if request.completion_minutes:
        return timedelta(minutes=request.completion_minutes)
    return timedelta(seconds=request.size_gib * EXPECTED_SECONDS_PER_GIB)
