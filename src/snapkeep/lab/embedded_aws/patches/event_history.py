"""CloudTrail's event history: the principal that deleted a snapshot, and the account that used a shared one.

By default ministack records nothing; otherwise it records real time and no roles. Source of an event's form: CloudTrail user
guide, "CloudTrail record contents"; botocore: cloudtrail (Event). On AWS an event appears some minutes after its call, here at
once. The events of the owner of a shared snapshot: EBS user guide, "Determine the use of snapshots that you share", which names
them; their details are not documented.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from snapkeep.lab.ebs_model.store.world_state import WorldState

RECORDED = "DeleteSnapshot"
OF_SHARES = {
    "CopySnapshot": ("SharedSnapshotCopyInitiated", "SourceSnapshotId"),
    "CreateVolume": ("SharedSnapshotVolumeCreated", "SnapshotId"),
}
"""The event in the owner's history for each call that uses a shared snapshot, and the parameter with the snapshot."""


def record(action: str, parameters: Mapping[str, Any], caller: str, now: float) -> None:
    """Record a successful call of EC2, if it is a recorded one, at a time in the world's seconds since the epoch."""
    if action != RECORDED or parameters.get("DryRun"):
        return
    kind = caller.split(":", 5)[5].partition("/")[0]
    identity = {"root": "Root", "assumed-role": "AssumedRole"}.get(kind, "IAMUser")
    who = {"type": identity, "arn": caller, "accountId": caller.split(":")[4]}
    details = {"userIdentity": who, "requestParameters": {"snapshotId": parameters["SnapshotId"]}}
    _append(action, str(parameters["SnapshotId"]), caller.rpartition("/")[2], now, details)


def record_use_of_share(world: WorldState, action: str, parameters: Mapping[str, Any], region: str, account_id: str) -> None:
    """Record a copy or a volume of another account's snapshot in that account."""
    from ministack.core.responses import request_scope

    event, parameter = OF_SHARES.get(action, ("", ""))
    snapshot_id, region = str(parameters.get(parameter) or ""), str(parameters.get("SourceRegion") or region)
    owner = world.shared_snapshots.get(region, {}).get(snapshot_id, account_id)
    if owner == account_id:
        return
    used_by = {"type": "AWSAccount", "accountId": account_id, "invokedBy": "ec2.amazonaws.com"}
    details = {"userIdentity": used_by, "eventType": "AwsServiceEvent", "serviceEventDetails": {"snapshotId": snapshot_id}}
    with request_scope(owner, region):
        _append(event, snapshot_id, account_id, world.now(), details)


def _append(name: str, snapshot_id: str, user_name: str, now: float, details: Mapping[str, Any]) -> None:
    from ministack.core.responses import get_region
    from ministack.services import cloudtrail

    detail = {
        "eventVersion": "1.11",
        "eventTime": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": get_region(),
        **details,
    }
    event = {
        "EventId": str(uuid.uuid4()),
        "EventName": name,
        "EventSource": "ec2.amazonaws.com",
        "EventTime": now,
        "Username": user_name,
        "ReadOnly": "false",
        "Resources": [{"ResourceType": "AWS::EC2::Snapshot", "ResourceName": snapshot_id}],
        "CloudTrailEvent": json.dumps(detail),
    }
    cloudtrail._get_event_queue().append(event)
