"""Schedules of EventBridge: `cron` expressions of six fields.

Source: EventBridge user guide, "Cron expressions reference": minutes, hours, day of month, month, day of week, year; one of the
two days is `?`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from snapkeep.domain.records import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 1, 7, _WEEKDAYS),
    ("year", 1970, 2199, ()),
)
"""Name, least and largest value, and the words for the values from the least on. Sunday is 1."""
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4
_LONGEST_LOOK = 366
_FOUR_YEARS = [date(2028, 1, 1) + timedelta(days=number) for number in range(4 * 365 + 1)]
"""Four years: they contain every date."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule: the values of each field for which it is due."""

    fields: tuple[frozenset[int], ...]

    def latest(self, now: datetime, timezone: str) -> datetime | None:
        """Return the last moment that is not after now; None if there was none for a year.

        A time that the clock skips is an hour later; a time that it repeats counts once, the first time.
        """
        # One more day: a time that is skipped late in the evening is on the next day.
        days = (self._moments(now, back, timezone) for back in range(1, -_LONGEST_LOOK, -1))
        return next((max(past) for moments in days if (past := [moment for moment in moments if moment <= now])), None)

    def following(self, now: datetime, timezone: str) -> datetime | None:
        """Return the first moment after now, by the same rules; None if there is none within a year."""
        days = (self._moments(now, ahead, timezone) for ahead in range(-1, _LONGEST_LOOK))
        return next((min(later) for moments in days if (later := [moment for moment in moments if moment > now])), None)

    def is_over(self, now: datetime, timezone: str) -> bool:
        """Whether there is no moment after now, in any year."""
        if self.following(now, timezone) is not None:
            return False
        first, last = now.date().toordinal() + _LONGEST_LOOK, date(max(self.fields[-1]), 12, 31).toordinal()
        return not any(self._takes(date.fromordinal(number)) for number in range(first, last + 1))

    @property
    def longest(self) -> timedelta:
        """Return the longest time between two moments in any years, without changes of the clock.

        It is `timedelta.max` if four years have at most one moment.
        """
        minutes, hours, *of_days, _ = self.fields
        times = sorted(timedelta(hours=hour, minutes=minute) for hour in hours for minute in minutes)
        days = [day for day in _FOUR_YEARS if all(value in field for value, field in zip(_of_day(day), of_days, strict=False))]
        # From the last moment of a day to the first moment of the next day with any.
        between_days = max((later - earlier for earlier, later in pairwise(days)), default=timedelta.max)
        return max([between_days - (times[-1] - times[0]), *(later - earlier for earlier, later in pairwise(times))])

    def _moments(self, now: datetime, days: int, timezone: str) -> list[datetime]:
        """Return the moments of the day that is this number of days after the current one."""
        zone = ZoneInfo(timezone)
        day = now.astimezone(zone).date() + timedelta(days=days)
        minutes, hours, *_ = self.fields
        taken = self._takes(day)
        return [
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
            for hour in (hours if taken else ())
            for minute in minutes
        ]

    def _takes(self, day: date) -> bool:
        return all(value in field for value, field in zip(_of_day(day), self.fields[2:], strict=True))


def _of_day(day: date) -> tuple[int, int, int, int]:
    return day.day, day.month, day.isoweekday() % 7 + 1, day.year


@lru_cache(maxsize=64)
def parse_cron(text: str) -> Cron:
    """Return the schedule of an expression. Raise ValueError, which says what would be right."""
    parts = text.split(" ")
    if len(parts) != len(_FIELDS):
        raise ValueError('write six fields, such as "0 4 ? * SUN *": minutes, hours, day of month, month, day of week, year')
    if (parts[_DAY_OF_MONTH] == "?") == (parts[_DAY_OF_WEEK] == "?"):
        raise ValueError("write ? for either the day of month or the day of week")
    return Cron(tuple(_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)))


def _values(text: str, name: str, least: int, most: int, words: tuple[str, ...]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdecimal() or not int(step)):
            raise _wrong(name, part)
        if span in ("*", "?"):
            first, last = least, most
        else:
            low, dash, high = span.partition("-")
            first = _value(low, name, least, most, words)
            last = _value(high, name, least, most, words) if dash else (most if slash else first)
        if last < first or (span == "?" and text != "?"):
            raise _wrong(name, part)
        values.update(range(first, last + 1, int(step or 1)))
    return frozenset(values)


def _value(text: str, name: str, least: int, most: int, words: tuple[str, ...]) -> int:
    if text.upper() in words:
        return words.index(text.upper()) + least
    if not text.isdecimal() or not least <= int(text) <= most:
        raise _wrong(name, text)
    return int(text)


def _wrong(name: str, text: str) -> ValueError:
    field = next(field for field in _FIELDS if field[0] == name)
    words = f", or {field[3][0]} to {field[3][-1]}" if field[3] else ""
    return ValueError(f"{name}: '{text}': write numbers from {field[1]} to {field[2]}{words}, with `,`, `-`, `/` or `*`")
