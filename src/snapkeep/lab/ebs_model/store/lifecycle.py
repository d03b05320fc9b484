"""The effects of new and deleted snapshots on chains of shared blocks, quotas, sets, shares and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.blocks import Chain
from snapkeep.lab.ebs_model.store.records import PENDING, SnapshotRecord

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState


def join(account: RegionAccount, snapshot: SnapshotRecord, chain: Chain) -> int:
    """Add a snapshot to a chain, and return the number of blocks that it adds."""
    snapshot.chain = chain
    new = chain.add(snapshot)
    account.stored_blocks += new
    return new


def leave(account: RegionAccount, snapshot: SnapshotRecord) -> int:
    """Remove a snapshot from its chain, and return the number of freed blocks."""
    chain = snapshot.chain
    if chain is None:
        return 0
    freed = chain.remove(snapshot)
    account.stored_blocks -= freed
    snapshot.chain = None
    if not chain.members and account.chains.get(chain.log) is chain:
        del account.chains[chain.log]
    return freed


def no_longer_pending(account: RegionAccount, snapshot: SnapshotRecord) -> None:
    """Stop counting a snapshot as pending."""
    account.pending_creates -= 1
    volume = account.volumes.get(snapshot.volume_id)
    if volume is not None:
        volume.pending -= 1


def member_ended(world: WorldState, account: RegionAccount, set_id: str, failed_id: str) -> None:
    """Count a member of a set as ended; the last one emits the set's event."""
    group = account.sets[set_id]
    group.waiting -= 1
    if failed_id:
        group.failed_ids.append(failed_id)
    if not group.waiting:
        del account.sets[set_id]
        events.emit_create_snapshots(world, account, group, world.now() + account.skew_seconds)


def remove(world: WorldState, account: RegionAccount, snapshot: SnapshotRecord) -> None:
    """Delete a snapshot: from listings, quotas, chains, shares and locks."""
    account.remove(snapshot)
    forget(world, account, snapshot)


def forget(world: WorldState, account: RegionAccount, snapshot: SnapshotRecord) -> None:
    """Delete everything that belongs to an unlisted snapshot."""
    if snapshot.tier == "archive":
        account.archived_blocks -= snapshot.full_blocks
    leave(account, snapshot)
    account.locks.pop(snapshot.id, None)
    account.tiering.pop(snapshot.id, None)
    end_shares(world, account, snapshot.id)
    if snapshot.source_id:
        account.copies_in_flight.pop(snapshot.id, None)
        _forget_copy(account, snapshot)
    elif snapshot.state == PENDING:
        no_longer_pending(account, snapshot)
        if snapshot.set_id:
            member_ended(world, account, snapshot.set_id, snapshot.id)


def end_shares(world: WorldState, account: RegionAccount, snapshot_id: str) -> None:
    """End all shares of a snapshot."""
    if account.permissions.pop(snapshot_id, None) is not None:
        world.shared_snapshots.get(account.region, {}).pop(snapshot_id, None)


def _forget_copy(account: RegionAccount, copy: SnapshotRecord) -> None:
    copies = account.copies_by_log.get(copy.log)
    if copies is not None:
        copies.pop(copy, None)
        if not copies:
            del account.copies_by_log[copy.log]
            account.last_copy.pop(copy.log, None)
