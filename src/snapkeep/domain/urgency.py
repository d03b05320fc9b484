"""Which copy goes first: the one that must start first to meet its deadline.

By latest start, and not by deadline alone, a large copy is not left to the end, to be late and to hold up the rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from snapkeep.domain.model import CopyWanted

EXPECTED_SECONDS_PER_GIB = 1024 / 120
"""AWS documents no speed of a standard copy. This only orders the queue: 120 MiB a second, as if the whole volume moved."""


def latest_start(wanted: CopyWanted) -> datetime:
    """Given a wanted copy, return when it has to start at the latest, by what it is expected to take."""
    return wanted.deadline - expected_duration(wanted)


def expected_duration(wanted: CopyWanted) -> timedelta:
    """Given a wanted copy, return how long it may take: a time-based one as long as it says, another by its size."""
    if wanted.completion_minutes:
        return timedelta(minutes=wanted.completion_minutes)
    return timedelta(seconds=wanted.size_gib * EXPECTED_SECONDS_PER_GIB)
