"""The keys of a lock in a policy document, and their contradictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from snapkeep.domain.durations import format_duration
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.domain.policy.problem import PolicyProblem
from snapkeep.domain.policy.shapes import Shape, long_duration, text_field

LEAST_COOL_OFF = timedelta(hours=24)
"""The time to notice a mistaken lock in compliance mode: later, its snapshot must be paid for until the lock ends."""
LONGEST_LOCK_DAYS = 36500
"""`LockDuration` in the EC2 service model (ec2 2016-11-15): 1 to 36500 days."""
LONGEST_COOL_OFF_HOURS = 72
"""`CoolOffPeriod` there: 1 to 72 hours."""

LOCK = Shape(
    LockRule,
    "A lock: nobody can delete the snapshot or copy until it ends.",
    (
        text_field(
            "mode",
            "In `governance` mode those who may unlock can; in `compliance` mode nobody can, once `cool_off` is over.",
            choices=tuple(LockMode),
            missing="write governance or compliance",
        ),
        long_duration(
            "for",
            "How long a snapshot is locked, from its completion.",
            example="14d",
            units="days or weeks: 14d or 2w",
            most_days=LONGEST_LOCK_DAYS,
            least_hours=24,
            attribute="duration",
            missing="write how long a snapshot is locked, such as 14d",
        ),
        long_duration(
            "cool_off",
            "With `compliance`: how long the lock can still be removed.",
            example="24h",
            units="hours or days: 24h or 3d",
            most_days=LONGEST_COOL_OFF_HOURS // 24,
        ),
    ),
)


def lock_contradictions(lock: Mapping[str, Any], path: str) -> Iterator[PolicyProblem]:
    """Yield the contradictions between the values of a parsed lock."""
    duration, cool_off = lock.get("for", timedelta(0)), lock.get("cool_off")
    if duration % timedelta(days=1):
        yield PolicyProblem(f"{path}.for", format_duration(duration), "write whole days, such as 14d")
    if lock.get("mode") == LockMode.GOVERNANCE and cool_off is not None:
        right = "leave it out: a lock in governance mode can be removed at any time"
        yield PolicyProblem(f"{path}.cool_off", format_duration(cool_off), right)
    if lock.get("mode") == LockMode.COMPLIANCE and (cool_off is None or cool_off < LEAST_COOL_OFF):
        value = "missing" if cool_off is None else format_duration(cool_off)
        right = f"write at least {format_duration(LEAST_COOL_OFF)} with compliance mode: nobody removes such a lock later"
        yield PolicyProblem(f"{path}.cool_off", value, right)
