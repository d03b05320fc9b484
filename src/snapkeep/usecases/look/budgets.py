"""The budgets of time-based copies, and their spent parts."""

from __future__ import annotations

from datetime import datetime

from snapkeep.domain.copies.completion import month_of
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import CopyQueue


@dataclass(frozen=True, slots=True)
class CopyBudget:
    """The budget of a copy rule in a calendar month (UTC)."""

    policy: str
    region: str
    month: str
    limit_usd: float
    spent_usd: float
    exhausted: bool
    """Whether the budget made a copy of the month an ordinary one."""


def copy_budgets(policies: PolicySet, queue: CopyQueue, now: datetime) -> list[CopyBudget]:
    """Return the budgets of the copies into a queue's region, in the order of the policies."""
    budgets, month = [], month_of(now)
    for policy in policies.policies:
        rule = policy.copy_rule(queue.region)
        if rule and rule.budget_usd:
            spending = queue.spending(policy.name, month)
            spent = max(0.0, spending.usd)
            budgets.append(CopyBudget(policy.name, queue.region, month, rule.budget_usd, spent, spending.exhausted))
    return budgets
