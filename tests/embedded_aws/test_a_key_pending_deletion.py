"""Copies under a customer managed key, which is scheduled for deletion and saved: what the deployed system says and does.

In the end a vault in another account copies them and locks its copies, an administrator of production destroys what can be
destroyed, and the vault restores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from snapkeep.adapters.s3_documents import S3Documents
from snapkeep.domain.retention.deletion_days import LEAST
from snapkeep.domain.system import StackKind, stack_name
from snapkeep.lab.embedded_aws import EmbeddedAws
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions
from support.administrator import CALLS, Targets
from support.block_checksums import block_checksums
from support.deployment import DR, PRIMARY, REGIONS, Installation, install
from support.documented_users import client_of, make_user, succeeded
from support.patience import COMMAND_SECONDS
from support.refusals import code_of
from support.stacks import wait_for
from support.threats import answers_on_the_page
from support.vaulting import GRANTED

pytestmark = pytest.mark.xdist_group("installation")

POLICY = """
version: 1
policies:
  - name: gold
    select: {{}}
    retention: {{keep_last: 1}}
    vault: bunker
    copies:
      - region: us-east-2
        kms_key: {key}
        retention: {{keep_last: 1}}
vaults:
  - name: bunker
    account: "{account}"
    region: us-east-2
    from: us-east-2
    kms_key: {vault_key}
    lock: {{mode: governance, for: 7d}}
    retention: {{keep_last: 9}}
"""
VAULT_ACCOUNT, CLEAN_ACCOUNT = "210000000001", "210000000002"


def snapkeep(installed: Installation, region: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the root of the installation's account."""
    environment = installed.aws.environment(region, installed.account_id)
    return subprocess.run(
        [str(Path(sys.executable).with_name("snapkeep")), *arguments],
        env={**os.environ, **environment, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )


class KeyedInstallation:
    """A deployed system whose policy encrypts copies with a key of the DR region, and shares them with a vault."""

    def __init__(self, embedded: EmbeddedAws, folder: Path) -> None:
        self.installed: Installation = install(embedded, dr={"VaultAccounts": VAULT_ACCOUNT})
        self.kms = self.installed.client("kms", DR)
        self.key = str(self.kms.create_key()["KeyMetadata"]["Arn"])
        self.vault_key = str(embedded.client("kms", DR, VAULT_ACCOUNT).create_key()["KeyMetadata"]["Arn"])
        self.policy = folder / "policy.yaml"
        text = POLICY.format(key=self.key, vault_key=self.vault_key, account=VAULT_ACCOUNT)
        self.policy.write_text(text, encoding="utf-8")
        self.allow_the_vault()
        assert self.command("policy", "push", str(self.policy), "--yes").returncode == 0

    def allow_the_vault(self) -> None:
        """Add to the key's policy what `vault key-policy` prints."""
        (printed,) = json.loads(self.command("vault", "key-policy", str(self.policy)).stdout)["vaults"]
        assert printed["keys"] == [self.key]
        policy = json.loads(self.kms.get_key_policy(KeyId=self.key, PolicyName="default")["Policy"])
        policy["Statement"] += printed["statements"]
        self.kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=json.dumps(policy))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return snapkeep(self.installed, PRIMARY, *arguments)

    def shared_with(self, copy: str) -> list[str]:
        """Return the accounts that can read a copy."""
        attribute = {"SnapshotId": copy, "Attribute": "createVolumePermission"}
        found = self.installed.client("ec2", DR).describe_snapshot_attribute(**attribute)["CreateVolumePermissions"]
        return [permission["UserId"] for permission in found]

    def status(self) -> dict[str, Any]:
        result = self.command("status", "--json")
        data: dict[str, Any] = json.loads(result.stdout)
        assert result.returncode == int(not data["healthy"]), result.stderr
        return data

    def come_to_rest(self) -> None:
        machine = self.installed.outputs["primary"]["StateMachineArn"]
        client = self.installed.client("stepfunctions")
        wait_for(lambda: not client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])

    def failed_runs(self) -> list[Any]:
        runs = {"stateMachineArn": self.installed.outputs["primary"]["StateMachineArn"], "statusFilter": "FAILED"}
        return list(self.installed.client("stepfunctions").list_executions(**runs)["executions"])

    def key_alarms(self) -> set[str]:
        states = set()
        for region in REGIONS.values():
            alarms = self.installed.client("cloudwatch", region).describe_alarms()["MetricAlarms"]
            states |= {f"{region} {alarm['StateValue']}" for alarm in alarms if "KeyAtRiskAlarm" in alarm["AlarmName"]}
        return states


@pytest.fixture(scope="module")
def keyed(embedded: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> KeyedInstallation:
    return KeyedInstallation(embedded, tmp_path_factory.mktemp("policy"))


def test_a_key_pending_deletion_is_found_until_it_is_saved(keyed: KeyedInstallation) -> None:
    volume = keyed.installed.volume(Name="database")
    copy = keyed.installed.copied(keyed.installed.snapshot(volume))
    assert copy["KmsKeyId"] == keyed.key
    keyed.come_to_rest()
    assert keyed.status()["healthy"]

    keyed.kms.schedule_key_deletion(KeyId=keyed.key, PendingWindowInDays=7)
    for stack in REGIONS:
        report = keyed.installed.sweep(stack)
        items = [finding for finding in report["items"] if finding["kind"] == "key_at_risk"]
        assert len(items) == 1, f"{report['broken']} {report['items']}"
        [item] = items
        assert (report["outcome"], item["subject"]) == ("PARTIAL", keyed.key)
        assert "1 copy" in item["text"]
        assert f"aws kms cancel-key-deletion --key-id {keyed.key}" in item["text"]
    wait_for(lambda: keyed.key_alarms() == {f"{region} ALARM" for region in REGIONS.values()})
    status = keyed.status()
    assert [key["fault"]["reason"] for key in status["keys_at_risk"]] == ["key_pending_deletion"]
    assert [health["health"] for health in status["volumes"]] == ["no_recovery_point"]
    assert status["recoverable"]["recoverable"] == 0
    shown = keyed.command("status")
    assert shown.returncode == 1
    assert "cancel-key-deletion" in shown.stdout

    keyed.kms.cancel_key_deletion(KeyId=keyed.key)
    keyed.kms.enable_key(KeyId=keyed.key)
    for stack in ("dr", "primary"):
        report = keyed.installed.sweep(stack)
        assert report["outcome"] == "OK", report["items"]
    assert keyed.status()["healthy"]
    keyed.installed.client("ec2", DR).create_volume(AvailabilityZone=f"{DR}a", SnapshotId=copy["SnapshotId"])


@pytest.fixture
def full_day(keyed: KeyedInstallation) -> Iterator[None]:
    """Runs have announced as many deletions as they may make today; tomorrow too, if that comes."""
    s3, bucket = keyed.installed.client("s3"), keyed.installed.outputs["primary"]["ReportsBucketName"]
    announced, today = AnnouncedDeletions(S3Documents(client=s3, bucket=bucket)), datetime.now(UTC).date()
    for day in (today, today + timedelta(days=1)):
        announced.write_usual(day, 1)
        announced.announce(day, [f"snap-{number:017x}" for number in range(LEAST)])
    yield
    for listed in s3.list_objects_v2(Bucket=bucket, Prefix="deletions/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=listed["Key"])


def test_runs_stop_on_a_full_day_and_the_sweep_places_a_hold(keyed: KeyedInstallation, full_day: None) -> None:
    installed, named = keyed.installed, [{"Name": "tag:Name", "Values": ["database"]}]
    (volume,) = installed.client("ec2").describe_volumes(Filters=named)["Volumes"]
    of_volume = [{"Name": "volume-id", "Values": [volume["VolumeId"]]}]

    def snapshots() -> set[str]:
        found = installed.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=of_volume)["Snapshots"]
        return {one["SnapshotId"] for one in found}

    before = snapshots()
    made = installed.snapshot(volume["VolumeId"])
    installed.copied(made)
    keyed.come_to_rest()
    assert (len(before), snapshots()) == (1, {*before, made}), "its policy keeps one"
    assert keyed.failed_runs() == []
    report = installed.sweep("primary")
    assert "deletions_unusual" in [finding["kind"] for finding in report["items"]], report["items"]
    (placed,) = json.loads(keyed.command("hold", "list", "--json").stdout)["holds"]
    assert placed["reason"].startswith(f"runs planned {LEAST + 1} deletions on ")
    assert snapshots() == {*before, made}
    assert keyed.command("hold", "release", placed["id"], "--yes").returncode == 0


class VaultAccount:
    """Another account with the stack `vault.yaml`, which copies what production shares under its own key, and locks it."""

    def __init__(self, keyed: KeyedInstallation) -> None:
        aws, owner = keyed.installed.aws, keyed.installed.account_id
        self.deployer = make_user(aws, VAULT_ACCOUNT, "deployer", "deployer-resources", "deployer-vault", region=DR)
        parameters = ("--parameter", f"OwnerAccounts={owner}", "--parameter", "MaxLockDays=7")
        deployed = json.loads(succeeded(self.deployer, "deploy", "--only", "vault", "--region", DR, *parameters, "--json"))
        self.installed = Installation(aws, VAULT_ACCOUNT, {"dr": deployed["stacks"][0]["outputs"]})
        self.ec2, self.blocks = self.installed.client("ec2", DR), self.installed.client("ebs", DR)
        operator = make_user(aws, VAULT_ACCOUNT, "operator", region=DR)
        succeeded(operator, "vault", "push", str(keyed.policy), "--yes")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return snapkeep(self.installed, DR, "vault", *arguments)

    def locks(self) -> dict[str, tuple[str, int]]:
        """Return the state and the days of each lock."""
        locked = self.ec2.describe_locked_snapshots()["Snapshots"]
        return {one["SnapshotId"]: (one["LockState"], one["LockDuration"]) for one in locked}


def physical(installed: Installation, stack: str, logical: str) -> str:
    found = installed.client("cloudformation", DR).describe_stack_resources(StackName=stack)["StackResources"]
    return str(next(one["PhysicalResourceId"] for one in found if one["LogicalResourceId"] == logical))


def names_of(keyed: KeyedInstallation, vault: VaultAccount) -> dict[str, str]:
    outputs, stacks = keyed.installed.outputs, {f"{kind} stack": stack_name("snapkeep", kind) for kind in StackKind}
    return {
        **stacks,
        "machine": outputs["primary"]["StateMachineArn"],
        "document": outputs["primary"]["PolicyParameterName"],
        "queue": outputs["dr"]["QueueTableName"],
        "notices": outputs["dr"]["NoticesQueueUrl"],
        "rule": physical(keyed.installed, stacks["dr stack"], "CopyEnded"),
        "role": physical(keyed.installed, stacks["dr stack"], "DeleteOldSnapshotsRole"),
        "vault role": physical(vault.installed, stacks["vault stack"], "DeleteOldSnapshotsRole"),
    }


def administrator(installed: Installation) -> Callable[[str, str], Any]:
    """Return clients of a role that may do everything in the account."""
    iam, trust = installed.client("iam"), {"AWS": f"arn:aws:iam::{installed.account_id}:root"}
    statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="administrator", AssumeRolePolicyDocument=json.dumps({"Statement": [statement]}))["Role"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="administrator", PolicyName="all", PolicyDocument=json.dumps(everything))
    made = installed.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
    session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    return lambda service, region: session.client(service, region, endpoint_url=installed.aws.endpoint_url)


@pytest.fixture(scope="module")
def vault(keyed: KeyedInstallation) -> VaultAccount:
    return VaultAccount(keyed)


def test_an_administrator_loses_neither_locked_points_nor_the_vaults(keyed: KeyedInstallation, vault: VaultAccount) -> None:
    installed = keyed.installed
    ec2 = installed.client("ec2", DR)
    volumes = [installed.volume(Name=name) for name in ("plain", "governed", "locked")]
    blocks = {"account": installed.account_id, "region": PRIMARY, "volume_id": volumes[2], "first_block": 5, "count": 3}
    installed.aws.admin("POST", "blocks", blocks)
    sources = [installed.snapshot(volume) for volume in volumes]
    plain, governed, locked = (installed.copied(source)["SnapshotId"] for source in sources)
    content = block_checksums(installed.client("ebs"), sources[2])
    assert len(content) == 3
    kept = vault.installed.copied(sources[2])["SnapshotId"]
    assert wait_for(lambda: vault.locks().get(kept)) == ("governance", 7)
    keyed.come_to_rest()
    report = vault.installed.sweep("dr")
    assert report["outcome"] == "OK", report["items"]
    wait_for(lambda: "snapkeep:vault-copy" in installed.tags_of(locked, DR))
    assert kept in installed.tags_of(locked, DR)["snapkeep:vault-copy"]
    assert "snapkeep:vault" not in installed.tags_of(locked, DR)
    assert keyed.shared_with(locked) == []
    for copy, mode in ((governed, "governance"), (locked, "compliance")):
        ec2.lock_snapshot(SnapshotId=copy, LockMode=mode, LockDuration=30)
    regions = {"primary": PRIMARY, "dr": DR, "vault": DR}
    mine, theirs = (plain, governed, locked, keyed.key), (kept, keyed.vault_key)
    targets = Targets(
        installed.account_id, VAULT_ACCOUNT, regions, sources[2], volumes[2], *mine, *theirs, names_of(keyed, vault)
    )
    client = administrator(installed)
    answers = {}
    for call in CALLS:
        answers[call.action, call.of] = call.answer_of(client(call.service, regions[call.stack]), targets)
        if "crafted plan" in call.of:
            keyed.come_to_rest()
            assert keyed.failed_runs() == []
            # The snapshot is not deleted.
            installed.client("ec2").describe_snapshots(SnapshotIds=[sources[2]])
    assert answers == answers_on_the_page()
    for stack, region in REGIONS.items():
        waiter = installed.client("cloudformation", region).get_waiter("stack_delete_complete")
        waiter.wait(StackName=targets.names[f"{stack} stack"], WaiterConfig={"Delay": 0.5, "MaxAttempts": 600})
    left = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert left & {plain, governed, locked} == {locked}
    states = {one["SnapshotId"]: one["LockState"] for one in ec2.describe_locked_snapshots()["Snapshots"]}
    assert states == {locked: "compliance"}
    keyed.kms.cancel_key_deletion(KeyId=keyed.key)
    assert block_checksums(vault.blocks, kept) == content
    listed = vault.command("list", volumes[2], "--json")
    assert listed.returncode == 0, listed.stderr
    (point,) = json.loads(listed.stdout)["points"]
    assert (point["can_be_restored"], point["lock"]["state"], point["action"]) == (True, "governance", "keep")
    recoverer = make_user(installed.aws, VAULT_ACCOUNT, "recoverer", region=DR)
    succeeded(recoverer, "vault", "restore", volumes[2], "--yes", "--json")
    (volume,) = vault.ec2.describe_volumes(Filters=[{"Name": "snapshot-id", "Values": [kept]}])["Volumes"]
    assert volume["State"] == "available"


def test_a_recoverer_of_a_vault_shares_copies_with_a_clean_account(keyed: KeyedInstallation, vault: VaultAccount) -> None:
    def snapshots() -> dict[str, Any]:
        return {one["SnapshotId"]: one for one in vault.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}

    before = snapshots()
    recoverer = make_user(keyed.installed.aws, VAULT_ACCOUNT, "recoverer", "recoverer-vault", region=DR)
    viewer = make_user(keyed.installed.aws, VAULT_ACCOUNT, "viewer", region=DR)
    listed = [json.loads(succeeded(user, "vault", "list", "--json"))["points"] for user in (viewer, recoverer)]
    assert listed[0] == listed[1]
    point = listed[0][0]
    kms = vault.installed.client("kms", DR)
    key = str(kms.create_key()["KeyMetadata"]["Arn"])
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    others = {"AWS": f"arn:aws:iam::{CLEAN_ACCOUNT}:root"}
    policy["Statement"].append({"Effect": "Allow", "Principal": others, "Action": GRANTED, "Resource": "*"})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    to_clean = ("--copy-to-key", key, "--share-with", CLEAN_ACCOUNT, "--yes", "--json")
    run = json.loads(succeeded(recoverer, "vault", "restore", point["volume_id"], *to_clean))["run"]
    (made,) = snapshots().keys() - before.keys()
    shared = {"SnapshotId": made, "Attribute": "createVolumePermission"}
    assert snapshots()[made]["KmsKeyId"] == key
    assert vault.ec2.describe_snapshot_attribute(**shared)["CreateVolumePermissions"] == [{"UserId": CLEAN_ACCOUNT}]
    assert block_checksums(vault.blocks, made) == block_checksums(vault.blocks, point["snapshot_id"])

    ec2, add = client_of(recoverer, "ec2", DR), {"OperationType": "add"}
    for refused in (
        partial(ec2.modify_snapshot_attribute, **shared, **add, GroupNames=["all"]),
        partial(ec2.modify_snapshot_attribute, **shared | {"SnapshotId": point["snapshot_id"]}, **add, UserIds=[CLEAN_ACCOUNT]),
        partial(ec2.delete_snapshot, SnapshotId=point["snapshot_id"]),
    ):
        assert code_of(refused)[0] == "UnauthorizedOperation"
    succeeded(recoverer, "recover", "undo", run["id"], "--in", DR, "--yes", "--json")
    assert snapshots() == before


def test_a_deployer_of_a_vault_may_destroy_it(vault: VaultAccount) -> None:
    succeeded(vault.deployer, "destroy", "--only", "vault", "--region", DR, "--yes")
