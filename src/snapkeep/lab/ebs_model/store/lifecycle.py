"""How snapshots join and leave what is counted: chains of shared blocks, quotas, sets, shares, locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.blocks import Chain
from snapkeep.lab.ebs_model.store.records import PENDING, Snapshot

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import Place
    from snapkeep.lab.ebs_model.store.world_state import Setting


def join(place: Place, snapshot: Snapshot, chain: Chain) -> int:
    """Given a snapshot, let it share a chain's blocks, and return how many it stores newly."""
    snapshot.chain = chain
    new = chain.add(snapshot)
    place.stored_blocks += new
    return new


def leave(place: Place, snapshot: Snapshot) -> int:
    """Given a snapshot, let its chain go on without it, and return how many blocks that frees."""
    chain = snapshot.chain
    if chain is None:
        return 0
    freed = chain.remove(snapshot)
    place.stored_blocks -= freed
    snapshot.chain = None
    if not chain.members and place.chains.get(chain.log) is chain:
        del place.chains[chain.log]
    return freed


def no_longer_pending(place: Place, snapshot: Snapshot) -> None:
    """Given a pending snapshot that ends, count it no more."""
    place.pending_creates -= 1
    volume = place.volumes.get(snapshot.volume_id)
    if volume is not None:
        volume.pending -= 1


def member_ended(world: Setting, place: Place, set_id: str, failed_id: str) -> None:
    """Count a member of a set as ended; the event comes with the last one."""
    group = place.sets[set_id]
    group.waiting -= 1
    if failed_id:
        group.failed_ids.append(failed_id)
    if not group.waiting:
        del place.sets[set_id]
        events.emit_create_snapshots(world, place, group, world.now() + place.skew_seconds)


def remove(world: Setting, place: Place, snapshot: Snapshot) -> None:
    """Given a snapshot, let it be gone: from listings, quotas, chains, shares and locks."""
    place.remove(snapshot)
    forget(world, place, snapshot)


def forget(world: Setting, place: Place, snapshot: Snapshot) -> None:
    """Given a snapshot that is listed no more, let go of everything that hangs on it."""
    if snapshot.tier == "archive":
        place.archived_blocks -= snapshot.full_blocks
    leave(place, snapshot)
    place.locks.pop(snapshot.id, None)
    place.tiering.pop(snapshot.id, None)
    if place.permissions.pop(snapshot.id, None) is not None:
        world.shared_snapshots.get(place.region, {}).pop(snapshot.id, None)
    if snapshot.source_id:
        place.copies_in_flight.pop(snapshot.id, None)
        _forget_copy(place, snapshot)
    elif snapshot.state == PENDING:
        no_longer_pending(place, snapshot)
        if snapshot.set_id:
            member_ended(world, place, snapshot.set_id, snapshot.id)


def _forget_copy(place: Place, copy: Snapshot) -> None:
    copies = place.copies_by_log.get(copy.log)
    if copies is not None:
        copies.pop(copy, None)
        if not copies:
            del place.copies_by_log[copy.log]
            place.last_copy.pop(copy.log, None)
