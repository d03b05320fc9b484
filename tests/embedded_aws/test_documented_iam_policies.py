"""People with the IAM policies of `docs/iam` can do their work, with IAM enforced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, Installation
from support.documented_users import REFUSALS, assert_permitted, client_of, make_user, snapkeep, succeeded
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")
POLICY_DOCUMENT = {"version": 1, "policies": [{"name": "all", "select": {}, "retention": {"keep_last": 5}}]}


@pytest.fixture(scope="module")
def viewer(installation: Installation) -> dict[str, str]:
    return make_user(installation.aws, installation.account_id, "viewer")


@pytest.fixture(scope="module")
def operator(installation: Installation) -> dict[str, str]:
    return make_user(installation.aws, installation.account_id, "operator")


@pytest.fixture(scope="module")
def snapshot(installation: Installation) -> str:
    snapshot_id = installation.snapshot(installation.volume(Name="for-people"))
    installation.copied(snapshot_id)
    return snapshot_id


@pytest.mark.parametrize("command", ["status", "plan", "policy show", "policy history"])
def test_a_viewer_may_run_the_commands_that_read(viewer: dict[str, str], snapshot: str, command: str) -> None:
    assert_permitted(snapkeep(viewer, *command.split()))


def test_a_viewer_may_explain_a_snapshot(viewer: dict[str, str], snapshot: str) -> None:
    ran = snapkeep(viewer, "explain", snapshot)
    assert_permitted(ran)
    assert snapshot in ran.stdout


def test_a_viewer_may_not_push_a_policy(viewer: dict[str, str], tmp_path: Path) -> None:
    document = tmp_path / "policy.yaml"
    document.write_text(json.dumps(POLICY_DOCUMENT))
    ran = snapkeep(viewer, "policy", "push", str(document), "--yes")
    assert ran.returncode != 0
    assert "not authorized" in ran.stdout + ran.stderr


def test_an_operator_may_sweep_and_push_a_policy(operator: dict[str, str], tmp_path: Path) -> None:
    document = tmp_path / "policy.yaml"
    document.write_text(json.dumps(POLICY_DOCUMENT))
    assert_permitted(snapkeep(operator, "sweep"))
    assert_permitted(snapkeep(operator, "policy", "push", str(document), "--yes"))
    assert_permitted(snapkeep(operator, "policy", "remove", "--yes"))


def test_an_operator_places_and_releases_holds_and_a_viewer_lists_them(
    operator: dict[str, str], viewer: dict[str, str], snapshot: str
) -> None:
    placed = snapkeep(operator, "hold", snapshot, "--reason", "evidence", "--json")
    assert placed.returncode == 0, placed.stdout + placed.stderr
    hold = json.loads(placed.stdout)["hold"]["id"]
    listed = snapkeep(viewer, "hold", "list", "--json")
    assert [(one["id"], one["regions"]) for one in json.loads(listed.stdout)["holds"]] == [(hold, [PRIMARY, DR])]
    assert "evidence" in snapkeep(viewer, "plan").stdout
    assert snapkeep(viewer, "hold", "release", hold, "--yes").returncode != 0
    assert snapkeep(operator, "hold", "release", hold, "--yes").returncode == 0
    assert json.loads(snapkeep(viewer, "hold", "list", "--json").stdout)["holds"] == []


def test_an_operator_may_verify_a_copy(operator: dict[str, str], installation: Installation, snapshot: str) -> None:
    installation.copied(snapshot)
    ran = snapkeep(operator, "verify", snapshot, "--structure")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "PROVED" in ran.stdout


@pytest.fixture(scope="module")
def recoverer(installation: Installation) -> dict[str, str]:
    return make_user(installation.aws, installation.account_id, "recoverer")


def source_volume(installation: Installation, snapshot_id: str) -> str:
    listed = installation.client("ec2").describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    return str(listed[0]["VolumeId"])


def test_a_viewer_may_look_for_points_and_plan_a_recovery(
    viewer: dict[str, str], installation: Installation, snapshot: str
) -> None:
    volume_id = source_volume(installation, snapshot)
    assert_permitted(snapkeep(viewer, "recoverable", volume_id))
    planned = snapkeep(viewer, "recover", "volume", volume_id, "--in", DR, "--plan", "--json")
    plan = json.loads(planned.stdout)["plan"]
    assert [volume["volume_id"] for volume in plan["volumes"]] == [volume_id], planned.stderr
    assert {text.partition(":")[0] for text in plan["obstacles"]} == {"create_volume", "create_tags"}, "a dry run is refused"
    assert not [remark for remark in plan["remarks"] if any(word in remark for word in REFUSALS)]


def test_a_recoverer_may_recover_list_resume_and_undo(
    recoverer: dict[str, str], installation: Installation, snapshot: str
) -> None:
    volume_id = source_volume(installation, snapshot)
    made = snapkeep(recoverer, "recover", "volume", volume_id, "--in", DR, "--yes", "--json")
    assert made.returncode == 0, made.stdout + made.stderr
    run = json.loads(made.stdout)["run"]
    assert run["state"] == "completed"
    for command in (["list"], ["show", run["id"]], ["resume", run["id"]]):
        assert_permitted(snapkeep(recoverer, "recover", *command, "--in", DR))
    undone = snapkeep(recoverer, "recover", "undo", run["id"], "--in", DR, "--yes", "--json")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert json.loads(undone.stdout)["state"] == "undone"


def test_a_recoverer_may_recover_an_instance_and_undo_it(installation: Installation, tmp_path: Path) -> None:
    user = make_user(installation.aws, installation.account_id, "recoverer", "recoverer-instances")
    launched = installation.client("ec2").run_instances(
        ImageId="ami-0abcdef1234567890",
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3"}}],
    )["Instances"][0]
    instance_id = launched["InstanceId"]
    made = installation.client("ec2").create_snapshots(InstanceSpecification={"InstanceId": instance_id})["Snapshots"]
    for each in made:
        installation.copied(each["SnapshotId"])
    wait_for(lambda: all("snapkeep:record" in installation.tags_of(each["SnapshotId"]) for each in made))
    group, there = launched["SecurityGroups"][0]["GroupId"], installation.network(DR)
    names = tmp_path / "map.yaml"
    names.write_text(json.dumps({"subnets": {launched["SubnetId"]: there[0]}, "security_groups": {group: there[1]}}))
    assert_permitted(snapkeep(user, "recover", "map", instance_id, "--in", DR))
    done = snapkeep(user, "recover", "instance", instance_id, "--in", DR, "--map", str(names), "--stopped", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads(done.stdout)["run"]
    ec2, own = installation.client("ec2", DR), [{"Name": "tag:snapkeep:recovery", "Values": [run["id"]]}]
    (again,) = ec2.describe_instances(Filters=own)["Reservations"][0]["Instances"]
    assert (again["State"]["Name"], again["Architecture"], again["BootMode"]) == ("stopped", "x86_64", "uefi-preferred")
    assert [mapping["DeviceName"] for mapping in again["BlockDeviceMappings"]] == ["/dev/xvda", "/dev/sdf"]
    assert ec2.describe_images(Owners=["self"], Filters=own)["Images"] == []
    undone = snapkeep(user, "recover", "undo", run["id"], "--in", DR, "--yes", "--json")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert ec2.describe_volumes(Filters=own)["Volumes"] == []


def test_a_recoverer_removes_and_tags_nothing_else(recoverer: dict[str, str], installation: Installation, snapshot: str) -> None:
    ec2 = client_of(recoverer, "ec2", PRIMARY)
    volume_id = source_volume(installation, snapshot)
    tags = [{"Key": "snapkeep:recovery", "Value": "mine"}]
    for forbidden in (
        lambda: ec2.delete_volume(VolumeId=volume_id),
        lambda: ec2.create_tags(Resources=[volume_id], Tags=tags),
        lambda: ec2.create_tags(Resources=[snapshot], Tags=tags),
        lambda: ec2.delete_tags(Resources=[snapshot], Tags=[{"Key": "snapkeep:managed"}]),
        lambda: ec2.delete_tags(Resources=[snapshot]),
        lambda: ec2.create_volume(AvailabilityZone=f"{PRIMARY}a", SnapshotId=snapshot),
        lambda: ec2.delete_snapshot(SnapshotId=snapshot),
    ):
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            forbidden()


def test_a_deployer_may_deploy_and_destroy(embedded: EmbeddedAws, account_id: str) -> None:
    deployer = make_user(embedded, account_id, "deployer", "deployer-resources", "deployer-sharing")
    regions, vaults = ("--region", PRIMARY, "--dr-region", DR), ("--dr-parameter", "VaultAccounts=210987654321")
    succeeded(deployer, "deploy", *regions, *vaults)
    succeeded(deployer, "destroy", *regions, "--yes")
