"""Words that reports, notices and commands share."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Given a number and what is counted, return both in words: `1 copy`, `1,200 copies` (with the plural `copies`)."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


_OF_ONE = {
    "copies": "copy",
    "minutes": "minute",
    "plans": "plan",
    "runs": "run",
    "snapshots": "snapshot",
    "volumes": "volume",
    "their": "its",
}


def inflected(number: int, total: str) -> str:
    """Given a number and the name of a total, return the name as it is said of so many: of one `volume protected`."""
    return " ".join(_OF_ONE.get(word, word) for word in total.split(" ")) if number == 1 else total
