"""Which method a policy's rule asks for, for one copy. Nothing is remembered: the times of the copies decide."""

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
    """Return how a copy that arrived is compared; None for not at all. `siblings` are the other copies of its lineage.

    With `full`, the first copy of each such period is compared in full. Periods begin on another day for each volume, so
    that not all of a fleet's volumes are read on one day.
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
