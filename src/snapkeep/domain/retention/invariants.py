"""The second check of a lineage's verdicts, before any deletion.

It is independent of the decision and checks only the result, in a simple way, so that a mistake in a decision does not become a
deletion. The ids of the invariants are those of the design document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from snapkeep.domain.model import NEVER, Action, Lineage, Snapshot, SnapshotState, Verdict, countable
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.frequency import same_period
from snapkeep.domain.policy.model import CopyRule, Limits
from snapkeep.domain.recovery.holders import holders_of, is_held
from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.retention.deletion import SECOND_COPY_RULE
from snapkeep.domain.retention.holds import NO_COPY_FACTS, CopyFacts
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.verdicts import RETENTION_WORDS

_RULES_THAT_DELETE = RETENTION_WORDS | {SECOND_COPY_RULE}


def find_problems(
    verdicts: Sequence[Verdict],
    lineage: Lineage,
    region: str,
    *,
    system: str,
    limits: Limits,
    copies: CopyFacts = NO_COPY_FACTS,
    copy_rules: Sequence[CopyRule] = (),
    protected_ids: Collection[str] = (),
    compared: bool = False,
    placed: PlacedHolds = NOTHING_HELD,
    policy: str = "",
    held_by_tag: Collection[str] = (),
) -> list[str]:
    """Return the invariants that the verdicts of one lineage in one region break, in words that begin with their ids.

    `copies` are the known copies, and `copy_rules` the policy's copy rules for the lineage (INV-04). `protected_ids` are the
    snapshots that an AMI uses, that are locked, or that are left to another tool (INV-06). `compared` is whether the policy
    compares copies with their sources (INV-27). `placed` are the holds that people placed. `policy` is the name of the
    lineage's policy, which holds `held_by_tag` (INV-26).
    """
    delete = Action.DELETE
    deletions = [verdict for verdict in verdicts if verdict.action is delete]
    if not deletions:
        return []
    to_delete = [verdict.snapshot for verdict in deletions]
    # Only a snapshot that counts can replace a deleted one: not a failed one, an unmanaged one, or one of another lineage.
    region_of_source, volume_id = lineage
    of_lineage = [
        snapshot
        for snapshot, action, _ in verdicts
        if action is not delete and (origin := snapshot.origin).volume_id == volume_id and origin.region == region_of_source
    ]
    kept = countable(of_lineage, system)
    problems = list(_problems_of_each(deletions, lineage, region, system, protected_ids))
    problems.extend(_problems_of_all(volume_id, kept, to_delete, limits))
    if copy_rules:
        problems.extend(_missing_copies(to_delete, copies, copy_rules))
    if compared:
        problems.extend(_unproved(kept, to_delete))
    problems.extend(f"INV-26: a tag holds {snapshot.id}" for snapshot in to_delete if snapshot.id in held_by_tag)
    if placed:
        problems.extend(
            f"{reason.rule}: {snapshot.id} is {reason.text}"
            for snapshot in to_delete
            for reason in placed.reasons_for(snapshot, policy)
        )
    return problems


def _problems_of_each(
    deletions: Iterable[Verdict], lineage: Lineage, region: str, system: str, protected_ids: Collection[str]
) -> Iterator[str]:
    checked: set[int] = set()
    completed, (source_region, volume_id) = SnapshotState.COMPLETED, lineage
    for snapshot, _, reasons in deletions:
        if snapshot.unusable:
            yield f"INV-13: {snapshot.id} is not a recovery point ({snapshot.unusable.label}); a person decides about it"
        elif not snapshot.managed_by(system):
            yield f"INV-01: {snapshot.id} is not managed by {system}"
        if snapshot.region != region:
            yield f"INV-01: {snapshot.id} is in {snapshot.region}, outside the plan's region"
        if snapshot.origin.volume_id != volume_id or snapshot.origin.region != source_region:
            yield f"INV-01: {snapshot.id} is of {snapshot.origin.volume_id}, outside the plan of {volume_id}"
        if snapshot.state is not completed:
            yield f"INV-03: {snapshot.id} is {snapshot.state}, not completed"
        if snapshot.id in protected_ids or is_held(snapshot.tags):
            yield _why_protected(snapshot)
        # Many snapshots share one tuple of reasons, as the same object: each is checked once.
        if id(reasons) not in checked:
            if not reasons or not _RULES_THAT_DELETE.issuperset([reason.rule for reason in reasons]):
                yield f"INV-07: {snapshot.id} would be deleted for a reason that is not a rule of retention"
            else:
                checked.add(id(reasons))


def _why_protected(snapshot: Snapshot) -> str:
    if is_held(snapshot.tags):
        return f"INV-18: {', '.join(sorted(holders_of(snapshot.tags)))} holds {snapshot.id}"
    return f"INV-06: {snapshot.id} is used by an AMI, locked, or left to another tool"


def _problems_of_all(volume_id: str, kept: Sequence[Snapshot], to_delete: Sequence[Snapshot], limits: Limits) -> Iterator[str]:
    # The start of the origin decides: a late copy of an old snapshot is not the newest.
    newest_to_delete = max([snapshot.origin.start_time for snapshot in to_delete])
    if not any(snapshot.origin.start_time >= newest_to_delete for snapshot in reversed(kept)):
        newest = next(snapshot for snapshot in to_delete if snapshot.origin.start_time == newest_to_delete)
        invariant, noun = ("INV-05", "copy") if newest.is_copy else ("INV-02", "snapshot")
        yield f"{invariant}: {newest.id} is the newest completed {noun} of {volume_id}"
    deleted, total = len(to_delete), len(to_delete) + len(kept)
    if deleted > limits.max_deletions:
        yield (
            f"INV-08: it would delete {counted(deleted, 'snapshot')} of {volume_id}; "
            f"the limit is {limits.max_deletions} in one plan"
        )
    # A share of few snapshots has no meaning: one deletion of three is already a third.
    if total > limits.small_lineage and deleted * 100 > total * limits.max_share_percent:
        yield (
            f"INV-08: it would delete {deleted} of {counted(total, 'snapshot')} of {volume_id}; "
            f"the limit is {limits.max_share_percent} % of a volume's snapshots"
        )


def _unproved(kept: Iterable[Snapshot], to_delete: Iterable[Snapshot]) -> Iterator[str]:
    proved_until = max((copy.origin.start_time for copy in kept if is_proved(copy)), default=NEVER)
    newest = max(filter(is_proved, to_delete), key=lambda copy: copy.origin.start_time, default=None)
    if newest is not None and newest.origin.start_time > proved_until:
        yield f"INV-27: {newest.id} is the newest proved copy of {newest.origin.volume_id}"


def _missing_copies(deletions: Iterable[Snapshot], copies: CopyFacts, rules: Sequence[CopyRule]) -> Iterator[str]:
    for snapshot in deletions:
        start = snapshot.origin.start_time
        for rule in rules:
            region = rule.region
            if (snapshot.id, region) in copies.waiting:
                yield f"INV-04: the copy of {snapshot.id} to {region} is waiting or running"
            newest = copies.newest_copied.get((snapshot.origin.lineage, region))
            replaced = newest is not None and (newest > start or same_period(rule, newest, start))
            if (snapshot.id, region) not in copies.completed and not replaced:
                yield f"INV-04: {snapshot.id} has no completed copy in {region}, nor has a newer snapshot of its volume"
