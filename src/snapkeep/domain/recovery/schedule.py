"""The method that a policy's rule requires for one copy. The times of the copies decide, so that no state is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import VerifyRule
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method, MethodKind, parse_part

_DAY = timedelta(days=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def method_due(rule: VerifyRule, copy: Snapshot, siblings: Iterable[Snapshot]) -> Method | None:
    """Return the method to compare a completed copy; None for no comparison.

    `siblings` are the other copies of its lineage. With `full_every`, the first copy of each such period is compared in full.
    The periods of different volumes begin on different days, so that a fleet's volumes are not all read on one day.
    """
    if not rule.verifies:
        return None
    if rule.full_every:
        period = _period(copy, rule.full_every)
        earlier = [other for other in siblings if other.completed and other.origin.start_time < copy.origin.start_time]
        if all(_period(other, rule.full_every) < period for other in earlier):
            return FULL
    if rule.subset:
        first = parse_part(rule.subset)
        day = (copy.origin.start_time - _FIRST) // _DAY
        return Method(MethodKind.SUBSET, part=(first.part - 1 + day) % first.parts + 1, parts=first.parts)
    return Method(MethodKind.SAMPLE, sample=rule.sample) if rule.sample else STRUCTURE


def _period(copy: Snapshot, every: timedelta) -> int:
    digest = hashlib.sha256(copy.origin.volume_id.encode()).digest()
    offset = every * (digest[0] / 256)
    return (copy.origin.start_time - _FIRST + offset) // every
