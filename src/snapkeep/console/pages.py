"""The pages: for each its title, what it shows of a reading, and the same as data: that of a command's `--json`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from snapkeep.cli.policy_files import parse_file
from snapkeep.cli.views.plan import plan_as_data
from snapkeep.cli.views.policy import comparison_lines, field_changes, field_lines, full_copy_lines
from snapkeep.cli.views.recover import full_speed_text, price_texts
from snapkeep.cli.views.recoverable import as_data, measured_text
from snapkeep.cli.views.status import recovery_sentence
from snapkeep.cli.views.status_forms import status_as_data
from snapkeep.console.reading import Reading
from snapkeep.console.timeline import PointState, state_of, time_line
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Snapshot, Verdict
from snapkeep.domain.policy.document import InvalidPolicy
from snapkeep.domain.protection import VolumeHealth, VolumeProtection
from snapkeep.domain.recovery.choice import PointChoice, Target, choose_points, volumes_of_instance
from snapkeep.domain.recovery.recovery_plan import FASTEST_RATE, RecoveryPlan, RestoreOptions, plan_recovery
from snapkeep.domain.recovery.verdict import ProofVerdict, is_proved
from snapkeep.domain.retention.comparison import compare
from snapkeep.domain.retention.rekeyed import full_copies
from snapkeep.domain.tag_names import PROOF
from snapkeep.domain.tags import parse_time
from snapkeep.domain.wildcards import matches_any
from snapkeep.policyfile.load import PolicyFile
from snapkeep.usecases.recovery.find_points import RecoverableThings
from snapkeep.usecases.recovery.read_records import records_of

ROWS = 100
"""Rows on one page of a long list."""
WEEKS = 12
"""Weeks of the table of proofs."""

Query = Mapping[str, str]
Context = dict[str, Any]
Item = TypeVar("Item")


class NotThere(SnapkeepError):
    """There is no such page, volume or instance."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    name: str
    """Its address, and its template's name."""
    title: str
    context: Callable[[Reading, Query], Context]
    data: Callable[[Reading, Query], Any]
    command: str
    """The command whose `--json` prints the data of the page without its filters; empty where none does."""
    listed: bool = True
    """Whether the navigation has it."""


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Any]):
    """One page of a long list."""

    shown: Sequence[Any]
    total: int
    number: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // ROWS))

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, index: Any) -> Any:
        return self.shown[index]


def rows_of(items: Sequence[Item], query: Query) -> Rows:
    """Return the page of a list that `page` in a query names; the nearest one where there is none of that number."""
    text = query.get("page", "1")
    last = max(1, -(-len(items) // ROWS))
    number = min(max(int(text), 1), last) if text.isdecimal() and len(text) < 10 else 1  # noqa: PLR2004 - no such list
    return Rows(items[(number - 1) * ROWS : number * ROWS], len(items), number)


def moment_of(query: Query, now: datetime) -> tuple[datetime, str]:
    """Return the moment that `at` in a query names, and a problem. A time without a zone is in UTC, as the pages show times."""
    text = query.get("at", "")
    if not text:
        return now, ""
    try:
        moment = datetime.fromisoformat(text)
        return min(moment.replace(tzinfo=UTC) if moment.tzinfo is None else parse_time(text), now), ""
    except ValueError:
        return now, f"{text} is no time: write one such as 2026-12-24T03:00"


# Now


def _now(reading: Reading, _: Query) -> Context:
    status = reading.status
    counts = status.recoverability
    governed = [volume for volume in status.volumes if volume.health is not VolumeHealth.NO_POLICY]
    return {
        "sentence": recovery_sentence(status),
        "counts": counts,
        "everything_read": not reading.unread,
        "numbers": [
            ("Not recoverable", counts.not_recoverable, "/coverage"),
            ("RPO missed", sum(volume.health is VolumeHealth.LATE for volume in governed), "/coverage?health=late"),
            ("Not proved", len(_unproved(reading, governed)), "/proofs?show=unproved"),
            ("Not known", sum(volume.health is VolumeHealth.UNKNOWN for volume in governed), "/coverage?health=unknown"),
        ],
        "causes": list(_causes(status.volumes)),
        "copies": [copy for copy in status.queue if copy.needs_attention],
        "recoveries": [run for run in reading.recoveries if run.open],
    }


def _causes(volumes: Iterable[VolumeProtection]) -> Iterator[tuple[VolumeProtection, Sequence[VolumeProtection]]]:
    """Yield the volumes that need somebody by cause, the worst first, each cause with its first volume."""
    groups: dict[tuple[VolumeHealth, str], list[VolumeProtection]] = defaultdict(list)
    for volume in volumes:
        if volume.needs_attention or volume.health is VolumeHealth.UNKNOWN:
            groups[volume.health, volume.cause].append(volume)
    yield from ((members[0], members) for members in groups.values())


def _unproved(reading: Reading, volumes: Iterable[VolumeProtection]) -> list[VolumeProtection]:
    """Return the volumes with copies of which, in a region that was read, none is proved."""
    return [volume for volume in volumes if any(not proofs for proofs in _proofs_by_region(reading, volume).values())]


def _proofs_by_region(reading: Reading, volume: VolumeProtection) -> dict[str, list[Snapshot]]:
    """Return a volume's proved copies, by each region that its policy copies to and that was read."""
    points = reading.snapshots_of(volume.volume.id)
    regions = [copy.region for copy in volume.copies if copy.region in points]
    return {region: [copy for copy in points[region] if is_proved(copy) and copy.unusable is None] for region in regions}


# Recover, volumes and instances


def _recover(reading: Reading, query: Query) -> Context:
    text = query.get("q", "").strip()
    matched = [volume for volume in reading.status.volumes if _matches(volume, text)] if text else []
    instances = Counter(instance for volume in matched for instance in volume.volume.instance_ids)
    return {"q": text, "volumes": rows_of(matched, query), "instances": sorted(instances.items())}


def _matches(volume: VolumeProtection, text: str) -> bool:
    """Whether a volume is one that a person looks for: by a part of its id, instance, name, policy, or a tag's value."""
    words = (volume.volume.id, volume.policy, *volume.volume.instance_ids, *volume.volume.tags.values())
    pattern = text.lower() if "*" in text else f"*{text.lower()}*"
    return any(matches_any(word.lower(), [pattern]) for word in words)


def _points(reading: Reading, query: Query) -> list[RecoverableThings]:
    moment, _ = moment_of(query, reading.at)
    target = Target(tuple(filter(None, [query.get("id", "")])))
    found = [
        RecoverableThings(
            region,
            {owner: choose_points(lineages, ids, moment) for owner, ids in target.groups(lineages, moment).items()},
        )
        for region, lineages in reading.lineages.items()
    ]
    return [*found, *(RecoverableThings(region, {}, problem) for region, problem in reading.unread.items())]


@dataclass(frozen=True, slots=True)
class RegionForecast:
    """What a recovery in a region would take from its points, and what that means, as far as nobody asks EC2."""

    region: str
    choice: PointChoice
    plan: RecoveryPlan
    measured: Sequence[str]
    """The times that the last drills of its volumes measured, in words."""

    @property
    def full_speed(self) -> str:
        """When its volumes are at full speed, in words: at the fastest rate, by the size of the volumes."""
        return f"at the default rate not predictable; {full_speed_text(self.plan)} at most"

    @property
    def prices(self) -> list[str]:
        """The price, in words."""
        return list(price_texts(self.plan))


def _forecast(reading: Reading, region: str, volume_ids: Collection[str], moment: datetime) -> RegionForecast:
    choice = choose_points(reading.lineages[region], volume_ids, moment)
    records, remarks = records_of(reading.documents_for(region), choice.points)
    plan = plan_recovery([choice], records, {}, RestoreOptions("", FASTEST_RATE))
    drills = reading.drills.get(region, {})
    measured = [measured_text(drills[volume_id]) for volume_id in volume_ids if volume_id in drills]
    # The notes of the choice are shown beside its points.
    kept = [remark for remark in (*plan.remarks, *remarks) if remark not in choice.notes]
    return RegionForecast(region, choice, replace(plan, remarks=tuple(kept)), measured)


@dataclass(frozen=True, slots=True)
class RegionVolume:
    """A volume's verdicts in one region, the newest first."""

    region: str
    verdicts: Sequence[Verdict]
    states: Mapping[str, PointState]


def _volume(reading: Reading, query: Query) -> Context:
    volume_id = query.get("id", "")
    points = reading.snapshots_of(volume_id)
    protection = reading.protection(volume_id)
    if protection is None and not any(points.values()):
        raise NotThere(
            f"{volume_id or 'a volume without an id'} is no volume, and no snapshot in the regions that were read names it"
        )
    moment, problem = moment_of(query, reading.at)
    verdicts = {region: tuple(reversed(plan.outcome)) for region, plan in reading.plans_of(volume_id)}
    regions = [
        RegionVolume(region, verdicts.get(region, ()), {point.id: state_of(point) for point in points[region]})
        for region in points
    ]
    return {
        "id": volume_id,
        "protection": protection,
        "name": _name(protection, points),
        "line": time_line(points, moment, reading.at),
        "moment": moment,
        "moment_problem": problem,
        "regions": regions,
        "forecasts": [_forecast(reading, region, [volume_id], moment) for region in reading.lineages],
        "queue": [copy for copy in reading.status.queue if copy.volume_id == volume_id],
    }


def _name(protection: VolumeProtection | None, points: Mapping[str, Sequence[Snapshot]]) -> str:
    tagged = [protection.volume.tags] if protection else [snapshots[0].tags for snapshots in points.values() if snapshots]
    return next((name for tags in tagged if (name := tags.get("Name", ""))), "")


def _instance(reading: Reading, query: Query) -> Context:
    instance_id = query.get("id", "")
    moment, problem = moment_of(query, reading.at)
    members = [volume for volume in reading.status.volumes if instance_id in volume.volume.instance_ids]
    volume_ids = {volume.volume.id for volume in members}
    volume_ids |= {
        known for lineages in reading.lineages.values() for known in volumes_of_instance(lineages, instance_id, moment)
    }
    points = {
        region: [point for volume_id in volume_ids for point in lineages.by_volume.get(volume_id, ())]
        for region, lineages in reading.lineages.items()
    }
    if not instance_id or not volume_ids:
        raise NotThere(
            f"{instance_id or 'an instance without an id'} has no volume, and no snapshot in the regions that were read names it"
        )
    forecasts = [
        _forecast(reading, region, volumes_of_instance(lineages, instance_id, moment), moment)
        for region, lineages in reading.lineages.items()
    ]
    return {
        "id": instance_id,
        "volumes": members,
        "line": time_line(points, moment, reading.at),
        "forecasts": forecasts,
        "moment": moment,
        "moment_problem": problem,
    }


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
    }


def covered(reading: Reading, query: Query) -> list[VolumeProtection]:
    """Return the volumes that a query's `q`, `health` and `policy` choose, the worst first."""
    text, health, policy = (query.get(name, "") for name in ("q", "health", "policy"))
    return [
        volume
        for volume in reading.status.volumes
        if (not text or _matches(volume, text)) and health in ("", volume.health) and policy in ("", volume.policy)
    ]


def _copies(reading: Reading, query: Query) -> Context:
    region = query.get("region", "")
    queue = [copy for copy in reading.status.queue if region in ("", copy.region)]
    return {"region": region, "queue": rows_of(queue, query), "unread": list(reading.unread)}


def _policies(reading: Reading, query: Query) -> Context:
    text = query.get("document", "")
    primary = next(iter(reading.policies.values()), None)
    context: Context = {"in_force": reading.policies, "document": text, "problems": [], "changes": None}
    if text and primary is None:
        context["problems"] = ["no region was read: nothing can be compared"]
    elif text and primary:
        file = PolicyFile("the document", text)
        try:
            proposed = parse_file(file, region=reading.status.region, limits=primary.limits)[1]
        except InvalidPolicy as invalid:
            context["problems"] = [f"{file.place(problem.path)}: {problem}" for problem in invalid.problems]
        else:
            after = reading.make_plans(dict.fromkeys(reading.policies, proposed), reading.at)
            context["changes"] = [
                (new.region, list(comparison_lines(new.region, compare(old, new))))
                for old, new in zip(reading.plans, after, strict=True)
            ]
            context["full_copies"] = list(full_copy_lines(full_copies(reading.plans, after)))
            context["not_compared"] = sorted({*proposed.copy_regions, *reading.unread}.difference(reading.policies))
            context["fields"] = list(field_lines(field_changes(primary, proposed)))
    return context


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


def _runs_data(reading: Reading, _: Query) -> Any:
    return [{"machine": run.machine, "region": run.region, **to_object(run.execution)} for run in reading.runs]


@dataclass(frozen=True, slots=True)
class ProofWeek:
    """The strongest proof of a volume's copies that was made in one week; None where none was."""

    monday: date
    verdict: ProofVerdict | None
    text: str = ""


def _proofs(reading: Reading, query: Query) -> Context:
    governed = [volume for volume in reading.status.volumes if volume.copies]
    unproved = _unproved(reading, governed)
    unread = [volume for volume in governed if not _proofs_by_region(reading, volume)]
    only_unproved = query.get("show") == "unproved"
    rows = rows_of(unproved if only_unproved else governed, query)
    first = (reading.at - timedelta(weeks=WEEKS - 1)).date()
    mondays = [first - timedelta(days=first.weekday()) + timedelta(weeks=week) for week in range(WEEKS)]
    return {
        "rows": rows,
        "show": "unproved" if only_unproved else "",
        "unproved": len(unproved),
        "proved": len(governed) - len(unproved) - len(unread),
        "unread": len(unread),
        "mondays": mondays,
        "weeks": {volume.volume.id: list(_weeks(reading, volume, mondays)) for volume in rows},
        "differing": [
            copy
            for copies in reading.lineages.values()
            for listed in copies.by_volume.values()
            for copy in listed
            if copy.found_wrong
        ],
    }


def _weeks(reading: Reading, volume: VolumeProtection, mondays: Iterable[date]) -> Iterator[ProofWeek]:
    by_week: dict[date, list[tuple[ProofVerdict, str]]] = defaultdict(list)
    for snapshots in reading.snapshots_of(volume.volume.id).values():
        for copy in snapshots:
            if parsed := _parsed(copy.tags.get(PROOF, "")):
                verdict, when, method = parsed
                by_week[when.date() - timedelta(days=when.weekday())].append((verdict, f"{copy.id}: {method}, {verdict.label}"))
    order = (ProofVerdict.DIFFERS, ProofVerdict.PROVED, ProofVerdict.INCOMPLETE, ProofVerdict.UNREADABLE)
    for monday in mondays:
        proofs = sorted(by_week.get(monday, ()), key=lambda proof: order.index(proof[0]))
        yield ProofWeek(monday, proofs[0][0] if proofs else None, "; ".join(text for _, text in proofs))


def _parsed(proof: str) -> tuple[ProofVerdict, datetime, str] | None:
    """Return verdict, time and method of a proof's tag; None for a value that Verify did not write."""
    parts = proof.split(" ")
    try:
        verdict, method, when = parts
        return ProofVerdict(verdict), parse_time(when), method
    except ValueError:
        return None


def _status_data(reading: Reading, _: Query) -> Any:
    return status_as_data(reading.status)


def _plan_data(reading: Reading, query: Query) -> Any:
    volume_id = query.get("id", "")
    return {"regions": [plan_as_data(plan, only=volume_id) for plan in reading.plans], "problems": list(reading.unread.values())}


def _points_data(reading: Reading, query: Query) -> Any:
    return as_data(_points(reading, query), reading.drills)


PAGES = (
    Page("now", "Now", _now, _status_data, "snapkeep status --json"),
    Page("recover", "Recover", _recover, _points_data, "snapkeep recoverable --json"),
    Page("coverage", "Coverage", _coverage, _status_data, "snapkeep status --json"),
    Page("copies", "Copies", _copies, _status_data, "snapkeep status --json"),
    Page("proofs", "Proofs", _proofs, _points_data, "snapkeep recoverable --json"),
    Page("policies", "Policies", _policies, _plan_data, "snapkeep plan --json"),
    Page("runs", "Runs", _runs, _runs_data, ""),
    Page("volume", "Volume", _volume, _plan_data, "snapkeep plan --json", listed=False),
    Page("instance", "Instance", _instance, _points_data, "snapkeep recoverable --json", listed=False),
)
"""Every page, in the order of the navigation."""
