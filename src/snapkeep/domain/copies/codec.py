"""Queue entries and copy requests <-> plain JSON values, for the queue's table and the state machines' payloads.

The names are in tables and executions of deployed systems: `wanted`, the fields of a request and the states stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.domain.copies.entry import QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.json_values import from_json_values, to_json_values
from snapkeep.domain.model import Origin
from snapkeep.domain.tags import format_time, parse_time

_SINCE_LATER_VERSIONS = ("source_kms_key", "runs")
"""Fields that entries of earlier versions lack."""


def request_to_json(request: CopyRequest) -> dict[str, Any]:
    """Return a copy request as JSON values."""
    return {
        "source_region": request.origin.region,
        "volume_id": request.origin.volume_id,
        "snapshot_id": request.origin.snapshot_id,
        "start_time": format_time(request.origin.start_time),
        **to_json_values(request, without=("origin",)),
    }


def request_from_json(data: Mapping[str, Any]) -> CopyRequest:
    """Return the request that `request_to_json` was given. Raise KeyError, TypeError or ValueError for anything else."""
    origin = Origin(data["source_region"], data["volume_id"], data["snapshot_id"], parse_time(data["start_time"]))
    return from_json_values(CopyRequest, data, optional=_SINCE_LATER_VERSIONS, origin=origin)


def entry_to_json(entry: QueueEntry) -> dict[str, Any]:
    """Return a queue entry as JSON values, without its version."""
    return {"wanted": request_to_json(entry.request), **to_json_values(entry, without=("request", "version"))}


def entry_from_json(data: Mapping[str, Any], version: int) -> QueueEntry:
    """Return the entry that `entry_to_json` was given. Raise KeyError, TypeError or ValueError for anything else."""
    request = request_from_json(data["wanted"])
    return from_json_values(QueueEntry, data, optional=_SINCE_LATER_VERSIONS, request=request, version=version)
