"""Snapshots and copies that their policies want locked and that are not, not for as long, or not in that mode (INV-23). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from snapkeep.domain.locks import TOLERANCE, LockLimits, due_lock, is_settling, lock_rule_of
from snapkeep.domain.model import LockState, Snapshot, SnapshotLock
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.sweep.findings import Finding, FindingKind


class MissingLock(NamedTuple):
    """A snapshot that is not locked as its policy wants."""

    finding: Finding
    allowed: bool
    """Whether the stack allows a lock that is nearer to it."""


def wanted_locks(snapshots: Iterable[Snapshot], policies: PolicySet, system: str) -> list[Snapshot]:
    """Return the completed snapshots that their policies want locked."""
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
    """Return the snapshots that are not locked as their policies want, until the moment that these want, or not at all."""
    missing = []
    for snapshot in to_lock:
        rule, lock = lock_rule_of(policies, snapshot, system), locks.get(snapshot.id)
        if rule is None:
            continue
        until = (snapshot.completed_at or snapshot.start_time) + rule.duration
        if is_settling(snapshot, now):
            continue
        order = due_lock(rule, snapshot, lock, now, limits)
        # One that lasts may still have to be raised to compliance mode.
        lasts = lock is not None and (lock.until is None or lock.until >= until - TOLERANCE)
        if until <= now or (lasts and order is None):
            continue
        state = lock.text if lock else "it is not locked"
        text = f"{state}; its policy wants a lock in {rule.mode} mode until {until:%Y-%m-%d %H:%M} UTC"
        if order is None and lock is not None and lock.state is not LockState.GOVERNANCE:
            text += f", and a lock in state {lock.state} is never changed"
        elif order is None:
            text += f", and the stack allows at most {limits.max_days} days (MaxLockDays)"
        finding = Finding(FindingKind.LOCK_MISSING, snapshot.id, snapshot.origin.volume_id, text)
        missing.append(MissingLock(finding, order is not None))
    return missing
