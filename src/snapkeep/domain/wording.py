"""Words that reports, notices and commands share."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Given a number and what is counted, return both in words: `1 copy`, `1,200 copies` (with the plural `copies`)."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
