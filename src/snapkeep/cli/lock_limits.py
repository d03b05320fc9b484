"""The locks that the deployed stacks allow, and the documents that want others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.locks import LockLimits, locks_not_allowed
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.policy.model import PolicySet


def check_locks(installed: InstalledSystem, policies: PolicySet) -> None:
    """Raise InvalidPolicy for each lock that its region's stack does not allow. What a region does not answer is not known."""
    primary = installed.settings.region

    def limits_of(region: str) -> LockLimits | None:
        try:
            parameters = installed.stack_parameters(StackKind.PRIMARY if region == primary else StackKind.DR, region)
        except SnapkeepError:
            return None
        if not parameters:
            return None
        return LockLimits(int(parameters.get("MaxLockDays", "0")), parameters.get("AllowComplianceLocks") == "yes")

    if problems := locks_not_allowed(policies, primary, limits_of):
        raise InvalidPolicy(problems)
