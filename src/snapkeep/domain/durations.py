"""Durations as people write them, `90m`, `4h`, `3d`, `1w`, and in words."""

from __future__ import annotations

import re
from datetime import timedelta

from snapkeep.domain.plural import counted

PATTERN = r"^[0-9]+[mhdw]$"
"""The form of a duration, as a regular expression that is valid in JSON Schema too."""

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST = timedelta(days=36500)


def parse_duration(text: str) -> timedelta:
    """Return the duration in a text such as `90m`, `4h`, `3d` or `1w`.

    Raise ValueError, with the right form, for anything else.
    """
    if not re.fullmatch(PATTERN, text) or not text.isascii():
        raise ValueError("write a whole number and a unit: 90m, 4h, 3d or 1w")
    amount, unit = text[:-1], _UNITS[text[-1]]
    if len(amount) > len(str(_LONGEST // _UNITS["m"])) or int(amount) * unit > _LONGEST:
        raise ValueError("write at most 36500d (a hundred years)")
    return int(amount) * unit


def format_duration(duration: timedelta) -> str:
    """Return a duration of whole minutes in the largest of minutes, hours and days that divides it (`3d`, `90m`)."""
    for letter in "dh":
        if duration and not duration % _UNITS[letter]:
            return f"{duration // _UNITS[letter]}{letter}"
    return f"{duration // _UNITS['m']}m"


def span_text(span: timedelta) -> str:
    """Return a span in words: `37 minutes`, `5 hours`, `3 days`."""
    minutes = int(span.total_seconds() // 60)
    units = ((2880, 1440, "day"), (180, 60, "hour"), (0, 1, "minute"))
    _, unit, name = next(known for known in units if minutes >= known[0] or known[0] == 0)
    return counted(minutes // unit, name)
