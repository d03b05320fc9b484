"""The archive tier: ModifySnapshotTier, RestoreSnapshotTier, DescribeSnapshotTierStatus.

Sources: [EC2 user guide: archive considerations; monitor snapshot archiving]: an archived snapshot is always full, data that
other snapshots need stays in the standard tier, a temporary restore ends by itself, and archiving ends shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.conditions.clock import iso, utc
from snapkeep.lab.ebs_model.conditions.quotas import MIB, SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, Chain
from snapkeep.lab.ebs_model.store.lifecycle import end_shares, join, leave
from snapkeep.lab.ebs_model.store.records import COMPLETED, SnapshotRecord, TierChange
from snapkeep.lab.ebs_model.store.tags import as_list

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

ARCHIVING = "archival-in-progress"
RESTORING = ("temporary-restore-in-progress", "permanent-restore-in-progress")
# The ARN shape of archive and restore events: the Region in its own field, no account.
SHAPE = "B"


def modify_snapshot_tier(call: Call) -> Response:
    """ModifySnapshotTier: archive a completed snapshot of the standard tier.

    Raise InvalidParameterValue on another tier, IncorrectState, or InvalidSnapshot.InUse when an AMI uses it.
    """
    account, snapshot = call.account, call.snapshot()
    if call.params.get("StorageTier", "archive") != "archive":
        raise ApiError("InvalidParameterValue", "StorageTier can only be archive.")
    current = account.tiering.get(snapshot.id)
    busy = current is not None and current.status in (ARCHIVING, *RESTORING)
    if snapshot.state != COMPLETED or snapshot.tier != "standard" or busy:
        raise ApiError("IncorrectState", f"The snapshot {snapshot.id} cannot be archived in its present state.")
    if snapshot.id in account.image_uses:
        raise ApiError("InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by an AMI.")
    _check_quotas(account, snapshot)
    full = snapshot.full_blocks * BLOCK_SIZE / MIB
    seconds = call.world.speeds.tier_base_seconds + full / call.world.speeds.archive_mib_per_second
    account.tiering[snapshot.id] = TierChange(ARCHIVING, call.now, call.now + seconds)
    call.world.schedule(call.now + seconds - account.skew_seconds, "tier", account, snapshot.id)
    return {"SnapshotId": snapshot.id, "TieringStartTime": utc(call.now)}


def _check_quotas(account: RegionAccount, snapshot: SnapshotRecord) -> None:
    busy = sum(tiering.status == ARCHIVING for tiering in account.tiering.values())
    if busy >= account.quotas.archives_in_progress:
        raise ApiError("ResourceLimitExceeded", "Too many snapshot archives in progress.")
    of_volume = sum(other.tier == "archive" for other in account.by_volume.get(snapshot.volume_id))
    if of_volume >= account.quotas.archived_per_volume:
        raise ApiError("ResourceLimitExceeded", "Too many archived snapshots of this volume.")


def restore_snapshot_tier(call: Call) -> Response:
    """RestoreSnapshotTier: temporary for some days, or permanent.

    A temporary restore can be made longer or permanent. Raise InvalidParameterCombination unless exactly one of the two is
    requested, IncorrectState, or ResourceLimitExceeded.
    """
    account, snapshot = call.account, call.snapshot()
    days, permanent = call.params.get("TemporaryRestoreDays"), bool(call.params.get("PermanentRestore"))
    if permanent == (days is not None):
        raise ApiError("InvalidParameterCombination", "Specify either TemporaryRestoreDays or PermanentRestore.")
    tiering = account.tiering.get(snapshot.id)
    if tiering is None or tiering.status in (ARCHIVING, *RESTORING) or not _restorable(snapshot, tiering):
        raise ApiError("IncorrectState", f"The snapshot {snapshot.id} is not archived.")
    if sum(entry.status in RESTORING for entry in account.tiering.values()) >= account.quotas.restores_in_progress:
        raise ApiError("ResourceLimitExceeded", "Too many restores from the archive in progress.")
    full = snapshot.full_blocks * BLOCK_SIZE / MIB
    seconds = 0.0
    if snapshot.tier == "archive":
        seconds = call.world.speeds.tier_base_seconds + full / call.world.speeds.restore_mib_per_second
    tiering.status = RESTORING[1] if permanent else RESTORING[0]
    tiering.started, tiering.ends, tiering.temporary_days = call.now, call.now + seconds, int(days or 0)
    call.world.schedule(tiering.ends - account.skew_seconds, "tier", account, snapshot.id)
    answer: Response = {
        "SnapshotId": snapshot.id,
        "RestoreStartTime": utc(call.now),
        "IsPermanentRestore": permanent,
    }
    if days is not None:
        answer["RestoreDuration"] = int(days)
    return answer


def _restorable(snapshot: SnapshotRecord, tiering: TierChange) -> bool:
    return snapshot.tier == "archive" or bool(tiering.restore_expires)


def finish(world: WorldState, account: RegionAccount, snapshot_id: str, extra: Any) -> None:  # noqa: ARG001
    """End an archive or a restore."""
    tiering, snapshot = account.tiering.get(snapshot_id), account.snapshots.get(snapshot_id)
    if tiering is None or snapshot is None:
        return
    now = world.now() + account.skew_seconds
    if tiering.status == ARCHIVING:
        _archive(world, account, snapshot, tiering, now)
        _emit(world, account, snapshot, tiering, "archiveSnapshot", now)
    elif tiering.status in RESTORING:
        _restore(world, account, snapshot, tiering, now)
        _emit(world, account, snapshot, tiering, "restoreSnapshot", now)


def _archive(world: WorldState, account: RegionAccount, snapshot: SnapshotRecord, tiering: TierChange, now: float) -> None:
    end_shares(world, account, snapshot.id)
    leave(account, snapshot)
    snapshot.tier = "archive"
    account.archived_blocks += snapshot.full_blocks
    tiering.status = "archival-completed"
    tiering.archived_at = now
    tiering.restore_expires = 0.0


def _restore(world: WorldState, account: RegionAccount, snapshot: SnapshotRecord, tiering: TierChange, now: float) -> None:
    if snapshot.tier == "archive":
        # A restored snapshot is full, and shares nothing [EC2 user guide: archive considerations].
        snapshot.tier = "standard"
        account.archived_blocks -= snapshot.full_blocks
        join(account, snapshot, Chain(snapshot.log, snapshot.log.data_key_id))
    if tiering.temporary_days:
        tiering.status = "temporary-restore-completed"
        tiering.restore_expires = now + tiering.temporary_days * SECONDS_PER_DAY
        world.schedule(tiering.restore_expires - account.skew_seconds, "restore expiry", account, snapshot.id)
    else:
        tiering.status = "permanent-restore-completed"
        tiering.restore_expires = 0.0


def expire_restore(world: WorldState, account: RegionAccount, snapshot_id: str, extra: Any) -> None:  # noqa: ARG001
    """End a temporary restore: the snapshot is only in the archive again."""
    tiering, snapshot = account.tiering.get(snapshot_id), account.snapshots.get(snapshot_id)
    now = world.now() + account.skew_seconds
    if tiering is None or snapshot is None or not tiering.restore_expires or tiering.restore_expires > now + 1e-6:
        return
    expired = tiering.restore_expires
    _archive(world, account, snapshot, tiering, now)
    detail = {"event": "restoreExpiry", "result": "succeeded", "recycleBinExitTime": "", "restoreExpiryTime": iso(expired)}
    events.emit_snapshot_notice(world, account, snapshot, SHAPE, detail, started=tiering.started, ended=now)


def _emit(
    world: WorldState, account: RegionAccount, snapshot: SnapshotRecord, tiering: TierChange, event: str, now: float
) -> None:
    detail = {"event": event, "result": "succeeded", "recycleBinExitTime": ""}
    if event == "restoreSnapshot" and tiering.restore_expires:
        detail["restoreExpiryTime"] = iso(tiering.restore_expires)
    events.emit_snapshot_notice(world, account, snapshot, SHAPE, detail, started=tiering.started, ended=now)


def describe_tier_status(call: Call) -> Response:
    """DescribeSnapshotTierStatus: snapshots that were ever archived; filters snapshot-id, volume-id, status, tags."""
    account, now = call.account, call.now
    fields = {
        "snapshot-id": lambda pair: (pair[0].id,),
        "volume-id": lambda pair: (pair[0].volume_id,),
        "last-tiering-operation": lambda pair: (pair[1].status,),
    }
    pairs = [(account.snapshots[key], tiering) for key, tiering in account.tiering.items() if key in account.snapshots]
    tests = tests_for(parsed(call.params.get("Filters")), fields, lambda pair: pair[0].tags)
    pairs = [pair for pair in pairs if all(test(pair) for test in tests)]
    chosen, token = page(pairs, lambda pair: pair[0].seq, call.params)
    return {"SnapshotTierStatuses": [_rendered(snapshot, tiering, now) for snapshot, tiering in chosen], **token}


def _rendered(snapshot: SnapshotRecord, tiering: TierChange, now: float) -> Response:
    whole = max(tiering.ends - tiering.started, 1e-9)
    answer: Response = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "Status": snapshot.state,
        "OwnerId": snapshot.owner_id,
        "Tags": as_list(snapshot.tags),
        "StorageTier": snapshot.tier,
        "LastTieringStartTime": utc(tiering.started),
        "LastTieringProgress": max(0, min(100, int(100 * (now - tiering.started) / whole))),
        "LastTieringOperationStatus": tiering.status,
    }
    if tiering.archived_at:
        answer["ArchivalCompleteTime"] = utc(tiering.archived_at)
    if tiering.restore_expires:
        answer["RestoreExpiryTime"] = utc(tiering.restore_expires)
    return answer
