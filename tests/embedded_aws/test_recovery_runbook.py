"""The runbook's commands, section by section, by an operator who knows nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support.deployment import DR, PRIMARY, Installation
from support.patience import COMMAND_SECONDS
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")

PAGE = (Path(__file__).parents[2] / "docs/recovery.md").read_text(encoding="utf-8")
BACK = ("--region", DR, "--dr-region", PRIMARY, "--name", "-back")
"""The options of the system that the section on failing back deploys."""
IMAGE, BLOCKS = "ami-0abcdef1234567890", 40


def commands(heading: str) -> list[list[str]]:
    """Return the commands below a heading of the page."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.split()[1:] for line in re.findall(r"^\$ (snapkeep .+)$", section, re.MULTILINE)]


def begin(installation: Installation, arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, **installation.aws.environment(PRIMARY, installation.account_id)}
    command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def snapkeep(installation: Installation, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    process = begin(installation, arguments)
    out, error = process.communicate(timeout=COMMAND_SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, out, error)


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


@dataclass(frozen=True)
class Database:
    """An instance with three volumes, its snapshots of one moment, and their content."""

    volumes: dict[str, str]
    """Device -> volume."""
    sources: dict[str, str]
    """Volume -> snapshot."""
    expected: dict[str, dict[int, str]]
    """Volume -> the checksums of its snapshot's blocks."""
    moment: str
    """After the snapshots, and before anything else was written, as `--at` takes it."""
    target_id: str
    """An instance in the DR region."""


@pytest.fixture(scope="module")
def database(installation: Installation) -> Database:
    tags = [{"Key": "Name", "Value": "orders-db"}]
    launched = launch(
        installation,
        PRIMARY,
        Placement={"AvailabilityZone": f"{PRIMARY}a"},
        BlockDeviceMappings=[
            {"DeviceName": f"/dev/sd{letter}", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3"}} for letter in "fg"
        ],
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )
    volumes = {mapping["DeviceName"]: mapping["Ebs"]["VolumeId"] for mapping in launched["BlockDeviceMappings"]}
    for first, volume_id in enumerate(volumes.values()):
        write(installation, volume_id, first, BLOCKS)
    made = installation.client("ec2").create_snapshots(InstanceSpecification={"InstanceId": launched["InstanceId"]})["Snapshots"]
    sources = {snapshot["VolumeId"]: snapshot["SnapshotId"] for snapshot in made}
    moment = max(snapshot["StartTime"] for snapshot in made) + timedelta(seconds=1)
    for snapshot_id in sources.values():
        installation.copied(snapshot_id)
    machine, sfn = installation.outputs["primary"]["StateMachineArn"], installation.client("stepfunctions")
    wait_for(lambda: not sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])
    expected = {volume_id: content(installation, PRIMARY, snapshot_id) for volume_id, snapshot_id in sources.items()}
    assert all(len(blocks) >= BLOCKS for blocks in expected.values())
    target = launch(installation, DR, Placement={"AvailabilityZone": f"{DR}a"})["InstanceId"]
    return Database(volumes, sources, expected, f"{moment:%Y-%m-%dT%H:%M:%SZ}", target)


def write(installation: Installation, volume_id: str, first: int, count: int) -> None:
    page = {"account": installation.account_id, "region": PRIMARY, "volume_id": volume_id, "first_block": first, "count": count}
    installation.aws.admin("POST", "blocks", page)


def follow(installation: Installation, heading: str, names: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """Carry out a section's commands with the names of this account; return the last one's result."""
    for command in commands(heading):
        words = [names.get(word, word) for word in command]
        last = snapkeep(installation, [*words, *more] if words[:2] == ["recover", "volume"] else words)
        assert last.returncode == 0, f"{words}: {last.stdout}{last.stderr}"
    return last


def recovered(
    installation: Installation, region: str, result: subprocess.CompletedProcess[str]
) -> tuple[str, list[dict[str, Any]]]:
    """Return the id of a recovery, and the volumes that it made."""
    run_id = re.findall(r"recovery-[0-9a-f-]+", result.stdout)[-1]
    return run_id, volumes_of(installation, region, run_id)


def volumes_of(installation: Installation, region: str, run_id: str = "*") -> list[dict[str, Any]]:
    filters = [{"Name": "tag:snapkeep:recovery", "Values": [run_id]}]
    return list(installation.client("ec2", region).describe_volumes(Filters=filters)["Volumes"])


def assert_content(installation: Installation, region: str, volume: dict[str, Any], database: Database) -> None:
    """Check that a recovered volume has the blocks of the snapshot of its source volume."""
    ec2 = installation.client("ec2", region)
    (point,) = ec2.describe_snapshots(SnapshotIds=[volume["SnapshotId"]])["Snapshots"]
    tags = {tag["Key"]: tag["Value"] for tag in point["Tags"]}
    after = ec2.create_snapshot(VolumeId=volume["VolumeId"])["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[after], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    source = tags.get("snapkeep:source-volume", point["VolumeId"])
    assert content(installation, region, after) == database.expected[source]


def undo(installation: Installation, region: str, run_id: str) -> None:
    undone = snapkeep(installation, ["recover", "undo", run_id, "--in", region, "--yes", "--json"])
    assert json.loads(undone.stdout)["state"] == "undone", undone.stderr
    assert volumes_of(installation, region, run_id) == []


def fail_back(installation: Installation, database: Database, made: list[dict[str, Any]]) -> None:
    """Bring what was recovered in the DR region back into the primary one, and remove all that this makes."""
    deploy, recover = commands("Failing back")
    near, far = installation.client("ec2", DR), installation.client("ec2")
    try:
        deployed = snapkeep(installation, deploy)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        last = near.create_snapshots(InstanceSpecification={"InstanceId": database.target_id})["Snapshots"]
        filters = [{"Name": "tag:snapkeep:source-snapshot", "Values": [snapshot["SnapshotId"] for snapshot in last]}]

        def copies() -> list[dict[str, Any]]:
            listed = far.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
            return [copy for copy in listed if copy["State"] == "completed"]

        wait_for(lambda: len(copies()) == len(last))
        names = {"i-0123456789abcdef0": database.target_id}
        result = snapkeep(installation, [*(names.get(word, word) for word in recover), "--yes"])
        assert result.returncode == 0, result.stdout + result.stderr
    finally:
        destroyed = snapkeep(installation, ["destroy", *BACK, "--yes"])
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    _, back = recovered(installation, PRIMARY, result)
    assert {volume["AvailabilityZone"] for volume in back} == {f"{PRIMARY}a"}
    lost = {volume["VolumeId"]: installation.tags_of(volume["SnapshotId"], DR)["snapkeep:source-volume"] for volume in made}
    contents = {}
    for volume in back:
        source = installation.tags_of(volume["SnapshotId"])["snapkeep:source-volume"]
        contents[lost.get(source, "the instance's own")] = content(installation, PRIMARY, volume["SnapshotId"])
        far.delete_volume(VolumeId=volume["VolumeId"])
    assert {volume_id: contents[volume_id] for volume_id in database.expected} == database.expected
    for ec2, snapshots in ((far, copies()), (near, last)):  # other tests sweep these regions
        for snapshot in snapshots:
            ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])


def test_a_database_is_attached_while_its_region_is_down_and_fails_back(installation: Installation, database: Database) -> None:
    sets = {installation.tags_of(snapshot_id).get("snapkeep:set") for snapshot_id in database.sources.values()}
    assert sets == {min(database.sources.values())}
    assert all("snapkeep:record" in installation.tags_of(snapshot_id) for snapshot_id in database.sources.values())
    assert len(commands("The region is down")) <= 3
    installation.aws.admin("POST", "regions/away", {"region": PRIMARY})
    try:
        result = follow(installation, "The region is down", {"i-0123456789abcdef0": database.target_id})
        run_id, _ = recovered(installation, DR, result)
        shown = snapkeep(installation, ["recover", "show", run_id, "--in", DR, "--dr-region", DR, "--json"])
    finally:
        installation.aws.admin("POST", "regions/back", {"region": PRIMARY})
    assert json.loads(shown.stdout)["state"] == "completed"
    made = volumes_of(installation, DR, run_id)
    assert [volume["Attachments"][0]["InstanceId"] for volume in made] == [database.target_id] * 3
    for volume in made:
        assert_content(installation, DR, volume, database)
    fail_back(installation, database, made)
    undo(installation, DR, run_id)


def test_after_ransomware_the_volumes_of_a_tag_are_made_as_they_were(installation: Installation, database: Database) -> None:
    result = follow(installation, "Ransomware", {"2026-11-27T00:00Z": database.moment}, "--yes")
    run_id, made = recovered(installation, DR, result)
    assert {volume["State"] for volume in made} == {"available"}
    assert len(made) == 3
    for volume in made:
        assert_content(installation, DR, volume, database)
    undo(installation, DR, run_id)


def test_an_interrupted_recovery_is_resumed_and_undone(installation: Installation, database: Database) -> None:
    recover = commands("The region is down")[1]
    names = {"i-0123456789abcdef0": database.target_id}
    process = begin(installation, [names.get(word, word) for word in recover])
    made = wait_for(lambda: [volume for volume in volumes_of(installation, DR) if volume["State"] != "deleted"])
    process.kill()
    process.communicate()
    [run_id] = {tag["Value"] for volume in made for tag in volume["Tags"] if tag["Key"] == "snapkeep:recovery"}
    listed, shown, resumed, undone = commands("If a recovery is interrupted")
    for command in (listed, shown, resumed):
        result = snapkeep(installation, [run_id if word.startswith("recovery-") else word for word in command])
        assert result.returncode == 0, result.stdout + result.stderr
        assert run_id in result.stdout
    whole = volumes_of(installation, DR, run_id)
    assert [volume["Attachments"][0]["InstanceId"] for volume in whole] == [database.target_id] * 3
    result = snapkeep(installation, [run_id if word.startswith("recovery-") else word for word in [*undone, "--yes"]])
    assert result.returncode == 0, result.stdout + result.stderr
    assert volumes_of(installation, DR, run_id) == []


# Last: the copy of the damaged volume replaces the older one in the DR region.
def test_a_deleted_volume_is_made_again_as_it_was_before_the_damage(installation: Installation, database: Database) -> None:
    ec2, volume_id = installation.client("ec2"), database.volumes["/dev/sdf"]
    write(installation, volume_id, 0, 3)
    installation.copied(installation.snapshot(volume_id))
    ec2.detach_volume(VolumeId=volume_id)
    wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available")
    ec2.delete_volume(VolumeId=volume_id)
    target = launch(installation, PRIMARY, Placement={"AvailabilityZone": f"{PRIMARY}a"})["InstanceId"]
    names = {
        "vol-0123456789abcdef0": volume_id,
        "2026-11-29T23:00Z": database.moment,
        "i-0123456789abcdef0:/dev/sdh": f"{target}:/dev/sdh",
    }
    result = follow(installation, "A volume was deleted, or data is corrupt since a known time", names, "--yes")
    run_id, [volume] = recovered(installation, PRIMARY, result)
    assert volume["SnapshotId"] == database.sources[volume_id]
    assert [(attached["InstanceId"], attached["Device"]) for attached in volume["Attachments"]] == [(target, "/dev/sdh")]
    assert_content(installation, PRIMARY, volume, database)
    undo(installation, PRIMARY, run_id)
