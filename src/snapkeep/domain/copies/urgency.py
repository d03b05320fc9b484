"""Which copy goes first: the one that must start first to meet its deadline.

By latest start, and not by deadline alone, a large copy is not left to the end, to be late and to hold up the rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from snapkeep.domain.copies.request import CopyRequest

EXPECTED_SECONDS_PER_GIB = 1024 / 120
"""AWS documents no speed of a standard copy. This only orders the queue: 120 MiB a second, as if the whole volume moved."""


def latest_start(request: CopyRequest) -> datetime:
    """Given a wanted copy, return when it has to start at the latest, by what it is expected to take."""
    return request.deadline - expected_duration(request)


def expected_duration(request: CopyRequest) -> timedelta:
    """Given a wanted copy, return how long it may take: a time-based one as long as it says, another by its size."""
    if request.completion_minutes:
        return timedelta(minutes=request.completion_minutes)
    return timedelta(seconds=request.size_gib * EXPECTED_SECONDS_PER_GIB)
