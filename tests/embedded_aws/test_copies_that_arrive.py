"""Thirty snapshots that complete together, a quota of five, IAM enforced: all arrive. With a disabled key: one notice each.

Two systems live in one account and share its quota: each governs the volumes of one tag value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, Quiet
from support.embedded import FAST_WORLD
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("copies")

ACCOUNT = "300000000001"
COUNT, QUOTA = 30, 5
FEW_BLOCKS_GIB = 0.002
"""Every copy is compared: with full volumes, that would be most of the work."""
WORLD = {
    **FAST_WORLD,
    "account": ACCOUNT,
    "volumes": [
        {"name": kind, "count": COUNT, "region": PRIMARY, "size_gib": 1, "used_gib": FEW_BLOCKS_GIB, "tags": {"Disk": kind}}
        for kind in ("plain", "keyed")
    ],
}


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(world_document=WORLD) as started:
        yield started


def deploy(aws: EmbeddedAws, suffix: str, primary: dict[str, str]) -> dict[str, dict[str, str]]:
    clients: dict[tuple[str, str], Any] = {}

    def client(service: str, region: str) -> Any:
        return clients.setdefault((service, region), aws.client(service, region, ACCOUNT))

    common = {"DigestQuietSeconds": "0"}
    deployment = Deployment(DeploymentTarget(client, PRIMARY, DR, suffix), Quiet())  # type: ignore[arg-type]
    deployed = deployment.deploy(primary | common, {"CopyQuota": str(QUOTA), "Retention": "1"} | common)
    return {result.region: dict(result.outputs) for result in deployed.stacks}


def snapshots_of(aws: EmbeddedAws, kind: str) -> list[str]:
    """Make a snapshot of every volume of a kind, at the pace that EC2 allows."""
    ec2 = aws.client("ec2", PRIMARY, ACCOUNT)
    volumes = ec2.describe_volumes(Filters=[{"Name": "tag:Disk", "Values": [kind]}])["Volumes"]
    assert len(volumes) == COUNT
    return [ec2.create_snapshot(VolumeId=volume["VolumeId"])["SnapshotId"] for volume in volumes]


def ended_executions(aws: EmbeddedAws, machine: str, region: str, count: int) -> list[dict[str, Any]]:
    client = aws.client("stepfunctions", region, ACCOUNT)

    def all_ended() -> list[dict[str, Any]]:
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine)
        listed = [execution for page in pages for execution in page["executions"]]
        ended = [execution for execution in listed if execution["status"] != "RUNNING"]
        return ended if len(ended) == len(listed) and len(ended) >= count else []

    return list(wait_for(all_ended))


def most_at_once(copies: list[dict[str, Any]]) -> int:
    """Return the largest number of copies in progress at once, by EC2's own start and completion times."""
    moments: list[tuple[datetime, int]] = []
    for copy in copies:
        moments += [(copy["StartTime"], 1), (copy["CompletionTime"], -1)]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def test_thirty_snapshots_that_complete_together_all_arrive_within_the_quota(aws: EmbeddedAws) -> None:
    outputs = deploy(aws, "", {"tagKeyValue": "Disk=plain"})
    snapshots = snapshots_of(aws, "plain")
    protects = ended_executions(aws, outputs[PRIMARY]["StateMachineArn"], PRIMARY, COUNT)
    receives = ended_executions(aws, outputs[DR]["StateMachineArn"], DR, COUNT)
    assert {execution["status"] for execution in protects + receives} == {"SUCCEEDED"}
    pages = aws.client("ec2", DR, ACCOUNT).get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
    copies = [copy for page in pages for copy in page["Snapshots"]]
    sources = [tag["Value"] for copy in copies for tag in copy["Tags"] if tag["Key"] == "snapkeep:source-snapshot"]
    assert sorted(sources) == sorted(snapshots), "one copy of each, and none twice"
    assert {copy["State"] for copy in copies} == {"completed"}
    assert 2 <= most_at_once(copies) <= QUOTA


def test_a_disabled_key_fails_thirty_copies_and_one_message_notifies(aws: EmbeddedAws) -> None:
    kms = aws.client("kms", DR, ACCOUNT)
    key = kms.create_key(Description="of copies")["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    outputs = deploy(aws, "-keyed", {"tagKeyValue": "Disk=keyed", "DRKmsKey": key})
    rest_digests(aws)
    snapshots_of(aws, "keyed")
    sfn = aws.client("stepfunctions", PRIMARY, ACCOUNT)
    protects = ended_executions(aws, outputs[PRIMARY]["StateMachineArn"], PRIMARY, COUNT)
    failed = [
        sfn.describe_execution(executionArn=execution["executionArn"])
        for execution in protects
        if execution["status"] == "FAILED"
    ]
    assert len(failed) == COUNT
    assert all(
        execution["error"] == "CopyFailed" and key in execution["cause"] and "Disabled" in execution["cause"]
        for execution in failed
    )
    assert digest(aws) == 1
    assert digest(aws) == 0
    (message,) = notices_of_failures(aws, outputs[PRIMARY]["TopicArn"])
    assert message["subject"] == f"snapkeep-keyed: CopyFailed ({COUNT} times) in {PRIMARY}"
    assert f"Concerns {COUNT}, of which 10:" in message["body"]
    assert "Disabled" in message["body"]
    assert notices_of_failures(aws, outputs[DR]["TopicArn"]) == [], "the waiting run was answered; no other notice is needed"


def rest_digests(aws: EmbeddedAws) -> None:
    """Let no digest run while failures come in, however slowly: that digests wait for quiet is shown in virtual time."""
    events = aws.client("events", PRIMARY, ACCOUNT)
    for rule in events.list_rules()["Rules"]:
        if "Digest" in rule["Name"]:
            events.disable_rule(Name=rule["Name"])


def digest(aws: EmbeddedAws) -> int:
    """Let the digest run once; return how many messages it published."""
    answer = aws.client("lambda", PRIMARY, ACCOUNT).invoke(FunctionName="Digest-keyed", Payload=b"{}")
    return int(json.loads(answer["Payload"].read())["messages"])


def notices_of_failures(aws: EmbeddedAws, topic: str) -> list[dict[str, Any]]:
    return [message for message in aws.inbox(topic) if "CopyFailed" in message["subject"]]
