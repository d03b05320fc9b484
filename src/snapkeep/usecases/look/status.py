"""How everything stands now: volumes against their policies, and the queue of copies. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

from snapkeep.domain import protection as rpo
from snapkeep.domain.copies.entry import NOT_STARTED, OPEN, EntryState, QueueEntry
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot, SnapshotState, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.usecases.ports import CopyQueue, SnapshotReader
from snapkeep.usecases.sweep.shared import not_done

DEFAULT_QUOTA = 20


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """One copy in a queue, as people see it."""

    snapshot_id: str
    volume_id: str
    source_region: str
    region: str
    state: EntryState
    size_gib: int
    deadline: datetime
    attempts: int
    copy_id: str = ""
    progress_percent: int = 0
    cause: str = ""
    expected_at: datetime | None = None
    """When it should be done, by the pace of the copies that run; None where nothing can be said."""
    late: bool = False

    @property
    def wrong(self) -> bool:
        """Whether somebody should look at it."""
        return self.late or self.state is EntryState.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One DR region to look at."""

    reader: SnapshotReader
    queue: CopyQueue
    quota: int = DEFAULT_QUOTA
    """How many copies may run at once there."""
    deployed: bool = True
    """Whether its stack is there: without it there is no queue, and nothing is copied."""
    problem: str = ""
    """Why it need not be asked: it did not answer a moment ago."""

    @property
    def region(self) -> str:
        """The region."""
        return self.reader.region


@dataclass(frozen=True, slots=True)
class DestinationStanding:
    """How one DR region stands. Where it could not be looked at, all figures are nothing."""

    region: str
    known: bool
    problem: str = ""
    copies: int = 0
    """Managed copies that are completed."""
    waiting: int = 0
    running: int = 0
    failed: int = 0
    late: int = 0
    quota: int = 0
    expected_at: datetime | None = None
    """When all that waits and runs should be done; None where nothing can be said."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a system stands."""

    system: str
    region: str
    at: datetime
    volumes: tuple[rpo.VolumeProtection, ...]
    queue: tuple[QueuedRow, ...]
    policies: tuple[rpo.PolicyAges, ...]
    totals: Mapping[str, int]
    destinations: tuple[DestinationStanding, ...] = ()
    """Each DR region, in the order in which they were given."""
    rules: tuple[rpo.RuleAges, ...] = ()
    """RPO ages for each policy in each region that it copies to."""
    problems: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def all_right(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.problems or any(one.wrong for one in self.volumes) or any(one.wrong for one in self.queue))


@dataclass(frozen=True, slots=True)
class _Seen:
    """One DR region as it was found."""

    standing: DestinationStanding
    copies: Sequence[Snapshot] = ()
    rows: Sequence[QueuedRow] = ()


def gather_status(
    primary: SnapshotReader,
    destinations: Sequence[Destination],
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    problem: str = "",
) -> Status:
    """Given a primary region's reader (and why it need not be asked) and the DR regions, return how everything stands.

    A region that cannot be read is a problem in the answer, and the others are told.
    """
    seen = [_look_at(destination, now, system) for destination in destinations]
    volumes, snapshots, problem = _listings(primary, problem)
    listings = {one.standing.region: one.copies for one in seen if one.standing.known}
    volume_protections = rpo.volume_protections(primary.region, volumes, snapshots, listings, policies, now, system=system)
    rows = [row for one in seen for row in one.rows]
    return Status(
        system=system,
        region=primary.region,
        at=now,
        volumes=tuple(volume_protections),
        queue=tuple(sorted(rows, key=lambda row: (not row.wrong, _ORDER[row.state], row.deadline))),
        policies=tuple(rpo.ages_by_policy(volume_protections)),
        totals=_totals(volume_protections, rows, snapshots, system),
        destinations=tuple(one.standing for one in seen),
        rules=tuple(rpo.ages_by_rule(volume_protections, now)),
        problems=tuple(filter(None, [problem, *(one.standing.problem for one in seen)])),
    )


def _listings(primary: SnapshotReader, problem: str) -> tuple[list[Volume], list[Snapshot], str]:
    if problem:
        return [], [], problem
    try:
        return list(primary.all_volumes()), list(primary.all_snapshots()), ""
    except SnapkeepError as error:
        return [], [], f"{primary.region} could not be read: {error}"


def _look_at(destination: Destination, now: datetime, system: str) -> _Seen:
    """Read a DR region: the queue first, so that what it calls done is in the listing."""
    region = destination.region
    if destination.problem:
        return _Seen(DestinationStanding(region, known=False, problem=destination.problem))
    try:
        entries = not_done(destination.queue) if destination.deployed else []
        copies = list(destination.reader.all_snapshots())
    except SnapkeepError as error:
        return _Seen(DestinationStanding(region, known=False, problem=f"{region} could not be read: {error}"))
    rows = queue_rows(entries, copies, now, destination.quota)
    states = [row.state for row in rows]
    open_rows = [row for row in rows if row.state in OPEN]
    ends = [row.expected_at for row in open_rows if row.expected_at is not None]
    standing = DestinationStanding(
        region=region,
        known=True,
        problem="" if destination.deployed else f"there is no stack {system}-dr in {region}: nothing is copied there",
        copies=sum(one.completed and one.managed_by(system) and one.origin.region != region for one in copies),
        waiting=sum(state in NOT_STARTED for state in states),
        running=states.count(EntryState.RUNNING),
        failed=states.count(EntryState.FAILED),
        late=sum(row.late for row in rows),
        quota=destination.quota,
        expected_at=max(ends) if ends and len(ends) == len(open_rows) else None,
    )
    return _Seen(standing, copies, rows)


_ORDER = {
    EntryState.RUNNING: 0,
    EntryState.STARTING: 1,
    EntryState.WAITING: 2,
    EntryState.DELAYED: 3,
    EntryState.FAILED: 4,
    EntryState.DONE: 5,
}


def queue_rows(entries: Sequence[QueueEntry], copies: Iterable[Snapshot], now: datetime, quota: int) -> list[QueuedRow]:
    """Given a queue's entries, the region's copies and how many may run at once, return the rows with what is expected.

    A running copy is expected by its own pace; waiting ones, most urgent first, by the mean of those that run.
    """
    by_id = {copy.id: copy for copy in copies if copy.state is SnapshotState.PENDING}
    ends = {copy_id: _expected(copy, now) for copy_id, copy in by_id.items()}
    known = [end - by_id[copy_id].start_time for copy_id, end in ends.items() if end is not None]
    typical = timedelta(seconds=fmean(span.total_seconds() for span in known)) if known else None
    waiting = sorted((one for one in entries if one.state is EntryState.WAITING), key=lambda one: one.request.deadline)
    place = {one.key: number for number, one in enumerate(waiting)}
    rows = []
    for entry in entries:
        copy = by_id.get(entry.copy_id)
        expected = ends.get(entry.copy_id)
        if entry.key in place and typical is not None:
            expected = now + typical * (place[entry.key] // max(quota, 1) + 1)
        rows.append(_row(entry, copy, expected, now))
    return rows


def _expected(copy: Snapshot, now: datetime) -> datetime | None:
    if not 0 < copy.progress_percent < 100:  # noqa: PLR2004 - per cent
        return None
    return copy.start_time + (now - copy.start_time) * 100 / copy.progress_percent


def _row(entry: QueueEntry, copy: Snapshot | None, expected: datetime | None, now: datetime) -> QueuedRow:
    request = entry.request
    return QueuedRow(
        snapshot_id=request.origin.snapshot_id,
        volume_id=request.origin.volume_id,
        source_region=request.origin.region,
        region=request.region,
        state=entry.state,
        size_gib=request.size_gib,
        deadline=request.deadline,
        attempts=entry.attempts,
        copy_id=entry.copy_id,
        progress_percent=copy.progress_percent if copy else 0,
        cause=entry.cause,
        expected_at=expected,
        late=entry.state is not EntryState.FAILED and now > request.deadline,
    )


def _totals(
    volume_protections: Sequence[rpo.VolumeProtection], rows: Sequence[QueuedRow], snapshots: Sequence[Snapshot], system: str
) -> dict[str, int]:
    by_standing = [one.standing for one in volume_protections]
    states = [row.state for row in rows]
    return {
        "volumes": len(volume_protections),
        "protected": by_standing.count(rpo.VolumeHealth.PROTECTED),
        "first copy to come": by_standing.count(rpo.VolumeHealth.FIRST_COPY),
        "late": by_standing.count(rpo.VolumeHealth.LATE),
        "not known": by_standing.count(rpo.VolumeHealth.UNKNOWN),
        "without a snapshot": by_standing.count(rpo.VolumeHealth.NO_SNAPSHOT),
        "without a policy": by_standing.count(rpo.VolumeHealth.NO_POLICY),
        "snapshots": len(snapshots),
        "snapshots managed": sum(one.managed_by(system) for one in snapshots),
        "copies waiting": sum(state in NOT_STARTED for state in states),
        "copies running": states.count(EntryState.RUNNING),
        "copies failed": states.count(EntryState.FAILED),
        "copies late": sum(row.late for row in rows),
    }
