"""The number of managed snapshots that disappear in a day, and whether it is far beyond the usual. Pure.

The limits of INV-08 hold for one volume. A policy that keeps less of many volumes may break none of them. The number has the
snapshots that the last sweep's plan kept: deletions by runs and by others, not those that a sweep orders, which have a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from statistics import median

DAYS = 14
"""Days that are compared with."""
FEWEST_DAYS = 7
"""Days of sweeps before which nothing is unusual."""
LEAST = 50
"""Deletions of a day that are never unusual."""


def after(days: Mapping[str, int], today: date, number: int) -> dict[str, int]:
    """Return the deletions by day with those of a further sweep. The first day is kept also without deletions."""
    first = str(today - timedelta(days=DAYS))
    kept = {day: count for day, count in days.items() if day >= first}
    return kept | {str(today): kept.get(str(today), 0) + number}


def usual(days: Mapping[str, int], today: date) -> int | None:
    """Return the median of the days with deletions before today; None where there is none, or where sweeps began lately.

    Days without deletions say nothing of the usual: a fleet whose snapshots begin to expire, or do once a week, has many.
    """
    since = min((date.fromisoformat(day) for day in days), default=today)
    before = [days.get(str(since + timedelta(days=number)), 0) for number in range((today - since).days)]
    counts = [count for count in before if count]
    return int(median(counts)) if counts and len(before) >= FEWEST_DAYS else None


def limit(normal: int, times: int) -> int:
    """Return the most deletions of a day that are not unusual, given the usual number."""
    return max(LEAST, times * normal)


def is_unusual(days: Mapping[str, int], today: date, times: int) -> bool:
    """Whether the deletions of today are more than so many times the usual."""
    normal = usual(days, today)
    return normal is not None and days.get(str(today), 0) > limit(normal, times)
