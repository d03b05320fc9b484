"""When each snapshot of a lineage will be deleted, if snapshots go on being made as they were. Pure.

Rules count from the newest snapshot: nothing is deleted by them until a newer one is there. The forecast adds one snapshot after
another, at the usual distance, and applies the rules after each, as runs will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from snapkeep.domain.durations import span_text
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Action, Reason, Verdict
from snapkeep.domain.policy.model import GoneRetention, Retention
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion import SECOND_COPY_RULE
from snapkeep.domain.retention.plan import LineagePlan
from snapkeep.domain.retention.verdicts import NEWEST, NO_POLICY, NO_RULE, NOT_MANAGED, RETENTION_WORDS, apply_rules, countable

OF_RULES = RETENTION_WORDS | {NEWEST.rule, "minimum"}
"""The rules whose reasons change as newer snapshots are made."""
FOR_GOOD = frozenset({NO_POLICY.rule, NO_RULE.rule, NOT_MANAGED.rule})
COMPARED = 8
"""The newest snapshots whose median distance is taken as that of those to come.

Rules may have deleted snapshots between older ones: where rules keep the newest without gaps, only these are compared.
"""
FEWEST = 3
"""Snapshots below which there is no usual distance."""
OVERDUE = 3
"""Usual distances after which no further snapshots are expected."""
MOST_STEPS = 2000
"""Snapshots that a forecast adds at most: half a year at one in two hours, five years at one in a day."""


class ForecastKind(LabelledEnum):
    """How far it can be said when a snapshot will be deleted. The values are identifiers for machines."""

    NEXT_RUN = "next_run", "with the next run or sweep"
    EXPECTED = "expected", "about"
    LATER = "later", "not before"
    STAYS = "stays", "never"
    NOT_KNOWN = "not_known", "not known"


@dataclass(frozen=True, slots=True)
class DeletionForecast:
    """The time of a snapshot's deletion, as far as it can be said, and why."""

    kind: ForecastKind
    at: datetime | None
    """The expected time; for LATER the end of the forecast; None for the others."""
    reasons: tuple[Reason, ...]
    """The reasons of the deletion, or those for which its time cannot be said."""

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
    """Return the forecast of a snapshot whose verdict no newer snapshot changes; None for others."""
    if verdict.action is Action.DELETE:
        return DeletionForecast(ForecastKind.NEXT_RUN, None, verdict.reasons)
    others = tuple(reason for reason in verdict.reasons if reason.rule not in OF_RULES)
    if not others:
        return None
    stays = all(reason.rule in FOR_GOOD for reason in others)
    return DeletionForecast(ForecastKind.STAYS if stays else ForecastKind.NOT_KNOWN, None, others)


def _counted(plan: LineagePlan, system: str) -> list[Verdict]:
    """Return the verdicts of the snapshots that the rules count, each of them once."""
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
    distance, problem = _usual_distance(_starts(counted), retention, now)
    if problem is not None:
        return dict.fromkeys(ruled, DeletionForecast(ForecastKind.NOT_KNOWN, None, (problem,)))
    going, held, end = _deletions(starts, frozenset(ruled.values()), retention, _moments(starts[-1], distance, now))
    later = DeletionForecast(ForecastKind.LATER, end, held)
    return {snapshot_id: going.get(start, later) for snapshot_id, start in ruled.items()}


def _starts(verdicts: Iterable[Verdict]) -> list[datetime]:
    """Return the start times of snapshots, the oldest first, each once."""
    return sorted({verdict.snapshot.origin.start_time for verdict in verdicts})


def _usual_distance(starts: Sequence[datetime], retention: Retention, now: datetime) -> tuple[timedelta, Reason | None]:
    """Return the usual distance of snapshots, and why none can be expected."""
    if len(starts) < FEWEST:
        return timedelta(0), Reason("few", f"fewer than {FEWEST} snapshots count: how often they are made is not known")
    within = sum(start > starts[-1] - retention.keep_within for start in starts)
    without_gaps = max(retention.keep_last, retention.minimum, within)
    newest = starts[-min(COMPARED, without_gaps if without_gaps > 1 else COMPARED) :]
    distances = sorted(later - earlier for earlier, later in pairwise(newest))
    distance = distances[len(distances) // 2]
    if now - newest[-1] > OVERDUE * distance:
        since = f"no newer snapshot for {span_text(now - newest[-1])}"
        return distance, Reason("overdue", f"{since}: rules count from the newest, and delete nothing without a newer one")
    return distance, None


def _moments(newest: datetime, distance: timedelta, now: datetime) -> Iterator[datetime]:
    """Yield the start times of the snapshots to come."""
    moment = max(newest + distance, now)
    for _ in range(MOST_STEPS):
        yield moment
        moment += distance


def _deletions(
    starts: Sequence[datetime], awaited: Iterable[datetime], retention: Retention, moments: Iterable[datetime]
) -> tuple[dict[datetime, DeletionForecast], tuple[Reason, ...], datetime | None]:
    """Return the forecasts by start time as one snapshot after another comes, and the end of the forecast."""
    live, left, existing = list(starts), set(awaited), frozenset(starts)
    going: dict[datetime, DeletionForecast] = {}
    moment: datetime | None = None
    for moment in moments:
        live.append(moment)
        actions, reasons = apply_rules(live, retention, moment)
        deleted = {start: why for start, action, why in zip(live, actions, reasons, strict=True) if action is Action.DELETE}
        # A held snapshot keeps its place, as in runs: it is not deleted, and counts.
        gone = {start for start in deleted if start in left or start not in existing}
        going |= {start: DeletionForecast(ForecastKind.EXPECTED, moment, deleted[start]) for start in gone & left}
        live = [start for start in live if start not in gone]
        left -= gone
        if not left:
            break
    return going, (Reason("later", "rules keep it for longer than the forecast goes"),), moment


def _of_deleted_volume(
    ruled: Mapping[str, datetime], starts: Sequence[datetime], retention: GoneRetention, now: datetime
) -> Mapping[str, DeletionForecast]:
    """Return the forecasts of a deleted volume's snapshots: its retention counts from now, and nothing newer comes."""
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
