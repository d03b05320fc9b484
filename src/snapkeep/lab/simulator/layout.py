"""The layout of a simulated system: its regions, and the parameters of its stacks."""

from __future__ import annotations

from dataclasses import dataclass, field

from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.locks import LockLimits
from snapkeep.domain.policy.model import LockMode, PolicySet
from snapkeep.domain.system import StackKind


@dataclass(frozen=True, slots=True)
class SystemLayout:
    """The regions of a simulated system, and its parameters."""

    primaries: tuple[str, ...] = ("us-east-1",)
    destinations: tuple[str, ...] = ("us-east-2",)
    system: str = "snapkeep"
    copy_quota: int = 20
    """The copies in flight to a region. The stacks allow at least 1; with 0 no copy is started."""
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    account_id: str = ""
    """The account of its stacks; empty for the world's own."""
    owner_accounts: tuple[str, ...] = ()
    """The accounts whose shared snapshots a vault copies; empty for a system that is not a vault."""
    vault_accounts: tuple[str, ...] = ()
    """The accounts of vaults, with which the DR stacks share copies."""
    verify: bool = False
    """Whether copies are compared with their sources. Otherwise comparisons are only counted, because reading blocks takes real
    time."""
    lock_limits: LockLimits = field(default_factory=LockLimits)
    """The locks that the stacks allow."""

    @property
    def copying_stack(self) -> StackKind:
        """The kind of the stacks in its destinations."""
        return StackKind.VAULT if self.owner_accounts else StackKind.DR


def limits_for(policies: PolicySet) -> LockLimits:
    """Return the lowest limits that allow every lock of the policies."""
    locks = [lock for policy in policies.policies for lock in (policy.lock, *(rule.lock for rule in policy.copies)) if lock]
    return LockLimits(max((lock.days for lock in locks), default=0), any(lock.mode is LockMode.COMPLIANCE for lock in locks))
