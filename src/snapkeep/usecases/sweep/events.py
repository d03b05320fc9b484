"""Events as EventBridge would have sent them, for what was missed: the event-driven path reads them like any other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from snapkeep.domain.events import SNAPSHOT_NOTIFICATION
from snapkeep.domain.model import Snapshot
from snapkeep.domain.tags import format_time

SOURCE = "snapkeep.sweep"
"""Says in the execution's input who started it."""
NAME_LIMIT = 80
"""Characters of an execution's name (Step Functions developer guide: quotas)."""


def snapshot_event(snapshot: Snapshot, now: datetime) -> dict[str, Any]:
    """Return the createSnapshot event of a completed snapshot."""
    region, origin = snapshot.region, snapshot.origin
    return {
        "version": "0",
        "detail-type": SNAPSHOT_NOTIFICATION,
        "source": SOURCE,
        "time": format_time(now),
        "region": region,
        "resources": [f"arn:aws:ec2:{region}::snapshot/{snapshot.id}"],
        "detail": {
            "event": "createSnapshot",
            "result": "succeeded",
            "cause": "",
            "request-id": "",
            "snapshot_id": f"arn:aws:ec2:{region}::snapshot/{snapshot.id}",
            "source": f"arn:aws:ec2:{region}::volume/{origin.volume_id}",
            "startTime": format_time(origin.start_time),
            "endTime": format_time(now),
        },
    }


def run_name(snapshot_id: str, now: datetime) -> str:
    """Return the name of a snapshot's run: the same for an hour, so that sweeps within it start one run."""
    return f"sweep-{snapshot_id}-{now:%Y%m%dT%H}"[:NAME_LIMIT]
