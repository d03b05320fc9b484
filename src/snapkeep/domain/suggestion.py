"""The nearest valid word for a typing error."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def nearest(word: str, words: Collection[str]) -> str:
    """Return the most similar word, regardless of case; empty if none is similar."""
    folded = {known.casefold(): known for known in sorted(words)}
    matches = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else ""
