"""The pages: for each its title, what it shows of a reading, and the same as data: that of a command's `--json`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from snapkeep.cli.policy_files import parse_file
from snapkeep.cli.views.plan import plan_as_data
from snapkeep.cli.views.policy import comparison_lines, field_changes, field_lines, full_copy_lines
from snapkeep.cli.views.status import recovery_sentence
from snapkeep.cli.views.status_forms import status_as_data
from snapkeep.console.page import Context, Page, Query, matches, rows_of
from snapkeep.console.reading import Reading
from snapkeep.console.volume_pages import instance_context, points_data, recover_context, volume_context
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.document import InvalidPolicy
from snapkeep.domain.protection import VolumeHealth, VolumeProtection
from snapkeep.domain.recovery.verdict import ProofVerdict, is_proved
from snapkeep.domain.retention.comparison import compare
from snapkeep.domain.retention.rekeyed import full_copies
from snapkeep.domain.tag_names import PROOF
from snapkeep.domain.tags import parse_time
from snapkeep.policyfile.load import PolicyFile

WEEKS = 12
"""Weeks of the table of proofs."""

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
        if (not text or matches(volume, text)) and health in ("", volume.health) and policy in ("", volume.policy)
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


PAGES = (
    Page("now", "Now", _now, _status_data, "snapkeep status --json"),
    Page("recover", "Recover", recover_context, points_data, "snapkeep recoverable --json"),
    Page("coverage", "Coverage", _coverage, _status_data, "snapkeep status --json"),
    Page("copies", "Copies", _copies, _status_data, "snapkeep status --json"),
    Page("proofs", "Proofs", _proofs, points_data, "snapkeep recoverable --json"),
    Page("policies", "Policies", _policies, _plan_data, "snapkeep plan --json"),
    Page("runs", "Runs", _runs, _runs_data, ""),
    Page("volume", "Volume", volume_context, _plan_data, "snapkeep plan --json", listed=False),
    Page("instance", "Instance", instance_context, points_data, "snapkeep recoverable --json", listed=False),
)
"""Every page, in the order of the navigation."""
