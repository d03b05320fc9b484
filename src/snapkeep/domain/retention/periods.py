"""Hours, days, weeks, months and years of snapshots, in a policy's time zone, as numbers that compare fast.

Weeks are those of ISO 8601: they begin on Monday, and the year of a week is the year of its Thursday.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_MONTHS_A_YEAR = 12
_DAYS_A_WEEK = 7
_HOURS_A_DAY = 24


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_times(moments: Sequence[datetime], timezone: str) -> list[datetime]:
    """Given aware moments and an IANA name, return them as that zone's wall clocks show them."""
    if timezone == "UTC":
        return [moment if moment.tzinfo is UTC else moment.astimezone(UTC) for moment in moments]
    zone = _zone(timezone)
    return [moment.astimezone(zone) for moment in moments]


class Calendar:
    """Local times, and on demand the periods that they fall into, each as one number for each time."""

    __slots__ = ("_days", "times")

    def __init__(self, moments: Sequence[datetime], timezone: str) -> None:
        self.times = local_times(moments, timezone)
        self._days: list[int] | None = None

    def days(self) -> list[int]:
        """Return each one's day."""
        if self._days is None:
            self._days = [time.toordinal() for time in self.times]
        return self._days

    def hours(self) -> list[int]:
        """Return each one's hour. The hour that a clock repeats in autumn is two hours."""
        return [((time.toordinal() * _HOURS_A_DAY + time.hour) * 2) + time.fold for time in self.times]

    def weeks(self) -> list[int]:
        """Return each one's ISO week (day 1 of the calendar is a Monday)."""
        return [(day - 1) // _DAYS_A_WEEK for day in self.days()]

    def months(self) -> list[int]:
        """Return each one's month."""
        return list(map(_MONTH_OF_DAY.__getitem__, self.days()))

    def years(self) -> list[int]:
        """Return each one's year."""
        return [month // _MONTHS_A_YEAR for month in self.months()]


class _MonthOfDay(dict[int, int]):
    """Day -> month, worked out once for each day: a listing has many snapshots of one day."""

    def __missing__(self, day: int) -> int:
        date_of_day = date.fromordinal(day)
        month = self[day] = date_of_day.year * _MONTHS_A_YEAR + date_of_day.month - 1
        return month


_MONTH_OF_DAY = _MonthOfDay()


def hour_label(key: int) -> str:
    """Given an hour's number, return `2026-11-20 13:00`."""
    day, hour = divmod(key // 2, _HOURS_A_DAY)
    return f"{date.fromordinal(day)} {hour:02d}:00" + (" (second time)" if key % 2 else "")


def day_label(key: int) -> str:
    """Given a day's number, return `2026-11-20`."""
    return date.fromordinal(key).isoformat()


def week_label(key: int) -> str:
    """Given a week's number, return `2026-W47`."""
    year, week, _ = date.fromordinal(key * _DAYS_A_WEEK + 1).isocalendar()
    return f"{year}-W{week:02d}"


def month_label(key: int) -> str:
    """Given a month's number, return `2026-11`."""
    return f"{key // _MONTHS_A_YEAR:04d}-{key % _MONTHS_A_YEAR + 1:02d}"


def year_label(key: int) -> str:
    """Given a year, return it as text."""
    return f"{key:04d}"


Keys = Callable[[Calendar], list[int]]
Label = Callable[[int], str]

PERIODS: dict[str, tuple[Keys, Label]] = {
    "hourly": (Calendar.hours, hour_label),
    "daily": (Calendar.days, day_label),
    "weekly": (Calendar.weeks, week_label),
    "monthly": (Calendar.months, month_label),
    "yearly": (Calendar.years, year_label),
}
"""For each calendar word: how snapshots fall into its periods, and how a period is called."""
