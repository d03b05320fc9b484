"""The pages: for each its title, what it shows of a reading, and the same as data: that of a command's `--json`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

from snapkeep.cli.commands.plan import of_volumes
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.views.plan import plan_as_data
from snapkeep.cli.views.runs import runs_as_data
from snapkeep.cli.views.status import recovery_sentence
from snapkeep.cli.views.status_forms import status_as_data
from snapkeep.console.page import Context, Page, PageData, Query, matches, rows_of
from snapkeep.console.policy_page import POLICIES, policies_context
from snapkeep.console.proof_pages import coverage_of_drills, drill_context, drills_known, evidence_data, proofs_context, unproved
from snapkeep.console.reading import Reading
from snapkeep.console.trend import DAYS, Trend, trend_of, values_of
from snapkeep.console.volume_pages import instance_context, points_data, recover_context, volume_context
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.protection import VolumeHealth, VolumeProtection
from snapkeep.domain.recovery.changes import NEWS_FOR, UnusualChange
from snapkeep.domain.retention.deletion_forecast import deletion_forecasts
from snapkeep.domain.sweep.report import Figure

# Now


def _now(reading: Reading, _: Query) -> Context:
    status = reading.status
    governed = [volume for volume in status.volumes if volume.health is not VolumeHealth.NO_POLICY]
    causes, copies = list(_causes(status.volumes)), [copy for copy in status.queue if copy.needs_attention]
    signals = [record for record in reading.signals if reading.at - record.first_at <= NEWS_FOR]
    unusual = sorted(_unusual_changes(reading), key=lambda change: change.start_time, reverse=True)
    return {
        "sentence": recovery_sentence(status),
        "counts": status.recoverability,
        "numbers": list(_numbers(reading, governed)),
        "unknown": sum(volume.health is VolumeHealth.UNKNOWN for volume in governed),
        "causes": causes,
        "copies": copies,
        "unusual": unusual,
        "signals": signals,
        "needs_somebody": bool(causes or copies or unusual or signals or status.keys or status.holds),
        "recoveries": [run for run in reading.recoveries if run.open],
    }


@dataclass(frozen=True, slots=True)
class Number:
    """One of the first page's numbers."""

    label: str
    count: int
    address: str
    trend: Trend
    urgent: bool
    """Whether it needs attention at once."""
    known: bool
    """Whether everything that could raise it was read."""
    volumes: int
    """The volumes that it counts among."""

    @property
    def tone(self) -> str:
        """Its colour: none of no volumes is not good."""
        if self.count:
            return "bad" if self.urgent else "wait"
        return "good" if self.known and self.volumes else "wait"


def _numbers(reading: Reading, governed: Sequence[VolumeProtection]) -> Iterator[Number]:
    missed, copied = sum(volume.needs_attention for volume in governed), sum(bool(volume.copies) for volume in governed)
    not_recoverable = reading.status.recoverability.not_recoverable
    figures = (
        ("Not recoverable", not_recoverable, f"/coverage?health={NOT_RECOVERABLE}", Figure.VOLUMES_NOT_RECOVERABLE, True),
        ("RPO missed", missed, f"/coverage?health={MISSED}", Figure.VOLUMES_NOT_AS_ASKED, True),
        ("Not proved", len(unproved(reading, governed)), "/proofs?show=unproved", Figure.VOLUMES_NOT_PROVED, False),
    )
    for label, count, address, figure, urgent in figures:
        values = values_of(reading.trend, figure)
        trend = Trend("", "trend not known") if reading.trend_problem else trend_of(values, reading.at)
        yield Number(label, count, address, trend, urgent, not reading.unread, len(governed) if urgent else copied)
    drills = coverage_of_drills(reading)
    days = [reading.at - timedelta(days=day) for day in range(DAYS, -1, -1)]
    by_day = [(day, len(drills.missing(governed, day))) for day in days]
    known = drills_known(reading)
    trend = trend_of(by_day, reading.at) if known else Trend("", "not known")
    yield Number("Not drilled", by_day[-1][1], "/proofs?show=undrilled", trend, urgent=False, known=known, volumes=copied)


def _causes(volumes: Iterable[VolumeProtection]) -> Iterator[tuple[VolumeProtection, Sequence[VolumeProtection]]]:
    """Yield the volumes that need attention by cause, the worst first, each cause with its first volume."""
    groups: dict[tuple[VolumeHealth, str], list[VolumeProtection]] = defaultdict(list)
    for volume in volumes:
        if volume.needs_attention or volume.health is VolumeHealth.UNKNOWN:
            groups[volume.health, volume.cause].append(volume)
    yield from ((members[0], members) for members in groups.values())


def _unusual_changes(reading: Reading) -> Iterator[UnusualChange]:
    """Yield the unusual changes of the last days of which a snapshot or a copy still exists."""
    for change in reading.unusual.values():
        points = chain.from_iterable(reading.snapshots_of(change.volume_id).values())
        if change.needs_attention(reading.at) and any(point.origin.snapshot_id == change.snapshot_id for point in points):
            yield change


def _signals(reading: Reading, query: Query) -> Context:
    return {"records": rows_of(reading.signals, query)}


# Coverage, copies, policies, proofs


def _coverage(reading: Reading, query: Query) -> Context:
    volumes = covered(reading, query)
    return {
        "q": query.get("q", ""),
        "health": query.get("health", ""),
        "policy": query.get("policy", ""),
        "volumes": rows_of(volumes, query),
        "healths": Counter(volume.health for volume in reading.status.volumes),
        "policies": sorted({volume.policy for volume in reading.status.volumes if volume.policy}),
        "groups": {
            group: (label, sum(_is_in(volume, group) for volume in reading.status.volumes))
            for group, label in ((MISSED, "RPO missed"), (NOT_RECOVERABLE, "not recoverable"))
        },
    }


MISSED, NOT_RECOVERABLE = "missed", "not_recoverable"
"""Filters of several states: the RPO is missed, or nothing can be recovered."""


def covered(reading: Reading, query: Query) -> list[VolumeProtection]:
    """Return the volumes that a query's `q`, `health` and `policy` choose, the worst first."""
    text, health, policy = (query.get(name, "") for name in ("q", "health", "policy"))
    return [
        volume
        for volume in reading.status.volumes
        if (not text or matches(volume, text)) and _is_in(volume, health) and policy in ("", volume.policy)
    ]


def _is_in(volume: VolumeProtection, health: str) -> bool:
    if health == MISSED:
        return volume.needs_attention
    if health == NOT_RECOVERABLE:
        return bool(volume.policy) and not volume.recovery_points and volume.health is not VolumeHealth.UNKNOWN
    return health in ("", volume.health)


VOLUME_COLUMNS = (
    "volume_id",
    "name",
    "policy",
    "health",
    "rpo_age_seconds",
    "rpo_seconds",
    "newest_snapshot",
    "made_by",
    "newest_copies",
    "why",
)
"""Columns of the volumes as CSV."""


def volume_cells(volume: VolumeProtection) -> tuple[str, ...]:
    """Return a volume under `VOLUME_COLUMNS`."""
    age = "" if volume.age is None else f"{volume.age.total_seconds():.0f}"
    copies = " ".join(copy.id for copy in volume.copies if copy.there)
    name = volume.volume.tags.get("Name", "")
    maker = volume.snapshot.maker.value if volume.snapshot.maker else ""
    rpo = f"{volume.rpo.total_seconds():.0f}" if volume.policy else ""
    return volume.volume.id, name, volume.policy, volume.health.value, age, rpo, volume.snapshot.id, maker, copies, volume.why


def _copies(reading: Reading, query: Query) -> Context:
    region = query.get("region", "")
    queue = [copy for copy in reading.status.queue if region in ("", copy.region)]
    return {"region": region, "queue": rows_of(queue, query), "unread": list(reading.unread)}


def _runs(reading: Reading, query: Query) -> Context:
    machine, status = query.get("machine", ""), query.get("status", "")
    runs = [run for run in reading.runs if machine in ("", run.machine) and status in ("", run.execution.status)]
    return {
        "machine": machine,
        "status": status,
        "machines": sorted({run.machine for run in reading.runs}),
        "statuses": sorted({run.execution.status for run in reading.runs}),
        "runs": rows_of(runs, query),
        "unread": reading.unread_runs,
    }


# The same as data


def _volume_status_data(reading: Reading, query: Query) -> Any:
    """Return the status of the system, and of one volume alone."""
    status, volume_id = reading.status, query.get("id", "")
    volumes = tuple(volume for volume in status.volumes if volume.volume.id == volume_id)
    queue = tuple(copy for copy in status.queue if copy.volume_id == volume_id)
    return status_as_data(replace(status, volumes=volumes, queue=queue))


def _plan_data(reading: Reading, query: Query) -> Any:
    volume_id = query.get("id", "")
    try:
        plans = of_volumes(reading.plans, [volume_id]) if volume_id else []
    except WrongUse:
        plans = of_volumes(reading.plans, None)
        plans = [replace(plan, volumes=(), deletions_after_copies=()) for plan in plans]
    forecast = partial(deletion_forecasts, now=reading.at, system=reading.system)
    return {
        "regions": [plan_as_data(plan, forecast) for plan in plans],
        "copy_budgets": to_json(reading.status.budgets),
        "problems": list(reading.unread.values()),
    }


STATUS: PageData = {"snapkeep status --json": lambda reading, _: status_as_data(reading.status)}
RECOVERABLE: PageData = {"snapkeep recoverable --json": points_data}
RECOVERIES: PageData = {"snapkeep recover list --json": lambda reading, _: to_json(reading.recoveries)}
DRILLS: PageData = {"snapkeep drill list --json": lambda reading, _: to_json(reading.ledgers)}
SIGNALS: PageData = {
    "snapkeep report signals --json": lambda reading, _: to_json({"signals": reading.signals, "problems": reading.unread_signals})
}
RUNS: PageData = {"snapkeep runs --json": lambda reading, _: runs_as_data(reading.runs, reading.unread_runs)}
VOLUME: PageData = {
    "snapkeep plan VOLUME --json": _plan_data,
    "snapkeep recoverable VOLUME --json": points_data,
    "snapkeep status --json": _volume_status_data,
}

PAGES = (
    Page("now", "Now", _now, {**STATUS, **RECOVERABLE, **RECOVERIES, **DRILLS, **SIGNALS}),
    Page("recover", "Recover", recover_context, {**RECOVERABLE, **RECOVERIES}),
    Page("coverage", "Coverage", _coverage, STATUS),
    Page("copies", "Copies", _copies, STATUS),
    Page("proofs", "Drills and proofs", proofs_context, {**DRILLS, **RECOVERABLE}),
    Page("policies", "Policies", policies_context, POLICIES),
    Page("runs", "Runs", _runs, RUNS),
    Page("signals", "Signals", _signals, SIGNALS),
    Page("volume", "Volume", volume_context, VOLUME, listed=False),
    Page("drill", "Drill", drill_context, {"snapkeep drill show --json": evidence_data}, listed=False),
    Page("instance", "Instance", instance_context, {"snapkeep recoverable INSTANCE --json": points_data}, listed=False),
)
"""Every page, in the order of the navigation."""
