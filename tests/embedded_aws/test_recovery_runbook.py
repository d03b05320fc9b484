"""The runbook's commands for a region that is down, by an operator who knows nothing else: three attached volumes in two commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.deployment import DR, PRIMARY, Installation
from support.patience import COMMAND_SECONDS
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")

PAGE = (Path(__file__).parents[2] / "docs/recovery.md").read_text(encoding="utf-8")
IMAGE, BLOCKS = "ami-0abcdef1234567890", 40


def commands(heading: str) -> list[list[str]]:
    """Return the commands below a heading of the page."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.split()[1:] for line in re.findall(r"^\$ (snapkeep .+)$", section, re.MULTILINE)]


def snapkeep(installation: Installation, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **installation.aws.environment(PRIMARY, installation.account_id)}
    command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)


def launch(installation: Installation, region: str, **more: Any) -> dict[str, Any]:
    ec2 = installation.client("ec2", region)
    launched = ec2.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, **more)["Instances"][0]
    listed = [{"Name": "instance-id", "Values": [launched["InstanceId"]]}]

    def running() -> dict[str, Any] | None:
        instance = ec2.describe_instances(Filters=listed)["Reservations"][0]["Instances"][0]
        return dict(instance) if instance["State"]["Name"] == "running" else None

    return dict(wait_for(running))


def content(installation: Installation, region: str, snapshot_id: str) -> dict[int, str]:
    """Return the checksums of a snapshot's blocks."""
    ebs = installation.client("ebs", region)
    blocks = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]

    def checksum(block: dict[str, Any]) -> str:
        read = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=block["BlockIndex"], BlockToken=block["BlockToken"])
        return str(read["Checksum"])

    return {block["BlockIndex"]: checksum(block) for block in blocks}


def test_a_database_is_attached_in_the_dr_region_while_the_primary_is_down(installation: Installation) -> None:
    tags = [{"Key": "Name", "Value": "orders-db"}]
    database = launch(
        installation,
        PRIMARY,
        Placement={"AvailabilityZone": f"{PRIMARY}a"},
        BlockDeviceMappings=[
            {"DeviceName": f"/dev/sd{letter}", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3"}} for letter in "fg"
        ],
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )
    volumes = {mapping["DeviceName"]: mapping["Ebs"]["VolumeId"] for mapping in database["BlockDeviceMappings"]}
    for first, volume_id in enumerate(volumes.values()):
        page = {
            "account": installation.account_id,
            "region": PRIMARY,
            "volume_id": volume_id,
            "first_block": first,
            "count": BLOCKS,
        }
        installation.aws.admin("POST", "blocks", page)
    made = installation.client("ec2").create_snapshots(InstanceSpecification={"InstanceId": database["InstanceId"]})["Snapshots"]
    sources = {snapshot["VolumeId"]: snapshot["SnapshotId"] for snapshot in made}
    for snapshot_id in sources.values():
        installation.copied(snapshot_id)
    machine, sfn = installation.outputs["primary"]["StateMachineArn"], installation.client("stepfunctions")
    wait_for(lambda: not sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])
    assert {installation.tags_of(snapshot_id).get("snapkeep:set") for snapshot_id in sources.values()} == {min(sources.values())}
    assert all("snapkeep:record" in installation.tags_of(snapshot_id) for snapshot_id in sources.values())
    expected = {volume_id: content(installation, PRIMARY, snapshot_id) for volume_id, snapshot_id in sources.items()}
    assert all(len(blocks) >= BLOCKS for blocks in expected.values())

    target = launch(installation, DR, Placement={"AvailabilityZone": f"{DR}a"})["InstanceId"]
    installation.aws.admin("POST", "regions/away", {"region": PRIMARY})
    try:
        runbook = commands("The region is down")
        assert len(runbook) <= 3
        for command in runbook:
            result = snapkeep(installation, [word.replace("i-0123456789abcdef0", target) for word in command])
            assert result.returncode == 0, result.stdout + result.stderr
        run_id = re.findall(r"recovery-\S+", result.stdout)[-1]
        shown = snapkeep(installation, ["recover", "show", run_id, "--in", DR, "--dr-region", DR, "--json"])
        run = json.loads(shown.stdout)
    finally:
        installation.aws.admin("POST", "regions/back", {"region": PRIMARY})
    assert run["state"] == "completed"
    ec2 = installation.client("ec2", DR)
    recovered = ec2.describe_volumes(Filters=[{"Name": "tag:snapkeep:recovery", "Values": [run["id"]]}])["Volumes"]
    assert [volume["Attachments"][0]["InstanceId"] for volume in recovered] == [target] * 3
    for volume in recovered:
        (copy,) = ec2.describe_snapshots(SnapshotIds=[volume["SnapshotId"]])["Snapshots"]
        origin = {tag["Key"]: tag["Value"] for tag in copy["Tags"]}["snapkeep:source-volume"]
        after = ec2.create_snapshot(VolumeId=volume["VolumeId"])["SnapshotId"]
        ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[after], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        assert content(installation, DR, after) == expected[origin]
    undone = snapkeep(installation, ["recover", "undo", run["id"], "--in", DR, "--yes", "--json"])
    assert json.loads(undone.stdout)["state"] == "undone", undone.stderr
    assert ec2.describe_volumes(Filters=[{"Name": "tag:snapkeep:recovery", "Values": [run["id"]]}])["Volumes"] == []
