"""Stories of the deployed functions under a policy document."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3

from snapkeep.domain.policy.document import to_document
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, SnapshotRule
from support.real_system import REGIONS, RealSystem


def push(document: str) -> None:
    """Put a policy document into both regions."""
    for region in REGIONS.values():
        boto3.client("ssm", region_name=region).put_parameter(Name="/snapkeep/policy", Value=document, Type="String")


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
    """Let the system make a snapshot of a volume, and a set of an instance's two; protect another one of the volume."""
    push_policy(snapshots=SnapshotRule(every=timedelta(days=1)))
    volume_id = system.make_volume()
    mappings = [{"DeviceName": name, "Ebs": {"VolumeSize": 8}} for name in ("/dev/xvda", "/dev/xvdb")]
    image = "ami-0abcdef1234567890"
    system.ec2("primary").run_instances(ImageId=image, MinCount=1, MaxCount=1, BlockDeviceMappings=mappings)
    system.settle()
    system.invoke("primary", "MakeSnapshots", {})
    system.settle()
    # How it is copied depends on what changed since the first one.
    system.protect(volume_id)
