"""Locks by policy: the lock of a snapshot or copy, the lock that its rule requires, and the call that makes or changes it.

A snapshot is locked from its completion, for the duration of its rule. A missing lock is made, and a lock in governance mode is
raised or extended. No lock is ever shortened. A lock in compliance mode is never changed: a changed one would have no cool-off
period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import NamedTuple

from snapkeep.domain.model import LockState, Snapshot, SnapshotLock, SnapshotState
from snapkeep.domain.other_tools import left_alone_by, tool_of
from snapkeep.domain.policy.model import LockMode, LockRule, PolicySet
from snapkeep.domain.policy.problem import PolicyProblem
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.verdict import is_proved

DAY = timedelta(days=1)
TOLERANCE = timedelta(hours=1)
"""The time by which a lock may end before the end that its rule requires: clocks differ."""

SETTLING = timedelta(minutes=15)
"""The time within which the run that tags a source snapshot has it locked."""


@dataclass(frozen=True, slots=True)
class LockLimits:
    """The locks that a stack allows: its parameters `MaxLockDays` (0: none) and `AllowComplianceLocks`."""

    max_days: int = 0
    compliance: bool = False


@dataclass(frozen=True, slots=True)
class LockFacts:
    """The facts that a sweep of a region needs to have snapshots locked."""

    system: str = ""
    locks: Mapping[str, SnapshotLock] = field(default_factory=dict)
    limits: LockLimits | None = None
    """None if they are not known."""


class LockOrder(NamedTuple):
    """One call of LockSnapshot."""

    snapshot_id: str
    mode: LockMode
    days: int
    """EC2 counts it from the call, and from the completion of a pending snapshot."""
    cool_off_hours: int = 0


def lock_rule_of(policies: PolicySet, snapshot: Snapshot, system: str) -> LockRule | None:
    """Return the lock that a policy requires on a managed snapshot or copy; None if another tool owns it."""
    policy = policies.named(snapshot.policy)
    if policy is None or not snapshot.managed_by(system):
        return None
    if tool_of(snapshot) or left_alone_by(snapshot.tags, policy.leave_alone.tags):
        return None
    if not snapshot.is_copy:
        return policy.lock
    rule = policy.copy_rule(snapshot.region)
    return rule.lock if rule else None


def is_settling(snapshot: Snapshot, now: datetime) -> bool:
    """Whether sweeps still pass over a source snapshot: the run that tags it may be about to have it locked."""
    return not snapshot.is_copy and now - (snapshot.completed_at or snapshot.start_time) < SETTLING


def locks_not_allowed(
    policies: PolicySet, primary_region: str, limits_of: Callable[[str], LockLimits | None]
) -> list[PolicyProblem]:
    """Return the locks of a document that the stacks do not allow.

    `limits_of` returns the limits of a region's stack; None if they are not known.
    """
    problems = list[PolicyProblem]()
    for number, policy in enumerate(policies.policies):
        path = f"policies[{number}]"
        locks = [(f"{path}.lock", policy.lock, primary_region)]
        locks += [(f"{path}.copies[{index}].lock", rule.lock, rule.region) for index, rule in enumerate(policy.copies)]
        for where, lock, region in locks:
            limits = limits_of(region) if lock is not None else None
            if lock is not None and limits is not None:
                problems += lock_not_allowed(where, lock, region, limits)
    return problems


def lock_not_allowed(path: str, lock: LockRule, region: str, limits: LockLimits) -> Iterator[PolicyProblem]:
    """Yield the parts of a document's lock that the stack of a region does not allow."""
    if lock.days > limits.max_days:
        shorter = f"write at most {limits.max_days}d, or raise" if limits.max_days else "raise"
        right = f"{shorter} MaxLockDays of the stack in {region} first: it is {limits.max_days}"
        yield PolicyProblem(f"{path}.for", f"{lock.days}d", right)
    if lock.mode is LockMode.COMPLIANCE and not limits.compliance:
        right = f"write governance, or set AllowComplianceLocks of the stack in {region} to yes first"
        yield PolicyProblem(f"{path}.mode", "'compliance'", right)


def due_lock(
    rule: LockRule, snapshot: Snapshot, lock: SnapshotLock | None, now: datetime, limits: LockLimits
) -> LockOrder | None:
    """Return the lock to make on a snapshot with this lock; None if it is as the rule requires, or as far as the limits allow."""
    days = min(rule.days, limits.max_days)
    if not days or snapshot.state not in (SnapshotState.PENDING, SnapshotState.COMPLETED):
        return None
    ends = _end_of(snapshot, days)
    if ends is not None and ends <= now:
        return None
    mode = _mode_for(rule, snapshot, limits)
    cool_off_hours = rule.cool_off // timedelta(hours=1) if mode is LockMode.COMPLIANCE else 0
    if lock is None:
        # EC2's clock may be ahead, and the role allows no lock beyond the limit.
        days_left = days if ends is None else min(days, -((now - ends) // DAY))
        return LockOrder(snapshot.id, mode, days_left, cool_off_hours)
    if lock.state is not LockState.GOVERNANCE:
        return None
    shorter = lock.days < days if ends is None or lock.until is None else lock.until < ends - TOLERANCE
    # AWS does not document whether a changed duration counts from the call or from the lock's start: the duration is enough for
    # both.
    lock_days = max(days, lock.days)
    if lock_days > limits.max_days or not (shorter or mode is LockMode.COMPLIANCE):
        return None
    return LockOrder(snapshot.id, mode, lock_days, cool_off_hours)


def _end_of(snapshot: Snapshot, days: int) -> datetime | None:
    """Return the time until which a snapshot must be locked; None while it is pending."""
    if not snapshot.completed:
        return None
    return (snapshot.completed_at or snapshot.start_time) + days * DAY


def _mode_for(rule: LockRule, snapshot: Snapshot, limits: LockLimits) -> LockMode:
    """Return the mode of a lock that is made now. A lock in compliance mode cannot be removed, so the copy is proved before."""
    if rule.mode is LockMode.COMPLIANCE and limits.compliance and snapshot.completed:
        waits = rule.after_proof and snapshot.is_copy and not is_proved(snapshot)
        return LockMode.GOVERNANCE if waits else LockMode.COMPLIANCE
    return LockMode.GOVERNANCE
