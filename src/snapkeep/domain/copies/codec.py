"""Queue entries and wanted copies <-> plain JSON values, for the queue's table and the state machines' payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.domain.tags import format_time, parse_time


def request_to_json(request: CopyRequest) -> dict[str, Any]:
    """Given a wanted copy, return it as JSON values; times in ISO 8601."""
    return {
        "source_region": request.origin.region,
        "volume_id": request.origin.volume_id,
        "snapshot_id": request.origin.snapshot_id,
        "start_time": format_time(request.origin.start_time),
        "policy": request.policy,
        "region": request.region,
        "kms_key": request.kms_key,
        "deadline": format_time(request.deadline),
        "size_gib": request.size_gib,
        "encrypted": request.encrypted,
        "tags": dict(request.tags),
        "completion_minutes": request.completion_minutes,
        "source_kms_key": request.source_kms_key,
    }


def request_from_json(data: Mapping[str, Any]) -> CopyRequest:
    """Given what `wanted_to_json` made, return the wanted copy. Raise KeyError or ValueError if it is something else."""
    origin = Origin(data["source_region"], data["volume_id"], data["snapshot_id"], parse_time(data["start_time"]))
    return CopyRequest(
        origin=origin,
        policy=data["policy"],
        region=data["region"],
        kms_key=data["kms_key"],
        deadline=parse_time(data["deadline"]),
        size_gib=data["size_gib"],
        encrypted=data["encrypted"],
        tags=data["tags"],
        completion_minutes=data["completion_minutes"],
        source_kms_key=data.get("source_kms_key", ""),  # entries of earlier versions have none
    )


def entry_to_json(entry: QueueEntry) -> dict[str, Any]:
    """Given an entry, return it as JSON values, without its version."""
    return {
        "wanted": request_to_json(entry.request),
        "state": str(entry.state),
        "enqueued_at": format_time(entry.enqueued_at),
        "not_before": format_time(entry.not_before),
        "attempts": entry.attempts,
        "copy_id": entry.copy_id,
        "cause": entry.cause,
        "tokens": list(entry.tokens),
        "runs": list(entry.runs),
    }


def entry_from_json(data: Mapping[str, Any], version: int) -> QueueEntry:
    """Given what `entry_to_json` made and the version, return the entry."""
    return QueueEntry(
        request=request_from_json(data["wanted"]),
        state=EntryState(data["state"]),
        enqueued_at=parse_time(data["enqueued_at"]),
        not_before=parse_time(data["not_before"]),
        attempts=data["attempts"],
        copy_id=data["copy_id"],
        cause=data["cause"],
        tokens=tuple(data["tokens"]),
        runs=tuple(data.get("runs", ())),  # entries of earlier versions have none
        version=version,
    )
