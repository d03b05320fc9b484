"""Recycle Bin for snapshots: its rules, its content, and restoring.

Sources: [Recycle Bin user guide: how it works; create a rule]: rules by tag or region-wide with exclusion tags, the
longest matching rule wins, nothing can be deleted from the bin, and DescribeSnapshots does not show its content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store.lifecycle import forget
from snapkeep.lab.ebs_model.store.records import COMPLETED, BinnedSnapshot, BinRule, SnapshotRecord
from snapkeep.lab.ebs_model.store.tags import as_dict

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

LONGEST_DAYS = 365


def retention_days(account: RegionAccount, snapshot: SnapshotRecord) -> int:
    """Return the number of days for which the bin keeps a deleted snapshot; 0 for none."""
    if not account.bin_rules or snapshot.state != COMPLETED:
        return 0
    tags = as_dict(snapshot.tags)
    return max((rule.retention_days for rule in account.bin_rules if _matches(rule, tags)), default=0)


def _matches(rule: BinRule, tags: dict[str, str]) -> bool:
    if rule.tags:
        return any(_has(tags, key, value) for key, value in rule.tags)
    return not any(_has(tags, key, value) for key, value in rule.exclude_tags)


def _has(tags: dict[str, str], key: str, value: str) -> bool:
    return key in tags and value in ("", tags[key])


def keep(call: Call, snapshot: SnapshotRecord) -> bool:
    """Move a deleted snapshot to the bin if a rule applies, and return whether it was moved."""
    world, account = call.world, call.account
    days = retention_days(account, snapshot)
    if not days:
        return False
    account.remove(snapshot)
    exits = call.now + days * SECONDS_PER_DAY
    account.bin[snapshot.id] = BinnedSnapshot(snapshot, call.now, exits)
    world.schedule(exits - account.skew_seconds, "bin exit", account, snapshot.id)
    return True


def leave(world: WorldState, account: RegionAccount, snapshot_id: str, extra: Any) -> None:  # noqa: ARG001
    """Delete a snapshot permanently at the end of its time in the bin."""
    binned = account.bin.get(snapshot_id)
    if binned is not None and binned.exits <= world.now() + account.skew_seconds + 1e-6:
        del account.bin[snapshot_id]
        forget(world, account, binned.snapshot)


def list_snapshots(call: Call) -> Response:
    """ListSnapshotsInRecycleBin, in pages."""
    ids = call.params.get("SnapshotIds")
    listed = [binned for binned in call.account.bin.values() if not ids or binned.snapshot.id in ids]
    chosen, token = page(listed, lambda binned: binned.snapshot.seq, call.params)
    return {
        "Snapshots": [
            {
                "SnapshotId": binned.snapshot.id,
                "RecycleBinEnterTime": utc(binned.entered),
                "RecycleBinExitTime": utc(binned.exits),
                "Description": binned.snapshot.description,
                "VolumeId": binned.snapshot.volume_id,
            }
            for binned in chosen
        ],
        **token,
    }


def restore(call: Call) -> Response:
    """RestoreSnapshotFromRecycleBin: unchanged, with its tags. Raise InvalidSnapshot.NotFound."""
    snapshot_id = str(call.params["SnapshotId"])
    binned = call.account.bin.get(snapshot_id)
    if binned is None:
        raise ApiError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' is not in Recycle Bin.")
    del call.account.bin[snapshot_id]
    snapshot = binned.snapshot
    call.account.add(snapshot)
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StartTime": utc(snapshot.start),
        "Progress": "100%",
        "OwnerId": snapshot.owner_id,
        "Description": snapshot.description,
        "VolumeSize": snapshot.size_gib,
        "Encrypted": snapshot.encrypted,
    }
