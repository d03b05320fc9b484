"""Nouns in the singular and the plural, for reports, notices and commands."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 copy`, `1,200 copies` (with the plural `copies`)."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


_SINGULAR = {
    "copies": "copy",
    "minutes": "minute",
    "plans": "plan",
    "runs": "run",
    "snapshots": "snapshot",
    "volumes": "volume",
    "their": "its",
}


def noun_for(number: int, plural: str) -> str:
    """Return a noun phrase, given in the plural, in the form for the number: for 1, `copies waiting` becomes `copy waiting`."""
    return " ".join(_SINGULAR.get(word, word) for word in plural.split(" ")) if number == 1 else plural
