"""The status of a system: each volume against its policy, and each queue of copies. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import partial
from typing import TypeAlias, cast

from snapkeep.domain.copies.entry import NOT_STARTED, OPEN, EntryState
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.protection import (
    PolicyAges,
    RuleAges,
    VolumeHealth,
    VolumeProtection,
    ages_by_policy,
    ages_by_rule,
    protections_by_copies,
    volume_protections,
)
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.points import KeyAtRisk, keys_at_risk
from snapkeep.domain.recovery.recoverability import Recoverability, recoverability_of
from snapkeep.domain.retention.deleted_volumes import deleted_lineages, deleted_volumes
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.system import StackKind, stack_name
from snapkeep.domain.vault.shares import VaultStatus, share_figures, vault_statuses
from snapkeep.domain.wildcards import matches_any
from snapkeep.usecases.look.budgets import CopyBudget, copy_budgets
from snapkeep.usecases.look.queued_copies import QueuedCopy, queued_copies
from snapkeep.usecases.ports import CopyQueue, SnapshotReader
from snapkeep.usecases.sweep.shared import not_done

DEFAULT_QUOTA = 20


class StatusTotal(LabelledEnum):
    """The counts of a status. The values are identifiers for machines."""

    VOLUMES = "volumes", "volumes"
    PROTECTED = "protected", "protected"
    FIRST_COPY_PENDING = "first_copy_pending", "first copy pending"
    LATE = "late", "late"
    UNKNOWN = "unknown", "not known"
    NO_SNAPSHOT = "no_snapshot", "without a snapshot"
    NO_RECOVERY_POINT = "no_recovery_point", "without a recovery point"
    NO_POLICY = "no_policy", "without a policy"
    SNAPSHOTS = "snapshots", "snapshots"
    SNAPSHOTS_MANAGED = "snapshots_managed", "snapshots managed"
    DELETED_VOLUMES = "deleted_volumes", "deleted volumes with snapshots"
    DELETED_VOLUMES_SNAPSHOTS = "deleted_volumes_snapshots", "snapshots and copies of deleted volumes"
    DELETED_VOLUMES_GIB = "deleted_volumes_gib", "GiB of them at most"
    DELETED_VOLUMES_DOLLARS = "deleted_volumes_dollars", "dollars a month for them at most"
    COPIES_WAITING = "copies_waiting", "copies waiting"
    COPIES_RUNNING = "copies_running", "copies running"
    COPIES_FAILED = "copies_failed", "copies failed"
    COPIES_LATE = "copies_late", "copies late"
    COPIES_SHARED = "copies_shared", "copies that vaults have not copied yet"
    COPIES_IN_VAULT = "copies_in_vault", "copies that vaults have copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A DR region to read."""

    reader: SnapshotReader
    queue: CopyQueue
    quota: int = DEFAULT_QUOTA
    """The number of copies that may run there at once."""
    deployed: bool = True
    """Whether its stack exists: without it there is no queue, and nothing is copied."""
    problem: str = ""
    """The reason why it is not read, such as an earlier request without an answer; empty if it is read."""

    @property
    def region(self) -> str:
        """The region."""
        return self.reader.region


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """The state of one DR region. If it could not be read, every figure is zero."""

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
    """The expected completion of all waiting and running copies; None if it is not known."""


@dataclass(frozen=True, slots=True)
class VolumeFilter:
    """The volumes that a person chooses. Every part that is not empty must match; within a part, one value is enough."""

    names: tuple[str, ...] = ()
    """Ids, or patterns of the tag Name."""
    instance_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tag key -> pattern of its value; all must match."""
    policies: tuple[str, ...] = ()
    healths: tuple[VolumeHealth, ...] = ()

    def takes(self, protection: VolumeProtection) -> bool:
        """Whether the filter includes a volume."""
        volume = protection.volume
        return (
            (not self.names or volume.id in self.names or matches_any(volume.tags.get("Name", ""), self.names))
            and (not self.instance_ids or not set(self.instance_ids).isdisjoint(volume.instance_ids))
            and all(key in volume.tags and matches_any(volume.tags[key], [pattern]) for key, pattern in self.tags.items())
            and (not self.policies or protection.policy in self.policies)
            and (not self.healths or protection.health in self.healths)
        )


EVERY_VOLUME = VolumeFilter()


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """The state of a system in all its regions."""

    system: str
    region: str
    at: datetime
    volumes: tuple[VolumeProtection, ...]
    queue: tuple[QueuedCopy, ...]
    policies: tuple[PolicyAges, ...]
    totals: Mapping[StatusTotal, int]
    destinations: tuple[DestinationStatus, ...] = ()
    """Each DR region."""
    rules: tuple[RuleAges, ...] = ()
    """RPO ages for each policy in each region that it copies to."""
    problems: tuple[str, ...] = ()
    """Regions that could not be read, and documents and stacks that are broken or missing."""
    primary_known: bool = True
    """Whether the primary region could be read. If not, the volumes are those of the listed copies."""
    keys: tuple[KeyAtRisk, ...] = ()
    """KMS keys that cannot be used, or whose state is not known, and the snapshots that they encrypt."""
    holds: tuple[PlacedHold, ...] = ()
    """The holds that people placed, in any region."""
    holds_known: bool = True
    """Whether the holds of every region could be read; if not, there may be more."""
    budgets: tuple[CopyBudget, ...] = ()
    """The budgets of time-based copies in the regions that could be read."""
    vaults: tuple[VaultStatus, ...] = ()
    """The vaults of the policies; none if the status is about chosen volumes."""

    @property
    def recoverability(self) -> Recoverability:
        """The number of volumes that can be recovered, with the regions and moments."""
        return recoverability_of(self.volumes, self.at)

    @property
    def healthy(self) -> bool:
        """Whether nothing needs attention."""
        return not (
            self.problems
            or self.keys
            or any(protection.needs_attention for protection in self.volumes)
            or any(copy.needs_attention for copy in self.queue)
            or any(standing.late for standing in self.vaults)
        )


@dataclass(frozen=True, slots=True)
class _PrimaryReading:
    """The listings of the primary region, or the reason why there are none."""

    problem: str
    volumes: Sequence[Volume] = ()
    snapshots: Sequence[Snapshot] = ()


@dataclass(frozen=True, slots=True)
class _DestinationReading:
    """The listing and the queue of one DR region."""

    status: DestinationStatus
    copies: Sequence[Snapshot] = ()
    queue: Sequence[QueuedCopy] = ()
    budgets: Sequence[CopyBudget] = ()


Tasks: TypeAlias = Mapping[str, Callable[[], object]]
"""Region -> the task that reads it and raises nothing."""


def one_after_the_other(tasks: Tasks) -> dict[str, object]:
    """Return the results of the tasks, in their order."""
    return {region: read() for region, read in tasks.items()}


def gather_status(
    primary: SnapshotReader,
    destinations: Sequence[Destination],
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    problem: str = "",
    chosen: VolumeFilter = EVERY_VOLUME,
    run_tasks: Callable[[Tasks], Mapping[str, object]] = one_after_the_other,
) -> SystemStatus:
    """Read the primary region and the DR regions, and return the system's status for the chosen volumes.

    `problem` is the reason why the primary region is not read. A region that cannot be read is a problem in the status; the
    other regions are reported. `run_tasks` may read the regions at the same time.
    """
    tasks: dict[str, Callable[[], object]] = {primary.region: partial(_read_primary, primary, problem)}
    tasks |= {destination.region: partial(_read_destination, destination, policies, now, system) for destination in destinations}
    results = run_tasks(tasks)
    source = cast("_PrimaryReading", results[primary.region])
    readings = [cast("_DestinationReading", results[destination.region]) for destination in destinations]
    listings = {reading.status.region: reading.copies for reading in readings if reading.status.known}
    if source.problem:
        protections = protections_by_copies(primary.region, listings, policies, now, system=system)
    else:
        listed = source.volumes, source.snapshots, listings
        protections = volume_protections(primary.region, *listed, policies, now, system=system)
    all_listings = {primary.region: source.snapshots, **listings}
    keys = [key for region, listing in all_listings.items() for key in keys_at_risk(region, listing, system)]
    queue = [copy for reading in readings for copy in reading.queue]
    snapshots: Iterable[Snapshot] = source.snapshots
    if chosen != EVERY_VOLUME:
        protections = [protection for protection in protections if chosen.takes(protection)]
        lineages = {protection.lineage for protection in protections}
        keys = [key for key in keys if not lineages.isdisjoint(key.lineages)]
        queue = [copy for copy in queue if copy.lineage in lineages]
        snapshots = [snapshot for snapshot in source.snapshots if snapshot.origin.lineage in lineages]
    # A typing error in a selector has this effect. If some volumes are governed, others may be left out on purpose.
    nothing_governed = (
        bool(source.volumes) and chosen == EVERY_VOLUME and not any(protection.policy for protection in protections)
    )
    ungoverned = (
        f"no policy governs a volume: nothing is protected ({counted(len(protections), 'volume')})" if nothing_governed else ""
    )
    totals = _totals(protections, queue, None if source.problem else list(snapshots), system)
    if chosen == EVERY_VOLUME:
        shares = share_figures((copy for copies in listings.values() for copy in copies), system)
        totals |= {StatusTotal(name): number for name, number in shares.items()}
    if chosen == EVERY_VOLUME and not source.problem and len(listings) == len(readings):
        listed_everywhere = [*source.snapshots, *(copy for copies in listings.values() for copy in copies)]
        gone = deleted_lineages(listed_everywhere, primary.region, {volume.id for volume in source.volumes})
        deleted = deleted_volumes(listed_everywhere, gone, system=system)
        totals |= {StatusTotal(name): number for name, number in deleted.figures.items()}
    return SystemStatus(
        system=system,
        region=primary.region,
        at=now,
        volumes=tuple(protections),
        queue=tuple(sorted(queue, key=lambda copy: (not copy.needs_attention, _ORDER.index(copy.state), copy.deadline))),
        policies=tuple(ages_by_policy(protections)),
        totals=totals,
        destinations=tuple(reading.status for reading in readings),
        rules=tuple(ages_by_rule(protections, now)),
        problems=tuple(filter(None, [source.problem, *(reading.status.problem for reading in readings), ungoverned])),
        primary_known=not source.problem,
        keys=tuple(keys),
        budgets=tuple(budget for reading in readings for budget in reading.budgets),
        vaults=tuple(vault_statuses(listings, policies, now, system=system)) if chosen == EVERY_VOLUME else (),
    )


def _read_primary(primary: SnapshotReader, problem: str) -> _PrimaryReading:
    if problem:
        return _PrimaryReading(problem)
    try:
        return _PrimaryReading("", list(primary.all_volumes()), list(primary.all_snapshots()))
    except SnapkeepError as error:
        return _PrimaryReading(f"{primary.region} could not be read: {error}")


def _read_destination(destination: Destination, policies: PolicySet, now: datetime, system: str) -> _DestinationReading:
    """Read a DR region: the queue first, so that the listing has every copy that is done in the queue."""
    region = destination.region
    if destination.problem:
        return _DestinationReading(DestinationStatus(region, known=False, problem=destination.problem))
    try:
        entries = not_done(destination.queue) if destination.deployed else []
        budgets = copy_budgets(policies, destination.queue, now) if destination.deployed else []
        copies = list(destination.reader.all_snapshots())
    except SnapkeepError as error:
        return _DestinationReading(DestinationStatus(region, known=False, problem=f"{region} could not be read: {error}"))
    queue = queued_copies(entries, copies, now, destination.quota)
    states = [copy.state for copy in queue]
    open_copies = [copy for copy in queue if copy.state in OPEN]
    ends = [copy.expected_at for copy in open_copies if copy.expected_at is not None]
    status = DestinationStatus(
        region=region,
        known=True,
        problem=""
        if destination.deployed
        else f"there is no stack {stack_name(system, StackKind.DR)} in {region}: nothing is copied there",
        copies=sum(copy.counts_for(system) and copy.origin.region != region for copy in copies),
        waiting=sum(state in NOT_STARTED for state in states),
        running=states.count(EntryState.RUNNING),
        failed=states.count(EntryState.FAILED),
        late=sum(copy.late for copy in queue),
        quota=destination.quota,
        # The end of the last copy is known only if the end of each is.
        expected_at=max(ends) if ends and len(ends) == len(open_copies) else None,
    )
    return _DestinationReading(status, copies, queue, budgets)


_ORDER = tuple(map(EntryState, ("RUNNING", "STARTING", "WAITING", "DELAYED", "FAILED", "DONE")))


def _totals(
    protections: Sequence[VolumeProtection], rows: Sequence[QueuedCopy], snapshots: Sequence[Snapshot] | None, system: str
) -> dict[StatusTotal, int]:
    """Return the totals; without a listing of the primary region, its snapshots have none."""
    healths = [protection.health for protection in protections]
    states = [row.state for row in rows]
    totals = {
        StatusTotal.VOLUMES: len(protections),
        **{StatusTotal(health.value): healths.count(health) for health in VolumeHealth},
    }
    if snapshots is not None:
        totals[StatusTotal.SNAPSHOTS] = len(snapshots)
        totals[StatusTotal.SNAPSHOTS_MANAGED] = sum(snapshot.managed_by(system) for snapshot in snapshots)
    return totals | {
        StatusTotal.COPIES_WAITING: sum(state in NOT_STARTED for state in states),
        StatusTotal.COPIES_RUNNING: states.count(EntryState.RUNNING),
        StatusTotal.COPIES_FAILED: states.count(EntryState.FAILED),
        StatusTotal.COPIES_LATE: sum(row.late for row in rows),
    }
