"""Schedules of EventBridge: `cron` expressions of six fields.

Source: EventBridge user guide, "Cron expressions reference": minutes, hours, day of month, month, day of week, year; one of the
two days is `?`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

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
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule: the values of each field at which it is due."""

    fields: tuple[frozenset[int], ...]

    def matches(self, local: datetime) -> bool:
        """Whether it is due in a minute of its own time zone."""
        weekday = local.isoweekday() % 7 + 1
        values = (local.minute, local.hour, local.day, local.month, weekday, local.year)
        return all(value in field for value, field in zip(values, self.fields, strict=True))

    def last(self, now: datetime, within: timedelta, timezone: str) -> datetime | None:
        """Return the last minute at which it was due; None if it was not due within this time."""
        zone = ZoneInfo(timezone)
        minute = now.replace(second=0, microsecond=0)
        candidates = (minute - _MINUTE * number for number in range(within // _MINUTE))
        return next((at for at in candidates if self.matches(at.astimezone(zone))), None)


def parse_cron(text: str) -> Cron:
    """Return the schedule of an expression. Raise ValueError, with what is right."""
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
