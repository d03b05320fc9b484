"""The findings of a primary region. Pure; see `snapkeep.domain.sweep.findings`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta

from snapkeep.domain.copies.entry import NOT_STARTED, EntryState, QueueEntry
from snapkeep.domain.model import NEVER, Lineage, Snapshot, SnapshotInRegion, Volume
from snapkeep.domain.policy.model import Policy, PolicySet
from snapkeep.domain.policy.selection import select_for_retention, select_for_snapshot, why_left_out
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.holds import copy_facts
from snapkeep.domain.retention.region_plan import CopyStatus, RegionPlan
from snapkeep.domain.retention.unhandled_snapshots import unhandled
from snapkeep.domain.sweep.findings import (
    CopyWait,
    EnqueueRepair,
    Finding,
    FindingKind,
    ProtectRepair,
    RejoinRepair,
    RetagRepair,
    SweepDecision,
    decision_of,
)
from snapkeep.domain.sweep.waiting_runs import unanswered
from snapkeep.domain.tag_names import RECORD, SNAPSHOT_TAGS
from snapkeep.domain.tags import (
    TAG_LIMIT,
    is_of_former_system,
    is_of_original_system,
    other_manager,
    tags_for_snapshot,
    was_managed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryFacts:
    """One listing of a primary region and of its DR regions, with their queues."""

    system: str
    plan: RegionPlan
    volumes: Mapping[str, Volume]
    snapshots: Sequence[Snapshot]
    copies_by_region: Mapping[str, Sequence[Snapshot]] = field(default_factory=dict)
    """Listings of the DR regions that could be reached."""
    queued: Mapping[SnapshotInRegion, QueueEntry] = field(default_factory=dict)
    """Open and failed entries of all reachable queues."""
    reachable: frozenset[str] = frozenset()
    """DR regions whose listing and queue were read. Nothing is concluded about the others."""
    waits: Sequence[CopyWait] = ()
    """Runs of Protect that wait for a copy, as far as they were read."""
    since: datetime = NEVER
    """The time of the deployment: snapshots from before are history, and need consent."""
    adopt: bool = False
    former: str = ""
    """A renamed system whose snapshots are adopted; empty without one."""
    retry_failed_after: timedelta = timedelta(hours=24)


def decide_primary(facts: PrimaryFacts, policies: PolicySet, now: datetime) -> SweepDecision:
    """Return the findings of a primary region, most urgent repair first."""
    # The age of the data that can be restored now is the urgency of a repair.
    newest_copied = copy_facts((), facts.copies_by_region).newest_copied
    decider = _Primary(facts, policies, now, newest_copied)
    runs = list(unanswered(facts.waits, facts.queued, facts.reachable, newest_copied, now))
    requested_by_runs = {
        finding.repair.wait.request.snapshot_in_region for finding in runs if isinstance(finding.repair, RejoinRepair)
    }
    findings = [*decider.snapshots_to_protect(), *runs, *decider.copies(requested_by_runs), *decider.records_missing()]
    # Copies from other regions belong to the sweep of this region's DR stack.
    own = [plan for plan in facts.plan.volumes if plan.lineage.region == facts.plan.region]
    return decision_of(findings, own, facts.system)


@dataclass(frozen=True, slots=True)
class _Primary:
    facts: PrimaryFacts
    policies: PolicySet
    now: datetime
    newest_copied: Mapping[tuple[Lineage, str], datetime]

    def snapshots_to_protect(self) -> Iterator[Finding]:
        """Find completed snapshots of this region that lack a tag of the system, if a policy governs their volume."""
        by_lineage: dict[Lineage, list[Snapshot]] = defaultdict(list)
        for snapshot in self.facts.snapshots:
            if (
                snapshot.origin.region == self.facts.plan.region
                and snapshot.completed
                and not (snapshot.is_copy or snapshot.not_copyable)
            ):
                by_lineage[snapshot.origin.lineage].append(snapshot)
        oldest_copied: dict[Lineage, datetime] = {}
        for (lineage, _), start in self.newest_copied.items():
            oldest_copied[lineage] = min(start, oldest_copied.get(lineage, start))
        for lineage, listed in by_lineage.items():
            volume = self.facts.volumes.get(lineage.volume_id)
            policy = select_for_retention(volume, listed, self.policies, system=self.facts.system).policy
            completed = [snapshot for snapshot in listed if not why_left_out(snapshot, policy)]
            without_run = unhandled(completed, self.facts.since, system=self.facts.system)
            for snapshot in completed:
                yield from self._protect(snapshot, completed, oldest_copied.get(lineage, NEVER), without_run)

    def _protect(
        self, snapshot: Snapshot, completed: Sequence[Snapshot], urgency: datetime, without_run: Collection[str]
    ) -> Iterator[Finding]:
        volume_id, start = snapshot.origin.volume_id, snapshot.origin.start_time
        lost = _own_tags_lost(snapshot, self.facts.system)
        former = is_of_former_system(snapshot, self.facts.former)
        if snapshot.managed_by(self.facts.system) and not lost:
            return
        # A run may be handling the snapshot now: another one changes nothing (INV-11).
        volume = self.facts.volumes.get(volume_id)
        selection = select_for_snapshot(snapshot, volume, self.policies, system=self.facts.system, lineage=lambda: completed)
        since_deployment = (snapshot.completed_at or start) >= self.facts.since
        original = is_of_original_system(snapshot)
        if former and selection.policy:
            tags = tags_for_snapshot(self.facts.system, selection.policy.name, snapshot.origin)
            text = f"system {self.facts.former} managed it, and is renamed"
            yield Finding(FindingKind.ADOPTABLE, snapshot.id, volume_id, text, start, RetagRepair(snapshot.id, tags))
        elif former:
            return  # no policy governs it: there is nothing to take over
        elif selection.policy is None:
            if selection.problem and since_deployment and volume is None:
                yield Finding(FindingKind.POLICY_NOT_KNOWN, snapshot.id, volume_id, selection.problem)
        elif other := other_manager(snapshot, self.facts.system):
            text = f"system '{other}' manages it, and policy {selection.policy.name} takes its volume"
            yield Finding(FindingKind.OTHER_SYSTEM, snapshot.id, volume_id, text)
        elif lost:
            text = f"lost {', '.join(lost)}"
            yield Finding(FindingKind.TAGS_LOST, snapshot.id, volume_id, text, urgency, ProtectRepair(snapshot))
        elif snapshot.id in without_run:
            text = f"completed, and no run tagged it; policy {selection.policy.name} governs its volume"
            yield Finding(FindingKind.UNHANDLED, snapshot.id, volume_id, text, urgency, ProtectRepair(snapshot))
        else:
            text = "the original system made it" if original else "from before its volume was protected"
            tags = tags_for_snapshot(self.facts.system, selection.policy.name, snapshot.origin)
            repair = RetagRepair(snapshot.id, tags) if self.facts.adopt else None
            yield Finding(FindingKind.ADOPTABLE, snapshot.id, volume_id, text, start, repair)

    def records_missing(self) -> Iterator[Finding]:
        """Find volumes whose newest managed snapshot has no recovery record, for example because a DR region was unreachable.

        Its run would also copy it. If a region has a newer copy, this copy would be superfluous.
        """
        newest: dict[str, Snapshot] = {}
        for snapshot in self.facts.snapshots:
            volume_id = snapshot.origin.volume_id
            if snapshot.managed_by(self.facts.system) and snapshot.completed and not (snapshot.is_copy or snapshot.not_copyable):
                newest[volume_id] = max(snapshot, newest.get(volume_id, snapshot), key=lambda item: item.origin.start_time)
        for volume_id, snapshot in newest.items():
            volume = self.facts.volumes.get(volume_id)
            policy = self._policy_of(snapshot, volume) if volume else None
            regions = set(policy.copy_regions) if policy else set()
            can_be_written = regions and regions <= self.facts.reachable
            lineage, start = snapshot.origin.lineage, snapshot.origin.start_time
            newer_copy = any(self.newest_copied.get((lineage, region), NEVER) > start for region in regions)
            if can_be_written and not newer_copy and RECORD not in snapshot.tags and len(snapshot.tags) < TAG_LIMIT:
                text = "no recovery record is known of it"
                yield Finding(FindingKind.RECORD_MISSING, snapshot.id, volume_id, text, self.now, ProtectRepair(snapshot))

    def _policy_of(self, snapshot: Snapshot, volume: Volume) -> Policy | None:
        """Return the policy by which a run would handle the snapshot, which may differ from the one in its tags."""
        return select_for_snapshot(snapshot, volume, self.policies, system=self.facts.system, lineage=lambda: ()).policy

    def copies(self, requested_by_runs: Collection[SnapshotInRegion]) -> Iterator[Finding]:
        """Find required copies that are missing, late or failed and that no run will request, and entries without a snapshot."""
        by_id = {snapshot.id: snapshot for snapshot in self.facts.snapshots}
        for missing in self.facts.plan.missing:
            policy = self.policies.named(missing.policy)
            rule = policy.copy_rule(missing.region) if policy else None
            if policy is None or rule is None or missing.region not in self.facts.reachable:
                continue
            entry = self.facts.queued.get((missing.snapshot_id, missing.region))
            # The repair of the run requests the copy: a second request would lose the run's token.
            if entry is None and (missing.snapshot_id, missing.region) in requested_by_runs:
                continue
            urgency = self.newest_copied.get((missing.lineage, missing.region), NEVER)
            snapshot, volume = by_id[missing.snapshot_id], self.facts.volumes.get(missing.lineage.volume_id)
            rpo_ends = urgency + policy.rpo if policy.makes_in_time and urgency != NEVER else None
            enqueue = EnqueueRepair(snapshot, policy, rule, volume, rpo_ends)
            yield from self._copy(missing.region, entry, enqueue, urgency, under_way=missing.status is CopyStatus.IN_PROGRESS)
        for entry in self.facts.queued.values():
            origin = entry.request.origin
            if entry.state not in NOT_STARTED or origin.region != self.facts.plan.region:
                continue
            source = by_id.get(origin.snapshot_id)
            # The dispatcher ends such an entry in its turn; the finding explains why it waits.
            if source is None or not source.managed_by(self.facts.system):
                text = f"waits for a copy to {entry.request.region}; its snapshot was deleted, or is no longer managed"
                yield Finding(FindingKind.ENTRY_ORPHANED, origin.snapshot_id, origin.volume_id, text, self.now)

    def _copy(
        self, region: str, entry: QueueEntry | None, enqueue: EnqueueRepair, urgency: datetime, *, under_way: bool
    ) -> Iterator[Finding]:
        snapshot_id, volume_id = enqueue.snapshot.id, enqueue.snapshot.origin.volume_id
        deadline = enqueue.snapshot.origin.start_time + enqueue.rule.copy_within
        if entry is not None and entry.state is EntryState.FAILED and not under_way:
            # A retry once a day: the cause, such as a key, may be corrected, and a refused copy costs nothing.
            retry = self.now - entry.not_before >= self.facts.retry_failed_after
            text = f"to {region}: {entry.cause}"
            yield Finding(FindingKind.COPY_FAILED, snapshot_id, volume_id, text, urgency, enqueue if retry else None)
        elif entry is None and not under_way:
            text = f"no copy in {region}, and none is queued"
            yield Finding(FindingKind.COPY_MISSING, snapshot_id, volume_id, text, urgency, enqueue)
        elif self.now > deadline:
            state = entry.state.label + (f", last: {entry.cause}" if entry.cause else "") if entry else "pending"
            text = f"to {region}: due {deadline:%Y-%m-%d %H:%M} UTC, {state}"
            yield Finding(FindingKind.COPY_LATE, snapshot_id, volume_id, text, urgency)


def _own_tags_lost(snapshot: Snapshot, system: str) -> list[str]:
    """Return the system's tags that a source snapshot lost; none if it was never managed."""
    if not snapshot.managed_by(system) and not was_managed(snapshot):
        return []
    return [name for name in SNAPSHOT_TAGS if name not in snapshot.tags]
