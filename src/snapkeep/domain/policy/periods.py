"""Hours, days, weeks, months and years of snapshots, in a policy's time zone, as numbers that compare fast.

Weeks are those of ISO 8601: they begin on Monday, and the year of a week is the year of its Thursday.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_MONTHS_A_YEAR = 12
_DAYS_A_WEEK = 7
_HOURS_A_DAY = 24
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_times(moments: Sequence[datetime], timezone: str) -> list[datetime]:
    """Return aware moments as local times of a time zone, given its IANA name."""
    if timezone == "UTC":
        return [moment if moment.tzinfo is UTC else moment.astimezone(UTC) for moment in moments]
    zone = _zone(timezone)
    return [moment.astimezone(zone) for moment in moments]


class Calendar:
    """Local times, and the number of the period of each."""

    __slots__ = ("_days", "times")

    def __init__(self, moments: Sequence[datetime], timezone: str) -> None:
        self.times = local_times(moments, timezone)
        self._days: list[int] | None = None

    def days(self) -> list[int]:
        """Return the day of each time."""
        if self._days is None:
            self._days = [time.toordinal() for time in self.times]
        return self._days

    def hours(self) -> list[int]:
        """Return the hour of each time. An hour that the clock repeats, at the end of daylight saving time, is two hours."""
        return [((time.toordinal() * _HOURS_A_DAY + time.hour) * 2) + time.fold for time in self.times]

    def weeks(self) -> list[int]:
        """Return the ISO week of each time (day 1 of the calendar is a Monday)."""
        return [(day - 1) // _DAYS_A_WEEK for day in self.days()]

    def months(self) -> list[int]:
        """Return the month of each time."""
        return list(map(_MONTH_OF_DAY.__getitem__, self.days()))

    def years(self) -> list[int]:
        """Return the year of each time."""
        return [month // _MONTHS_A_YEAR for month in self.months()]


class _MonthOfDay(dict[int, int]):
    """Day -> month, computed once for each day: a listing has many snapshots of one day."""

    def __missing__(self, day: int) -> int:
        date_of_day = date.fromordinal(day)
        month = self[day] = date_of_day.year * _MONTHS_A_YEAR + date_of_day.month - 1
        return month


_MONTH_OF_DAY = _MonthOfDay()


def hour_label(key: int) -> str:
    """Return the name of an hour: `2026-11-20 13:00`."""
    day, hour = divmod(key // 2, _HOURS_A_DAY)
    return f"{date.fromordinal(day)} {hour:02d}:00" + (" (second time)" if key % 2 else "")


def day_label(key: int) -> str:
    """Return the name of a day: `2026-11-20`."""
    return date.fromordinal(key).isoformat()


def week_label(key: int) -> str:
    """Return the name of a week: `2026-W47`."""
    year, week, _ = date.fromordinal(key * _DAYS_A_WEEK + 1).isocalendar()
    return f"{year}-W{week:02d}"


def month_label(key: int) -> str:
    """Return the name of a month: `2026-11`."""
    return f"{key // _MONTHS_A_YEAR:04d}-{key % _MONTHS_A_YEAR + 1:02d}"


def year_label(key: int) -> str:
    """Return the name of a year: `2026`."""
    return f"{key:04d}"


class Period(NamedTuple):
    """A calendar word of a policy: `keep_<word>` keeps the newest snapshot of each of the last so many of these periods."""

    numbers: Callable[[Calendar], list[int]]
    """Returns the period of each time, as a number."""
    label: Callable[[int], str]
    """Returns the name of the period with a number."""
    plural: str
    """The name of the period in the descriptions of the words."""
    longest: timedelta
    """The greatest length of such a period, without changes of the clock."""


PERIODS: Mapping[str, Period] = {
    "hourly": Period(Calendar.hours, hour_label, "hours", HOUR),
    "daily": Period(Calendar.days, day_label, "days", DAY),
    "weekly": Period(Calendar.weeks, week_label, "weeks (ISO 8601, from Monday)", 7 * DAY),
    "monthly": Period(Calendar.months, month_label, "months", 31 * DAY),
    "yearly": Period(Calendar.years, year_label, "years", 366 * DAY),
}
"""Every calendar word, the finest period first. The document, its schema, verdicts and reports are derived from this table."""


def finest_period(words: Collection[str]) -> Period:
    """Return the finest period of these words, or the day if none is finer: each coarser period consists of whole ones."""
    return next(period for word, period in PERIODS.items() if word in words or word == "daily")


def finest_word(retention: Collection[str]) -> str:
    """Return the finest calendar word among a retention's keys (`keep_daily`), without its prefix; empty if there is none."""
    return next((word for word in PERIODS if f"keep_{word}" in retention), "")
