"""Queue entries and wanted copies <-> plain JSON values, for the queue's table and the state machines' payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.domain.ledger import format_time, parse_time
from snapkeep.domain.model import CopyWanted, Origin
from snapkeep.usecases.ports import EntryState, QueueEntry


def wanted_to_json(wanted: CopyWanted) -> dict[str, Any]:
    """Given a wanted copy, return it as JSON values; times in ISO 8601."""
    return {
        "source_region": wanted.origin.region,
        "volume_id": wanted.origin.volume_id,
        "snapshot_id": wanted.origin.snapshot_id,
        "start_time": format_time(wanted.origin.start_time),
        "policy": wanted.policy,
        "region": wanted.region,
        "kms_key": wanted.kms_key,
        "deadline": format_time(wanted.deadline),
        "size_gib": wanted.size_gib,
        "encrypted": wanted.encrypted,
        "tags": dict(wanted.tags),
        "completion_minutes": wanted.completion_minutes,
        "source_kms_key": wanted.source_kms_key,
    }


def wanted_from_json(data: Mapping[str, Any]) -> CopyWanted:
    """Given what `wanted_to_json` made, return the wanted copy. Raise KeyError or ValueError if it is something else."""
    origin = Origin(data["source_region"], data["volume_id"], data["snapshot_id"], parse_time(data["start_time"]))
    return CopyWanted(
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
        "wanted": wanted_to_json(entry.wanted),
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
        wanted=wanted_from_json(data["wanted"]),
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
