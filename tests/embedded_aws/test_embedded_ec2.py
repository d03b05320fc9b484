"""EC2 and the EBS direct API of the embedded AWS over the wire, with IAM asked as AWS asks it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import Builder, statement, wait_for

CALLING = """
import boto3, botocore

def handler(event, context):
    client = boto3.client(event.get("service", "ec2"), region_name=event.get("region", "us-east-1"))
    try:
        answer = getattr(client, event["operation"])(**event["parameters"])
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"] + ": " + error.response["Error"]["Message"]
    return {key: value for key, value in answer.items() if isinstance(value, (str, bool))}
"""


@pytest.fixture
def build(embedded: EmbeddedAws, account_id: str) -> Builder:
    return Builder(embedded, account_id)


def call(build: Builder, operation: str, **parameters: object) -> str:
    return str(build.invoke("Calling", {"operation": operation, "parameters": parameters}))


def test_a_snapshot_is_made_tagged_listed_copied_and_deleted(build: Builder) -> None:
    ec2, dr = build.client("ec2"), build.aws.client("ec2", "us-east-2", build.account_id)
    volume_id = build.volume(2, Name="a <b> & c")
    snapshot_id = build.snapshot(volume_id, Backup="gold")
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:Backup", "Values": ["gold"]}])["Snapshots"]
    assert (snapshot["SnapshotId"], snapshot["VolumeSize"], snapshot["State"]) == (snapshot_id, 2, "completed")
    copy_id = dr.copy_snapshot(
        SourceRegion="us-east-1",
        SourceSnapshotId=snapshot_id,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "origin", "Value": snapshot_id}]}],
    )["SnapshotId"]
    copy = Builder(build.aws, build.account_id, "us-east-2").completed(copy_id)
    assert (copy["Tags"], copy["VolumeId"] == volume_id) == ([{"Key": "origin", "Value": snapshot_id}], False)
    ec2.delete_snapshot(SnapshotId=snapshot_id)
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[snapshot_id])


def test_pages_are_followed_by_the_paginator(build: Builder) -> None:
    volume_ids = [build.volume() for _ in range(6)]
    for volume_id in volume_ids:
        build.snapshot(volume_id)
    pages = list(
        build.client("ec2").get_paginator("describe_snapshots").paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 5})
    )
    assert [len(page["Snapshots"]) for page in pages] == [5, 1]


def test_unknown_parameters_and_wrong_values_get_ec2_s_error_codes(build: Builder) -> None:
    session = boto3.session.Session()
    ec2 = session.client(
        "ec2",
        endpoint_url=build.aws.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=build.account_id,
        aws_secret_access_key=build.aws.server.secret,
        config=boto3.session.Config(parameter_validation=False),
    )
    ec2.meta.events.register("before-call.ec2.DescribeSnapshots", lambda params, **_: params["body"].update({"Colour": "red"}))
    with pytest.raises(ClientError, match="UnknownParameter"):
        ec2.describe_snapshots(OwnerIds=["self"])
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.create_volume(AvailabilityZone="us-east-1a", Size="big")
    with pytest.raises(ClientError, match="MissingParameter"):
        ec2.create_snapshot()


def test_the_emulator_answers_actions_on_networks(build: Builder) -> None:
    assert build.client("ec2").describe_vpcs()["Vpcs"]


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("reboot_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
        ("get_console_output", {"InstanceId": "i-0123456789abcdef0"}),
        ("describe_import_snapshot_tasks", {}),
        ("describe_fast_launch_images", {}),
        ("describe_spot_price_history", {}),
    ],
)
def test_an_action_that_the_model_lacks_is_an_error(build: Builder, call: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=r"InvalidAction.*The embedded AWS has no action"):
        getattr(build.client("ec2"), call)(**parameters)


def test_blocks_of_a_snapshot_are_read_over_the_direct_api(build: Builder) -> None:
    snapshot_id = build.snapshot(build.volume(1))
    ebs = build.client("ebs")
    listing = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)
    assert (listing["VolumeSize"], listing["BlockSize"]) == (1, 524288)
    for block in listing["Blocks"][:1]:
        read = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=block["BlockIndex"], BlockToken=block["BlockToken"])
        assert len(read["BlockData"].read()) == read["DataLength"] == 524288
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        ebs.list_snapshot_blocks(SnapshotId="snap-0123456789abcdef0")


def test_a_role_deletes_only_snapshots_with_its_policy_s_tag(build: Builder) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/snapkeep:managed": "snapkeep"}}
    build.function("Calling", CALLING, statement("ec2:DeleteSnapshot", "arn:aws:ec2:us-east-1::snapshot/*", **condition))
    volume_id = build.volume()
    managed = build.snapshot(volume_id, **{"snapkeep:managed": "snapkeep"})
    other = build.snapshot(build.volume())
    assert call(build, "delete_snapshot", SnapshotId=other).startswith("UnauthorizedOperation")
    assert call(build, "delete_snapshot", SnapshotId=managed) == "{}"
    assert [item["SnapshotId"] for item in build.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [other]


def test_a_snapshot_arn_with_an_account_in_it_grants_nothing(build: Builder) -> None:
    build.function("Calling", CALLING, statement("ec2:DeleteSnapshot", f"arn:aws:ec2:us-east-1:{build.account_id}:snapshot/*"))
    assert call(build, "delete_snapshot", SnapshotId=build.snapshot(build.volume())).startswith("UnauthorizedOperation")


def test_tags_in_the_call_need_create_tags_for_that_call(build: Builder) -> None:
    create = statement("ec2:CreateSnapshot")
    tags = statement("ec2:CreateTags", "arn:aws:ec2:us-east-1::snapshot/*", StringEquals={"ec2:CreateAction": "CreateSnapshot"})
    build.function("Calling", CALLING, create)
    volume_id = build.volume()
    specifications = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
    refused = call(build, "create_snapshot", VolumeId=volume_id, TagSpecifications=specifications)
    assert refused.startswith("UnauthorizedOperation")
    assert "ec2:CreateTags" in refused
    iam = build.client("iam")
    iam.put_role_policy(RoleName="Calling-role", PolicyName="tags", PolicyDocument=_document(tags))
    assert "SnapshotId" in call(build, "create_snapshot", VolumeId=volume_id, TagSpecifications=specifications)
    (snapshot,) = build.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    alone = call(build, "create_tags", Resources=[snapshot["SnapshotId"]], Tags=[{"Key": "c", "Value": "d"}])
    assert alone.startswith("UnauthorizedOperation")


def test_a_copy_is_limited_by_the_tags_in_the_call(build: Builder) -> None:
    condition = {"StringEquals": {"aws:RequestTag/snapkeep:managed": "snapkeep"}}
    build.function("Calling", CALLING, statement(["ec2:CopySnapshot", "ec2:CreateTags"], **condition))
    snapshot_id = build.snapshot(build.volume())
    wrong = [{"ResourceType": "snapshot", "Tags": [{"Key": "snapkeep:managed", "Value": "other"}]}]
    right = [{"ResourceType": "snapshot", "Tags": [{"Key": "snapkeep:managed", "Value": "snapkeep"}]}]
    request = {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot_id}
    assert call(build, "copy_snapshot", **request, TagSpecifications=wrong).startswith("UnauthorizedOperation")
    assert "SnapshotId" in call(build, "copy_snapshot", **request, TagSpecifications=right)


def test_a_role_without_ebs_permissions_reads_no_blocks(build: Builder) -> None:
    build.function("Calling", CALLING)
    event = {"service": "ebs", "operation": "list_snapshot_blocks", "parameters": {"SnapshotId": build.snapshot(build.volume())}}
    assert str(build.invoke("Calling", event)).startswith("AccessDenied")


def test_a_disabled_key_fails_a_copy_later_and_is_named(build: Builder) -> None:
    kms, ec2 = build.client("kms"), build.client("ec2")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/dr", TargetKeyId=key["KeyId"])
    kms.disable_key(KeyId=key["KeyId"])
    snapshot_id = build.snapshot(build.volume())
    request = {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot_id, "Encrypted": True, "KmsKeyId": "alias/dr"}
    failed = build.completed(ec2.copy_snapshot(**request)["SnapshotId"])
    assert (failed["State"], failed["StateMessage"]) == ("error", "Given key ID is not accessible")
    kms.enable_key(KeyId=key["KeyId"])
    done = build.completed(ec2.copy_snapshot(**request)["SnapshotId"])
    assert (done["State"], done["KmsKeyId"]) == ("completed", key["Arn"])


def test_a_copy_fails_if_the_role_lacks_the_key_s_permissions(build: Builder) -> None:
    key = build.client("kms").create_key()["KeyMetadata"]
    build.function("Calling", CALLING, statement("ec2:CopySnapshot"))
    snapshot_id = build.snapshot(build.volume())
    request = {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot_id, "Encrypted": True, "KmsKeyId": key["Arn"]}
    assert "SnapshotId" in call(build, "copy_snapshot", **request)
    ec2 = build.client("ec2")
    errors = wait_for(
        lambda: ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "status", "Values": ["error"]}])["Snapshots"]
    )
    assert errors[0]["StateMessage"] == "Given key ID is not accessible"


def test_the_aws_managed_key_is_described_as_such(build: Builder) -> None:
    metadata = build.client("kms").describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    assert (metadata["KeyManager"], metadata["Enabled"]) == ("AWS", True)


def test_accounts_do_not_see_each_other(build: Builder) -> None:
    build.snapshot(build.volume())
    stranger = build.aws.client("ec2", "us-east-1", "999999999999")
    assert stranger.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def _document(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
