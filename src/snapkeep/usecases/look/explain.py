"""The story of one snapshot, from its tags, the queues, executions and audit lines. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, TypeVar

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.copies.known_copies import KnownCopies, known_copies
from snapkeep.domain.errors import AwsUnavailable, SnapkeepError
from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.model import Lineage, Origin, Snapshot, Verdict, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion_forecast import DeletionForecast, deletion_forecasts
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.region_plan import RegionFacts, VolumePlan
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.usecases.copies.enqueue import find_entry
from snapkeep.usecases.ports import CopyQueue, DeletionOutcome, SnapshotReader
from snapkeep.usecases.retention.plan_regions import make_region_plan, tagged_sources

SEARCHED = timedelta(days=400)
"""The time for which logs are searched if the snapshot is deleted and its start is not known."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One audit line of a function's log."""

    at: datetime
    function: str
    data: Mapping[str, Any]


class AuditTrail(Protocol):
    """Finds audit lines."""

    def lines(self, about: str, since: datetime) -> list[AuditLine]:
        """Return the audit lines since a time that name an id, oldest first."""


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One execution that handled the snapshot."""

    arn: str
    status: str
    started_at: datetime
    ended_at: datetime | None


class ExecutionHistory(Protocol):
    """Finds executions."""

    def about(self, words: frozenset[str], around: datetime) -> list[ExecutionSummary]:
        """Return the executions that started around or after a time and whose input names one of the ids."""


class OwnedReader(SnapshotReader, Protocol):
    """Reads EBS in one region, and the owner of a snapshot."""

    def owner_of(self, snapshot_id: str) -> str:
        """Return the account that owns a snapshot, this one or another; empty if the snapshot is not visible."""


class StoryEventKind(StrEnum):
    """The subject of a story event. The values are identifiers for machines."""

    SNAPSHOT_STARTED = "snapshot_started"
    COPY_STARTED = "copy_started"
    EXECUTION = "execution"
    DELETION = "deletion"
    COPY = "copy"
    REPAIR = "repair"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """One event in a snapshot's life."""

    at: datetime
    kind: StoryEventKind
    text: str
    execution_arn: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known about one snapshot."""

    snapshot_id: str
    region: str
    snapshot: Snapshot | None
    """None if it is deleted, or belongs to another account."""
    origin: Origin | None
    verdict: Verdict | None
    plan: VolumePlan | None
    copies: tuple[Snapshot, ...]
    entries: tuple[QueueEntry, ...]
    events: tuple[StoryEvent, ...]
    problems: tuple[str, ...] = ()
    """Regions that could not be read: the story may be incomplete."""
    owner: str = ""
    """The other account that owns it; empty if this account owns it, or if it is deleted or not visible."""
    forecast: DeletionForecast | None = None
    """The time of its deletion, as far as it is known; None if it has no plan."""


Answer = TypeVar("Answer")


@dataclass(slots=True)
class TolerantRegions:
    """Reads regions, and makes no second request to a region that did not respond."""

    problems: dict[str, str]

    def read(self, region: str, request: Callable[[], Answer], default: Answer) -> Answer:
        """Return the result of a request in a region, or the default if the region does not respond."""
        if region in self.problems:
            return default
        try:
            return request()
        except SnapkeepError as error:
            self.problems[region] = f"{region} could not be read: {error}"
            return default


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain:
    """Collects a snapshot's story from all regions. Audit trails and execution histories are by region."""

    system: str
    primary: OwnedReader
    others: Mapping[str, OwnedReader]
    queues: Mapping[str, CopyQueue]
    """The queues of the regions that have a DR stack."""
    policies: Mapping[str, PolicySet]
    trails: Mapping[str, AuditTrail]
    executions: Mapping[str, ExecutionHistory]
    problems: Mapping[str, str] = field(default_factory=dict)
    """Regions that are not read, with the reason."""
    placed: PlacedHolds = NOTHING_HELD
    """The holds that people placed."""

    def run(self, snapshot_id: str, now: datetime) -> Story:
        """Return a snapshot's story; an empty one if nothing is known about it."""
        return _StoryBuilder(self, TolerantRegions(dict(self.problems))).build(snapshot_id, now)


@dataclass(frozen=True, slots=True)
class _StoryBuilder:
    """Builds one story from the regions that respond."""

    sources: Explain
    regions: TolerantRegions

    def build(self, snapshot_id: str, now: datetime) -> Story:
        snapshot = self._find(snapshot_id)
        origin = snapshot.origin if snapshot else None
        # A copy's story is that of its source: entries, runs and audit lines name the source.
        source_id = origin.snapshot_id if origin else snapshot_id
        copies = [
            copy
            for region, reader in self.sources.others.items()
            for copy in self.regions.read(region, partial(reader.copies_of_snapshots, [source_id]), list[Snapshot]())
        ]
        entries = tuple(self._entries(origin, copies, source_id))
        if origin is None and entries:
            origin = entries[0].request.origin
        # Only audit lines and the queue have facts about a deleted snapshot.
        ids = frozenset({snapshot_id, source_id, *(copy.id for copy in copies)})
        since = origin.start_time if origin else now - SEARCHED
        plan = self.regions.read(snapshot.region, lambda: self._plan(snapshot, now), None) if snapshot else None
        verdicts = plan.verdicts if plan else ()
        events = sorted(self._events(ids, snapshot, copies, since), key=lambda event: event.at)
        region, owner = (snapshot.region, "") if snapshot else self._region_and_owner(snapshot_id)
        return Story(
            snapshot_id=snapshot_id,
            region=region,
            snapshot=snapshot,
            origin=origin,
            verdict=next((verdict for verdict in verdicts if verdict.snapshot.id == snapshot_id), None),
            plan=plan,
            copies=tuple(copies),
            entries=entries,
            events=tuple(events),
            problems=tuple(self.regions.problems.values()),
            owner=owner,
            forecast=deletion_forecasts(plan, now, system=self.sources.system).get(snapshot_id) if plan else None,
        )

    def _region_and_owner(self, snapshot_id: str) -> tuple[str, str]:
        """Return the region and the account of another account's snapshot; no account if it is not visible."""
        for reader in (self.sources.primary, *self.sources.others.values()):
            if owner := self.regions.read(reader.region, partial(reader.owner_of, snapshot_id), ""):
                return reader.region, owner
        return self.sources.primary.region, ""

    def _find(self, snapshot_id: str) -> Snapshot | None:
        for reader in (self.sources.primary, *self.sources.others.values()):
            listed = self.regions.read(reader.region, partial(reader.snapshots, [snapshot_id]), dict[str, Snapshot]())
            if snapshot := listed.get(snapshot_id):
                return snapshot
        return None

    def _entries(self, origin: Origin | None, copies: Sequence[Snapshot], source_id: str) -> Iterator[QueueEntry]:
        """Yield a source snapshot's entry in each queue.

        The copies of a deleted source name its region; without copies it is the primary region.
        """
        source = origin or next((copy.origin for copy in copies), None)
        source_region = source.region if source else self.sources.primary.region
        for region, queue in self.sources.queues.items():
            key = entry_key(source_region, source_id, region)
            entry = self.regions.read(region, partial(find_entry, queue, key), None)
            if entry is not None:
                yield entry

    def _plan(self, snapshot: Snapshot, now: datetime) -> VolumePlan | None:
        """Return the plan of a snapshot's lineage, made without the unreachable regions."""
        lineage, sources = snapshot.origin.lineage, self.sources
        reader = sources.primary if snapshot.region == sources.primary.region else sources.others[snapshot.region]
        policies = sources.policies[snapshot.region]
        plan = make_region_plan(
            reader, self._facts(reader, snapshot, now), policies, now, system=sources.system, placed=sources.placed
        )
        return next((volume for volume in plan.volumes if volume.lineage == lineage), None)

    def _facts(self, reader: SnapshotReader, snapshot: Snapshot, now: datetime) -> RegionFacts:
        lineage = snapshot.origin.lineage
        if reader.region != lineage.region:
            copies = [copy for copy in reader.copies_of_volumes([lineage.volume_id]) if copy.origin.lineage == lineage]
            known = self._known(reader.region, copies, now)
            counted = {copy.id: copy for copy in known.counted(copies)}
            copies = [counted.get(copy.id, copy) for copy in copies if copy.id in counted or copy.id == snapshot.id]
            tagged = tagged_sources(copies, reader.region, self.sources.policies[reader.region], self._reader_of)
            return RegionFacts(reader.region, (), copies, checked=known.checked, gone=self._gone(lineage), sources=tagged)
        volumes: list[Volume] = list(reader.volumes([lineage.volume_id]).values())
        listings: dict[str, list[Snapshot]] = {}
        for region, other in self.sources.others.items():
            copies = self.regions.read(region, partial(other.copies_of_volumes, [lineage.volume_id]), [])
            # An unreachable region is not empty: without its listing, its copies count as missing.
            if region not in self.regions.problems:
                listings[region] = copies
        waiting = frozenset(
            entry.request.snapshot_in_region
            for region, queue in self.sources.queues.items()
            for entry in self.regions.read(region, partial(queue.open_entries, lineage.volume_id), list[QueueEntry]())
        )
        return RegionFacts(reader.region, volumes, reader.snapshots_of_volumes([lineage.volume_id]), listings, waiting)

    def _reader_of(self, region: str) -> SnapshotReader:
        """Return the reader of a source region. Raise AwsUnavailable if it is not read."""
        if region == self.sources.primary.region and region not in self.regions.problems:
            return self.sources.primary
        raise AwsUnavailable(self.regions.problems.get(region, f"{region} is not a region of the system"))

    def _known(self, region: str, copies: Sequence[Snapshot], now: datetime) -> KnownCopies:
        """Return the facts of the region's queue about these copies, and the copies that it has as wrong."""
        queue = self.sources.queues.get(region)
        if queue is None:
            return KnownCopies()
        failed = self.regions.read(region, lambda: list(queue.in_state(EntryState.FAILED)), list[QueueEntry]())
        keys = sorted({entry_key(copy.origin.region, copy.origin.snapshot_id, region) for copy in copies})
        entries = [self.regions.read(region, partial(find_entry, queue, key), None) for key in keys]
        return known_copies([*failed, *(entry for entry in entries if entry is not None)], now)

    def _gone(self, lineage: Lineage) -> frozenset[Lineage]:
        """Return the lineage if its volume is known to be deleted."""
        primary = self.sources.primary
        if lineage.region != primary.region:
            return frozenset()
        volumes = self.regions.read(primary.region, partial(primary.volumes, [lineage.volume_id]), dict[str, Volume]())
        known = primary.region not in self.regions.problems
        return frozenset({lineage}) if known and not volumes else frozenset()

    def _events(
        self, ids: frozenset[str], snapshot: Snapshot | None, copies: Sequence[Snapshot], since: datetime
    ) -> Iterator[StoryEvent]:
        if snapshot is not None and snapshot.is_copy:
            yield StoryEvent(snapshot.start_time, StoryEventKind.COPY_STARTED, f"copy started in {snapshot.region}")
        elif snapshot is not None:
            yield StoryEvent(snapshot.start_time, StoryEventKind.SNAPSHOT_STARTED, f"snapshot started in {snapshot.region}")
        for copy in copies:
            if copy.id != (snapshot.id if snapshot else ""):
                yield StoryEvent(copy.start_time, StoryEventKind.COPY_STARTED, f"copy {copy.id} started in {copy.region}")
        for region, executions in self.sources.executions.items():
            for execution in self.regions.read(region, partial(executions.about, ids, since), list[ExecutionSummary]()):
                ended = f", ended {execution.ended_at:%Y-%m-%d %H:%M:%S}" if execution.ended_at else ""
                text = f"run {execution_name(execution.arn)}: {execution.status}{ended}"
                yield StoryEvent(execution.started_at, StoryEventKind.EXECUTION, text, execution.arn)
        yield from self._audited(ids, since)

    def _audited(self, ids: frozenset[str], since: datetime) -> Iterator[StoryEvent]:
        seen: set[StoryEvent] = set()
        for region, trail in self.sources.trails.items():
            for snapshot_id in sorted(ids):
                for line in self.regions.read(region, partial(trail.lines, snapshot_id, since), list[AuditLine]()):
                    event = StoryEvent(line.at, _kind_of(line), describe_audit_line(line))
                    # A line that names the snapshot and its copy is found by both ids.
                    if event not in seen:
                        seen.add(event)
                        yield event


_AUDITED = (StoryEventKind.DELETION, StoryEventKind.COPY, StoryEventKind.REPAIR)


def _kind_of(line: AuditLine) -> StoryEventKind:
    return next((kind for kind in _AUDITED if kind.value == line.data.get("audit")), StoryEventKind.LOG)


def execution_name(arn: str) -> str:
    """Return an execution's short name: its state machine and its own name."""
    return ":".join(arn.split(":")[-2:])


def describe_audit_line(line: AuditLine) -> str:
    """Return an audit line in words."""
    data = line.data
    reasons = "; ".join(data.get("reasons") or ())
    cause = f" ({data['cause']})" if data.get("cause") else ""
    match data.get("audit"):
        case "deletion":
            plan = f", plan {data['plan']}" if data.get("plan") else ""
            outcome = _label_of(DeletionOutcome, data.get("outcome"))
            return f"{line.function}: {data.get('snapshot')} {outcome}{cause}: {reasons}{plan}"
        case "copy":
            copy = f" {data['copy']}" if data.get("copy") else ""
            return f"{line.function}: copy{copy} {data.get('step')}{cause}"
        case "repair":
            finding, result = _label_of(FindingKind, data.get("kind")), _label_of(Handling, data.get("outcome"))
            return f"{line.function}: {finding}, {result}{cause}: {reasons}"
    return f"{line.function}: {data.get('message', '')}"


def _label_of(identifiers: type[DeletionOutcome | FindingKind | Handling], value: Any) -> str:
    """Return the label of an identifier in an audit line; lines of earlier versions have the label itself."""
    try:
        return identifiers(value).label
    except ValueError:
        return str(value)
