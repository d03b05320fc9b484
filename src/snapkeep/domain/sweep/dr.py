"""What a sweep finds in a DR region. Pure; see `snapkeep.domain.sweep.findings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from snapkeep.domain import tag_names as tagnames
from snapkeep.domain import tags as ledger
from snapkeep.domain.copies.check import is_older_than
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.events import CopyEnded
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.region_plan import RegionPlan
from snapkeep.domain.sweep.findings import (
    Decision,
    Finding,
    FindingKind,
    Receive,
    Retag,
    decision_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrFacts:
    """What is known of a DR region after one listing of it."""

    system: str
    plan: RegionPlan
    snapshots: Sequence[Snapshot]
    queued: Sequence[QueueEntry] = ()
    """Entries that are open or failed."""
    done: Iterable[QueueEntry] = ()
    """Entries that are done: they know which tags a copy had."""
    adopt: bool = False


def decide_dr(facts: DrFacts, policies: PolicySet, now: datetime) -> Decision:
    """Return the findings of a DR region, most urgent repair first."""
    decider = _Dr(facts, policies, now)
    findings = [
        *decider.ends_unseen(),
        *decider.failed_left(),
        *decider.tags_lost(),
        *decider.unmarked(),
        *decider.adoptable(),
    ]
    foreign = [plan for plan in facts.plan.volumes if plan.lineage.region != facts.plan.region]
    return decision_of(findings, foreign, facts.system)


@dataclass(frozen=True, slots=True)
class _Dr:
    facts: DrFacts
    policies: PolicySet
    now: datetime

    def _ours(self) -> Iterator[Snapshot]:
        return (one for one in self.facts.snapshots if one.managed_by(self.facts.system) and one.is_copy)

    def _receive(self, copy_id: str, origin: Origin, cause: str) -> Receive:
        """Return the receipt of a copy that completed, or that failed for a cause."""
        region = self.facts.plan.region
        return Receive(CopyEnded(copy_id, region, origin.snapshot_id, origin.region, succeeded=not cause, cause=cause))

    def ends_unseen(self) -> Iterator[Finding]:
        """Find entries that run by the queue although their copy ended or was deleted."""
        by_id = {snapshot.id: snapshot for snapshot in self.facts.snapshots}
        for entry in self.facts.queued:
            if entry.state is not EntryState.RUNNING or not entry.copy_id:
                continue
            copy = by_id.get(entry.copy_id)
            if copy is not None and copy.state is SnapshotState.PENDING:
                continue
            origin = entry.request.origin
            done = copy is not None and copy.completed
            how = "completed" if done else f"failed: {copy.state_message or 'no message'}" if copy else "was deleted"
            receive = self._receive(entry.copy_id, origin, "" if done else how)
            text = f"{entry.copy_id} {how}; the queue still has it as running"
            yield Finding(FindingKind.COPY_UNSEEN, origin.snapshot_id, origin.volume_id, text, entry.request.deadline, receive)

    def failed_left(self) -> Iterator[Finding]:
        """Find managed failed copies that were not deleted."""
        running = {entry.copy_id for entry in self.facts.queued if entry.state is EntryState.RUNNING}
        for copy in self._ours():
            if copy.state is SnapshotState.ERROR and copy.id not in running:
                cause = copy.state_message or "no message"
                receive = self._receive(copy.id, copy.origin, cause)
                yield Finding(FindingKind.FAILED_COPY, copy.id, copy.origin.volume_id, cause, copy.origin.start_time, receive)

    def tags_lost(self) -> Iterator[Finding]:
        """Find completed copies that lost tags which the queue knows, or whose origin was overwritten."""
        by_id = {snapshot.id: snapshot for snapshot in self.facts.snapshots}
        for entry in self.facts.done:
            copy = by_id.get(entry.copy_id)
            if copy is None or not copy.completed:
                continue
            had = entry.request.tags
            lost = {key: had[key] for key in had if key in tagnames.OWN_TAGS and _is_lost(key, had[key], copy)}
            if lost:
                text = f"lost {', '.join(sorted(lost))}"
                yield Finding(
                    FindingKind.TAGS_LOST, copy.id, entry.request.origin.volume_id, text, copy.start_time, Retag(copy.id, lost)
                )

    def unmarked(self) -> Iterator[Finding]:
        """Copies that the queue knows as wrong, and that do not carry the mark by which everybody else knows it."""
        by_id = {snapshot.id: snapshot for snapshot in self.facts.snapshots}
        for entry in self.facts.queued:
            copy = by_id.get(entry.copy_id)
            if entry.state is not EntryState.FAILED or copy is None or is_older_than(entry, copy):
                continue
            if copy.completed and not copy.found_wrong:
                mark = {tagnames.CHECK: tagnames.WRONG}
                text = f"lost {tagnames.CHECK}: {entry.cause}"
                yield Finding(
                    FindingKind.TAGS_LOST, copy.id, entry.request.origin.volume_id, text, copy.start_time, Retag(copy.id, mark)
                )

    def adoptable(self) -> Iterator[Finding]:
        """Copies of the original system."""
        for copy in self.facts.snapshots:
            foreign = copy.origin.region != self.facts.plan.region
            if not (foreign and copy.completed and ledger.is_of_original_system(copy)):
                continue
            policy = next((one for one in self.policies.policies if one.copy_rule(self.facts.plan.region)), None)
            if policy is None:
                continue
            tags = ledger.tags_for_copy(self.facts.system, policy.name, copy.origin)
            repair = Retag(copy.id, tags) if self.facts.adopt and copy.origin.start_known else None
            text = f"a copy of {copy.origin.snapshot_id} that the original system made"
            if not copy.origin.start_known:
                latest = f"{copy.origin.start_time:%Y-%m-%d %H:%M} UTC"
                text += f"; left alone: its source is deleted or cannot be read, and its data is of {latest} or older"
            yield Finding(FindingKind.ADOPTABLE, copy.id, copy.origin.volume_id, text, copy.origin.start_time, repair)


_MAY_CHANGE = frozenset({tagnames.MANAGED, tagnames.POLICY})
"""Whose a copy is and what governs it, people may decide anew; where it came from stays what it was."""


def _is_lost(key: str, value: str, copy: Snapshot) -> bool:
    return key not in copy.tags or (copy.tags[key] != value and key not in _MAY_CHANGE)
