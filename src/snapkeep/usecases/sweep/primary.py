"""The sweep of a primary region: snapshots that no run handled, copies that are missing, retention, undelivered events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta

from snapkeep.domain.copies.entry import NOT_STARTED, EntryState, QueueEntry
from snapkeep.domain.copies.request import copy_request
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.protection import VolumeHealth, VolumeProtection, ages_by_policy, volume_protections
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.points import KeyAtRisk, keys_at_risk
from snapkeep.domain.recovery.recoverability import not_proved, recoverability_of
from snapkeep.domain.retention.deleted_volumes import deleted_lineages, deleted_volumes
from snapkeep.domain.retention.region_plan import RegionFacts, RegionPlan
from snapkeep.domain.sweep.deletions_by_others import memory_of
from snapkeep.domain.sweep.findings import (
    EnqueueRepair,
    Finding,
    FindingKind,
    ProtectRepair,
    RejoinRepair,
    Repair,
    RetagRepair,
    deleted_volume_findings,
    document_findings,
    hold_findings,
    key_findings,
    placed_hold_findings,
)
from snapkeep.domain.sweep.primary import PrimaryFacts, decide_primary
from snapkeep.domain.sweep.report import Figure, Handling
from snapkeep.domain.system import StackKind
from snapkeep.domain.tag_names import MANAGED
from snapkeep.domain.tags import is_of_former_system
from snapkeep.usecases.copies.enqueue import EnqueueCopy
from snapkeep.usecases.ports import CopyQueue
from snapkeep.usecases.retention.plan_regions import guarded_plan
from snapkeep.usecases.sweep.events import run_name, snapshot_event
from snapkeep.usecases.sweep.ports import ProtectRuns, WaitingRuns
from snapkeep.usecases.sweep.shared import RegionSweep, Repairs, SweepOptions, SweepResult, held_count, not_done, queue_counts
from snapkeep.usecases.sweep.waiting_runs import RejoinRun, RunsReading, copy_is_there, look_at_runs

RETRY_FAILED_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimarySweep(RegionSweep):
    """The sweep of a primary region."""

    queue_of: Callable[[str], CopyQueue]
    enqueue: EnqueueCopy
    runs: ProtectRuns
    waiting_runs: WaitingRuns

    def run(self, sweep_id: str, options: SweepOptions) -> SweepResult:
        """Find and repair within the options; return the report so far and the deletions to carry out.

        Raise AwsThrottled or AwsUnavailable when this region itself cannot be read: then nothing was done.
        """
        started = self.clock.now()
        policies = self.policies()
        dr = self._dr_regions(policies, options.former)
        listing = RegionFacts(
            region=self.reader.region,
            volumes=list(self.reader.all_volumes()),
            snapshots=list(self.reader.all_snapshots()),
            copies_by_region=dr.copies,
            waiting=dr.waiting(),
        )
        # The plan is made before the repairs, so that no repair of this sweep can be the reason for a deletion in it.
        placed = self.holds.placed([snapshot for snapshot in listing.snapshots if snapshot.managed_by(self.system)])
        self.count_guarded(listing.snapshots, policies, options, started)
        plan = guarded_plan(self.guards, listing, policies, started, system=self.system, placed=lambda _: placed)
        runs = self._runs_seen(dr, plan, listing.snapshots, started)
        facts = PrimaryFacts(
            system=self.system,
            plan=plan,
            volumes={volume.id: volume for volume in listing.volumes},
            snapshots=listing.snapshots,
            copies_by_region=dr.copies,
            queued={
                entry.request.snapshot_in_region: entry
                for entry in dr.entries
                if entry.request.origin.region == self.reader.region
            },
            reachable=frozenset(dr.copies),
            waits=runs.waits,
            since=self.runs.deployed_at(),
            adopt=options.adopt,
            former=options.former,
            retry_failed_after=timedelta(0) if options.retry_failed else RETRY_FAILED_AFTER,
        )
        decision = decide_primary(facts, policies, started)
        watched = self.watch.run(listing, policies, started, self.system, placed)
        deletions, postponed, unusual = self.deletions(decision, watched, started)
        protections = volume_protections(
            self.reader.region, listing.volumes, listing.snapshots, dr.copies, policies, started, system=self.system
        )
        # Findings about documents, keys and regions have no repair, so that they are reported even if the limit is reached.
        repairs = Repairs(self.limits.repairs)
        repairs.carry_out(
            [
                *document_findings(policies),
                *key_findings(self._keys_at_risk(listing)),
                *hold_findings(listing.snapshots, started),
                *placed_hold_findings(placed, started),
                *dr.findings,
                *runs.findings,
                *watched.new(decision.findings),
                *_missed(protections, decision.findings, started),
            ],
            lambda repair: self._repair(repair, started),
        )
        gone = deleted_lineages(listing.snapshots, self.reader.region, facts.volumes)
        deleted = deleted_volumes(listing.snapshots, gone, system=self.system)
        exposed = self.exposure.run(listing.snapshots, self.system, started)
        repairs.note([*exposed, *deleted_volume_findings(deleted), *unusual, *watched.findings])
        lock_items, requested = self.locks_missing(listing.snapshots, policies, started, watched.locks)
        repairs.items[:0] = lock_items  # of the highest rank
        counts = _counts(protections, listing, dr.entries, self.system, started)
        counts |= {Figure(name): number for name, number in deleted.figures.items()}
        counts |= held_count(placed, listing.snapshots, plan.governing, self.system)
        counts |= {Figure.RUNS_IN_PROGRESS: runs.under_way, Figure.RUNS_NOT_READ: runs.not_read}
        ages_of_policies = tuple(ages_by_policy(protections))
        report = self.report(
            sweep_id,
            StackKind.PRIMARY,
            started,
            (*repairs.items, *postponed),
            counts,
            ages_of_policies,
            plan.names_by_id,
            policies.source,
        )
        ages = {health.volume.id: health.age.total_seconds() for health in protections if health.age is not None}
        memory = memory_of(plan, listing.snapshots, decision.findings, watched.deletions, started, requested, system=self.system)
        return SweepResult(report, deletions, rpo_ages_seconds=ages, memory=memory)

    def _keys_at_risk(self, listing: RegionFacts) -> list[KeyAtRisk]:
        """Return the keys at risk of this region's snapshots, and of the copies in the DR regions."""
        listings = {listing.region: listing.snapshots, **listing.copies_by_region}
        return [key for region, listed in listings.items() for key in keys_at_risk(region, listed, self.system)]

    def _ours(self, copies: Iterable[Snapshot], former: str) -> Iterator[Snapshot]:
        """Yield the system's copies, and those of a renamed system, which the DR region's sweep adopts: none is made again."""
        for copy in copies:
            if copy.managed_by(self.system):
                yield copy
            elif is_of_former_system(copy, former):
                yield replace(copy, tags={**copy.tags, MANAGED: self.system})

    def _dr_regions(self, policies: PolicySet, former: str) -> _DrRegions:
        """Read queue and listing of each DR region; the queue first, so that what it calls done is in the listing."""
        dr = _DrRegions()
        for region in policies.copy_regions:
            if region == self.reader.region:
                continue
            try:
                entries = not_done(self.queue_of(region))
                # A copy whose check found it wrong must not release its source.
                wrong = {entry.copy_id for entry in entries if entry.state is EntryState.FAILED}
                listed = self.reader_of(region).all_snapshots()
                dr.copies[region] = [copy for copy in self._ours(listed, former) if copy.id not in wrong]
                dr.entries += entries
            except SnapkeepError as error:
                dr.findings.append(Finding(FindingKind.OUT_OF_REACH, region, "", f"{region}: {error}"))
        return dr

    def _runs_seen(self, dr: _DrRegions, plan: RegionPlan, snapshots: Sequence[Snapshot], now: datetime) -> RunsReading:
        """Read the runs after the queues: a run that was answered in between waits no more."""
        if not dr.copies:
            return RunsReading()
        known = {entry.request.snapshot_in_region for entry in dr.entries}
        starts = {snapshot.id: snapshot.origin.start_time for snapshot in snapshots}
        missing = {
            starts[copy.snapshot_id]
            for copy in plan.missing
            if copy.region in dr.copies and (copy.snapshot_id, copy.region) not in known
        }
        return look_at_runs(self.waiting_runs, dr.entries, missing, now, self.limits.repairs)

    def _repair(self, repair: Repair, now: datetime) -> Handling:
        match repair:
            case ProtectRepair(snapshot):
                fresh = self.runs.start(snapshot_event(snapshot, now), run_name(snapshot.id, now))
                return Handling.REPAIRED if fresh else Handling.NOTED
            case EnqueueRepair():
                return self._ask_for_copy(repair)
            case RejoinRepair(wait):
                return RejoinRun(queue_of=self.queue_of, reader_of=self.reader_of, enqueue=self.enqueue).run(wait)
            case RetagRepair(snapshot_id, tags):
                self.tagger.tag([snapshot_id], tags)
                return Handling.REPAIRED
        raise TypeError(f"a primary region has no repair {type(repair).__name__}")

    def _ask_for_copy(self, repair: EnqueueRepair) -> Handling:
        request = copy_request(self.system, repair.snapshot, repair.policy, repair.rule, repair.volume, repair.rpo_ends)
        entry = self.enqueue.run(request, "")
        # The entry may be done although its copy was deleted since: EC2 decides, and the copy is requested again.
        if entry.state is not EntryState.DONE:
            return Handling.REPAIRED
        if copy_is_there(self.reader_of(request.region), entry):
            return Handling.NOTED
        self.queue_of(request.region).write(entry.restarted(request, self.clock.now()))
        return Handling.REPAIRED


@dataclass(slots=True)
class _DrRegions:
    """The copies and entries of the DR regions that could be read, and findings about the others."""

    copies: dict[str, list[Snapshot]] = field(default_factory=dict)
    entries: list[QueueEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def waiting(self) -> frozenset[tuple[str, str]]:
        """Return the copies that wait or run, by the queues."""
        return frozenset(entry.request.snapshot_in_region for entry in self.entries if entry.is_open)


def _missed(protections: list[VolumeProtection], findings: Iterable[Finding], now: datetime) -> list[Finding]:
    """Return the volumes whose RPO is missed; of those that EC2 copies nowhere, only where a snapshot is missing too."""
    not_copyable = {item.subject for item in findings if item.kind is FindingKind.NOT_COPYABLE}

    def only_copies(protection: VolumeProtection) -> bool:
        newest = protection.snapshot
        return protection.volume.id in not_copyable and newest.there and newest.age(now) <= protection.rpo

    missed = [protection for protection in protections if protection.needs_attention and not only_copies(protection)]
    return [Finding(FindingKind.RPO_MISSED, protection.volume.id, protection.volume.id, protection.why) for protection in missed]


def _counts(
    protections: list[VolumeProtection], listing: RegionFacts, entries: list[QueueEntry], system: str, now: datetime
) -> dict[Figure, int]:
    snapshots = listing.snapshots
    by_health = [protection.health for protection in protections]
    waiting = [entry.enqueued_at for entry in entries if entry.state in NOT_STARTED]
    return {
        Figure.VOLUMES: len(protections),
        Figure.VOLUMES_PROTECTED: by_health.count(VolumeHealth.PROTECTED),
        Figure.VOLUMES_FIRST_COPY_PENDING: by_health.count(VolumeHealth.FIRST_COPY_PENDING),
        Figure.VOLUMES_NOT_KNOWN: by_health.count(VolumeHealth.UNKNOWN),
        Figure.VOLUMES_NOT_AS_ASKED: sum(protection.needs_attention for protection in protections),
        Figure.VOLUMES_NOT_RECOVERABLE: recoverability_of(protections, now).not_recoverable,
        Figure.VOLUMES_NOT_PROVED: len(not_proved(protections, listing.copies_by_region)),
        Figure.VOLUMES_WITHOUT_POLICY: by_health.count(VolumeHealth.NO_POLICY),
        Figure.SNAPSHOTS: len(snapshots),
        Figure.SNAPSHOTS_MANAGED: sum(snapshot.managed_by(system) for snapshot in snapshots),
        Figure.SNAPSHOTS_NOT_COVERED: sum(snapshot.completed and snapshot.is_copy for snapshot in snapshots),
        **queue_counts(entries),
        Figure.OLDEST_WAIT_MINUTES: int((now - min(waiting, default=now)).total_seconds() // 60),
    }
