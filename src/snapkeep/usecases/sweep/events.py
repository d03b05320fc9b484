"""The missed events in EventBridge's form, which the event-driven path reads like any other."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any

from snapkeep.domain.events import SNAPSHOT_NOTIFICATION
from snapkeep.domain.json_codec import named, to_object
from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass

SOURCE = "snapkeep.sweep"
"""Says in the execution's input who started it."""
NAME_LIMIT = 80
"""Characters of an execution's name (Step Functions developer guide: quotas)."""


@dataclass(frozen=True, slots=True)
class _Detail:
    """The detail of an event, under the names that EC2 gives (EBS user guide: "EventBridge events for EBS")."""

    snapshot_id: str
    source: str
    start_time: datetime = field(metadata=named("startTime"))
    end_time: datetime = field(metadata=named("endTime"))
    event: str = "createSnapshot"
    result: str = "succeeded"
    cause: str = ""
    request_id: str = field(default="", metadata=named("request-id"))


@dataclass(frozen=True, slots=True)
class _SnapshotEvent:
    region: str
    time: datetime
    resources: tuple[str, ...]
    detail: _Detail
    version: str = "0"
    detail_type: str = field(default=SNAPSHOT_NOTIFICATION, metadata=named("detail-type"))
    source: str = SOURCE


def snapshot_event(snapshot: Snapshot, now: datetime) -> dict[str, Any]:
    """Return the createSnapshot event of a completed snapshot."""
    arn = f"arn:aws:ec2:{snapshot.region}::snapshot/{snapshot.id}"
    volume_arn = f"arn:aws:ec2:{snapshot.region}::volume/{snapshot.origin.volume_id}"
    return to_object(_SnapshotEvent(snapshot.region, now, (arn,), _Detail(arn, volume_arn, snapshot.origin.start_time, now)))


def run_name(snapshot_id: str, now: datetime) -> str:
    """Return the name of a snapshot's run: the same for an hour, so that sweeps within it start one run."""
    return f"sweep-{snapshot_id}-{now:%Y%m%dT%H}"[:NAME_LIMIT]
