"""Patterns with the wildcards `*` and `?`, as policies and tables write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache


@lru_cache(maxsize=4096)
def wildcard(pattern: str) -> re.Pattern[str]:
    """Compile a pattern with the wildcards `*` and `?` only; letter case counts, as it does in tags."""
    return re.compile(translate(pattern.replace("[", "[[]")))


def matches_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text matches one of the patterns."""
    return any(wildcard(pattern).match(text) for pattern in patterns)
