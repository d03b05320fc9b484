"""Snapshots and copies whose lock is missing, shorter, or in another mode than their policies require (INV-23). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from snapkeep.domain.locks import TOLERANCE, LockLimits, due_lock, is_settling, lock_rule_of
from snapkeep.domain.model import LockState, Snapshot, SnapshotLock
from snapkeep.domain.policy.model import LockMode, PolicySet
from snapkeep.domain.sweep.findings import Finding, FindingKind


class MissingLock(NamedTuple):
    """A snapshot that is not locked as its policy requires."""

    finding: Finding
    allowed: bool
    """Whether the stack allows a lock that is closer to the required one."""


def required_locks(snapshots: Iterable[Snapshot], policies: PolicySet, system: str) -> list[Snapshot]:
    """Return the completed snapshots whose policies require a lock."""
    return [snapshot for snapshot in snapshots if snapshot.completed and lock_rule_of(policies, snapshot, system) is not None]


def missing_locks(
    to_lock: Iterable[Snapshot],
    locks: Mapping[str, SnapshotLock],
    policies: PolicySet,
    now: datetime,
    limits: LockLimits,
    *,
    system: str,
) -> list[MissingLock]:
    """Return the snapshots without a lock, and those whose lock differs from the one that their policies require."""
    missing = []
    for snapshot in to_lock:
        rule, lock = lock_rule_of(policies, snapshot, system), locks.get(snapshot.id)
        if rule is None:
            continue
        until = (snapshot.completed_at or snapshot.start_time) + rule.duration
        if is_settling(snapshot, now):
            continue
        order = due_lock(rule, snapshot, lock, now, limits)
        # A lock that lasts long enough may still have to be raised to compliance mode.
        lasts = lock is not None and (lock.until is None or lock.until >= until - TOLERANCE)
        if until <= now or (lasts and order is None):
            continue
        state = lock.text if lock else "it is not locked"
        text = f"{state}; its policy requires a lock in {rule.mode} mode until {until:%Y-%m-%d %H:%M} UTC"
        if order is None and lock is not None and lock.state is not LockState.GOVERNANCE:
            text += f", and a lock in state {lock.state} is never changed"
        elif order is None:
            text += f", and the stack allows at most {limits.max_days} days (MaxLockDays)"
        # Nobody can shorten or remove one whose cool-off period is over (EC2 API reference: LockSnapshot). Where the policy
        # requires governance mode, somebody else made it.
        holds = lock is not None and lock.state is LockState.COMPLIANCE and rule.mode is LockMode.COMPLIANCE
        kind = FindingKind.LOCK_ENDS_EARLY if holds else FindingKind.LOCK_MISSING
        finding = Finding(kind, snapshot.id, snapshot.origin.volume_id, text)
        missing.append(MissingLock(finding, order is not None))
    return missing
