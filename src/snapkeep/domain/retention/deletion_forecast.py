"""The time when each snapshot of a lineage will be deleted, if snapshots continue to be made at the same intervals.

Pure. Rules count from the newest snapshot: they delete nothing until there is a newer one. The forecast adds one snapshot after
another, at the usual interval, and applies the rules after each, as runs do. If only calendar rules keep snapshots, the
existing ones may not show how often others were made and deleted. The forecast is then the earliest time, not the expected one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from snapkeep.domain.durations import span_text
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Action, Reason, Verdict, countable
from snapkeep.domain.policy.frequency import Periods
from snapkeep.domain.policy.model import GoneRetention, Retention
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion import SECOND_COPY_RULE
from snapkeep.domain.retention.plan import LineagePlan
from snapkeep.domain.retention.verdicts import NEWEST, NO_POLICY, NO_RULE, NOT_MANAGED, RETENTION_WORDS, apply_rules

OF_RULES = RETENTION_WORDS | {NEWEST.rule, "minimum"}
"""The rules whose reasons change as newer snapshots are made."""
FOR_GOOD = frozenset({NO_POLICY.rule, NO_RULE.rule, NOT_MANAGED.rule})
COMPARED = 8
"""The number of newest snapshots whose median interval is that of future ones. Rules may have deleted snapshots between older
ones: if rules keep the newest without gaps, only these are compared.
"""
UNSEEN = Reason("unseen", "how often snapshots are made cannot be seen: rules delete all but one of a period")
EARLY = 0.9
"""The part of the usual interval by which a snapshot may be early and still be a regular one."""
FEWEST = 3
"""The number of snapshots below which there is no usual interval."""
OVERDUE = 3
"""The number of usual intervals without a snapshot after which no more are expected."""
MOST_STEPS = 2000
"""The most snapshots that a forecast adds: half a year with one every two hours, five years with one a day."""

MOST_PERIODS = 400
"""The number of periods in each of which a forecast of the earliest times adds one snapshot."""


class ForecastKind(LabelledEnum):
    """The certainty of a snapshot's deletion time. The values are identifiers for machines."""

    NEXT_RUN = "next_run", "with the next run or sweep"
    EXPECTED = "expected", "about"
    LATER = "later", "not before"
    STAYS = "stays", "never"
    NOT_KNOWN = "not_known", "not known"


@dataclass(frozen=True, slots=True)
class DeletionForecast:
    """The time of a snapshot's deletion, as far as it is known, and the reasons."""

    kind: ForecastKind
    at: datetime | None
    """The expected time; for LATER the earliest one; None for the others."""
    reasons: tuple[Reason, ...]
    """The reasons for the deletion, or for its unknown time."""

    @property
    def text(self) -> str:
        """The forecast in words, without its reasons."""
        return f"{self.kind.label} {self.at:%Y-%m-%d %H:%M} UTC" if self.at else self.kind.label

    @property
    def why(self) -> str:
        """The reasons in words."""
        return "; ".join(reason.text for reason in self.reasons)


def deletion_forecasts(plan: LineagePlan, now: datetime, *, system: str) -> dict[str, DeletionForecast]:
    """Return the forecast of each snapshot of a plan, by id."""
    known: dict[str, DeletionForecast] = {}
    ruled: dict[str, datetime] = {}
    for verdict in plan.outcome:
        if (forecast := _without_forecast(verdict)) is not None:
            known[verdict.snapshot.id] = forecast
        else:
            ruled[verdict.snapshot.id] = verdict.snapshot.origin.start_time
    if ruled and plan.retention is not None:
        known |= _forecast(ruled, _counted(plan, system), plan.retention, now)
    return known


def _without_forecast(verdict: Verdict) -> DeletionForecast | None:
    """Return the forecast of a snapshot whose verdict does not depend on newer snapshots; None for others."""
    if verdict.action is Action.DELETE:
        return DeletionForecast(ForecastKind.NEXT_RUN, None, verdict.reasons)
    others = tuple(reason for reason in verdict.reasons if reason.rule not in OF_RULES)
    if not others:
        return None
    stays = all(reason.rule in FOR_GOOD for reason in others)
    return DeletionForecast(ForecastKind.STAYS if stays else ForecastKind.NOT_KNOWN, None, others)


def _counted(plan: LineagePlan, system: str) -> list[Verdict]:
    """Return the verdicts of the snapshots that the rules count, each snapshot once."""
    ids = {snapshot.id for snapshot in countable((verdict.snapshot for verdict in plan.outcome), system)} - plan.uncounted
    return [
        verdict
        for verdict in plan.outcome
        if verdict.snapshot.id in ids and all(reason.rule != SECOND_COPY_RULE for reason in verdict.reasons)
    ]


def _forecast(
    ruled: Mapping[str, datetime], counted: Sequence[Verdict], retention: Retention, now: datetime
) -> Mapping[str, DeletionForecast]:
    """Return the forecasts of snapshots that rules keep, by id and start time."""
    starts = _starts(verdict for verdict in counted if verdict.action is Action.KEEP)
    if isinstance(retention, GoneRetention):
        return _of_deleted_volume(ruled, starts, retention, now)
    all_starts = _starts(counted)
    distance, problem = _usual_distance(all_starts, retention, now)
    if problem is not None:
        return dict.fromkeys(ruled, DeletionForecast(ForecastKind.NOT_KNOWN, None, (problem,)))
    # Runs may have deleted snapshots around a held one.
    unseen = _unseen_distance(_starts(verdict for verdict in counted if not _is_held(verdict)), retention)
    if unseen is None:
        moments = _moments(starts[-1], distance, now)
    else:
        moments = _earliest_moments(starts[-1] + unseen.distance, unseen.periods, now)
    going, held, end = _deletions(starts, frozenset(ruled.values()), retention, moments)
    later = DeletionForecast(ForecastKind.LATER, end, held)
    forecasts = {snapshot_id: going.get(start, later) for snapshot_id, start in ruled.items()}
    return forecasts if unseen is None else {snapshot_id: _at_the_earliest(each) for snapshot_id, each in forecasts.items()}


def _is_held(verdict: Verdict) -> bool:
    return verdict.action is Action.KEEP and any(reason.rule not in OF_RULES for reason in verdict.reasons)


def _at_the_earliest(forecast: DeletionForecast) -> DeletionForecast:
    return DeletionForecast(ForecastKind.LATER, forecast.at, (UNSEEN, *forecast.reasons))


def _starts(verdicts: Iterable[Verdict]) -> list[datetime]:
    """Return the start times of snapshots, the oldest first, each once."""
    return sorted({verdict.snapshot.origin.start_time for verdict in verdicts})


def _usual_distance(starts: Sequence[datetime], retention: Retention, now: datetime) -> tuple[timedelta, Reason | None]:
    """Return the usual interval of snapshots, and the reason why none can be expected."""
    if len(starts) < FEWEST:
        return timedelta(0), Reason("few", f"fewer than {FEWEST} snapshots count: how often they are made is not known")
    without_gaps = _newest_without_gaps(starts, retention)
    if without_gaps <= 1 and (word := _finest_word(retention)):
        without_gaps = getattr(retention, word)
    newest = starts[-min(COMPARED, without_gaps if without_gaps > 1 else COMPARED) :]
    distances = sorted(later - earlier for earlier, later in pairwise(newest))
    distance = distances[len(distances) // 2]
    if now - newest[-1] > OVERDUE * distance:
        since = f"no newer snapshot for {span_text(now - newest[-1])}"
        return distance, Reason("overdue", f"{since}: rules count from the newest, and delete nothing without a newer one")
    return distance, None


@dataclass(frozen=True, slots=True)
class _Unseen:
    """The frequency of snapshots, as far as calendar rules leave enough of them to show it."""

    distance: timedelta
    """The least interval."""
    periods: Periods
    """The periods in which the rules keep one snapshot each."""


def _unseen_distance(starts: Sequence[datetime], retention: Retention) -> _Unseen | None:
    """Return the least interval of snapshots if rules may have deleted others between them; None if they have not.

    The snapshot after the last one of a period belongs to the next period: the time from the last one to the end of its period
    is at most one interval. In the newest period, rules can have deleted others only between its beginning and the newest
    snapshot.
    """
    word = _finest_word(retention)
    if not (word and starts) or _newest_without_gaps(starts, retention) > 1:
        return None
    periods = Periods(timedelta(0), word.removeprefix("keep_"), retention.timezone)
    newest = starts[-getattr(retention, word) :]
    numbered = list(zip(newest, periods.numbers(newest), strict=True))
    to_next = sorted(periods.bounds(start)[1] - start for (start, number), (_, later) in pairwise(numbered) if number != later)
    least = to_next[(len(to_next) - 1) // 2] if to_next else timedelta(0)
    if len(starts) > 1:
        between = starts[-1] - starts[-2]
        begin = periods.bounds(starts[-1])[0]
        least = max(least, begin - starts[-2])
        if EARLY * least <= between and (starts[-2] >= begin or between < 2 * least):
            return None
    return _Unseen(least, periods)


def _finest_word(retention: Retention) -> str:
    """Return the finest calendar rule; empty if there is none."""
    return next((f"keep_{word}" for word in PERIODS if getattr(retention, f"keep_{word}")), "")


def _newest_without_gaps(starts: Sequence[datetime], retention: Retention) -> int:
    """Return the number of newest snapshots that rules keep regardless of the calendar."""
    return max(retention.keep_last, retention.minimum, sum(start > starts[-1] - retention.keep_within for start in starts))


def _earliest_moments(first: datetime, periods: Periods, now: datetime) -> Iterator[datetime]:
    """Yield the earliest times at which snapshots could change the result of calendar rules: one soon, and one in each period."""
    moment = max(first, now)
    for _ in range(MOST_PERIODS):
        yield moment
        moment = periods.bounds(moment)[1]


def _moments(newest: datetime, distance: timedelta, now: datetime) -> Iterator[datetime]:
    """Yield the start times of future snapshots."""
    moment = max(newest + distance, now)
    for _ in range(MOST_STEPS):
        yield moment
        moment += distance


def _deletions(
    starts: Sequence[datetime], awaited: Iterable[datetime], retention: Retention, moments: Iterable[datetime]
) -> tuple[dict[datetime, DeletionForecast], tuple[Reason, ...], datetime | None]:
    """Return the forecasts by start time, as one snapshot after another is added, and the end of the forecast."""
    live, left, existing = list(starts), set(awaited), frozenset(starts)
    going: dict[datetime, DeletionForecast] = {}
    moment: datetime | None = None
    for moment in moments:
        live.append(moment)
        actions, reasons = apply_rules(live, retention, moment)
        # A held snapshot stays, as in runs: it is not deleted, and counts.
        gone = [position for position in _deleted(actions) if live[position] in left or live[position] not in existing]
        for position in reversed(gone):
            start = live.pop(position)
            if start in left:
                going[start] = DeletionForecast(ForecastKind.EXPECTED, moment, reasons[position])
                left.remove(start)
        if not left:
            break
    return going, (Reason("later", "rules keep it for longer than the forecast goes"),), moment


def _deleted(actions: Sequence[Action]) -> Iterator[int]:
    """Yield the positions of deletions: one more snapshot deletes only one or two among thousands."""
    position = -1
    for _ in range(actions.count(Action.DELETE)):
        position = actions.index(Action.DELETE, position + 1)
        yield position


def _of_deleted_volume(
    ruled: Mapping[str, datetime], starts: Sequence[datetime], retention: GoneRetention, now: datetime
) -> Mapping[str, DeletionForecast]:
    """Return the forecasts of a deleted volume's snapshots: its retention counts from now, and there will be no newer ones."""
    going: dict[datetime, DeletionForecast] = {}
    left = list(starts)
    for end in sorted(start + retention.keep_within for start in starts):
        moment = max(end, now) + timedelta(seconds=1)
        actions, reasons = apply_rules(left, retention, moment)
        deleted = {start: why for start, action, why in zip(left, actions, reasons, strict=True) if action is Action.DELETE}
        going |= {
            start: DeletionForecast(ForecastKind.EXPECTED, moment, why) for start, why in deleted.items() if start not in going
        }
        left = [start for start in left if start not in deleted]
    stays = DeletionForecast(ForecastKind.STAYS, None, (NEWEST,))
    return {snapshot_id: going.get(start, stays) for snapshot_id, start in ruled.items()}
