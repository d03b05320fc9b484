"""CloudTrail's event history: who deleted which snapshot.

By default ministack records nothing; otherwise it records real time and no roles. Source of an event's form: CloudTrail user
guide, "CloudTrail record contents"; botocore: cloudtrail (Event). On AWS an event appears some minutes after its call,
here at once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

RECORDED = "DeleteSnapshot"


def record(action: str, parameters: Mapping[str, Any], caller: str, now: float) -> None:
    """Record a call of EC2 that succeeded, at a time in the world's seconds since the epoch, if it is one of those recorded."""
    from ministack.core.responses import get_region
    from ministack.services import cloudtrail

    if action != RECORDED or parameters.get("DryRun"):
        return
    snapshot_id = str(parameters["SnapshotId"])
    kind = caller.split(":", 5)[5].partition("/")[0]
    identity = {"root": "Root", "assumed-role": "AssumedRole"}.get(kind, "IAMUser")
    detail = {
        "eventVersion": "1.11",
        "userIdentity": {"type": identity, "arn": caller, "accountId": caller.split(":")[4]},
        "eventTime": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "eventName": action,
        "awsRegion": get_region(),
        "requestParameters": {"snapshotId": snapshot_id},
    }
    event = {
        "EventId": str(uuid.uuid4()),
        "EventName": action,
        "EventSource": "ec2.amazonaws.com",
        "EventTime": now,
        "Username": caller.rpartition("/")[2],
        "ReadOnly": "false",
        "Resources": [{"ResourceType": "AWS::EC2::Snapshot", "ResourceName": snapshot_id}],
        "CloudTrailEvent": json.dumps(detail),
    }
    cloudtrail._get_event_queue().append(event)
