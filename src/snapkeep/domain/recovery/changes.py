"""The share of a volume that changes from one snapshot to the next, and unusual changes. Pure.

Ransomware overwrites most of a volume within hours. Usual changes differ by volume, so each volume is compared with itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.blocks import BLOCKS_PER_GIB

FEWEST = 7
"""The number of changes below which no change counts as unusual."""
KEPT = 90
"""The number of changes that are kept: a change that recurs each month stays among them."""
COMPARED = 30
"""The number of newest changes whose median and deviations count: older ones say little about today."""
DEVIATIONS = 6
"""Median absolute deviations above the median: 6 of them are about 4 standard deviations of a normal distribution."""
LEAST_SHARE = 0.1
"""The share of the volume by which an unusual change exceeds the median at least: a volume that hardly changes may double its
changes."""
TIMES_LARGEST = 2
"""The multiple of the largest kept change that an unusual change exceeds: a weekly job is in no median, and is usual once it
has occurred."""
MOST_SHARE = 0.8
"""The share of the volume from which a change is unusual, whatever the largest change was."""
NEWS_FOR = timedelta(days=7)
"""The time for which an unusual change needs attention."""


@dataclass(frozen=True, slots=True)
class ChangeHistory:
    """The newest snapshot of a volume whose change was measured, and the changed blocks of each snapshot up to it."""

    snapshot_id: str
    start_time: datetime
    changed: tuple[int, ...] = ()
    """Blocks of 512 KiB, the newest last. For an unusual change it is a lower bound."""

    @property
    def usual(self) -> int:
        """The median of the changes; 0 without any."""
        return int(median(self.changed[-COMPARED:])) if self.changed else 0

    def after(self, snapshot_id: str, start_time: datetime, changed: int | None) -> ChangeHistory:
        """Return the history with one more snapshot; `changed` is None if its change is not known."""
        known = self.changed if changed is None else (*self.changed, changed)
        return replace(self, snapshot_id=snapshot_id, start_time=start_time, changed=known[-KEPT:])


@dataclass(frozen=True, slots=True)
class UnusualChange:
    """A snapshot with far more changes of its volume than usual."""

    region: str
    volume_id: str
    snapshot_id: str
    start_time: datetime
    changed: int
    usual: int
    """The usual change, in blocks."""

    @property
    def text(self) -> str:
        """The change in words."""
        return (
            f"at least {gib_text(self.changed)} changed in {self.snapshot_id} of {self.start_time:%Y-%m-%d %H:%M} UTC, "
            f"usual are {gib_text(self.usual)}"
        )

    def needs_attention(self, now: datetime) -> bool:
        """Whether the change is recent enough to need attention."""
        return now - self.start_time <= NEWS_FOR


def most_usual(changed: Sequence[int], size_gib: int) -> int | None:
    """Return the greatest number of changed blocks that is usual after a volume's earlier changes; None if too few are known."""
    if len(changed) < FEWEST:
        return None
    compared, blocks = changed[-COMPARED:], size_gib * BLOCKS_PER_GIB
    middle = median(compared)
    deviation = median(abs(number - middle) for number in compared)
    by_largest = min(TIMES_LARGEST * max(changed), MOST_SHARE * blocks)
    return int(max(middle + DEVIATIONS * deviation, middle + LEAST_SHARE * blocks, by_largest))


def unusual(history: ChangeHistory, changed: int, size_gib: int) -> bool:
    """Whether a change is unusual after the earlier ones."""
    most = most_usual(history.changed, size_gib)
    return most is not None and changed > most


def newest_by_volume(changes: Iterable[UnusualChange]) -> dict[str, UnusualChange]:
    """Return the newest unusual change of each volume."""
    return {change.volume_id: change for change in sorted(changes, key=lambda change: change.start_time)}


def gib_text(block_count: int) -> str:
    """Return a number of blocks as GiB."""
    return f"{block_count / BLOCKS_PER_GIB:,.1f} GiB"
