"""KMS keys in the embedded AWS: aliases are authorized on their keys, and keys of a world file are in KMS."""

from __future__ import annotations

from typing import Any

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import Builder, statement

CALLING = """
import boto3, botocore

def handler(event, context):
    try:
        return boto3.client("kms").describe_key(KeyId=event["key"])["KeyMetadata"]["Arn"]
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""
WORLD = {
    "version": 1,
    "keys": [
        {"region": "us-east-1", "alias": "alias/of-the-world"},
        {"region": "us-east-1", "alias": "alias/off", "state": "Disabled"},
    ],
}


def key_with_alias(build: Builder) -> str:
    kms = build.client("kms")
    arn = str(kms.create_key()["KeyMetadata"]["Arn"])
    kms.create_alias(AliasName="alias/copies", TargetKeyId=arn)
    return arn


def test_a_call_that_names_an_alias_is_authorized_on_its_key(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    arn = key_with_alias(build)
    build.function("Describing", CALLING, statement("kms:DescribeKey", f"arn:aws:kms:us-east-1:{account_id}:key/*"))
    managed = build.invoke("Describing", {"key": "alias/aws/ebs"})
    assert managed.startswith(f"arn:aws:kms:us-east-1:{account_id}:key/")
    assert build.invoke("Describing", {"key": "alias/copies"}) == arn
    assert build.invoke("Describing", {"key": f"arn:aws:kms:us-east-1:{account_id}:alias/copies"}) == arn


def test_a_permission_on_an_alias_grants_nothing_on_its_key(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    key_with_alias(build)
    build.function("Describing", CALLING, statement("kms:DescribeKey", f"arn:aws:kms:us-east-1:{account_id}:alias/*"))
    assert build.invoke("Describing", {"key": "alias/copies"}) == "AccessDeniedException"


def test_keys_of_a_world_file_are_in_kms() -> None:
    with EmbeddedAws(world_document=WORLD) as aws:
        kms = aws.client("kms")
        metadata: dict[str, Any] = kms.describe_key(KeyId="alias/of-the-world")["KeyMetadata"]
        assert (
            kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=metadata["Arn"], Plaintext=b"text")["CiphertextBlob"])["Plaintext"]
            == b"text"
        )
        assert kms.describe_key(KeyId="alias/off")["KeyMetadata"]["KeyState"] == "Disabled"
        volume = aws.client("ec2").create_volume(
            AvailabilityZone="us-east-1a", Size=1, Encrypted=True, KmsKeyId="alias/of-the-world"
        )
        assert volume["KmsKeyId"] == metadata["Arn"]
