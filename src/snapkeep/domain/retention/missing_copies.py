"""Missing copies, and unusable copies that a new copy would not improve."""

from __future__ import annotations

from snapkeep.domain.copies.check import has_key, names_one_key
from snapkeep.domain.model import Snapshot, Unusable
from snapkeep.domain.policy.model import CopyRule
from snapkeep.domain.retention.holds import CopyFacts


def waits_for_key(copy: Snapshot, rule: CopyRule) -> bool:
    """Whether a new copy would be no better than a completed one: its key is the rule's own, or may be usable."""
    if copy.key_fault is None:
        return False
    return copy.unusable is Unusable.KEY_NOT_KNOWN or (names_one_key(rule.kms_key) and has_key(copy, rule.kms_key))


def is_missing(snapshot: Snapshot, rule: CopyRule, copies: CopyFacts, *, superfluous_too: bool) -> bool:
    """Whether a copy that a rule requires is missing; with `superfluous_too`, also if a newer snapshot has one."""
    if snapshot.unusable not in (None, Unusable.KEY_NOT_KNOWN):  # EC2 cannot read it
        return False
    if snapshot.not_copyable or (snapshot.id, rule.region) in copies.completed:
        return False
    newest = copies.newest_copied.get((snapshot.origin.lineage, rule.region))
    return newest is None or superfluous_too or snapshot.origin.start_time >= newest
