"""Calls of others reach the topic by the deployed rule, queue and functions; Snapkeep's own calls do not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from support.deployment import PRIMARY, Installation
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")
BUCKET = "trail-of-signals"


@pytest.fixture
def recorded(installation: Installation) -> Iterator[Installation]:
    """The installation with a trail in its primary region."""
    installation.client("s3").create_bucket(Bucket=BUCKET)
    trail = installation.client("cloudtrail")
    trail.create_trail(Name="audit", S3BucketName=BUCKET)
    trail.start_logging(Name="audit")
    yield installation
    trail.delete_trail(Name="audit")
    installation.client("s3").delete_bucket(Bucket=BUCKET)


def signals(installation: Installation) -> str:
    """The text of all messages about signals, after a digest has run."""
    installation.client("lambda").invoke(FunctionName="Digest", Payload=b"{}")
    messages = installation.aws.inbox(installation.outputs["primary"]["TopicArn"])
    return "\n".join(message["body"] for message in messages if "Signal" in message["subject"])


def test_calls_of_others_are_notified_and_own_calls_are_not(recorded: Installation) -> None:
    snapshot_id = recorded.snapshot(recorded.volume(Backup="gold"))
    copy = recorded.copied(snapshot_id)
    assert recorded.tags_of(snapshot_id)["snapkeep:managed"] == "snapkeep"
    user = recorded.client("iam").create_user(UserName="mallory")["User"]["Arn"]
    key = recorded.client("iam").create_access_key(UserName="mallory")["AccessKey"]
    ec2 = recorded.aws.client_of("ec2", PRIMARY, key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(ClientError):
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    wait_for(lambda: "attempt, " in signals(recorded))
    recorded.client("ec2").delete_tags(Resources=[snapshot_id], Tags=[{"Key": "snapkeep:managed"}])
    recorded.client("ec2").create_tags(Resources=[snapshot_id], Tags=[{"Key": "Name", "Value": "of no concern"}])
    recorded.client("lambda").put_function_concurrency(FunctionName="TagSnapshots", ReservedConcurrentExecutions=0)
    recorded.client("lambda").delete_function_concurrency(FunctionName="TagSnapshots")
    recorded.client("ssm").put_parameter(Name="/snapkeep/policy", Value="{}", Type="String", Overwrite=True)
    recorded.client("ssm").delete_parameter(Name="/snapkeep/policy")
    recorded.client("ec2").delete_snapshot(SnapshotId=snapshot_id)
    recorded.client("cloudtrail").stop_logging(Name="audit")
    dead = {queue for queue in recorded.client("sqs").list_queues()["QueueUrls"] if "NoticesDeadLetters" in queue}
    held = f"by arn:aws:iam::{recorded.account_id}:root from 127.0.0.1"
    subjects = (
        f"DeleteTags {snapshot_id}",
        f"DeleteSnapshot {snapshot_id}",
        "StopLogging audit",
        "PutParameter /snapkeep/policy",
    )
    wait_for(lambda: all(subject in _held(recorded) + signals(recorded) for subject in subjects))
    text = _held(recorded) + signals(recorded)
    assert user in text
    assert held in text
    assert "PutFunctionConcurrency TagSnapshots" in text
    assert "assumed-role" not in text, "the calls of Snapkeep's own roles are no signals"
    assert "CreateTags" not in text
    assert copy["SnapshotId"] not in text
    assert _messages(recorded, *dead) == []


def _held(installation: Installation) -> str:
    """The notices that wait for the digest."""
    return "\n".join(_messages(installation, installation.outputs["primary"]["NoticesQueueUrl"]))


def _messages(installation: Installation, url: str) -> list[str]:
    answer = installation.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    notices = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
    return [f"{notice['subject']} {notice['detail']}" for notice in notices if not notice.get("published")]
