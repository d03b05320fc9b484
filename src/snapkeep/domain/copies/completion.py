"""The cheapest way to copy in time: an ordinary copy, or a time-based one with a completion duration. Pure.

Source of limits and prices: EBS user guide, "Time-based copies". An ordinary copy costs nothing beyond the transfer, and AWS
promises no time. The durations of earlier copies between the same regions give its expected duration.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil, log
from typing import TYPE_CHECKING, NamedTuple

from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.policy.completion import COMPLETION_LONGEST_MINUTES, COMPLETION_STEP_MINUTES
from snapkeep.domain.prices import completion_price_usd_per_gib
from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.policy.model import CopyRule

ONE_COPY_MIB_PER_SECOND = 500.0
ALL_COPIES_MIB_PER_SECOND = 2000.0
"""The limit of all time-based copies into a region (L-E137849C; the guide states it for a pair of regions: this is smaller)."""
START_MARGIN = timedelta(minutes=1)
"""The time until CopySnapshot returns."""
HISTORY = 100
"""The number of earlier copies, of the most similar size, that predict the duration of an ordinary copy."""
LEAST_HISTORY = 20
PERCENTILE = 99
UNCERTAINTY = 1.2
"""A hundred copies do not show the slowest of the next hundred."""
ASSUMED_SECONDS, ASSUMED_MIB_PER_SECOND = 900.0, 30.0
"""The time of an ordinary copy without history, rather slow: AWS documents no speed, and a late copy is worse than a paid one."""


MIB_OF_GIB = 1024


class CopyWayKind(LabelledEnum):
    """The way in which a copy is made. The values are identifiers for machines."""

    ORDINARY = "ordinary", "an ordinary copy"
    TIME_BASED = "time_based", "a time-based copy"
    NOT_CHOSEN = "not_chosen", "chosen when it starts"


@dataclass(frozen=True, slots=True)
class CopyWay:
    """The way of a copy, and the most that its completion duration adds to the price of its transfer."""

    kind: CopyWayKind
    minutes: int = 0
    """The completion duration of a time-based copy."""
    usd: float = 0.0
    automatic: bool = False
    """Whether its rule leaves the choice to the system (`completion: auto`)."""
    within_budget: bool = False
    """Whether it becomes an ordinary copy if the month's budget does not cover it when it starts."""


ORDINARY = CopyWay(CopyWayKind.ORDINARY)
TO_BE_CHOSEN = CopyWay(CopyWayKind.NOT_CHOSEN, automatic=True)


def way_of(minutes: int, mib: int, *, automatic: bool = False, within_budget: bool = False) -> CopyWay:
    """Return the way of a copy of so many MiB with a completion duration, or of an ordinary one with 0 minutes."""
    kind = CopyWayKind.TIME_BASED if minutes else CopyWayKind.ORDINARY
    return CopyWay(kind, minutes, completion_usd(minutes, mib), automatic, within_budget and bool(minutes))


def way_by_rule(rule: CopyRule, size_gib: int) -> CopyWay:
    """Return the way of a copy that is not requested yet; TO_BE_CHOSEN if it is chosen when the copy starts."""
    if rule.chooses_completion:
        return TO_BE_CHOSEN
    return way_of(rule.completion_minutes, size_gib * MIB_OF_GIB, within_budget=bool(rule.budget_usd))


def completion_usd(minutes: int, mib: int) -> float:
    """Return the US dollars that a completion duration adds to the price of a copy of so many MiB; 0 for an ordinary copy."""
    return completion_price_usd_per_gib(minutes) * mib / MIB_OF_GIB


@dataclass(frozen=True, slots=True)
class CopySpending:
    """The cost at most of the time-based copies by one policy into one region that started in a calendar month."""

    usd: float = 0.0
    exhausted: bool = False
    """Whether the budget made a copy an ordinary one."""


def month_of(moment: datetime) -> str:
    """Return the calendar month of a moment in UTC, such as `2026-11`."""
    return f"{moment:%Y-%m}"


class PastCopy(NamedTuple):
    """An ordinary copy between the same regions: the MiB that changed, and how long it took."""

    mib: int
    seconds: int


@dataclass(frozen=True, slots=True)
class CompletionFacts:
    """The facts that decide how one copy is made."""

    changed_mib: int
    """MiB that the copy moves, at most."""
    full_mib: int
    """MiB of the whole snapshot, at most: AWS takes the throughput of a time-based copy of its size."""
    left: timedelta
    """Time until the copy's deadline."""
    free_mib_per_second: float
    """Throughput of time-based copies that no copy in progress uses."""


def pace(full_mib: float, minutes: int) -> float:
    """Return the throughput of a time-based copy in MiB per second."""
    return full_mib / (minutes * 60)


def shortest_minutes(full_mib: int, mib_per_second: float = ONE_COPY_MIB_PER_SECOND) -> int:
    """Return the shortest completion duration that a throughput allows."""
    return COMPLETION_STEP_MINUTES * max(1, ceil(full_mib / mib_per_second / 60 / COMPLETION_STEP_MINUTES))


def ordinary_seconds(mib: int, history: Sequence[PastCopy]) -> float:
    """Return the time within which 99 % of ordinary copies of this size in MiB complete.

    A copy of k times the MiB takes at most k times as long, because a part of the time is the same for all.
    """
    if len(history) < LEAST_HISTORY:
        return ASSUMED_SECONDS + mib / ASSUMED_MIB_PER_SECOND
    size = log(max(mib, 1))
    similar = sorted(history, key=lambda past: abs(log(max(past.mib, 1)) - size))[:HISTORY]
    spans = sorted(past.seconds * max(1.0, mib / max(past.mib, 1)) for past in similar)
    return spans[ceil(len(spans) * PERCENTILE / 100) - 1] * UNCERTAINTY


def choose_minutes(facts: CompletionFacts, history: Sequence[PastCopy]) -> int:
    """Return the completion duration with which a copy is cheapest among those that meet its deadline; 0 for an ordinary copy.

    The price per GiB falls with the duration, so that the longest one in time is in the cheapest step, and uses the least
    throughput. Where none is in time, the fastest way is taken.
    """
    seconds_left = (facts.left - START_MARGIN).total_seconds()
    ordinary = ordinary_seconds(facts.changed_mib, history)
    if ordinary <= seconds_left:
        return 0
    speed = min(ONE_COPY_MIB_PER_SECOND, facts.free_mib_per_second)
    if speed <= 0:
        return 0
    shortest = shortest_minutes(facts.full_mib, speed)
    longest = min(COMPLETION_LONGEST_MINUTES, int(seconds_left // (COMPLETION_STEP_MINUTES * 60)) * COMPLETION_STEP_MINUTES)
    if shortest <= longest:
        return longest
    return shortest if shortest <= COMPLETION_LONGEST_MINUTES and shortest * 60 < ordinary else 0
