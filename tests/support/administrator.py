"""An administrator of production for an hour: forty documented calls against recovery points and their protection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

STRANGER = "999999999999"
OF_THE_MODEL = ("ec2", "kms")
"""Services that the model of EBS has; the others are there in the embedded AWS alone."""


class Answer(StrEnum):
    """The answer of AWS."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True)
class Targets:
    """The objects of the calls."""

    account: str
    vault_account: str
    regions: Mapping[str, str]
    """Of `primary`, `dr` and `vault`."""
    source: str
    volume: str
    plain: str
    """A copy in the DR region without a lock."""
    governed: str
    locked: str
    key: str
    """The customer managed key of the copies."""
    vault_copy: str
    vault_key: str
    names: Mapping[str, str] = field(default_factory=dict)
    """The objects that the stacks have made, by the names of the stacks' outputs."""

    def bus(self, account: str) -> str:
        return f"arn:aws:events:{self.regions['dr']}:{account}:event-bus/default"


@dataclass(frozen=True)
class AttackCall:
    """One call: its service and action, its object in words, its region, and its parameters."""

    service: str
    action: str
    of: str
    stack: str
    parameters: Callable[[Targets], dict[str, Any]]
    answer: Answer = Answer.DONE

    def answer_of(self, client: Any, targets: Targets) -> Answer:
        """Make the call, and return the answer."""
        try:
            answer = getattr(client, xform_name(self.action))(**self.parameters(targets))
        except ClientError:
            return Answer.REFUSED
        assert "FunctionError" not in answer, "a call that a function cannot read attacks nothing"
        return Answer.REFUSED if answer.get("FailedEntryCount") else Answer.DONE


def crafted_plan(targets: Targets) -> str:
    """A plan that deletes a volume's newest snapshot: as a call of DeleteOldSnapshots, and within the event that starts Protect."""
    order = {
        "snapshot_id": targets.source,
        "volume_id": targets.volume,
        "origin_start": "2026-01-01T00:00:00Z",
        "policy": "gold",
        "reasons": ["mine"],
        "kind": "retention",
    }
    counts = {"kept": 0, "deleted": 1}
    plan = {"plan_id": "mine", "made_at": "2026-01-01T00:00:00Z", "counts": counts, "delete": [order], "problems": []}
    region = targets.regions["primary"]
    detail = {
        "event": "createSnapshot",
        "result": "succeeded",
        "snapshot_id": f"arn:aws:ec2::{region}:snapshot/{targets.source}",
        "source": f"arn:aws:ec2::{region}:volume/{targets.volume}",
    }
    event = {"source": "aws.ec2", "detail-type": "EBS Snapshot Notification", "region": region, "detail": detail}
    return json.dumps({"plan": plan, **event})


def _event(source: str, bus: str, targets: Targets) -> dict[str, Any]:
    detail = {"snapshot": targets.locked, "copy": targets.vault_copy, "result": "succeeded"}
    entry = {"Source": source, "DetailType": "Vault copy ended", "Detail": json.dumps(detail), "EventBusName": bus}
    return {"Entries": [entry]}


def _share(snapshot_id: str, operation: str = "add", **grantees: list[str]) -> dict[str, Any]:
    return {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission", "OperationType": operation, **grantees}


def _own_policy(account: str) -> str:
    principal = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


LOCKED = "a copy locked in compliance mode"
GOVERNED = "a copy locked in governance mode"
IN_VAULT = "a copy in the vault"
VAULT_KEY = "the vault's key"
KEY = "the key of the copies"
REFUSED = Answer.REFUSED
CALLS = (
    AttackCall("stepfunctions", "StartExecution", "Protect, with a crafted plan", "primary", lambda t: {"stateMachineArn": t.names["machine"], "input": crafted_plan(t)}),
    AttackCall("lambda", "Invoke", "DeleteOldSnapshots, with a crafted plan", "primary", lambda t: {"FunctionName": "DeleteOldSnapshots", "Payload": crafted_plan(t).encode()}),
    AttackCall("events", "PutEvents", "an event of `aws.ec2`", "dr", lambda t: _event("aws.ec2", "default", t), REFUSED),
    AttackCall("events", "PutEvents", "a forged word of the vault", "dr", lambda t: _event("snapkeep.vault", "default", t)),
    AttackCall("events", "PutEvents", "the vault's bus", "dr", lambda t: _event("snapkeep.vault", t.bus(t.vault_account), t), REFUSED),
    AttackCall("sts", "AssumeRole", "a role of the vault", "dr", lambda t: {"RoleArn": f"arn:aws:iam::{t.vault_account}:role/{t.names['vault role']}", "RoleSessionName": "me"}, REFUSED),
    AttackCall("ec2", "ModifySnapshotAttribute", f"{LOCKED}: shared with a stranger", "dr", lambda t: _share(t.locked, UserIds=[STRANGER])),
    AttackCall("ec2", "ModifySnapshotAttribute", f"{LOCKED}: made public", "dr", lambda t: _share(t.locked, GroupNames=["all"]), REFUSED),
    AttackCall("ec2", "ModifySnapshotAttribute", f"{LOCKED}: the vault's share taken back", "dr", lambda t: _share(t.locked, "remove", UserIds=[t.vault_account])),
    AttackCall("ec2", "DeleteTags", LOCKED, "dr", lambda t: {"Resources": [t.locked]}),
    AttackCall("ec2", "CreateTags", f"{LOCKED}: marked as wrong", "dr", lambda t: {"Resources": [t.locked], "Tags": [{"Key": "snapkeep:check", "Value": "wrong"}]}),
    AttackCall("ec2", "DeleteSnapshot", "a copy without a lock", "dr", lambda t: {"SnapshotId": t.plain}),
    AttackCall("ec2", "DeleteSnapshot", GOVERNED, "dr", lambda t: {"SnapshotId": t.governed}, REFUSED),
    AttackCall("ec2", "UnlockSnapshot", GOVERNED, "dr", lambda t: {"SnapshotId": t.governed}),
    AttackCall("ec2", "DeleteSnapshot", "the same copy, unlocked", "dr", lambda t: {"SnapshotId": t.governed}),
    AttackCall("ec2", "UnlockSnapshot", LOCKED, "dr", lambda t: {"SnapshotId": t.locked}, REFUSED),
    AttackCall("ec2", "LockSnapshot", f"{LOCKED}: for one day", "dr", lambda t: {"SnapshotId": t.locked, "LockMode": "compliance", "LockDuration": 1}, REFUSED),
    AttackCall("ec2", "LockSnapshot", f"{LOCKED}: in governance mode", "dr", lambda t: {"SnapshotId": t.locked, "LockMode": "governance", "LockDuration": 99}, REFUSED),
    AttackCall("ec2", "DeleteSnapshot", LOCKED, "dr", lambda t: {"SnapshotId": t.locked}, REFUSED),
    AttackCall("ec2", "ModifySnapshotTier", f"{LOCKED}: archived", "dr", lambda t: {"SnapshotId": t.locked, "StorageTier": "archive"}),
    AttackCall("ec2", "DeleteSnapshot", "a snapshot in the primary region", "primary", lambda t: {"SnapshotId": t.source}),
    AttackCall("ec2", "DeleteVolume", "the volume", "primary", lambda t: {"VolumeId": t.volume}),
    AttackCall("ec2", "DeleteSnapshot", IN_VAULT, "vault", lambda t: {"SnapshotId": t.vault_copy}, REFUSED),
    AttackCall("ec2", "UnlockSnapshot", IN_VAULT, "vault", lambda t: {"SnapshotId": t.vault_copy}, REFUSED),
    AttackCall("ec2", "CreateTags", IN_VAULT, "vault", lambda t: {"Resources": [t.vault_copy], "Tags": [{"Key": "snapkeep:managed", "Value": "x"}]}, REFUSED),
    AttackCall("ec2", "CopySnapshot", f"{IN_VAULT}: read", "vault", lambda t: {"SourceRegion": t.regions["vault"], "SourceSnapshotId": t.vault_copy}, REFUSED),
    AttackCall("kms", "PutKeyPolicy", f"{KEY}: without the vault", "dr", lambda t: {"KeyId": t.key, "PolicyName": "default", "Policy": _own_policy(t.account)}),
    AttackCall("kms", "DisableKey", KEY, "dr", lambda t: {"KeyId": t.key}),
    AttackCall("kms", "ScheduleKeyDeletion", KEY, "dr", lambda t: {"KeyId": t.key, "PendingWindowInDays": 7}),
    AttackCall("kms", "DisableKey", VAULT_KEY, "vault", lambda t: {"KeyId": t.vault_key}, REFUSED),
    AttackCall("kms", "ScheduleKeyDeletion", VAULT_KEY, "vault", lambda t: {"KeyId": t.vault_key}, REFUSED),
    AttackCall("ssm", "PutParameter", "the policy document: keep 1", "primary", lambda t: {"Name": t.names["document"], "Value": "{}", "Type": "String", "Overwrite": True}),
    AttackCall("ssm", "DeleteParameter", "the policy document", "dr", lambda t: {"Name": t.names["document"]}),
    AttackCall("dynamodb", "DeleteTable", "the queue of copies", "dr", lambda t: {"TableName": t.names["queue"]}),
    AttackCall("lambda", "PutFunctionConcurrency", "Dispatch: none", "dr", lambda t: {"FunctionName": "Dispatch", "ReservedConcurrentExecutions": 0}),
    AttackCall("events", "DisableRule", "the rule of copies that ended", "dr", lambda t: {"Name": t.names["rule"]}),
    AttackCall("iam", "PutRolePolicy", "the role of DeleteOldSnapshots: everything", "dr", lambda t: {"RoleName": t.names["role"], "PolicyName": "mine", "PolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})}),
    AttackCall("sqs", "PurgeQueue", "the notices", "dr", lambda t: {"QueueUrl": t.names["notices"]}),
    AttackCall("cloudformation", "DeleteStack", "the DR region's stack", "dr", lambda t: {"StackName": t.names["dr stack"]}),
    AttackCall("cloudformation", "DeleteStack", "the primary region's stack", "primary", lambda t: {"StackName": t.names["primary stack"]}),
)  # fmt: skip
