"""Stories of the deployed functions under a policy document."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3

from snapkeep.domain.policy.document import to_document
from snapkeep.domain.policy.model import CopyRule, LockMode, LockRule, Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.domain.policy.scripts import Script
from support.real_system import REGIONS, RealSystem


def push(document: str) -> None:
    """Put a policy document into both regions."""
    for region in REGIONS.values():
        boto3.client("ssm", region_name=region).put_parameter(
            Name="/snapkeep/policy", Value=document, Type="String", Overwrite=True
        )


def push_policy(**parts: Any) -> None:
    """Put a policy for every volume into both regions."""
    rule = CopyRule(REGIONS["dr"], copy_within=timedelta(hours=6), retention=Retention(keep_last=1), completion="auto")
    policy = replace(Policy("all", Selector(), Retention(keep_last=7), (rule,)), **parts)
    push(json.dumps(to_document(PolicySet((policy,)))))


def one_copy_of_three_snapshots(system: RealSystem) -> None:
    """Protect three snapshots of one day, under a policy that copies one of them."""
    rule = CopyRule(REGIONS["dr"], copy_within=timedelta(hours=6), retention=Retention(keep_last=1), every=timedelta(days=1))
    push_policy(copies=(rule,))
    volume_id = system.make_volume()
    for _ in range(3):
        system.protect(volume_id)


def snapshots_that_are_made(system: RealSystem) -> None:
    """Let the system make a snapshot of a volume, and a set of an instance's two between commands; protect another one."""
    push_policy(snapshots=SnapshotRule(every=timedelta(days=1)), before=Script("freeze"), after=Script("thaw"))
    for document in ("freeze", "thaw"):
        system.client("ssm", REGIONS["primary"]).create_document(Name=document, Content="{}")
    volume_id = system.make_volume()
    mappings = [{"DeviceName": name, "Ebs": {"VolumeSize": 8}} for name in ("/dev/xvda", "/dev/xvdb")]
    request = {"ImageId": "ami-0abcdef1234567890", "IamInstanceProfile": {"Name": "agent"}, "BlockDeviceMappings": mappings}
    system.ec2("primary").run_instances(MinCount=1, MaxCount=1, **request)
    system.settle()
    system.advance(60)  # the agent connects
    system.invoke("primary", "MakeSnapshots", {})
    system.settle()
    # How it is copied depends on what changed since the first one.
    system.protect(volume_id)


def snapshots_that_are_locked(system: RealSystem) -> None:
    """Protect a volume under a policy that locks, and look at pending copies under a document that cannot be read."""
    lock = LockRule(LockMode.COMPLIANCE, timedelta(days=1), timedelta(hours=24))
    push_policy(copies=(CopyRule(REGIONS["dr"], lock=lock),), lock=replace(lock, mode=LockMode.GOVERNANCE, cool_off=timedelta(0)))
    snapshot_id = system.ec2("primary").create_snapshot(VolumeId=system.make_volume())["SnapshotId"]
    system.let_pass(480)
    locks = [lock for stack in REGIONS for lock in system.ec2(stack).describe_locked_snapshots()["Snapshots"]]
    assert [lock["LockState"] for lock in locks] == ["governance", "compliance-cooloff"]
    push("{policies")
    system.advance(61)  # the policies in force are read once a minute
    for stack in REGIONS:
        system.invoke(stack, "LockSnapshots", {"snapshots": [snapshot_id]})
        system.invoke(stack, "Digest", {})
