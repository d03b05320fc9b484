"""The locks that other policies would have made, and those of a document, for people and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from snapkeep.domain.locks import SETTLING
from snapkeep.domain.plural import noun_for
from snapkeep.domain.policy.model import LockMode, PolicySet
from snapkeep.domain.retention.comparison import Comparison
from snapkeep.domain.retention.new_locks import NewLocks
from snapkeep.domain.tags import format_time

_SHOWN = 10
_SETTLING_MINUTES = SETTLING // timedelta(minutes=1)


def lock_lines(comparison: Comparison) -> Iterator[str]:
    """Yield the locks of a comparison in lines: counts, and the first few snapshots."""
    if comparison.locks is None:
        yield "  the locks of its rules are not known: there is no stack here, or it does not answer"
    for locks in comparison.locks or ():
        yield from listed(_heading(locks), [snapshot.id for snapshot in locks.snapshots])


def listed(heading: str, items: Sequence[str]) -> Iterator[str]:
    """Yield the number of items with a heading in the plural, and the first few of them."""
    yield f"  {len(items):>6,}  {noun_for(len(items), heading)}"
    yield from (f"            {item}" for item in items[:_SHOWN])
    if len(items) > _SHOWN:
        yield f"            and {len(items) - _SHOWN:,} more"


def _heading(locks: NewLocks) -> str:
    noun = "copies" if locks.snapshots[0].is_copy else "snapshots"
    text = f"{noun} would be locked in {locks.mode} mode"
    if locks.until is None:
        return f"{text} once proved, for {locks.days} d from then and for {locks.usd:,.2f} USD at most"
    young = f" ({locks.settling:,} of them once {'it is' if locks.settling == 1 else 'they are'} {_SETTLING_MINUTES} minutes old)"
    young = young if locks.settling else ""
    return f"{text} by the next sweeps{young}, until {locks.until:%Y-%m-%d %H:%M} UTC and for {locks.usd:,.2f} USD at most"


def locks_as_data(comparison: Comparison) -> list[dict[str, Any]] | None:
    """Return the locks of a comparison as JSON values; None where they are not known."""
    if comparison.locks is None:
        return None
    return [
        {
            "mode": locks.mode,
            "snapshots": [snapshot.id for snapshot in locks.snapshots],
            "days": locks.days,
            "after_proof": locks.until is None,
            "settling": locks.settling,
            "until": format_time(locks.until) if locks.until else None,
            "usd": locks.usd,
        }
        for locks in comparison.locks
    ]


def lock_note(policies: PolicySet) -> str:
    """Return what the stacks have to allow for the locks of a document; empty where it has none."""
    rules = chain.from_iterable((policy.lock, *(rule.lock for rule in policy.copies)) for policy in policies.policies)
    locks_of = {"the stacks": list(rules), "the vaults' stacks": [vault.lock for vault in policies.vaults]}
    needs = []
    for stacks, wanted in locks_of.items():
        if locks := [lock for lock in wanted if lock]:
            compliance = any(lock.mode is LockMode.COMPLIANCE for lock in locks)
            also = ", and AllowComplianceLocks compliance mode" if compliance else ""
            needs.append(f"MaxLockDays of {stacks} must allow the locks, of at most {max(lock.days for lock in locks)} d{also}")
    return f"note: {'; '.join(needs)}" if needs else ""
