"""How everything stands now: volumes against their policies, and the queue of copies. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean

from snapkeep.domain import rpo
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot, SnapshotState
from snapkeep.domain.policy import PolicySet
from snapkeep.usecases.ports import CopyQueue, EntryState, QueueEntry, SnapshotReader
from snapkeep.usecases.sweep import unfinished

STATE_WORDS = {
    EntryState.WAITING: "waiting",
    EntryState.DELAYED: "tried again later",
    EntryState.STARTING: "starting",
    EntryState.RUNNING: "running",
    EntryState.FAILED: "failed",
    EntryState.DONE: "done",
}
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


@dataclass(frozen=True, slots=True)
class Status:
    """How a system stands."""

    system: str
    region: str
    at: datetime
    volumes: tuple[rpo.VolumeStanding, ...]
    queue: tuple[QueuedRow, ...]
    policies: tuple[rpo.PolicyAges, ...]
    totals: Mapping[str, int]
    problems: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def all_right(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.problems or any(one.wrong for one in self.volumes) or any(one.wrong for one in self.queue))


@dataclass(slots=True)
class _Destination:
    copies: list[Snapshot] = field(default_factory=list)
    entries: list[QueueEntry] = field(default_factory=list)


def gather_status(
    primary: SnapshotReader,
    readers: Mapping[str, SnapshotReader],
    queue_of: Callable[[str], CopyQueue],
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    quota: int = DEFAULT_QUOTA,
) -> Status:
    """Given readers of a primary region and of its DR regions and how to get a queue, return how everything stands.

    A DR region that cannot be read is a problem in the answer. Raise as the port does when the primary region cannot be.
    """
    found: dict[str, _Destination] = {}
    problems: list[str] = []
    for region, reader in readers.items():
        try:
            entries = unfinished(queue_of(region))
            found[region] = _Destination(list(reader.all_snapshots()), entries)
        except SnapkeepError as error:
            problems.append(f"{region} could not be read: {error}")
    volumes, snapshots = list(primary.all_volumes()), list(primary.all_snapshots())
    listings = {region: one.copies for region, one in found.items()}
    standings = rpo.standings(primary.region, volumes, snapshots, listings, policies, now, system=system)
    rows = [row for one in found.values() for row in queue_rows(one.entries, one.copies, now, quota)]
    return Status(
        system=system,
        region=primary.region,
        at=now,
        volumes=tuple(standings),
        queue=tuple(sorted(rows, key=lambda row: (not row.wrong, _ORDER[row.state], row.deadline))),
        policies=tuple(rpo.ages_by_policy(standings)),
        totals=_totals(standings, rows, snapshots, system),
        problems=tuple(problems),
    )


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
    waiting = sorted((one for one in entries if one.state is EntryState.WAITING), key=lambda one: one.wanted.deadline)
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
    wanted = entry.wanted
    return QueuedRow(
        snapshot_id=wanted.origin.snapshot_id,
        volume_id=wanted.origin.volume_id,
        source_region=wanted.origin.region,
        region=wanted.region,
        state=entry.state,
        size_gib=wanted.size_gib,
        deadline=wanted.deadline,
        attempts=entry.attempts,
        copy_id=entry.copy_id,
        progress_percent=copy.progress_percent if copy else 0,
        cause=entry.cause,
        expected_at=expected,
        late=entry.state is not EntryState.FAILED and now > wanted.deadline,
    )


def _totals(
    standings: Sequence[rpo.VolumeStanding], rows: Sequence[QueuedRow], snapshots: Sequence[Snapshot], system: str
) -> dict[str, int]:
    by_standing = [one.standing for one in standings]
    states = [row.state for row in rows]
    return {
        "volumes": len(standings),
        "protected": by_standing.count(rpo.Standing.PROTECTED),
        "first copy to come": by_standing.count(rpo.Standing.FIRST_COPY),
        "late": by_standing.count(rpo.Standing.LATE),
        "without a snapshot": by_standing.count(rpo.Standing.NO_SNAPSHOT),
        "without a policy": by_standing.count(rpo.Standing.NO_POLICY),
        "snapshots": len(snapshots),
        "snapshots managed": sum(one.managed_by(system) for one in snapshots),
        "copies waiting": sum(state in (EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING) for state in states),
        "copies running": states.count(EntryState.RUNNING),
        "copies failed": states.count(EntryState.FAILED),
        "copies late": sum(row.late for row in rows),
    }
