"""CloudTrail's events of calls, as EventBridge delivers them, in the form of the CloudTrail user guide ("record contents")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.real_system import RealSystem

ACCOUNT = "123456789012"
MALLORY = f"arn:aws:iam::{ACCOUNT}:user/mallory"
SNAPSHOT = "snap-0123456789abcdef0"
REQUESTS: Mapping[str, tuple[str, str, Any]] = {
    "DeleteSnapshot": ("ec2", "DeleteSnapshot", {"snapshotId": SNAPSHOT, "force": False}),
    # Newer calls of EC2 are recorded with the API's own spelling, under the request's name.
    "UnlockSnapshot": ("ec2", "UnlockSnapshot", {"UnlockSnapshotRequest": {"SnapshotId": SNAPSHOT}}),
    "LockSnapshot": (
        "ec2",
        "LockSnapshot",
        {"LockSnapshotRequest": {"SnapshotId": SNAPSHOT, "LockMode": "governance", "LockDuration": 1}},
    ),
    "ModifySnapshotAttribute": (
        "ec2",
        "ModifySnapshotAttribute",
        {"snapshotId": SNAPSHOT, "createVolumePermission": {"add": {"items": [{"group": "all"}]}}},
    ),
    "DisableSnapshotBlockPublicAccess": ("ec2", "DisableSnapshotBlockPublicAccess", {}),
    "CreateTags": (
        "ec2",
        "CreateTags",
        {
            "resourcesSet": {"items": [{"resourceId": SNAPSHOT}]},
            "tagSet": {"items": [{"key": "Name", "value": "x"}, {"key": "snapkeep:policy", "value": "short"}]},
        },
    ),
    "DeleteTags": (
        "ec2",
        "DeleteTags",
        {"resourcesSet": {"items": [{"resourceId": SNAPSHOT}]}, "tagSet": {"items": [{"key": "snapkeep:managed"}]}},
    ),
    "DeleteTags of all": ("ec2", "DeleteTags", {"resourcesSet": {"items": [{"resourceId": SNAPSHOT}]}, "tagSet": {}}),
    "ScheduleKeyDeletion": ("kms", "ScheduleKeyDeletion", {"keyId": "key-1", "pendingWindowInDays": 7}),
    "DisableKey": ("kms", "DisableKey", {"keyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/key-1"}),
    "PutKeyPolicy": ("kms", "PutKeyPolicy", {"keyId": "key-1", "policyName": "default"}),
    "DeleteRule of Recycle Bin": ("rbin", "DeleteRule", {"identifier": "pwxIkFcvge4"}),
    "UnlockRule": ("rbin", "UnlockRule", {"identifier": "pwxIkFcvge4"}),
    "DeleteStack": ("cloudformation", "DeleteStack", {"stackName": "snapkeep-primary"}),
    "DisableRule": ("events", "DisableRule", {"name": "snapkeep-primary-SnapshotEnded-1ABCDEF"}),
    "DeleteRule": ("events", "DeleteRule", {"name": "snapkeep-primary-SnapshotEnded-1ABCDEF"}),
    "RemoveTargets": ("events", "RemoveTargets", {"rule": "snapkeep-primary-SnapshotEnded-1ABCDEF", "ids": ["Protect"]}),
    "PutFunctionConcurrency": (
        "lambda",
        "PutFunctionConcurrency20171031",
        {"functionName": "TagSnapshots", "reservedConcurrentExecutions": 0},
    ),
    "PutParameter": ("ssm", "PutParameter", {"name": "/snapkeep/policy", "value": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
    "DeleteParameter": ("ssm", "DeleteParameter", {"name": "/snapkeep/policy"}),
    "DeleteParameters": ("ssm", "DeleteParameters", {"names": ["/x", "/snapkeep/policy"]}),
    "StopLogging": ("cloudtrail", "StopLogging", {"name": "audit"}),
    "DeleteTrail": ("cloudtrail", "DeleteTrail", {"name": "audit"}),
}
"""Service, event name and request parameters of each call that becomes a signal."""
USER = {"type": "IAMUser", "arn": MALLORY, "accountId": ACCOUNT, "userName": "mallory"}
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}


def session(role: str, name: str = "session") -> dict[str, Any]:
    """Return the identity of a role's session."""
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "userName": role}},
    }


def called(request: str, identity: Mapping[str, Any] = USER, **detail: Any) -> dict[str, Any]:
    """Return the event of a call in `REQUESTS`; `detail` replaces fields of its record."""
    service, name, parameters = REQUESTS[request]
    return {
        "version": "0",
        "id": "11112222-3333-4444-5555-666677778888",
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{service}",
        "account": ACCOUNT,
        "region": "us-east-1",
        "time": "2026-11-30T02:00:05Z",
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": dict(identity),
            "eventTime": "2026-11-30T02:00:00Z",
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "sourceIPAddress": "203.0.113.5",
            "requestParameters": parameters,
            "managementEvent": True,
            "readOnly": False,
            **detail,
        },
    }


HOLDING: dict[str, dict[str, Any]] = {stack: {"DigestQuietSeconds": 0, "HoldOnSignals": "yes"} for stack in ("primary", "dr")}
"""Parameters of stacks that grave signals put on hold."""


def calls_by_others(system: RealSystem) -> None:
    """A person deletes a snapshot that no sweep has listed, in each region, and the digests run."""
    system.protect(system.make_volume(Name="database"))
    for stack in HOLDING:
        system.invoke(stack, "Signal", {"Records": [{"messageId": "1", "body": json.dumps(called("DeleteSnapshot"))}]})
        system.invoke(stack, "Digest", {})
