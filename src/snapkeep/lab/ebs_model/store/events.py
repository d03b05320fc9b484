"""Events in the form in which EventBridge delivers them.

Fields, detail-types and regions: [EBS user guide: EventBridge events]; archive and restore: [EC2 user guide: monitor snapshot
archiving]; locks: [EBS user guide: monitor snapshot lock].
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from snapkeep.lab.ebs_model.conditions.clock import iso
from snapkeep.lab.ebs_model.conditions.event_options import Event
from snapkeep.lab.ebs_model.store.arns import arn

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.records import SnapshotRecord, SnapshotSet, VolumeRecord
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

SNAPSHOT = "EBS Snapshot Notification"
VOLUME = "EBS Volume Notification"
MULTI_VOLUME = "EBS Multi-Volume Snapshots Completion Status"
MISSED_DURATION = "EBS Copy Snapshot Missed Completion Duration"


def emit_create_snapshot(world: WorldState, account: RegionAccount, snapshot: SnapshotRecord, ended: float) -> None:
    """Emit createSnapshot, succeeded or failed, with the volume as source."""
    shape = world.arn_shape()
    own = arn(shape, account.region, account.account_id, f"snapshot/{snapshot.id}")
    detail = {
        "event": "createSnapshot",
        "result": "failed" if snapshot.state == "error" else "succeeded",
        "cause": snapshot.message,
        "request-id": "",
        "snapshot_id": own,
        "source": arn(shape, account.region, account.account_id, f"volume/{snapshot.volume_id}"),
        "startTime": iso(snapshot.start),
        "endTime": iso(ended),
    }
    world.emit(account, SNAPSHOT, [own], detail)


def emit_create_snapshots(world: WorldState, account: RegionAccount, group: SnapshotSet, ended: float) -> None:
    """Emit createSnapshots once for a multi-volume set: members with state, no snapshot_id at the top."""
    shape = world.arn_shape()
    snapshots = [
        {
            "snapshot_id": arn(shape, account.region, account.account_id, f"snapshot/{snapshot_id}"),
            "source": arn(shape, account.region, account.account_id, f"volume/{volume_id}"),
            "status": "error" if snapshot_id in group.failed_ids else "completed",
        }
        for snapshot_id, volume_id in group.members
    ]
    failed = bool(group.failed_ids)
    detail = {
        "event": "createSnapshots",
        "result": "failed" if failed else "succeeded",
        "cause": f"Snapshot {group.failed_ids[0]} is in status error" if failed else "",
        "request-id": "",
        "startTime": iso(group.start),
        "endTime": iso(ended),
        "snapshots": snapshots,
    }
    world.emit(account, MULTI_VOLUME, [entry["snapshot_id"] for entry in snapshots], detail)


def emit_copy_snapshot(
    world: WorldState, account: RegionAccount, copy: SnapshotRecord, ended: float, *, incremental: bool
) -> None:
    """Emit copySnapshot in the destination region, with the source snapshot as source.

    The failed example of the page has neither incremental nor transferType.
    """
    shape = world.arn_shape()
    own = arn(shape, account.region, account.account_id, f"snapshot/{copy.id}")
    failed = copy.state == "error"
    detail: Event = {
        "event": "copySnapshot",
        "result": "failed" if failed else "succeeded",
        "cause": copy.message,
        "request-id": "",
        "snapshot_id": own,
        "source": arn(shape, copy.source_region, copy.source_account, f"snapshot/{copy.source_id}"),
        "startTime": iso(copy.start),
        "endTime": iso(ended),
    }
    if not failed:
        detail["incremental"] = "true" if incremental else "false"
        detail["transferType"] = "time-based" if copy.duration_minutes else "standard"
        if copy.duration_minutes:
            detail["completionDurationStartTime"] = iso(copy.start)
    world.emit(account, SNAPSHOT, [own], detail)


def emit_missed_duration(world: WorldState, account: RegionAccount, copy: SnapshotRecord, cause: str) -> None:
    """Emit the event of a late time-based copy at once (ARN shape C)."""
    own = arn("C", account.region, account.account_id, f"snapshot/{copy.id}")
    detail = {
        "event": "copySnapshot",
        "missedCompletionDurationCause": cause,
        "snapshot_id": own,
        "source": arn("C", copy.source_region, copy.source_account, f"snapshot/{copy.source_id}"),
        "startTime": unix_date(copy.start),
        "transferType": "time-based",
    }
    world.emit(account, MISSED_DURATION, [own], detail)


def unix_date(seconds: float) -> str:
    """Return `Sun Nov 24 22:32:55 UTC 2024`, the form of the missed duration's event."""
    return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(seconds))


def emit_volume(
    world: WorldState, account: RegionAccount, volume: VolumeRecord, event: str, result: str, cause: str = ""
) -> None:
    """Emit a volume event; the volume's ARN is only in the resources (shape C)."""
    own = arn("C", account.region, account.account_id, f"volume/{volume.id}")
    world.emit(account, VOLUME, [own], {"event": event, "result": result, "cause": cause, "request-id": ""})


def emit_initialized(world: WorldState, account: RegionAccount, volume: VolumeRecord) -> None:
    """Emit initializeVolume; the page shows its name with a leading space [EBS user guide: EventBridge events]."""
    own = arn("C", account.region, account.account_id, f"volume/{volume.id}")
    name = " initializeVolume" if world.event_options.leading_space else "initializeVolume"
    detail = {"event": name, "result": "succeeded", "cause": "", "request-id": "", "completionTime": iso(volume.initialized_at)}
    world.emit(account, VOLUME, [own], detail)


def emit_snapshot_notice(
    world: WorldState,
    account: RegionAccount,
    snapshot: SnapshotRecord,
    shape: str,
    detail: Event,
    *,
    started: float,
    ended: float,
) -> None:
    """Emit an archive, restore, lock or share event: the common fields, and those in ``detail``."""
    own = arn(shape, account.region, snapshot.owner_id, f"snapshot/{snapshot.id}")
    common: Event = {"cause": "", "request-id": "", "snapshot_id": own, "startTime": iso(started), "endTime": iso(ended)}
    world.emit(account, SNAPSHOT, [own], {**common, **detail})
