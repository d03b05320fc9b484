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


def published(installation: Installation) -> str:
    """The text of all messages about signals."""
    messages = installation.aws.inbox(installation.outputs["primary"]["TopicArn"])
    return "\n".join(message["body"] for message in messages if "Signal" in message["subject"])


def held(installation: Installation) -> str:
    """The notices of signals that wait for the digest, seen without taking them."""
    url = installation.outputs["primary"]["NoticesQueueUrl"]
    answer = installation.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    notices = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
    return "\n".join(f"{one['subject']} ({one['detail']})" for one in notices if not one.get("published"))


def kept(installation: Installation) -> str:
    """The names of the signals that are kept to be listed."""
    bucket = installation.outputs["primary"]["ReportsBucketName"]
    listed = installation.client("s3").list_objects_v2(Bucket=bucket, Prefix="signals/")
    return "\n".join(item["Key"] for item in listed.get("Contents", []))


def test_calls_of_others_are_notified_and_own_calls_are_not(recorded: Installation) -> None:
    snapshot_id = recorded.snapshot(recorded.volume(Backup="gold"))
    copy = recorded.copied(snapshot_id)
    wait_for(lambda: recorded.tags_of(snapshot_id).get("snapkeep:managed"))
    user = recorded.client("iam").create_user(UserName="mallory")["User"]["Arn"]
    key = recorded.client("iam").create_access_key(UserName="mallory")["AccessKey"]
    ec2 = recorded.aws.client_of("ec2", PRIMARY, key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(ClientError):
        ec2.delete_snapshot(SnapshotId=snapshot_id)
    recorded.client("ec2").delete_tags(Resources=[snapshot_id], Tags=[{"Key": "snapkeep:managed"}])
    recorded.client("ec2").create_tags(Resources=[snapshot_id], Tags=[{"Key": "Name", "Value": "of no concern"}])
    recorded.client("lambda").put_function_concurrency(FunctionName="CountSnapshots", ReservedConcurrentExecutions=0)
    recorded.client("lambda").delete_function_concurrency(FunctionName="CountSnapshots")
    recorded.client("ssm").put_parameter(Name="/snapkeep/of-no-use", Value="{}", Type="String")
    recorded.client("ssm").delete_parameter(Name="/snapkeep/of-no-use")
    recorded.client("ec2").delete_snapshot(SnapshotId=snapshot_id)
    recorded.client("cloudtrail").stop_logging(Name="audit")
    expected = {
        f"DeleteSnapshot (the record names no object) (attempt, Client.UnauthorizedOperation; by {user} from 127.0.0.1",
        *(
            f"{subject} (by arn:aws:iam::{recorded.account_id}:root from 127.0.0.1"
            for subject in (
                f"DeleteTags {snapshot_id}",
                f"DeleteSnapshot {snapshot_id}",
                "PutFunctionConcurrency CountSnapshots",
                "PutParameter /snapkeep/of-no-use",
                "DeleteParameter /snapkeep/of-no-use",
                "StopLogging audit",
            )
        ),
    }
    texts: set[str] = set()

    def all_there() -> bool:
        texts.update((held(recorded) + "\n" + published(recorded)).splitlines())
        return all(any(one in text for text in texts) for one in expected)

    wait_for(all_there)
    recorded.client("lambda").invoke(FunctionName="Digest", Payload=b"{}")
    wait_for(lambda: "StopLogging" in published(recorded) or "Delete" in published(recorded))
    everything = "\n".join(texts)
    assert "assumed-role" not in everything, "the calls of Snapkeep's own roles are no signals"
    assert "CreateTags" not in everything
    assert copy["SnapshotId"] not in everything
    wait_for(lambda: "-StopLogging-" in kept(recorded))
