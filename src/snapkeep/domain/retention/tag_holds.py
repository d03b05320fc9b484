"""Holds by tags that a policy names: a tagged snapshot is kept, and does not count; its copies are kept too (INV-26)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from snapkeep.domain.model import Reason, Snapshot
from snapkeep.domain.other_tools import left_alone_by
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.placed_holds import HOLD_RULE


@dataclass(frozen=True, slots=True)
class TaggedSources:
    """The source snapshots whose tags may hold copies."""

    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Source snapshot id -> its tags, at least for snapshots with a key by which a policy holds."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Source region -> why its snapshots could not be read: a copy from there may be held."""


NO_SOURCES = TaggedSources()


def holding_keys(policies: PolicySet) -> frozenset[str]:
    """Return the keys of all tags by which the policies hold."""
    return frozenset(key for policy in policies.policies for key in policy.hold_tags)


def tag_holds(
    snapshots: Iterable[Snapshot], hold_tags: Mapping[str, tuple[str, ...]], sources: TaggedSources = NO_SOURCES
) -> dict[str, tuple[Reason, ...]]:
    """Return the snapshots and copies that tags hold under a policy: the snapshot's own tags, or those of a copy's source."""
    if not hold_tags:
        return {}
    return {snapshot.id: (reason,) for snapshot in snapshots if (reason := _reason(snapshot, hold_tags, sources))}


def _reason(snapshot: Snapshot, hold_tags: Mapping[str, tuple[str, ...]], sources: TaggedSources) -> Reason | None:
    if tag := left_alone_by(snapshot.tags, hold_tags):
        return Reason(HOLD_RULE, f"held: it has the tag {tag}; does not count")
    if not snapshot.is_copy:
        return None
    source = snapshot.origin
    if tag := left_alone_by(sources.tags.get(source.snapshot_id, {}), hold_tags):
        return Reason(HOLD_RULE, f"held: its source {source.snapshot_id} has the tag {tag}; does not count")
    if why := sources.unread.get(source.region):
        return Reason(HOLD_RULE, f"held: whether a tag holds its source is not known: {why}")
    return None
