"""Hours, days, weeks, months and years of snapshots, in a policy's time zone, as numbers that compare fast.

Weeks are those of ISO 8601: they begin on Monday, and the year of a week is the year of its Thursday.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_MONTHS_A_YEAR = 12
_HOURS_A_DAY = 24


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_times(moments: Sequence[datetime], timezone: str) -> Sequence[datetime]:
    """Given aware moments and an IANA name, return them as that zone's wall clocks show them."""
    if timezone == "UTC":
        return [moment if moment.tzinfo is UTC else moment.astimezone(UTC) for moment in moments]
    zone = _zone(timezone)
    return [moment.astimezone(zone) for moment in moments]


def hours(moments: Sequence[datetime]) -> list[int]:
    """Given local times, return a number for each one's hour. The hour that a clock repeats in autumn is two hours."""
    return [((m.toordinal() * _HOURS_A_DAY + m.hour) * 2) + m.fold for m in moments]


def days(moments: Sequence[datetime]) -> list[int]:
    """Given local times, return a number for each one's day."""
    return [m.toordinal() for m in moments]


def weeks(moments: Sequence[datetime]) -> list[int]:
    """Given local times, return a number for each one's ISO week (day 1 of the calendar is a Monday)."""
    return [(m.toordinal() - 1) // 7 for m in moments]


def months(moments: Sequence[datetime]) -> list[int]:
    """Given local times, return a number for each one's month."""
    return [m.year * _MONTHS_A_YEAR + m.month - 1 for m in moments]


def years(moments: Sequence[datetime]) -> list[int]:
    """Given local times, return each one's year."""
    return [m.year for m in moments]


def hour_label(key: int) -> str:
    """Given an hour's number, return `2026-11-20 13:00`."""
    day, hour = divmod(key // 2, _HOURS_A_DAY)
    return f"{date.fromordinal(day)} {hour:02d}:00" + (" (second time)" if key % 2 else "")


def day_label(key: int) -> str:
    """Given a day's number, return `2026-11-20`."""
    return date.fromordinal(key).isoformat()


def week_label(key: int) -> str:
    """Given a week's number, return `2026-W47`."""
    year, week, _ = date.fromordinal(key * 7 + 1).isocalendar()
    return f"{year}-W{week:02d}"


def month_label(key: int) -> str:
    """Given a month's number, return `2026-11`."""
    return f"{key // _MONTHS_A_YEAR:04d}-{key % _MONTHS_A_YEAR + 1:02d}"


def year_label(key: int) -> str:
    """Given a year, return it as text."""
    return f"{key:04d}"


Keys = Callable[[Sequence[datetime]], list[int]]
Label = Callable[[int], str]

PERIODS: dict[str, tuple[Keys, Label]] = {
    "hourly": (hours, hour_label),
    "daily": (days, day_label),
    "weekly": (weeks, week_label),
    "monthly": (months, month_label),
    "yearly": (years, year_label),
}
"""For each calendar word: how snapshots fall into its periods, and how a period is called."""
