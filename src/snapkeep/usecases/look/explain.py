"""The story of one snapshot: from its tags, the queue, executions and audit lines. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from snapkeep.domain import tags as ledger
from snapkeep.domain.copies.entry import LABELS, EntryState, QueueEntry, entry_key
from snapkeep.domain.errors import EntryNotFound, SnapkeepError
from snapkeep.domain.model import Lineage, Origin, Snapshot, SnapshotState, Verdict, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.region_plan import RegionFacts, VolumePlan
from snapkeep.usecases.ports import CopyQueue, SnapshotReader
from snapkeep.usecases.retention.plan_regions import make_region_plan

SEARCHED = timedelta(days=400)
"""How far back logs are searched where the snapshot itself is gone, and its start is not known."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One audit line: when, by which function, and what it says."""

    at: datetime
    function: str
    data: Mapping[str, Any]


class AuditTrail(Protocol):
    """Finds audit lines."""

    def lines(self, about: str, since: datetime) -> list[AuditLine]:
        """Given an id and a time, return the audit lines since then that name it, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One execution that dealt with the snapshot."""

    arn: str
    status: str
    started_at: datetime
    ended_at: datetime | None


class Runs(Protocol):
    """Finds executions."""

    def about(self, words: frozenset[str], around: datetime) -> Sequence[ExecutionSummary]:
        """Given ids and a time, return the executions since about then whose input names one."""
        ...


class OwnedReader(SnapshotReader, Protocol):
    """Reads EBS of one region, and knows whose a snapshot is."""

    def owner_of(self, snapshot_id: str) -> str:
        """Given a snapshot's id, return the account that owns it, which may be another one; empty if nobody shows it to us."""
        ...


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to the snapshot."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of one snapshot."""

    snapshot_id: str
    region: str
    snapshot: Snapshot | None
    """None when it is gone, or another account's."""
    origin: Origin | None
    verdict: Verdict | None
    plan: VolumePlan | None
    copies: tuple[Snapshot, ...]
    entries: tuple[QueueEntry, ...]
    happenings: tuple[Happening, ...]
    problems: tuple[str, ...] = ()
    """What could not be looked at: the story may lack what only stands there."""
    owner: str = ""
    """The other account that it belongs to; empty where it is ours, gone, or nobody shows it to us."""


Answer = TypeVar("Answer")


@dataclass(slots=True)
class TolerantRegions:
    """Asks regions, and remembers which of them do not answer: those are not asked again."""

    problems: dict[str, str]

    def ask(self, region: str, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Given a region, what to ask there and what goes for an answer where there is none, return the answer."""
        if region in self.problems:
            return otherwise
        try:
            return question()
        except SnapkeepError as error:
            self.problems[region] = f"{region} could not be read: {error}"
            return otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain:
    """Looks in all regions. Trails and runs are by region."""

    system: str
    primary: OwnedReader
    others: Mapping[str, OwnedReader]
    queues: Mapping[str, CopyQueue]
    """Of the regions that have one."""
    policies: Mapping[str, PolicySet]
    trails: Mapping[str, AuditTrail]
    runs: Mapping[str, Runs]
    problems: Mapping[str, str] = field(default_factory=dict)
    """Regions that need not be asked, with why."""

    def run(self, snapshot_id: str, now: datetime) -> Story:
        """Given a snapshot's id, return its story. What is not known anywhere has an empty one."""
        return _Telling(self, TolerantRegions(dict(self.problems))).tell(snapshot_id, now)


@dataclass(frozen=True, slots=True)
class _Telling:
    """One story, as far as the regions answer."""

    given: Explain
    reach: TolerantRegions

    def tell(self, snapshot_id: str, now: datetime) -> Story:
        found = self._find(snapshot_id)
        origin = found.origin if found else None
        source_id = origin.snapshot_id if origin else snapshot_id
        copies = self._from_others(lambda reader: reader.copies_of_snapshots([source_id]))
        entries = tuple(self._entries(origin, copies, source_id))
        if origin is None and entries:
            origin = entries[0].request.origin
        ids = frozenset({snapshot_id, source_id, *(copy.id for copy in copies)})
        since = origin.start_time if origin else now - SEARCHED
        plan = self.reach.ask(found.region, lambda: self._plan(found, now), None) if found else None
        verdicts = plan.verdicts if plan else ()
        happenings = sorted(self._happenings(ids, found, copies, since), key=lambda one: one.at)
        region, owner = (found.region, "") if found else self._place_of_others(snapshot_id)
        return Story(
            snapshot_id=snapshot_id,
            region=region,
            snapshot=found,
            origin=origin,
            verdict=next((one for one in verdicts if one.snapshot.id == snapshot_id), None),
            plan=plan,
            copies=tuple(copies),
            entries=entries,
            happenings=tuple(happenings),
            problems=tuple(self.reach.problems.values()),
            owner=owner,
        )

    def _place_of_others(self, snapshot_id: str) -> tuple[str, str]:
        """Given a snapshot that is not ours, return its region and its account; the latter is empty if nobody shows it to us."""
        for reader in (self.given.primary, *self.given.others.values()):
            if owner := self.reach.ask(reader.region, partial(reader.owner_of, snapshot_id), ""):
                return reader.region, owner
        return self.given.primary.region, ""

    def _find(self, snapshot_id: str) -> Snapshot | None:
        nothing: dict[str, Snapshot] = {}
        for reader in (self.given.primary, *self.given.others.values()):
            listed = self.reach.ask(reader.region, partial(reader.snapshots, [snapshot_id]), nothing)
            if found := listed.get(snapshot_id):
                return found
        return None

    def _from_others(self, read: Callable[[SnapshotReader], list[Snapshot]]) -> list[Snapshot]:
        nothing: list[Snapshot] = []
        regions = self.given.others.items()
        return [one for region, reader in regions for one in self.reach.ask(region, partial(read, reader), nothing)]

    def _still_to_come(self, volume_id: str) -> list[QueueEntry]:
        nothing: list[QueueEntry] = []
        queues = self.given.queues.items()
        return [
            one for region, queue in queues for one in self.reach.ask(region, partial(queue.open_entries, volume_id), nothing)
        ]

    def _entries(self, origin: Origin | None, copies: Sequence[Snapshot], source_id: str) -> Iterator[QueueEntry]:
        """The entry of a source snapshot in each queue. One that is gone is known by its copies, or was the primary region's."""
        source = origin or next((copy.origin for copy in copies), None)
        source_region = source.region if source else self.given.primary.region
        for region, queue in self.given.queues.items():
            key = entry_key(source_region, source_id, region)
            entry = self.reach.ask(region, partial(_entry_of, queue, key), None)
            if entry is not None:
                yield entry

    def _plan(self, snapshot: Snapshot, now: datetime) -> VolumePlan | None:
        """Given a snapshot, return its lineage's plan, as it would be made while the regions that are away are away."""
        lineage, given = snapshot.origin.lineage, self.given
        reader = given.primary if snapshot.region == given.primary.region else given.others[snapshot.region]
        policies = given.policies[snapshot.region]
        plan = make_region_plan(reader, self._facts(reader, lineage), policies, now, system=given.system)
        return next((one for one in plan.volumes if one.lineage == lineage), None)

    def _facts(self, reader: SnapshotReader, lineage: Lineage) -> RegionFacts:
        if reader.region != lineage.region:
            copies = [one for one in reader.copies_of_volume(lineage.volume_id) if one.origin.lineage == lineage]
            return RegionFacts(reader.region, (), copies)
        volumes: list[Volume] = list(reader.volumes([lineage.volume_id]).values())
        listings: dict[str, list[Snapshot]] = {}
        for region, other in self.given.others.items():
            copies = self.reach.ask(region, partial(other.copies_of_volume, lineage.volume_id), [])
            if region not in self.reach.problems:
                listings[region] = copies
        waiting = frozenset(
            (entry.request.origin.snapshot_id, entry.request.region) for entry in self._still_to_come(lineage.volume_id)
        )
        return RegionFacts(reader.region, volumes, reader.snapshots_of_volume(lineage.volume_id), listings, waiting)

    def _happenings(
        self, ids: frozenset[str], found: Snapshot | None, copies: Sequence[Snapshot], since: datetime
    ) -> Iterator[Happening]:
        if found is not None:
            made = "copy started" if found.is_copy else "snapshot started"
            yield Happening(found.start_time, f"{made} in {found.region}")
        for copy in copies:
            if copy.id != (found.id if found else ""):
                yield Happening(copy.start_time, f"copy {copy.id} started in {copy.region}")
        nothing: Sequence[ExecutionSummary] = ()
        for region, runs in self.given.runs.items():
            for run in self.reach.ask(region, partial(runs.about, ids, since), nothing):
                ended = f", ended {run.ended_at:%Y-%m-%d %H:%M:%S}" if run.ended_at else ""
                yield Happening(run.started_at, f"run {_short(run.arn)}: {run.status}{ended}")
        yield from self._audited(ids, since)

    def _audited(self, ids: frozenset[str], since: datetime) -> Iterator[Happening]:
        seen: set[tuple[datetime, str]] = set()
        nothing: list[AuditLine] = []
        for region, trail in self.given.trails.items():
            for one in sorted(ids):
                for line in self.reach.ask(region, partial(trail.lines, one, since), nothing):
                    happening = Happening(line.at, told(line))
                    if (happening.at, happening.text) not in seen:
                        seen.add((happening.at, happening.text))
                        yield happening


def _entry_of(queue: CopyQueue, key: str) -> QueueEntry | None:
    try:
        return queue.get(key)
    except EntryNotFound:
        return None


def _short(arn: str) -> str:
    return ":".join(arn.split(":")[-2:])


def told(line: AuditLine) -> str:
    """Given an audit line, return it in words."""
    data = line.data
    reasons = "; ".join(data.get("reasons") or ())
    cause = f" ({data['cause']})" if data.get("cause") else ""
    match data.get("audit"):
        case "deletion":
            plan = f", plan {data['plan']}" if data.get("plan") else ""
            return f"{line.function}: {data.get('snapshot')} {data.get('outcome')}{cause}: {reasons}{plan}"
        case "copy":
            copy = f" {data['copy']}" if data.get("copy") else ""
            return f"{line.function}: copy{copy} {data.get('step')}{cause}"
        case "repair":
            return f"{line.function}: {data.get('kind')}, {data.get('outcome')}{cause}: {reasons}"
    return f"{line.function}: {data.get('message', '')}"


def standing_of(story: Story) -> str:
    """Given a story, return in one sentence how the snapshot stands."""
    snapshot = story.snapshot
    if snapshot is None:
        return _standing_of_none(story)
    if snapshot.state is not SnapshotState.COMPLETED:
        return f"it is {snapshot.state}" + (f": {snapshot.state_message}" if snapshot.state_message else "")
    if story.verdict is None:
        return "nothing is decided about it"
    held = "; ".join(reason.text for reason in story.verdict.reasons)
    refused = " (but its plan is refused)" if story.plan and story.plan.refusals else ""
    return f"the next plan would {story.verdict.action} it{refused}: {held}"


def _standing_of_none(story: Story) -> str:
    if story.owner:
        return f"it belongs to account {story.owner}: a system cares for the snapshots of its own account alone"
    if story.problems:
        return "it was not found where one could look"
    if story.happenings:
        return "it is gone; what happened stands below"
    return "this account has none of this id here: it was deleted, or never was, or is another account's that does not share it"


def entry_told(entry: QueueEntry) -> str:
    """Given an entry of the queue, return it in words."""
    state = LABELS[entry.state]
    if entry.state is EntryState.DONE:
        return f"to {entry.request.region}: done, {entry.copy_id}"
    cause = f": {entry.cause}" if entry.cause else ""
    return (
        f"to {entry.request.region}: {state}{cause}, due {ledger.format_time(entry.request.deadline)}, attempt {entry.attempts}"
    )
