"""Rotation: later sweeps handle the items that exceed the limit of one sweep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from math import isqrt
from typing import TypeVar

Item = TypeVar("Item")
LEAST_STARTS = 29
"""A prime above 24: no schedule of up to a day, in whole hours, divides it."""


def rotating_sample(items: Sequence[Item], most: int, now: datetime) -> list[Item]:
    """Return up to `most` of the items, others each hour, so that every item is returned in time.

    The number of start positions is a prime, and they are at most `most` items apart: a schedule of any number of hours reaches
    each.
    """
    if len(items) <= most:
        return list(items)
    if most < 1:
        return []
    least = max(LEAST_STARTS, -(-len(items) // most))
    places = next(number for number in count(least) if all(number % divisor for divisor in range(2, isqrt(number) + 1)))
    first = int(now.timestamp()) // 3600 % places * len(items) // places
    return [items[(first + number) % len(items)] for number in range(most)]
