"""The drills that are due, the volumes that they restore, and the volumes that no drill covers.

The evidence of earlier drills decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.drills.run import DrillRun, make_run
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.drill_rules import DrillLevel, DrillPick, DrillRule
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import is_point
from snapkeep.domain.tag_names import INSTANCE

MADE_UP_WITHIN = timedelta(hours=1)
"""The time within which a due drill that could not start is still started."""
BUDGET_PERIOD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DrillChoice:
    """The drills to begin, and the volumes that the budget does not admit."""

    runs: tuple[DrillRun, ...]
    too_expensive: tuple[str, ...] = ()


def due_at(rule: DrillRule, ledger: DrillLedger, now: datetime) -> datetime | None:
    """Return the time at which a drill was due and not begun; None if it is not due."""
    due = parse_cron(rule.schedule.cron).latest(now, rule.schedule.timezone)
    if due is None or now - due >= MADE_UP_WITHIN or ledger.begun_since(rule.name, due):
        return None
    return due


def points_of(rule: DrillRule, snapshots: Iterable[Snapshot], system: str) -> dict[str, list[Snapshot]]:
    """Return the recovery points that a drill can restore, by volume, the newest data first."""
    points: dict[str, list[Snapshot]] = {}
    for snapshot in copies_of(rule, snapshots, system):
        if is_point(snapshot):
            points.setdefault(snapshot.origin.volume_id, []).append(snapshot)
    for of_volume in points.values():
        of_volume.sort(key=lambda point: (point.origin.start_time, point.id), reverse=True)
    return points


def copies_of(rule: DrillRule, snapshots: Iterable[Snapshot], system: str) -> Iterator[Snapshot]:
    """Yield the managed copies of the volumes of a drill, including those that cannot be restored now."""
    for snapshot in snapshots:
        if snapshot.managed_by(system) and snapshot.is_copy and snapshot.policy in rule.policies:
            yield snapshot


def by_subject(rule: DrillRule, points: Mapping[str, list[Snapshot]]) -> dict[str, list[list[Snapshot]]]:
    """Return the points of a drill by the subject of each run: a volume, an instance, or the whole group.

    Each list has the points of one volume, the newest first. A volume belongs to the instance that its newest point names. The
    members of a group are known only once the drill is planned: for the estimate, the group has all instances here.
    """
    if rule.level is not DrillLevel.INSTANCE:
        return {volume_id: [of_volume] for volume_id, of_volume in points.items()}
    subjects: dict[str, list[list[Snapshot]]] = {}
    for of_volume in points.values():
        if instance_id := of_volume[0].tags.get(INSTANCE, ""):
            subjects.setdefault(rule.group or instance_id, []).append(of_volume)
    return subjects


def choose_runs(
    rule: DrillRule,
    points: Mapping[str, list[Snapshot]],
    ledger: DrillLedger,
    due: datetime,
    now: datetime,
    *,
    named: Collection[str] = (),
) -> DrillChoice:
    """Return the drills to begin, for the volumes whose last drill is the longest ago; for all volumes of `named`, if given.

    A volume with an open drill is passed over, and so is a volume whose drill the budget of 30 days does not admit.
    """
    subjects = by_subject(rule, points)
    candidates = sorted(
        (volume_id for volume_id in subjects if not named or volume_id in named),
        key=lambda volume_id: (_rank(ledger.asked_of(volume_id)), volume_id),
    )
    busy = {run.volume_id for run in ledger.open}
    spent = ledger.spent_usd(rule.name, now - BUDGET_PERIOD)
    runs: list[DrillRun] = []
    too_expensive: list[str] = []
    for volume_id in candidates:
        picked = [pick_point(rule.pick, of_volume, due) for of_volume in subjects[volume_id]]
        restored = [point for point in picked if point is not None]
        # Named volumes are drilled at once, however few the rule drills in turn.
        if volume_id in busy or not restored or len(runs) >= (len(named) or rule.pick.rotate):
            continue
        run = make_run(rule, restored, due, now, volume_id)
        if ledger.knows(run.id):
            continue
        if rule.budget_usd and spent + run.estimate_usd > rule.budget_usd:
            too_expensive.append(volume_id)
            continue
        spent += run.estimate_usd
        runs.append(run)
    return DrillChoice(tuple(runs), tuple(too_expensive))


def _rank(asked: list[datetime]) -> tuple[float, int]:
    """Return the sort key of a volume: the time of its last drill, then the number of its drills."""
    return max((at.timestamp() for at in asked), default=float("-inf")), len(asked)


def pick_point(pick: DrillPick, points: list[Snapshot], due: datetime) -> Snapshot | None:
    """Return the point of a volume that a drill restores; None if all are too old. `points` has the newest first."""
    if pick.oldest_within:
        young = [point for point in points if point.origin.start_time >= due - pick.oldest_within]
        return young[-1] if young else None
    if pick.random and points:
        # The due time and the volume decide: a repeated decision has the same result.
        digest = hashlib.sha256(f"{due.isoformat()}/{points[0].origin.volume_id}".encode()).digest()
        return points[int.from_bytes(digest[:8]) % len(points)]
    return points[0] if points else None


@dataclass(frozen=True, slots=True)
class NotCovered:
    """A volume without a passed drill for too long."""

    rule: str
    volume_id: str
    last_passed: datetime | None
    """None: never."""
    since: datetime
    """The time from which it has been too long."""


def not_covered(
    rules: Iterable[DrillRule], snapshots: Collection[Snapshot], ledger: DrillLedger, now: datetime, system: str
) -> list[NotCovered]:
    """Return the volumes that drills have to cover and that none covered in time.

    The time of a new volume begins when a sweep first sees it.
    """
    uncovered: list[NotCovered] = []
    seen = ledger.seen_since
    for rule in rules:
        if not rule.covered_within:
            continue
        for volume_id in sorted({copy.origin.volume_id for copy in copies_of(rule, snapshots, system)}):
            last = ledger.last_passed(volume_id, rule.name)
            until = (last.asked_at if last else seen.get(volume_id, now)) + rule.covered_within
            if until < now:
                uncovered.append(NotCovered(rule.name, volume_id, last.asked_at if last else None, until))
    return uncovered
