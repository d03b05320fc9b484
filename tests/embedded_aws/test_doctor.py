"""`snapkeep doctor` against the embedded AWS, whose every answer it reads over the wire; and `deploy`, which it can stop."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.documented_users import snapkeep
from support.stacks import Builder

PRIMARY, DR = "us-east-1", "us-east-2"
DR_KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:List*", "Resource": "*"}],
}


def checked(environment: dict[str, str], status: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Run the doctor and return its results by identifier and region."""
    ran = snapkeep(environment, "doctor", "--json")
    assert ran.returncode == status, ran.stdout + ran.stderr
    return {(result["id"], result["region"]): result for result in json.loads(ran.stdout)["checks"]}


def states(results: dict[tuple[str, str], dict[str, Any]], state: str) -> set[tuple[str, str]]:
    return {key for key, result in results.items() if result["state"] == state}


def test_the_doctor_sees_what_is_wrong_and_deploy_refuses(embedded: EmbeddedAws, account_id: str) -> None:
    environment = {**os.environ, **embedded.environment(PRIMARY, account_id)}
    settings = {(check, region) for check in ("public_access", "encryption_by_default", "cloudtrail") for region in (PRIMARY, DR)}
    fresh = checked(environment, 0)
    assert states(fresh, "warning") == settings | {("credentials", "")}
    assert states(fresh, "not_known") == set(), "the embedded AWS answers every question"

    for region in (PRIMARY, DR):
        ec2, trails = embedded.client("ec2", region, account_id), embedded.client("cloudtrail", region, account_id)
        ec2.enable_snapshot_block_public_access(State="block-all-sharing")
        ec2.enable_ebs_encryption_by_default()
        embedded.client("s3", PRIMARY, account_id).create_bucket(Bucket=f"trail-{account_id}-{region}")
        trails.create_trail(Name=f"trail-{region}", S3BucketName=f"trail-{account_id}-{region}")
        trails.start_logging(Name=f"trail-{region}")
    assert states(checked(environment, 0), "warning") == {("credentials", "")}

    builder = Builder(embedded, account_id, DR)
    for name in ("TagSnapshotCopy", "DeleteOldSnapshots"):
        builder.function(name, "def handler(event, context): pass")
    builder.client("logs").create_log_group(logGroupName="/aws/lambda/Dispatch")
    embedded.client("kms", DR, account_id).create_alias(
        AliasName="alias/dr",
        TargetKeyId=embedded.client("kms", DR, account_id).create_key(Policy=json.dumps(DR_KEY_POLICY))["KeyMetadata"]["KeyId"],
    )
    results = checked(environment, 1)
    assert states(results, "problem") == {("names_taken", DR)}
    assert ("aws_sample", DR) in states(results, "warning")
    for name in ("function TagSnapshotCopy", "function DeleteOldSnapshots", "log group /aws/lambda/Dispatch"):
        assert name in results["names_taken", DR]["text"]

    refused = snapkeep(environment, "deploy", "--yes", "--parameter", "DRKmsKey=alias/dr", "--dr-parameter", "CopyQuota=30")
    assert refused.returncode == 1
    assert "nothing was changed" in refused.stderr
    assert "--name" in refused.stderr
    assert "CopyQuota is 30, and EBS copies 20" in refused.stdout
    assert "does not admit the account's IAM policies" in refused.stdout
    for region in (PRIMARY, DR):
        assert embedded.client("cloudformation", region, account_id).describe_stacks()["Stacks"] == []


def test_a_user_without_permissions_gets_warnings_and_what_is_not_known(embedded: EmbeddedAws, account_id: str) -> None:
    iam = embedded.client("iam", PRIMARY, account_id)
    iam.create_user(UserName="reader")
    may = ["cloudformation:DescribeStacks", "iam:SimulatePrincipalPolicy", "ec2:DescribeRegions", "ec2:DescribeSnapshots"]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": may, "Resource": "*"}]}
    iam.put_user_policy(UserName="reader", PolicyName="reader", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    results = checked({**os.environ, **embedded.environment(PRIMARY, account_id), **credentials}, 0)
    assert {("deployer_permissions", PRIMARY), ("ec2_permissions", DR)} <= states(results, "warning")
    assert "lambda:CreateFunction" in results["deployer_permissions", PRIMARY]["text"]
    assert "ec2:DescribeSnapshots" not in results["ec2_permissions", DR]["text"]
    assert {("cloudtrail", DR), ("copy_quota", DR), ("public_access", PRIMARY)} <= states(results, "not_known")


def test_a_simulation_that_would_be_false_is_refused(embedded: EmbeddedAws, account_id: str) -> None:
    iam = embedded.client("iam", PRIMARY, account_id)
    iam.create_user(UserName="person")
    question: dict[str, Any] = {"PolicySourceArn": f"arn:aws:iam::{account_id}:user/person", "ActionNames": ["s3:GetObject"]}
    assert iam.simulate_principal_policy(**question)["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.simulate_principal_policy(**question | {"PolicySourceArn": f"arn:aws:iam::{account_id}:role/nobody"})
    with pytest.raises(ClientError, match=r"does not simulate ResourceArns\.member\.2"):
        iam.simulate_principal_policy(**question, ResourceArns=["arn:aws:s3:::a", "arn:aws:s3:::b"])
