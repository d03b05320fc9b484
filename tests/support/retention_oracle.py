"""A plain, slow version of the retention decision, without caches and without code of the checked version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from snapkeep.domain.model import Action, Snapshot, SnapshotState
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.tag_names import MANAGED
from support.lineages import SYSTEM

PERIOD_OF: dict[str, Callable[[datetime], Any]] = {
    "hourly": lambda time: (time.date(), time.hour, time.fold),
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: time.year,
}
CLOCK_SKEW = timedelta(minutes=15)


def expected_verdicts(snapshots: Sequence[Snapshot], retention: Retention, now: datetime) -> dict[str, tuple[Action, list[str]]]:
    """Return for each snapshot that counts its action, and the rules of its reasons in their order.

    Second copies are left out.
    """
    counted = [one for one in snapshots if one.state is SnapshotState.COMPLETED and one.tags.get(MANAGED) == SYSTEM]
    counted = [one for one in counted if one.origin.start_time <= now + CLOCK_SKEW]
    counted.sort(key=lambda one: (one.origin.start_time, one.id), reverse=True)
    starts = [one.origin.start_time for one in counted]
    calendar = {word: getattr(retention, f"keep_{word}") for word in PERIODS}
    in_use = {word: count for word, count in calendar.items() if count}
    rules = [*["keep_last"] * bool(retention.keep_last), *["keep_within"] * bool(retention.keep_within)]
    rules += [f"keep_{word}" for word in in_use]
    newest = next((start for start in starts if start <= now), starts[-1] if starts else now)
    verdicts = {}
    for number, snapshot in enumerate(counted):
        kept_by = [*["newest"] * (number == 0), *["minimum"] * (0 < number < retention.minimum), *["no-rule"] * (not rules)]
        kept_by += ["keep_last"] * (number < retention.keep_last)
        kept_by += ["keep_within"] * (retention.keep_within > timedelta(0) and starts[number] > newest - retention.keep_within)
        for word, count in in_use.items():
            periods = [PERIOD_OF[word](start.astimezone(ZoneInfo(retention.timezone))) for start in starts]
            periods_before = set(periods[:number])
            is_newest_of_period = periods[number] not in periods_before and len(periods_before) < count
            is_oldest_with_room = number == len(starts) - 1 and len(set(periods)) < count
            kept_by += [f"keep_{word}"] * (is_newest_of_period or is_oldest_with_room)
        verdicts[snapshot.id] = (Action.KEEP, kept_by) if kept_by else (Action.DELETE, rules)
    return verdicts
