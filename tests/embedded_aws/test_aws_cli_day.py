"""A day with the AWS CLI against the embedded AWS, by hand: no test double, no SDK of ours in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.patience import COMMAND_SECONDS
from support.stacks import wait_for

AWS = Path(sys.executable).parent / "aws"


class Cli:
    """The `aws` command, as one account."""

    def __init__(self, aws: EmbeddedAws, account_id: str) -> None:
        self._environment = {**os.environ, **aws.environment("us-east-1", account_id), "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}

    def __call__(self, *words: str, region: str = "us-east-1") -> Any:
        done = self.run(*words, region=region)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def refused(self, *words: str, region: str = "us-east-1") -> str:
        done = self.run(*words, region=region)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def run(self, *words: str, region: str) -> subprocess.CompletedProcess[str]:
        command = [str(AWS), "ec2", *words, "--region", region, "--output", "json"]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )


@pytest.fixture
def cli(embedded: EmbeddedAws, account_id: str) -> Cli:
    return Cli(embedded, account_id)


def test_a_day_in_the_life_of_a_volume(cli: Cli) -> None:
    tags = "ResourceType=volume,Tags=[{Key=Name,Value='data, of today'},{Key=Backup,Value=gold}]"
    volume = cli("create-volume", "--size", "2", "--availability-zone", "us-east-1a", "--tag-specifications", tags)["VolumeId"]
    cli("wait", "volume-available", "--volume-ids", volume)
    (described,) = cli("describe-volumes", "--filters", "Name=tag:Backup,Values=gold")["Volumes"]
    assert (described["VolumeId"], described["Size"]) == (volume, 2)

    snapshots = []
    for number in range(3):
        snapshots.append(cli("create-snapshot", "--volume-id", volume, "--description", f"number {number}")["SnapshotId"])
        cli("wait", "snapshot-completed", "--snapshot-ids", snapshots[-1])
    own = (
        "describe-snapshots",
        "--owner-ids",
        "self",
        "--filters",
        f"Name=volume-id,Values={volume}",
        "Name=status,Values=completed",
    )
    assert {snapshot["SnapshotId"] for snapshot in cli(*own)["Snapshots"]} == set(snapshots)
    first_page = cli(*own[:3], "--max-results", "5", "--no-paginate")
    assert {snapshot["SnapshotId"] for snapshot in first_page["Snapshots"]} == set(snapshots)

    oldest, middle, newest = snapshots
    cli("create-tags", "--resources", oldest, middle, "--tags", "Key=keep,Value=yes")
    assert {
        snapshot["SnapshotId"] for snapshot in cli("describe-snapshots", "--filters", "Name=tag:keep,Values=yes")["Snapshots"]
    } == {
        oldest,
        middle,
    }
    cli("delete-tags", "--resources", middle, "--tags", "Key=keep")
    assert [
        snapshot["SnapshotId"] for snapshot in cli("describe-snapshots", "--filters", "Name=tag-key,Values=keep")["Snapshots"]
    ] == [oldest]

    tags = f"ResourceType=snapshot,Tags=[{{Key=origin,Value={newest}}}]"
    copy = cli(
        *("copy-snapshot", "--source-region", "us-east-1", "--source-snapshot-id", newest, "--tag-specifications", tags),
        region="us-east-2",
    )["SnapshotId"]
    cli("wait", "snapshot-completed", "--snapshot-ids", copy, region="us-east-2")
    (copied,) = cli("describe-snapshots", "--snapshot-ids", copy, region="us-east-2")["Snapshots"]
    assert (copied["State"], copied["VolumeSize"], copied["Tags"]) == ("completed", 2, [{"Key": "origin", "Value": newest}])

    cli("lock-snapshot", "--snapshot-id", oldest, "--lock-mode", "governance", "--lock-duration", "1")
    (lock,) = cli("describe-locked-snapshots", "--snapshot-ids", oldest)["Snapshots"]
    assert lock["LockState"] == "governance"
    assert "locked" in cli.refused("delete-snapshot", "--snapshot-id", oldest).lower()
    cli("unlock-snapshot", "--snapshot-id", oldest)
    cli("delete-snapshot", "--snapshot-id", oldest)
    assert "InvalidSnapshot.NotFound" in cli.refused("describe-snapshots", "--snapshot-ids", oldest)

    image = cli(
        *("register-image", "--name", "of the newest", "--root-device-name", "/dev/sda1"),
        *("--block-device-mappings", f"DeviceName=/dev/sda1,Ebs={{SnapshotId={newest}}}"),
    )["ImageId"]
    assert "InvalidSnapshot.InUse" in cli.refused("delete-snapshot", "--snapshot-id", newest)
    assert image in cli.refused("delete-snapshot", "--snapshot-id", newest)
    cli("deregister-image", "--image-id", image)
    assert "DryRunOperation" in cli.refused("delete-snapshot", "--snapshot-id", newest, "--dry-run")
    cli("delete-snapshot", "--snapshot-id", newest)

    cli("delete-volume", "--volume-id", volume)
    wait_for(lambda: cli("describe-volumes", "--filters", f"Name=volume-id,Values={volume}")["Volumes"] == [])
    assert [snapshot["SnapshotId"] for snapshot in cli(*own)["Snapshots"]] == [middle]
