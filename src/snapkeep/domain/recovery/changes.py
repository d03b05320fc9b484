"""The share of a volume that changes from one snapshot to the next, and which change is unusual. Pure.

Ransomware overwrites most of a volume within hours. Usual changes differ by volume, so each is compared with its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.blocks import BLOCKS_PER_GIB

FEWEST = 7
"""Changes below which nothing is called unusual."""
KEPT = 90
"""Changes that are kept, so that what happens once a month is known to happen."""
COMPARED = 30
"""The newest of them, whose median and deviations are compared with: older ones say little about today."""
DEVIATIONS = 6
"""Median absolute deviations above the median: 6 of them are about 4 standard deviations of a normal distribution."""
LEAST_SHARE = 0.1
"""The share of the volume by which a change exceeds the median at least: a volume that hardly changes may double that."""
TIMES_LARGEST = 2
"""A change beyond so many times the largest one kept: a weekly job is in no median, and is usual once it was seen."""
MOST_SHARE = 0.8
"""The share of the volume that is not a usual job any more, whatever the largest change was."""
NEWS_FOR = timedelta(days=7)
"""The time for which an unusual change needs somebody."""


@dataclass(frozen=True, slots=True)
class ChangeHistory:
    """The newest snapshot of a volume whose change was looked at, and how many blocks changed in each before."""

    snapshot_id: str
    start_time: datetime
    changed: tuple[int, ...] = ()
    """Blocks of 512 KiB, the newest last. For an unusual change it is a lower bound."""

    @property
    def usual(self) -> int:
        """The median of the changes; 0 without any."""
        return int(median(self.changed[-COMPARED:])) if self.changed else 0

    def after(self, snapshot_id: str, start_time: datetime, changed: int | None) -> ChangeHistory:
        """Return the history with a further snapshot; None for a change that is not known."""
        known = self.changed if changed is None else (*self.changed, changed)
        return replace(self, snapshot_id=snapshot_id, start_time=start_time, changed=known[-KEPT:])


@dataclass(frozen=True, slots=True)
class UnusualChange:
    """A snapshot before which far more of its volume changed than usual."""

    region: str
    volume_id: str
    snapshot_id: str
    start_time: datetime
    changed: int
    usual: int
    """The usual change before it, in blocks."""

    @property
    def text(self) -> str:
        """The change in words."""
        return (
            f"at least {gib_text(self.changed)} changed in {self.snapshot_id} of {self.start_time:%Y-%m-%d %H:%M} UTC, "
            f"usual are {gib_text(self.usual)}"
        )

    def is_news(self, now: datetime) -> bool:
        """Whether it is so new that somebody should look at it."""
        return now - self.start_time <= NEWS_FOR


def most_usual(changed: Sequence[int], size_gib: int) -> int | None:
    """Return how many changed blocks are still usual after a volume's former changes; None where too few are known."""
    if len(changed) < FEWEST:
        return None
    compared, blocks = changed[-COMPARED:], size_gib * BLOCKS_PER_GIB
    middle = median(compared)
    deviation = median(abs(number - middle) for number in compared)
    by_largest = min(TIMES_LARGEST * max(changed), MOST_SHARE * blocks)
    return int(max(middle + DEVIATIONS * deviation, middle + LEAST_SHARE * blocks, by_largest))


def unusual(history: ChangeHistory, changed: int, size_gib: int) -> bool:
    """Whether a change is unusual after the former ones."""
    most = most_usual(history.changed, size_gib)
    return most is not None and changed > most


def newest_by_volume(changes: Iterable[UnusualChange]) -> dict[str, UnusualChange]:
    """Return the newest unusual change of each volume."""
    return {change.volume_id: change for change in sorted(changes, key=lambda change: change.start_time)}


def gib_text(block_count: int) -> str:
    """Return a number of blocks as GiB."""
    return f"{block_count / BLOCKS_PER_GIB:,.1f} GiB"
