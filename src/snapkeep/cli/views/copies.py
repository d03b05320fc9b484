"""How copies are made, and the budgets of time-based ones, as text."""

from __future__ import annotations

from datetime import timedelta

from snapkeep.cli.output import printable
from snapkeep.domain.copies.completion import CopyWay, CopyWayKind
from snapkeep.domain.durations import format_duration
from snapkeep.usecases.look.budgets import CopyBudget


def way_text(way: CopyWay) -> str:
    """Describe how a copy is made after a comma; empty for an ordinary copy that its rule does not choose."""
    if way.kind is not CopyWayKind.TIME_BASED:
        return f", {way.kind.label}" if way.automatic else ""
    text = f", within {format_duration(timedelta(minutes=way.minutes))} for at most {way.usd:.2f} USD"
    return f"{text}, or an ordinary copy if the budget is spent" if way.within_budget else text


def budget_text(budget: CopyBudget) -> str:
    """Describe a budget: how much of it is spent, and what happens then."""
    spent = f"{budget.spent_usd:.2f} of {budget.limit_usd:.2f} USD spent in {budget.month}"
    rest = "; further copies are ordinary ones" if budget.exhausted else ""
    return f"time-based copies by {printable(budget.policy)} to {budget.region}: {spent}{rest}"
