"""Holds keep a snapshot regardless of its retention.

Causes are a missing copy, an AMI that uses it, a lock in force or required, a tool that owns it, a recovery that restores it,
and a hold that a person placed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from types import MappingProxyType

from snapkeep.domain.locks import lock_rule_of
from snapkeep.domain.model import NEVER, Lineage, Reason, Snapshot, SnapshotInRegion, SnapshotLock, SnapshotState
from snapkeep.domain.other_tools import left_alone_by, tool_of
from snapkeep.domain.policy.frequency import same_period
from snapkeep.domain.policy.model import CopyRule, PolicySet
from snapkeep.domain.prices import storage_usd
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.holders import holders_of, is_held
from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.retention.placed_holds import PlacedHolds

WANTED_LOCK_RULE = "INV-23"
WAITS_FOR_PROOF = Reason("INV-27", "held: no newer copy is proved yet; the first run or sweep after that decides again")
NO_COPIES: Mapping[str, Iterable[Snapshot]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """The known copies of source snapshots. An unknown copy counts as missing."""

    completed: frozenset[SnapshotInRegion] = frozenset()
    newest_copied: Mapping[tuple[Lineage, str], datetime] = field(default_factory=dict)
    """(Lineage, region) -> start time of the newest source snapshot that has a completed copy there."""
    waiting: frozenset[SnapshotInRegion] = frozenset()
    """Copies that wait or run."""


NO_COPY_FACTS = CopyFacts()


def copy_facts(
    snapshots: Iterable[Snapshot],
    copies_by_region: Mapping[str, Iterable[Snapshot]] = NO_COPIES,
    waiting: Collection[SnapshotInRegion] = (),
    confirmed: Collection[SnapshotInRegion] = (),
) -> CopyFacts:
    """Return the known copies in one form. A copy that cannot be restored does not count (INV-13).

    `copies_by_region` are listings of DR regions, of any lineages and in any state. `confirmed` are the copies that completed
    in this run, so that their DR region need not be listed. Copies of snapshots that are not in `snapshots` are ignored.
    `waiting` are the open entries of the queues. A copy that is pending in a listing is in progress even without an entry. A
    completed copy counts only after its check, which closes its entry.
    """
    completed: set[SnapshotInRegion] = set()
    unchecked, in_progress = frozenset(waiting), set(waiting)
    newest: dict[tuple[Lineage, str], datetime] = {}

    def note(origin_snapshot_id: str, lineage: Lineage, region: str, start: datetime) -> None:
        completed.add((origin_snapshot_id, region))
        # A newer snapshot's copy replaces older ones: older snapshots may be deleted although they were never copied.
        if start > newest.get((lineage, region), NEVER):
            newest[lineage, region] = start

    for region, copies in copies_by_region.items():
        for copy in copies:
            if copy.completed and copy.unusable is None and (copy.origin.snapshot_id, region) not in unchecked:
                note(copy.origin.snapshot_id, copy.origin.lineage, region, copy.origin.start_time)
            # A running copy needs its source, even if the queue has no entry for it.
            elif copy.state is SnapshotState.PENDING:
                in_progress.add((copy.origin.snapshot_id, region))
    if confirmed:
        by_id = {snapshot.id: snapshot for snapshot in snapshots}
        for snapshot_id, region in confirmed:
            if snapshot_id in by_id:
                note(snapshot_id, by_id[snapshot_id].origin.lineage, region, by_id[snapshot_id].origin.start_time)
    return CopyFacts(frozenset(completed), newest, frozenset(in_progress))


def holds_from_facts(snapshots: Iterable[Snapshot], facts: CopyFacts, rules: Sequence[CopyRule]) -> dict[str, tuple[Reason, ...]]:
    """Return the snapshots that INV-04 holds, with the reasons.

    A snapshot is held while its copy waits or runs. It is also held while it lacks a completed copy in the region of a rule,
    unless a newer snapshot of its volume, or the one that the rule copies instead, has a completed copy there.
    """
    return {
        snapshot.id: reasons
        for snapshot in snapshots
        if (reasons := tuple(reason for rule in rules if (reason := _held_for(snapshot, facts, rule))))
    }


def _held_for(snapshot: Snapshot, facts: CopyFacts, rule: CopyRule) -> Reason | None:
    region, start = rule.region, snapshot.origin.start_time
    if (snapshot.id, region) in facts.waiting:
        return Reason("INV-04", f"held: its copy to {region} is waiting or running")
    newest = facts.newest_copied.get((snapshot.origin.lineage, region))
    if (snapshot.id, region) in facts.completed:
        return None
    if newest is not None and (start < newest or same_period(rule, start, newest)):
        return None
    return Reason("INV-04", f"held: no completed copy in {region}, and no newer snapshot has one there")


def image_holds(images: Mapping[str, Sequence[str]]) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on snapshots that AMIs use, given the AMIs by snapshot (INV-06)."""
    return {
        snapshot_id: tuple(Reason("INV-06", f"in use by {image}") for image in users)
        for snapshot_id, users in images.items()
        if users
    }


def lock_holds(locks: Mapping[str, SnapshotLock], snapshots: Iterable[Snapshot], now: datetime) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on locked snapshots, given the locks by snapshot, with the cost of each until its end (INV-06)."""
    sizes = {snapshot.id: snapshot.size_gib for snapshot in snapshots}
    return {
        snapshot_id: (Reason("INV-06", lock.text + _cost_of(lock, sizes.get(snapshot_id, 0), now)),)
        for snapshot_id, lock in locks.items()
    }


def required_lock_holds(
    snapshots: Iterable[Snapshot], policies: PolicySet, now: datetime, *, system: str
) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on completed snapshots whose policies require a lock, whether they have one or not.

    The lock may have been removed, or may not exist yet: a deletion would do what the lock forbids (INV-23).
    """
    if not any(policy.lock or any(rule.lock for rule in policy.copies) for policy in policies.policies):
        return {}
    held: dict[str, tuple[Reason, ...]] = {}
    for snapshot in snapshots:
        rule = lock_rule_of(policies, snapshot, system) if snapshot.completed else None
        until = (snapshot.completed_at or snapshot.start_time) + rule.duration if rule else now
        if until > now:
            held[snapshot.id] = (Reason(WANTED_LOCK_RULE, f"held: its policy requires a lock until {until:%Y-%m-%d %H:%M} UTC"),)
    return held


def _cost_of(lock: SnapshotLock, size_gib: int, now: datetime) -> str:
    if lock.until is None:
        return ""
    left = max(lock.until - now, timedelta(0))  # a listing of locks may be some minutes old
    return f", at most {storage_usd(size_gib, left / timedelta(days=1)):.2f} USD until then"


def tool_holds(snapshots: Iterable[Snapshot]) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on snapshots that another tool owns (INV-06).

    EC2 refuses to delete those of AWS Backup for every caller ("managed by the AWS Backup service and cannot be deleted via EC2
    APIs").
    """
    return {
        snapshot.id: (Reason("INV-06", f"{tool.name} manages it: only {tool.name} deletes it"),)
        for snapshot in snapshots
        if (tool := tool_of(snapshot))
    }


def recovery_holds(snapshots: Iterable[Snapshot]) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on snapshots that recoveries restore, until the last of them ends (INV-18)."""
    return {
        snapshot.id: (Reason("INV-18", f"held by {', '.join(sorted(holders_of(snapshot.tags)))}, which restores it"),)
        for snapshot in snapshots
        if is_held(snapshot.tags)
    }


def placed_holds(snapshots: Iterable[Snapshot], placed: PlacedHolds, policy: str) -> dict[str, tuple[Reason, ...]]:
    """Return the holds that people placed, given the policy that governs the snapshots' volume (INV-26)."""
    return {snapshot.id: reasons for snapshot in snapshots if (reasons := placed.reasons_for(snapshot, policy))}


def proof_holds(copies: Iterable[Snapshot], *, system: str, second_copies: Collection[str] = ()) -> dict[str, tuple[Reason, ...]]:
    """Return the hold on a lineage's newest proved copy, while other copies that are as new or newer are not proved (INV-27).

    A lineage without a proof has no hold, so that retention continues if nothing can be compared.
    """
    counted = [copy for copy in copies if copy.counts_for(system)]
    proved = [copy for copy in counted if is_proved(copy)]
    if not proved:
        return {}
    # The second of two proved copies of one snapshot is deleted.
    newest = max(proved, key=lambda copy: (copy.origin.start_time, copy.id not in second_copies, copy.id))
    waits = any(copy.origin.start_time >= newest.origin.start_time and not is_proved(copy) for copy in counted)
    return {newest.id: (WAITS_FOR_PROOF,)} if waits else {}


def policy_holds(snapshots: Iterable[Snapshot], leave_alone: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on source snapshots that match their policy's `leave_alone`, given its patterns by tag (INV-06)."""
    return {
        snapshot.id: (Reason("INV-06", f"its policy leaves it alone: it has the tag {tag}"),)
        for snapshot in snapshots
        if not snapshot.is_copy and (tag := left_alone_by(snapshot.tags, leave_alone))
    }


def merge_holds(*sources: Mapping[str, tuple[Reason, ...]]) -> dict[str, tuple[Reason, ...]]:
    """Return holds with several causes as one mapping."""
    merged: dict[str, tuple[Reason, ...]] = {}
    for holds in sources:
        for snapshot_id, reasons in holds.items():
            merged[snapshot_id] = merged.get(snapshot_id, ()) + reasons
    return merged
