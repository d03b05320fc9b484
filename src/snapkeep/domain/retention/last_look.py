"""The check of one deletion against the lineage as EC2 shows it right before: a plan may be wrong, forged or out of date."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from snapkeep.domain.model import CLOCK_SKEW, Snapshot, SnapshotState
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder


def remaining_peers(
    snapshot: Snapshot, listed: Iterable[Snapshot], ordered_ids: Collection[str], now: datetime, *, system: str
) -> list[Snapshot]:
    """Return the snapshots of the same lineage that count and that the plan does not delete."""
    return [
        peer
        for peer in listed
        # A snapshot that the plan deletes too is no support, even while it exists.
        if peer.id not in ordered_ids
        and peer.counts_for(system)
        and peer.is_copy == snapshot.is_copy
        and peer.origin.lineage == snapshot.origin.lineage
        and peer.origin.start_time <= now + CLOCK_SKEW
    ]


def objection(order: DeletionOrder, snapshot: Snapshot, peers: Iterable[Snapshot]) -> str:
    """Return why a snapshot must not be deleted, in words; empty if it may be. `peers` are its remaining peers.

    The newest of a lineage stays (INV-02, INV-05), whatever the order says, and only a copy in state `error` is a failed one.
    A newer snapshot that the plan keeps may be deleted since it was made (INV-03).
    """
    if order.kind is DeletionKind.FAILED_COPY:
        failed = snapshot.is_copy and snapshot.state is SnapshotState.ERROR
        return "" if failed else f"INV-03: it is {snapshot.state}, and no failed copy"
    if not snapshot.completed:
        return f"INV-03: it is {snapshot.state}, not completed"
    if snapshot.unusable:
        return f"INV-13: {snapshot.unusable.label}; a person decides about it"
    if order.kind is DeletionKind.SECOND_COPY:
        source_id = snapshot.origin.snapshot_id
        # Of a second copy the first must remain, however many newer ones there are.
        twins = any(peer.origin.snapshot_id == source_id for peer in peers)
        return "" if twins else f"INV-05: no other completed copy of {source_id} remains"
    return _objection_to_retention(order, snapshot, peers)


def _objection_to_retention(order: DeletionOrder, snapshot: Snapshot, peers: Iterable[Snapshot]) -> str:
    origin = snapshot.origin
    # Origins, not copies: two copies of one snapshot are one recovery point.
    newer = {peer.origin.snapshot_id for peer in peers if peer.origin.start_time >= origin.start_time} - {origin.snapshot_id}
    if not newer:
        invariant = "INV-05" if snapshot.is_copy else "INV-02"
        return f"{invariant}: no newer completed one of {origin.volume_id} remains"
    if len(newer) < order.newer_kept:
        return f"INV-03: the plan relies on {order.newer_kept} newer ones, of which {len(newer)} remain; the next run plans anew"
    return ""
