"""The findings of a DR region. Pure; see `snapkeep.domain.sweep.findings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from snapkeep.domain.copies.check import faults_of_copy, is_older_than
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.events import CopyEndEvent
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.prices import SNAPSHOT_STORAGE, transfer_price
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.region_plan import RegionPlan
from snapkeep.domain.sweep.findings import Finding, FindingKind, ReceiveRepair, RetagRepair, SweepDecision, decision_of
from snapkeep.domain.tag_names import CHECK, MANAGED, OWN_TAGS, POLICY, WRONG
from snapkeep.domain.tags import is_of_former_system, is_of_original_system, tags_for_copy

FULL_COPIES_TOLD_FOR = timedelta(days=1)
"""The time for which sweeps report a full copy: its cost is known, and nothing repairs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrFacts:
    """One listing of a DR region, and its queue."""

    system: str
    plan: RegionPlan
    snapshots: Sequence[Snapshot]
    queued: Sequence[QueueEntry] = ()
    """Open and failed entries."""
    done: Iterable[QueueEntry] = ()
    """Done entries: they have the tags of their copies."""
    adopt: bool = False
    former: str = ""
    """A renamed system whose copies are adopted; empty without one."""


def decide_dr(facts: DrFacts, policies: PolicySet) -> SweepDecision:
    """Return the findings of a DR region, most urgent repair first."""
    decider = _Dr(facts, policies, {snapshot.id: snapshot for snapshot in facts.snapshots})
    findings = [
        *decider.ends_unseen(),
        *decider.restorable_again(),
        *decider.full_copies(),
        *decider.failed_left(),
        *decider.tags_lost(),
        *decider.adoptable(),
    ]
    foreign = [plan for plan in facts.plan.volumes if plan.lineage.region != facts.plan.region]
    return decision_of(findings, foreign, facts.system)


@dataclass(frozen=True, slots=True)
class _Dr:
    facts: DrFacts
    policies: PolicySet
    by_id: Mapping[str, Snapshot]

    def _receive(self, copy_id: str, origin: Origin, cause: str) -> ReceiveRepair:
        """Return the receipt of a copy that completed, or that failed for a cause."""
        region = self.facts.plan.region
        return ReceiveRepair(CopyEndEvent(copy_id, region, origin.snapshot_id, origin.region, succeeded=not cause, cause=cause))

    def ends_unseen(self) -> Iterator[Finding]:
        """Find entries that are RUNNING although their copy ended or was deleted."""
        for entry in self.facts.queued:
            if entry.state is not EntryState.RUNNING or not entry.copy_id:
                continue
            copy = self.by_id.get(entry.copy_id)
            # The copy still runs: only EC2 shows its end.
            if copy is not None and copy.state is SnapshotState.PENDING:
                continue
            origin = entry.request.origin
            completed = copy is not None and copy.completed
            how = "completed" if completed else f"failed: {copy.state_message or 'no message'}" if copy else "was deleted"
            receive = self._receive(entry.copy_id, origin, "" if completed else how)
            text = f"{entry.copy_id} {how}; the queue still has it as running"
            yield Finding(FindingKind.COPY_UNSEEN, origin.snapshot_id, origin.volume_id, text, entry.request.deadline, receive)

    def restorable_again(self) -> Iterator[Finding]:
        """Find failed entries whose copy could not be restored, and now can be."""
        good = {copy.origin.snapshot_id: copy for copy in self.facts.snapshots if copy.counts_for(self.facts.system)}
        for entry in self.facts.queued:
            origin, deadline = entry.request.origin, entry.request.deadline
            copy = good.get(origin.snapshot_id)
            if entry.state is EntryState.FAILED and not entry.copy_id and copy and not faults_of_copy(entry.request, copy):
                text = f"{copy.id} can be restored; the queue has its copy as failed"
                receive = self._receive(copy.id, origin, "")
                yield Finding(FindingKind.COPY_UNSEEN, origin.snapshot_id, origin.volume_id, text, deadline, receive)

    def full_copies(self) -> Iterator[Finding]:
        """Find the copies of the last day that were full although their volume had copies here, with their costs."""
        since = self.facts.plan.made_at - FULL_COPIES_TOLD_FOR
        for entry in self.facts.done:
            copy = self.by_id.get(entry.copy_id)
            if not entry.full or copy is None or (copy.completed_at or copy.start_time) < since:
                continue
            origin, region, gib = entry.request.origin, self.facts.plan.region, copy.size_gib
            transfer, storage = gib * transfer_price(entry.request.copied[0], region).dollars, gib * SNAPSHOT_STORAGE.dollars
            text = f"at most {gib:,} GiB: {transfer:,.2f} USD for the transfer, {storage:,.2f} USD a month for the storage"
            yield Finding(FindingKind.COPY_FULL, copy.id, origin.volume_id, text, copy.start_time)

    def failed_left(self) -> Iterator[Finding]:
        """Find managed failed copies that were not deleted."""
        running = {entry.copy_id for entry in self.facts.queued if entry.state is EntryState.RUNNING}
        for copy in self.facts.snapshots:
            failed = copy.state is SnapshotState.ERROR and copy.is_copy and copy.managed_by(self.facts.system)
            if failed and copy.id not in running:
                cause = copy.state_message or "no message"
                receive = self._receive(copy.id, copy.origin, cause)
                yield Finding(FindingKind.FAILED_COPY, copy.id, copy.origin.volume_id, cause, copy.origin.start_time, receive)

    def tags_lost(self) -> Iterator[Finding]:
        """Find completed copies that lack tags in the queue's entry: those of the origin, or the mark of a wrong copy."""
        for entry in (*self.facts.done, *self.facts.queued):
            copy = self.by_id.get(entry.copy_id)
            if entry.is_open or copy is None or not copy.completed:
                continue
            failed = entry.state is EntryState.FAILED
            # The copy may differ from the current request and still be good: it gets no permanent mark.
            if failed and is_older_than(entry, copy):
                continue
            known = {CHECK: WRONG} if failed else entry.request.tags
            lost = {key: known[key] for key in known if key in OWN_TAGS and _is_lost(key, known[key], copy)}
            if lost:
                text = f"lost {', '.join(sorted(lost))}" + (f": {entry.cause}" if failed else "")
                volume_id, repair = entry.request.origin.volume_id, RetagRepair(copy.id, lost)
                yield Finding(FindingKind.TAGS_LOST, copy.id, volume_id, text, copy.start_time, repair)

    def adoptable(self) -> Iterator[Finding]:
        """Find copies of the original system and of a renamed one, if a policy copies to this region."""
        region = self.facts.plan.region
        for copy in self.facts.snapshots:
            policy = self.policies.copying_to(region, copy.policy) if copy.completed and copy.origin.region != region else None
            if policy is None:
                continue
            tags = tags_for_copy(self.facts.system, policy.name, copy.origin)
            if is_of_former_system(copy, self.facts.former):
                text = f"system {self.facts.former} managed this copy of {copy.origin.snapshot_id}, and is renamed"
                repair = RetagRepair(copy.id, tags)
                yield Finding(FindingKind.ADOPTABLE, copy.id, copy.origin.volume_id, text, copy.origin.start_time, repair)
            if not is_of_original_system(copy):
                continue
            # Without the source's start, retention would use the copy's own: an old copy would count as a new one.
            adoption = RetagRepair(copy.id, tags) if self.facts.adopt and copy.origin.start_known else None
            text = f"a copy of {copy.origin.snapshot_id} that the original system made"
            if not copy.origin.start_known:
                latest = f"{copy.origin.start_time:%Y-%m-%d %H:%M} UTC"
                text += f"; left alone: its source is deleted or cannot be read, and its data is of {latest} or older"
            yield Finding(FindingKind.ADOPTABLE, copy.id, copy.origin.volume_id, text, copy.origin.start_time, adoption)


_MAY_CHANGE = frozenset({MANAGED, POLICY})
"""People may reassign a copy to another system or policy; its origin stays."""


def _is_lost(key: str, value: str, copy: Snapshot) -> bool:
    return key not in copy.tags or (copy.tags[key] != value and key not in _MAY_CHANGE)
