"""The snapshots that a copy rule copies: each of them, or one of each period.

Runs, sweeps, plans and the holds of retention all use this module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from snapkeep.domain.policy.periods import DAY, HOUR, PERIODS, Calendar, finest_word

if TYPE_CHECKING:
    from snapkeep.domain.model import Snapshot
    from snapkeep.domain.policy.model import CopyRule, Policy, Retention

ONLY_KEPT = "kept"
"""The value of `only`: one copy of each of the finest periods in the retention of the copies."""


def between_copies(rule: CopyRule) -> timedelta:
    """Return the longest time between the snapshots that a rule copies; zero if it copies each of them."""
    return longest_period(rule.every, rule.only, _words(rule.retention))


def longest_period(every: timedelta, only: str, retention: Mapping[str, object]) -> timedelta:
    """Return the same, given the parts of the rule. `retention` has the words of the copies' retention that are in use."""
    if every or only != ONLY_KEPT:
        return every
    word = finest_word(retention)
    return PERIODS[word].longest if word else timedelta(0)


def copies_all(rule: CopyRule) -> bool:
    """Whether a rule copies every snapshot."""
    return periods_of(rule) is None


class Periods(NamedTuple):
    """Periods of hours or days, or of a calendar word if the length is zero."""

    every: timedelta
    word: str
    timezone: str

    def numbers(self, moments: Sequence[datetime]) -> list[int]:
        """Return the number of the period of each moment.

        Periods of hours begin at midnight; periods of days count from a Monday. An hour that the clock repeats is two hours.
        """
        calendar = Calendar(moments, self.timezone)
        if not self.every:
            return PERIODS[self.word].numbers(calendar)
        if not self.every % DAY:
            return [(day - 1) // (self.every // DAY) for day in calendar.days()]
        hours = calendar.hours()
        return hours if self.every == HOUR else [hour // 2 // (self.every // HOUR) for hour in hours]

    def bounds(self, moment: datetime) -> tuple[datetime, datetime]:
        """Return the start of a moment's period, and the start of the next period."""
        # Periods begin at a quarter of an hour in every time zone.
        return _bounds(self, moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0))


@lru_cache(maxsize=4096)
def _bounds(periods: Periods, quarter: datetime) -> tuple[datetime, datetime]:
    (number,) = periods.numbers((quarter,))
    begin = end = quarter
    for step in (DAY, timedelta(minutes=15)):
        while periods.numbers((begin - step,))[0] == number:
            begin -= step
        while periods.numbers((end + step,))[0] == number:
            end += step
    return begin, end + timedelta(minutes=15)


def periods_of(rule: CopyRule) -> Periods | None:
    """Return the periods of a copy rule, in the time zone of its retention; None if it copies every snapshot."""
    word = finest_word(_words(rule.retention)) if rule.only else ""
    return Periods(rule.every, word, rule.retention.timezone) if rule.every or word else None


def same_period(rule: CopyRule, first: datetime, second: datetime) -> bool:
    """Whether a rule copies only one of two snapshots, because both are in the same period."""
    periods = periods_of(rule)
    if periods is None:
        return False
    numbers = periods.numbers((first, second))
    return numbers[0] == numbers[1]


def rpo_end(snapshot: Snapshot, policy: Policy, rule: CopyRule, others: Iterable[Snapshot]) -> datetime | None:
    """Return the time when the data that a rule copied before a snapshot exceeds the RPO.

    `others` are the snapshots of its volume that the policy copies. None if no earlier one is known.
    """
    starts = [other.origin.start_time for other in others if other.origin.start_time < snapshot.origin.start_time]
    if not starts:
        return None
    periods, newest = periods_of(rule), max(starts)
    # Another snapshot of its period may have been copied, which began no earlier than the period.
    return (periods.bounds(newest)[0] if periods else newest) + policy.rpo


def to_copy(
    candidates: Iterable[Snapshot], rule: CopyRule, copied: Iterable[datetime] = (), in_progress: Collection[str] = ()
) -> list[Snapshot]:
    """Return the candidates of one lineage that a rule copies, in their order.

    Candidates are completed snapshots without a completed copy. `copied` are the starts of the snapshots with a completed copy,
    and `in_progress` the ids of snapshots whose copies wait or run. The first snapshot of each period is copied: the rest of
    the period is not known yet. A period with a completed copy, or with one in progress, gets no other copy.
    """
    listed, periods = list(candidates), periods_of(rule)
    if periods is None:
        return listed
    starts = [snapshot.origin.start_time for snapshot in listed]
    copied_periods = set(periods.numbers(list(copied)))
    chosen: dict[int, Snapshot] = {}
    for period, snapshot in zip(periods.numbers(starts), listed, strict=True):
        known = chosen.get(period)
        if period not in copied_periods and (known is None or _rank(snapshot, in_progress) < _rank(known, in_progress)):
            chosen[period] = snapshot
    ids = {snapshot.id for snapshot in chosen.values()}
    return [snapshot for snapshot in listed if snapshot.id in ids]


def _rank(snapshot: Snapshot, in_progress: Collection[str]) -> tuple[bool, datetime, str]:
    return snapshot.id not in in_progress, snapshot.origin.start_time, snapshot.id


def _words(retention: Retention) -> dict[str, object]:
    return {name: count for word in PERIODS if (count := getattr(retention, name := f"keep_{word}"))}
