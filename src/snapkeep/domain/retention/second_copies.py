"""Second copies of one snapshot in one region, and the choice of the one to keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from snapkeep.domain.copies.check import has_key
from snapkeep.domain.model import Reason, Snapshot
from snapkeep.domain.retention.deletion import SECOND_COPY_RULE


def second_copies(copies: Iterable[Snapshot], system: str, kms_key: str = "", checked: Collection[str] = ()) -> dict[str, Reason]:
    """Return the second copies by id, with the reason against each.

    The kept copy of a snapshot is one that a run checked, else one with the copy rule's key, else the last one made, on which
    EC2 builds the next copy. Another principal's copy of a copy, with its tags and its description, never replaces it.
    """
    by_source: dict[str, list[Snapshot]] = defaultdict(list)
    for copy in copies:
        if copy.counts_for(system):
            by_source[copy.origin.snapshot_id].append(copy)
    reasons: dict[str, Reason] = {}
    for copies_of_one in by_source.values():
        *duplicates, kept = sorted(
            copies_of_one, key=lambda copy: (copy.id in checked, has_key(copy, kms_key), copy.start_time, copy.id)
        )
        # One copy is always kept, because the list has at least one.
        reason = Reason(SECOND_COPY_RULE, f"a second copy of {kept.origin.snapshot_id}, beside {kept.id}")
        reasons |= dict.fromkeys((copy.id for copy in duplicates), reason)
    return reasons
