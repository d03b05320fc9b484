"""What a sweep finds in a primary region. Pure; see `snapkeep.domain.sweep.findings`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from snapkeep.domain import tag_names as tagnames
from snapkeep.domain import tags as ledger
from snapkeep.domain.copies.entry import NOT_STARTED, EntryState, QueueEntry
from snapkeep.domain.model import NEVER, Lineage, Snapshot, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.selection import select_for_snapshot
from snapkeep.domain.retention.holds import SnapshotInRegion, copy_facts
from snapkeep.domain.retention.region_plan import CopyStatus, RegionPlan
from snapkeep.domain.sweep.findings import (
    Decision,
    Enqueue,
    Finding,
    FindingKind,
    Protect,
    Rejoin,
    Retag,
    Wait,
    decision_of,
)
from snapkeep.domain.sweep.waiting_runs import unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryFacts:
    """What is known of a primary region after one listing of it and of its DR regions."""

    system: str
    plan: RegionPlan
    volumes: Mapping[str, Volume]
    snapshots: Sequence[Snapshot]
    copies_by_region: Mapping[str, Sequence[Snapshot]] = field(default_factory=dict)
    """Listings of the DR regions that could be reached."""
    queued: Mapping[SnapshotInRegion, QueueEntry] = field(default_factory=dict)
    """Entries of all reachable queues that are open or failed."""
    reachable: frozenset[str] = frozenset()
    """DR regions whose listing and queue were read. About others nothing is concluded."""
    waits: Sequence[Wait] = ()
    """Runs of Protect that wait for a copy, as far as they were looked at."""
    since: datetime = NEVER
    """When the system was deployed: what was taken before is history, and needs consent."""
    adopt: bool = False
    retry_failed_after: timedelta = timedelta(hours=24)


def decide_primary(facts: PrimaryFacts, policies: PolicySet, now: datetime) -> Decision:
    """Return the findings of a primary region, most urgent repair first."""
    newest_copied = copy_facts((), facts.copies_by_region).newest_copied
    decider = _Primary(facts, policies, now, newest_copied, _oldest_copied(newest_copied))
    runs = list(unanswered(facts.waits, facts.queued, facts.reachable, newest_copied, now))
    asked_by_runs = {finding.repair.wait.snapshot_in_region for finding in runs if isinstance(finding.repair, Rejoin)}
    findings = [*decider.snapshots_to_protect(), *runs, *decider.copies(asked_by_runs)]
    own = [plan for plan in facts.plan.volumes if plan.lineage.region == facts.plan.region]
    return decision_of(findings, own, facts.system)


@dataclass(frozen=True, slots=True)
class _Primary:
    facts: PrimaryFacts
    policies: PolicySet
    now: datetime
    newest_copied: Mapping[tuple[Lineage, str], datetime]
    oldest_copied: Mapping[Lineage, datetime]

    def snapshots_to_protect(self) -> Iterator[Finding]:
        """Completed snapshots of this region that carry not all of our tags, where a policy governs their volume."""
        for snapshots in _by_lineage(self.facts.snapshots, self.facts.plan.region).values():
            completed = [one for one in snapshots if one.completed and not one.is_copy]
            if not completed:
                continue
            managed = [one.origin.start_time for one in completed if one.managed_by(self.facts.system)]
            first_managed = min(managed, default=None)
            newest = max(completed, key=lambda one: (one.origin.start_time, one.id))
            for snapshot in completed:
                finding = self._protect(snapshot, completed, first_managed, newest)
                if finding is not None:
                    yield finding

    def _protect(
        self, snapshot: Snapshot, completed: Sequence[Snapshot], first_managed: datetime | None, newest: Snapshot
    ) -> Finding | None:
        lineage = snapshot.origin.lineage
        ours = snapshot.tags.get(tagnames.MANAGED, "")
        lost = _own_tags_lost(snapshot, self.facts.system)
        if ours and (ours != self.facts.system or not lost):
            return None
        chosen = select_for_snapshot(
            snapshot,
            self.facts.volumes.get(lineage.volume_id),
            self.policies,
            system=self.facts.system,
            lineage=lambda: completed,
        )
        start = snapshot.origin.start_time
        since_deployment = (snapshot.completed_at or start) >= self.facts.since
        if chosen.policy is None:
            if not chosen.problem or not since_deployment or lineage.volume_id in self.facts.volumes:
                return None
            return Finding(FindingKind.POLICY_NOT_KNOWN, snapshot.id, lineage.volume_id, chosen.problem)
        urgency = self.oldest_copied.get(lineage, NEVER)
        if lost:
            text = f"lost {', '.join(lost)}"
            return Finding(FindingKind.TAGS_LOST, snapshot.id, lineage.volume_id, text, urgency, Protect(snapshot))
        after_first = first_managed is not None and start > first_managed
        of_today = first_managed is None and snapshot is newest
        if since_deployment and (after_first or of_today) and not ledger.is_of_original_system(snapshot):
            text = f"completed, and no run tagged it; policy {chosen.policy.name} governs its volume"
            return Finding(FindingKind.UNHANDLED, snapshot.id, lineage.volume_id, text, urgency, Protect(snapshot))
        whose = (
            "the original system made it" if ledger.is_of_original_system(snapshot) else "from before its volume was protected"
        )
        tags = ledger.tags_for_snapshot(self.facts.system, chosen.policy.name, snapshot.origin)
        repair = Retag(snapshot.id, tags) if self.facts.adopt else None
        return Finding(FindingKind.ADOPTABLE, snapshot.id, lineage.volume_id, whose, start, repair)

    def copies(self, asked_by_runs: Collection[SnapshotInRegion]) -> Iterator[Finding]:
        """Copies that policies ask for, as they stand in the DR regions and in the queues; those left out that a run asks for."""
        by_id = {snapshot.id: snapshot for snapshot in self.facts.snapshots}
        reachable = [one for one in self.facts.plan.missing if one.region in self.facts.reachable]
        for missing in reachable:
            policy = self.policies.named(missing.policy)
            rule = policy.copy_rule(missing.region) if policy else None
            if policy is None or rule is None:
                continue
            entry = self.facts.queued.get((missing.snapshot_id, missing.region))
            if entry is None and (missing.snapshot_id, missing.region) in asked_by_runs:
                continue
            urgency = self.newest_copied.get((missing.lineage, missing.region), NEVER)
            enqueue = Enqueue(by_id[missing.snapshot_id], policy, rule, self.facts.volumes.get(missing.lineage.volume_id))
            finding = self._copy(missing.region, entry, enqueue, urgency, under_way=missing.status is CopyStatus.IN_PROGRESS)
            if finding is not None:
                yield finding
        for entry in self.facts.queued.values():
            if entry.state in NOT_STARTED and self._is_orphan(entry, by_id):
                text = f"waits for a copy to {entry.request.region}; its snapshot was deleted, or is no longer managed"
                yield Finding(
                    FindingKind.ENTRY_ORPHANED, entry.request.origin.snapshot_id, entry.request.origin.volume_id, text, self.now
                )

    def _is_orphan(self, entry: QueueEntry, by_id: Mapping[str, Snapshot]) -> bool:
        if entry.request.origin.region != self.facts.plan.region:
            return False
        snapshot = by_id.get(entry.request.origin.snapshot_id)
        return snapshot is None or not snapshot.managed_by(self.facts.system)

    def _copy(
        self, region: str, entry: QueueEntry | None, enqueue: Enqueue, urgency: datetime, *, under_way: bool
    ) -> Finding | None:
        snapshot_id, volume_id = enqueue.snapshot.id, enqueue.snapshot.origin.volume_id
        if entry is not None and entry.state is EntryState.FAILED and not under_way:
            text = f"to {region}: {entry.cause}"
            again = self.now - entry.not_before >= self.facts.retry_failed_after
            return Finding(FindingKind.COPY_FAILED, snapshot_id, volume_id, text, urgency, enqueue if again else None)
        if entry is not None or under_way:
            deadline = enqueue.snapshot.origin.start_time + enqueue.rule.copy_within
            if self.now <= deadline:
                return None
            stands = entry.state.label + (f", last: {entry.cause}" if entry.cause else "") if entry else "pending"
            text = f"to {region}: due {deadline:%Y-%m-%d %H:%M} UTC, {stands}"
            return Finding(FindingKind.COPY_LATE, snapshot_id, volume_id, text, urgency)
        return Finding(
            FindingKind.COPY_MISSING, snapshot_id, volume_id, f"no copy in {region}, and none is queued", urgency, enqueue
        )


def _by_lineage(snapshots: Iterable[Snapshot], region: str) -> dict[Lineage, list[Snapshot]]:
    found: dict[Lineage, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.origin.region == region:
            found[snapshot.origin.lineage].append(snapshot)
    return found


_OWN = (tagnames.MANAGED, tagnames.POLICY, tagnames.SOURCE_VOLUME, tagnames.ORIGINAL_NAME, tagnames.ORIGINAL_VOLUME)


def _own_tags_lost(snapshot: Snapshot, system: str) -> list[str]:
    """Return the own tags that a source snapshot lost; none if it was never managed."""
    if not snapshot.managed_by(system) and not ledger.was_managed(snapshot):
        return []
    return [name for name in _OWN if name not in snapshot.tags]


def _oldest_copied(newest_copied: Mapping[tuple[Lineage, str], datetime]) -> dict[Lineage, datetime]:
    """Return for each lineage the oldest of its regions' newest copied starts."""
    oldest: dict[Lineage, datetime] = {}
    for (lineage, _), start in newest_copied.items():
        oldest[lineage] = min(start, oldest.get(lineage, start))
    return oldest
