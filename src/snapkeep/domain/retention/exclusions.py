"""Snapshots that do not count among those of their volume: they are kept, and displace no others."""

from __future__ import annotations

from collections.abc import Sequence

from snapkeep.domain.model import Reason, Snapshot, Verdict, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.selection import select_for_retention, why_left_out
from snapkeep.domain.retention.plan import keep_all

STRAY_COPY = Reason(
    "stray-copy", "a copy that Snapkeep did not make: in its source's own region, or without a source: does not count"
)
NOT_COUNTED = Reason("snapshot-tags", "its policy counts only snapshots with other tags (snapshot_tags): does not count")


def kept_apart(volume: Volume | None, snapshots: Sequence[Snapshot], policies: PolicySet, *, system: str) -> tuple[Verdict, ...]:
    """Return the verdicts of snapshots in a volume's own region that do not count, by reason, the oldest first.

    A copy within the region is not a copy in another one, and a policy may count only snapshots with certain tags.
    """
    policy = select_for_retention(volume, snapshots, policies, system=system).policy
    strays = [snapshot for snapshot in snapshots if snapshot.is_copy]
    left_out = [snapshot for snapshot in snapshots if why_left_out(snapshot, policy)]
    return (*keep_all(strays, STRAY_COPY), *keep_all(left_out, NOT_COUNTED))
