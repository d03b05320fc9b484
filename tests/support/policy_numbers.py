"""Policies made of a number, so that a strategy draws one number for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from support.sweeping_world import DR

NAMES = ("gold", "silver", "rest", "nobody")
RETENTIONS = (
    Retention(keep_last=1),
    Retention(keep_last=3),
    Retention(keep_last=1, keep_daily=2),
    Retention(keep_within=timedelta(hours=2)),
)


def make_policies(number: int, regions: Sequence[str] = (DR,)) -> PolicySet:
    """Return two policies of a number: their selectors, retention, copies and these regions differ from number to number."""
    made = []
    for place in range(2):
        mixed = number // 3 + place * (1 + number % 5)
        copies = () if mixed % 7 == 0 else (CopyRule(regions[mixed % len(regions)], retention=RETENTIONS[mixed // 2 % 4]),)
        selector = Selector() if mixed % 3 == 0 else Selector(tags={"Backup": (NAMES[(number + place) % 3],)})
        made.append(Policy(NAMES[(number + place) % 3], selector, RETENTIONS[mixed % 4], copies))
    return PolicySet(tuple(made), Limits(max_deletions=(2, 1000)[number % 2], max_share_percent=100))
