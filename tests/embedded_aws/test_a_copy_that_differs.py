"""A copy with a planted wrong block in the deployed system: found, marked, not counted, and made again; and drills.

Before that, instances of every kind come back in another region, or are refused. IAM is enforced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snapkeep.cli.common import forget_sessions
from snapkeep.lab.ebs_model.conditions.quotas import Speeds
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, Installation, install
from support.documented_users import make_user, succeeded
from support.embedded import FAST_WORLD
from support.kinds_of_instances import KINDS, UEFI_DATA, Machines, Recoveries
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("a-copy-that-differs")

COPIES = [{"region": DR, "retention": {"keep_last": 5}}]
DEFAULT = {"name": "default", "select": {}, "retention": {"keep_last": 5}, "copies": COPIES}
DATABASES: dict[str, Any] = {
    "name": "databases",
    "select": {"tags": {"Role": "database"}},
    "rpo": "8h",
    "snapshots": {"every": "4h"},
    "retention": {"keep_last": 5},
    "before": {"ssm_document": "freeze"},
    "after": {"ssm_document": "thaw"},
}
SCRATCH = {"name": "scratch", "select": {"tags": {"Scratch": "*"}}, "retention": {"keep_last": 5}}
MACHINES = {**DEFAULT, "name": "machines", "select": {"tags": {"Kind": "*"}}}
POLICIES: dict[str, Any] = {
    "version": 1,
    "policies": [DATABASES, SCRATCH, MACHINES, DEFAULT],
    "groups": [{"name": "shop", "instances": {"tags": {"App": "shop"}}, "order": ["db", "app", "web"]}],
}
FULL = {"kind": "full", "sample": 0, "part": 0, "parts": 0}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Installation]:
    """A system with a server of its own: the tests put the clock forward and take the primary region away."""
    with EmbeddedAws(world_document=FAST_WORLD) as aws:
        installation = install(aws)
        for region in (PRIMARY, DR):
            parameter = {"Name": "/snapkeep/policy", "Value": json.dumps(POLICIES), "Type": "String"}
            installation.client("ssm", region).put_parameter(**parameter)
        yield installation


@pytest.fixture
def recoveries(deployed: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recoveries]:
    """An instance of each kind with copies in the DR region, after the primary region is gone; commands run in this process."""
    deployed.aws.admin("POST", "speeds", {"status_check_seconds": 0})
    machines = Machines(deployed)
    for name, value in deployed.aws.environment(PRIMARY, deployed.account_id).items():
        monkeypatch.setenv(name, value)
    forget_sessions()
    deployed.aws.admin("POST", "regions/away", {"region": PRIMARY})
    yield Recoveries(machines, tmp_path)
    deployed.aws.admin("POST", "regions/back", {"region": PRIMARY})
    deployed.aws.admin("POST", "speeds", {"status_check_seconds": Speeds().status_check_seconds})
    forget_sessions()


def test_every_kind_of_instance_comes_back_or_is_refused_without_its_region(recoveries: Recoveries) -> None:
    machines, made = recoveries.machines, recoveries.group("shop")
    assert list(made) == ["db", "app", "web"], "by one command, in the group's order"
    for kind in ("uefi", "graviton", "legacy-bios"):
        recoveries.assert_whole(kind, made[KINDS[kind].tags["Name"]])
    assert recoveries.uefi_data(made["db"]) == UEFI_DATA
    for kind in ("ena", "no-ena", "tpm", "unusual-root", "replaced", "replacement"):
        recoveries.assert_whole(kind, recoveries.instance(kind).made)

    spot = recoveries.instance("spot")
    assert machines.source["spot"]["InstanceLifecycle"] == "spot"
    assert "InstanceLifecycle" not in spot.made
    assert "it was a spot instance: it becomes an On-Demand one" in spot.remarks
    recoveries.assert_whole("spot", spot.made)

    keyed = recoveries.instance("customer-key", kms_keys={machines.keys[PRIMARY]: machines.keys[DR]}).made
    recoveries.assert_whole("customer-key", keyed)
    assert machines.volumes(DR, keyed)["/dev/sdf"]["KmsKeyId"] == machines.keys[DR]

    logs = machines.attached["two-policies"]["/dev/sdg"]["VolumeId"]
    assert f"obstacle: /dev/sdg {logs}: no snapshot of it in {DR}" in recoveries.refused("two-policies")
    without = recoveries.instance("two-policies", "--without", "/dev/sdg")
    assert "without /dev/sdg: its volume is not restored" in without.remarks
    recoveries.assert_whole("two-policies", without.made, without="/dev/sdg")

    both = ", ".join(sorted((machines.ids["replaced"], machines.ids["replacement"])))
    assert f"obstacle: replaced: several instances: {both}; name one" in recoveries.refused("replaced", named=True)
    assert "obstacle: m5.large needs ENA" in recoveries.refused("no-ena", instance_types={"t2.large": "m5.large"})
    for kind in ("windows", "rhel", "marketplace"):
        words = recoveries.refused(kind)
        assert f"would be billed as Linux/UNIX (RunInstances), the instance was billed as {KINDS[kind].billed}: " in words
        assert f"`snapkeep recover volume {machines.ids[kind]} --in {DR} --zone {DR}a`" in words
        assert f"`aws ec2 create-replace-root-volume-task --region {DR}" in words
    assert len(recoveries.standing()) == len(KINDS) - 3


def test_a_copy_with_a_wrong_block_is_found_and_made_again(deployed: Installation) -> None:
    installation = deployed
    assert_commands_run_around_snapshots(installation, launch_database(installation))
    volume_id = installation.volume(Name="database")
    extent = {"region": PRIMARY, "account": installation.account_id, "volume_id": volume_id, "first_block": 0, "count": 8}
    installation.aws.admin("POST", "blocks", extent)
    rule = {"kind": "copy_wrong_blocks", "region": DR, "times": 1, "blocks": 1, "volume_id": volume_id}
    installation.aws.admin("POST", "faults", rule)
    snapshot_id = installation.snapshot(volume_id)

    def proofs() -> dict[str, str]:
        tags = {
            copy["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in copy["Tags"]} for copy in installation.copies_of(snapshot_id)
        }
        return {copy_id: copy_tags["snapkeep:proof"] for copy_id, copy_tags in tags.items() if "snapkeep:proof" in copy_tags}

    [(wrong, verdict)] = wait_for(lambda: list(proofs().items()))
    assert verdict.startswith("DIFFERS sample:300 ")
    assert installation.tags_of(wrong, DR)["snapkeep:check"] == "wrong"

    machine = {"stateMachineArn": installation.outputs["dr"]["VerifyStateMachineArn"], "statusFilter": "FAILED"}
    wait_for(lambda: installation.client("stepfunctions", DR).list_executions(**machine)["executions"])
    wait_for(lambda: len(proofs()) == 2)
    [(good, verdict)] = [item for item in proofs().items() if item[0] != wrong]
    assert verdict.startswith("PROVED sample:300 ")
    assert "snapkeep:check" not in installation.tags_of(good, DR)

    begin_drill(installation)
    execution = installation.run("dr", "VerifyStateMachineArn", {"copy": good, "method": FULL})
    assert execution["status"] == "SUCCEEDED"
    proof = json.loads(execution["output"])["verified"]["proof"]
    assert (proof["verdict"], proof["compared"], proof["reads"], proof["differing"]) == ("PROVED", 8, 16, 0)
    assert len(proof["root"]) == 64
    name = f"proofs/{DR}/{volume_id}/{snapshot_id}/{good}/full-{proof['ended_at'].replace(':', '')}.json"
    kept = installation.report("dr", f"s3://{installation.outputs['dr']['ReportsBucketName']}/{name}")
    assert kept == proof

    execution = installation.run("dr", "VerifyStateMachineArn", {"copy": wrong, "method": FULL})
    assert (execution["status"], execution["error"]) == ("FAILED", "CopyDiffers")
    assert [copy["SnapshotId"] for copy in installation.copies_of(snapshot_id)].count(wrong) == 1
    assert_drilled(installation, good)
    assert_an_instance_is_drilled_with_a_command(installation)


def launch_database(installation: Installation) -> str:
    """Run an instance whose SSM agent connects; return its id."""
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Role", "Value": "database"}]} for kind in ("instance", "volume")]
    request = {"ImageId": "ami-12345678", "IamInstanceProfile": {"Name": "agent"}, "TagSpecifications": tags}
    return str(installation.client("ec2").run_instances(MinCount=1, MaxCount=1, **request)["Instances"][0]["InstanceId"])


def begin_drill(installation: Installation) -> None:
    """Push a policy document with drills that are always due, and let the schedule begin the one that has a copy to restore."""
    drill = {"name": "daily", "policies": ["default"], "in": DR, "schedule": {"cron": "* * * * ? *"}, "rto": "1h"}
    machines = {"name": "machines", "level": "instance", "command": {"document": "snapkeep-drill-check"}}
    document = json.dumps({**POLICIES, "drills": [drill, {**drill, **machines}]})
    parameter = {"Name": "/snapkeep/policy", "Value": document, "Type": "String", "Overwrite": True}
    installation.client("ssm", DR).put_parameter(**parameter)

    def begun() -> bool:
        fire_schedule(installation)  # again, as Drill knows the document of a minute ago where its schedule has invoked it before
        runs = json.loads(ledger_text(installation) or "{}")
        return bool(runs.get("open") or runs.get("ended"))

    wait_for(begun)


def fire_schedule(installation: Installation) -> None:
    installation.aws.admin("POST", "schedules/fire", {"account": installation.account_id, "rule": "DrillSchedule"})


def assert_drilled(installation: Installation, point: str) -> None:
    """Wait for the evidence of the drill: it restored the good copy, proved it, and left nothing behind."""

    def of_run() -> list[Any]:
        installation.aws.admin("POST", "waits/end")
        return [entry for entry in ledger(installation)["ended"] if entry["run"] == run]

    bucket, s3 = installation.outputs["dr"]["ReportsBucketName"], installation.client("s3", DR)
    [run] = wait_for(lambda: [run["id"] for run in ledger(installation)["open"]] or ended(installation))
    [entry] = wait_for(of_run)
    key = {"Bucket": bucket, "Key": f"drills/{run}.json"}
    evidence = json.loads(wait_for(lambda: object_text(s3, key)))
    assert (evidence["verdict"], evidence["run"]["point"]) == ("PASSED", point), evidence["cause"]
    assert set(evidence["checks"].values()) == {"passed"}
    assert (evidence["run"]["proof"]["method"], evidence["run"]["proof"]["compared"]) == ("full", 8)
    assert entry["verdict"] == "PASSED"
    ec2 = installation.client("ec2", DR)
    tagged = [{"Name": "tag-key", "Values": ["snapkeep:drill"]}]
    assert ec2.describe_volumes(Filters=tagged)["Volumes"] == []
    assert ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"] == []
    assert not [key for key in installation.tags_of(point, DR) if key.startswith("snapkeep:hold")]


def assert_an_instance_is_drilled_with_a_command(installation: Installation) -> None:
    """The functions' roles suffice for a drill of an instance, and for its command through the endpoints of its network.

    A deployer of `docs/iam` makes and removes the network.
    """
    deployer = make_user(installation.aws, installation.account_id, "deployer", "deployer-resources", "deployer-drill")
    stack = ("--only", "drill", "--region", PRIMARY, "--dr-region", DR)
    succeeded(deployer, "deploy", *stack, "--drill-parameter", "CommandEndpoints=yes", "--yes")
    installation.client("ssm", DR).create_document(Name="snapkeep-drill-check", Content="{}", DocumentType="Command")
    ec2 = installation.client("ec2")
    launched = ec2.run_instances(ImageId="ami-12345678", InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"]
    instance_id = launched[0]["InstanceId"]
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance_id})["Snapshots"]
    assert all(installation.copied(snapshot["SnapshotId"]) for snapshot in made)

    def drilled(state: str) -> list[Any]:
        return [entry for entry in ledger(installation)[state] if entry["volume_id"] == instance_id]

    def begun() -> bool:
        fire_schedule(installation)
        return bool(drilled("open") or drilled("ended"))

    def over() -> list[Any]:
        installation.aws.admin("POST", "clock", {"seconds": 60})  # for status checks, the agent and the command
        installation.aws.admin("POST", "waits/end")
        return drilled("ended")

    wait_for(begun)
    [entry] = wait_for(over)
    s3, bucket = installation.client("s3", DR), installation.outputs["dr"]["ReportsBucketName"]
    evidence = json.loads(object_text(s3, {"Bucket": bucket, "Key": f"drills/{entry['run']}.json"}))
    assert (entry["verdict"], evidence["cause"]) == ("PASSED", "")
    assert set(evidence["checks"]) == {"launched", "status_checks", "initialised", "command", "within_rto", "removed"}
    [instance] = evidence["run"]["instances"]
    assert instance["command"]["output"] == f"snapkeep-drill-check on {instance['restored_id']}\n"
    reservations = installation.client("ec2", DR).describe_instances(InstanceIds=[instance["restored_id"]])["Reservations"]
    assert reservations[0]["Instances"][0]["State"]["Name"] == "terminated"
    succeeded(deployer, "destroy", *stack, "--yes")
    assert (
        installation.client("ec2", DR).describe_vpcs(Filters=[{"Name": "tag-key", "Values": ["snapkeep:system"]}])["Vpcs"] == []
    )


def assert_commands_run_around_snapshots(installation: Installation, instance_id: str) -> None:
    """The role of MakeSnapshots suffices for the commands before and after."""
    ssm, ec2 = installation.client("ssm"), installation.client("ec2")
    for document in ("freeze", "thaw"):
        ssm.create_document(Name=document, Content="{}", DocumentType="Command")
    installation.aws.admin("POST", "clock", {"seconds": 60})  # for the agent
    installation.client("lambda").invoke(FunctionName="MakeSnapshots", InvocationType="Event", Payload="{}")

    def commands() -> list[Any]:
        return list(ssm.list_command_invocations(InstanceId=instance_id)["CommandInvocations"])

    def over() -> list[Any]:
        installation.aws.admin("POST", "clock", {"seconds": 5 if commands() else 0})
        made = ec2.describe_snapshots(Filters=[{"Name": "tag:Role", "Values": ["database"]}])["Snapshots"]
        return made if len(commands()) == 2 else []

    made = wait_for(over)
    assert [one["DocumentName"] for one in commands()] == ["thaw", "freeze"]
    assert {installation.tags_of(snapshot["SnapshotId"])["snapkeep:consistency"] for snapshot in made} == {"application"}


def ledger(installation: Installation) -> dict[str, Any]:
    return dict(json.loads(wait_for(lambda: ledger_text(installation))))


def ledger_text(installation: Installation) -> str:
    key = {"Bucket": installation.outputs["dr"]["ReportsBucketName"], "Key": "drills/ledger.json"}
    return object_text(installation.client("s3", DR), key)


def ended(installation: Installation) -> list[str]:
    return [entry["run"] for entry in ledger(installation)["ended"]]


def object_text(s3: Any, key: dict[str, str]) -> str:
    """Return an object's text; empty while there is none."""
    try:
        return str(s3.get_object(**key)["Body"].read().decode())
    except s3.exceptions.NoSuchKey:
        return ""
