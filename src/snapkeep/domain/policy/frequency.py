"""Which snapshots a copy rule copies: every one, or one of each period.

Runs, sweeps, plans and the holds of retention all decide by this module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from snapkeep.domain.policy.periods import DAY, HOUR, PERIODS, Calendar, finest_word

if TYPE_CHECKING:
    from snapkeep.domain.model import Snapshot
    from snapkeep.domain.policy.model import CopyRule, Retention

ONLY_KEPT = "kept"
"""The word of `only`: one copy of each of the finest periods that the retention of the copies knows."""


def between_copies(rule: CopyRule) -> timedelta:
    """Return the longest time between the snapshots that a rule copies; zero if it copies every one."""
    return longest_period(rule.every, rule.only, _words(rule.retention))


def longest_period(every: timedelta, only: str, retention: Mapping[str, object]) -> timedelta:
    """Return the same of the rule's parts. `retention` has the words of the copies' retention that are used."""
    if every or only != ONLY_KEPT:
        return every
    word = finest_word(retention)
    return PERIODS[word].longest if word else timedelta(0)


def copies_all(rule: CopyRule) -> bool:
    """Whether a rule copies every snapshot."""
    return not (rule.every or rule.only)


def periods(rule: CopyRule, moments: Sequence[datetime]) -> list[int]:
    """Return the number of the period of each moment, in the time zone of the copies' retention, for a rule that has periods.

    Periods of hours begin at midnight; those of days are counted from a Monday. An hour that the clock repeats is two.
    """
    calendar = Calendar(moments, rule.retention.timezone)
    if not rule.every:
        word = finest_word(_words(rule.retention))
        return PERIODS[word].numbers(calendar) if word else list(range(len(moments)))
    if not rule.every % DAY:
        return [(day - 1) // (rule.every // DAY) for day in calendar.days()]
    hours = calendar.hours()
    return hours if rule.every == HOUR else [hour // 2 // (rule.every // HOUR) for hour in hours]


def same_period(rule: CopyRule, first: datetime, second: datetime) -> bool:
    """Whether a rule copies only one of two snapshots, because both are of one of its periods."""
    if copies_all(rule):
        return False
    numbers = periods(rule, (first, second))
    return numbers[0] == numbers[1]


def to_copy(
    candidates: Iterable[Snapshot], rule: CopyRule, copied: Iterable[datetime] = (), in_progress: Collection[str] = ()
) -> list[Snapshot]:
    """Return the candidates of one lineage that a rule copies, in their order.

    Candidates are completed snapshots without a completed copy. `copied` are the starts of the snapshots that have one, and
    `in_progress` the ids of those whose copies wait or run. The first of each period is copied: the rest of the period is not
    known yet. A period with a completed copy has its copy, and one whose copy is in progress gets no other.
    """
    listed = list(candidates)
    if copies_all(rule):
        return listed
    starts = [snapshot.origin.start_time for snapshot in listed]
    done = set(periods(rule, list(copied)))
    chosen: dict[int, Snapshot] = {}
    for period, snapshot in zip(periods(rule, starts), listed, strict=True):
        known = chosen.get(period)
        if period not in done and (known is None or _rank(snapshot, in_progress) < _rank(known, in_progress)):
            chosen[period] = snapshot
    ids = {snapshot.id for snapshot in chosen.values()}
    return [snapshot for snapshot in listed if snapshot.id in ids]


def _rank(snapshot: Snapshot, in_progress: Collection[str]) -> tuple[bool, datetime, str]:
    return snapshot.id not in in_progress, snapshot.origin.start_time, snapshot.id


def _words(retention: Retention) -> dict[str, object]:
    return {name: count for word in PERIODS if (count := getattr(retention, name := f"keep_{word}"))}
