"""The locks of existing snapshots under other policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from snapkeep.domain.locks import DAY, LockFacts, LockLimits, LockOrder, due_lock, is_settling, lock_rule_of
from snapkeep.domain.model import LockState, Snapshot, SnapshotLock
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.domain.prices import storage_usd
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.region_plan import RegionPlan


@dataclass(frozen=True, slots=True)
class NewLocks:
    """Locks of one mode, as LockSnapshots would make them now."""

    mode: LockMode
    snapshots: tuple[Snapshot, ...]
    days: int
    """The longest duration."""
    until: datetime | None
    """The latest end; None for the locks of copies without a proof: they begin with the proof."""
    usd: float
    """The highest cost of storage for each snapshot until its lock ends, in US dollars."""
    settling: int = 0
    """The number of snapshots so new that sweeps pass over them for some minutes."""


def new_locks(before: RegionPlan, after: RegionPlan) -> tuple[NewLocks, ...] | None:
    """Return the locks that sweeps would request because rules differ; None if the stack's limits are not known.

    Completed snapshots and copies are locked: no plan deletes a snapshot whose policy requires a lock.
    """
    facts = after.lock_facts
    changed = list(_with_other_rules(before, after, facts.system))
    if changed and facts.limits is None:
        return None
    orders: dict[tuple[LockMode, bool, bool], list[tuple[Snapshot, LockOrder]]] = defaultdict(list)
    for snapshot, rule in changed:
        now, proved = _orders(snapshot, rule, facts, facts.limits or LockLimits(), after.made_at)
        for order, later in ((now, False), (proved, True)):
            if order is not None:
                orders[order.mode, later, snapshot.is_copy].append((snapshot, order))
    return tuple(
        NewLocks(
            mode,
            tuple(snapshot for snapshot, _ in ordered),
            days := max(order.days for _, order in ordered),
            None if later else after.made_at + days * DAY,
            sum(storage_usd(snapshot.size_gib, order.days) for snapshot, order in ordered),
            sum(is_settling(snapshot, after.made_at) for snapshot, _ in ordered),
        )
        for (mode, later, _), ordered in orders.items()
    )


def _with_other_rules(before: RegionPlan, after: RegionPlan, system: str) -> Iterator[tuple[Snapshot, LockRule]]:
    former = {verdict.snapshot.id: verdict.snapshot for verdict in before.verdicts}
    for snapshot in (verdict.snapshot for verdict in after.verdicts):
        rule = lock_rule_of(after.policies, snapshot, system)
        if rule is None or not snapshot.completed:
            continue
        if rule != lock_rule_of(before.policies, former.get(snapshot.id, snapshot), system):
            yield snapshot, rule


def _orders(
    snapshot: Snapshot, rule: LockRule, facts: LockFacts, limits: LockLimits, now: datetime
) -> tuple[LockOrder | None, LockOrder | None]:
    """Return the lock that is due now, and the lock in compliance mode that is due once a copy is proved."""
    lock = facts.locks.get(snapshot.id)
    order = due_lock(rule, snapshot, lock, now, limits)
    if order is not None:
        if order.mode is LockMode.COMPLIANCE:
            return order, None
        lock = SnapshotLock(LockState.GOVERNANCE, now + order.days * DAY, order.days)
    proved = due_lock(replace(rule, after_proof=False), snapshot, lock, now, limits)
    return order, proved if proved is not None and proved.mode is LockMode.COMPLIANCE else None
