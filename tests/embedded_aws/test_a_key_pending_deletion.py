"""Copies under a customer managed key, which is scheduled for deletion and saved: what the deployed system says and does.

In the end an administrator of the account destroys what can be destroyed: a vault in another account has a copy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from snapkeep.domain.policy.model import Retention, Vault
from snapkeep.domain.system import StackKind, stack_name
from snapkeep.domain.vault.key_policy import key_policy_statements
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.administrator import CALLS, Targets
from support.deployment import DR, PRIMARY, REGIONS, Installation, install
from support.patience import COMMAND_SECONDS
from support.stacks import wait_for
from support.threats import answers_on_the_page

pytestmark = pytest.mark.xdist_group("installation")

POLICY = """
version: 1
policies:
  - name: gold
    select: {{}}
    retention: {{keep_last: 1}}
    copies:
      - region: us-east-2
        kms_key: {key}
        retention: {{keep_last: 1}}
"""


class KeyedInstallation:
    """A deployed system whose policy encrypts copies with a key of the DR region."""

    def __init__(self, embedded: EmbeddedAws, folder: Path) -> None:
        self.installed: Installation = install(embedded)
        self.kms = self.installed.client("kms", DR)
        self.key = str(self.kms.create_key()["KeyMetadata"]["Arn"])
        policy = folder / "policy.yaml"
        policy.write_text(POLICY.format(key=self.key), encoding="utf-8")
        assert self.command("policy", "push", str(policy), "--yes").returncode == 0

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = self.installed.aws.environment(PRIMARY, self.installed.account_id)
        return subprocess.run(
            [str(Path(sys.executable).with_name("snapkeep")), *arguments],
            env={**os.environ, **environment, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def status(self) -> dict[str, Any]:
        result = self.command("status", "--json")
        data: dict[str, Any] = json.loads(result.stdout)
        assert result.returncode == int(not data["healthy"]), result.stderr
        return data

    def come_to_rest(self) -> None:
        machine = self.installed.outputs["primary"]["StateMachineArn"]
        client = self.installed.client("stepfunctions")
        wait_for(lambda: not client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])

    def key_alarms(self) -> set[str]:
        states = set()
        for region in REGIONS.values():
            alarms = self.installed.client("cloudwatch", region).describe_alarms()["MetricAlarms"]
            states |= {f"{region} {alarm['StateValue']}" for alarm in alarms if "KeyAtRiskAlarm" in alarm["AlarmName"]}
        return states


@pytest.fixture(scope="module")
def keyed(embedded: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> KeyedInstallation:
    return KeyedInstallation(embedded, tmp_path_factory.mktemp("policy"))


def test_a_key_pending_deletion_is_found_everywhere_and_forgotten_once_it_is_saved(keyed: KeyedInstallation) -> None:
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


VAULT_ACCOUNT = "210000000001"


class VaultAccount:
    """Another account, which copies a share under its own key and locks it."""

    def __init__(self, keyed: KeyedInstallation) -> None:
        def client(service: str) -> Any:
            return keyed.installed.aws.client(service, DR, VAULT_ACCOUNT)

        self.ec2, self.blocks = client("ec2"), client("ebs")
        self.key = str(client("kms").create_key()["KeyMetadata"]["Arn"])
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VAULT_ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        client("iam").create_role(RoleName="vault", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))

    def pulled(self, copy: str) -> str:
        request = {"SourceRegion": DR, "SourceSnapshotId": copy, "Encrypted": True, "KmsKeyId": self.key}
        made = str(self.ec2.copy_snapshot(**request)["SnapshotId"])
        self.ec2.lock_snapshot(SnapshotId=made, LockMode="compliance", LockDuration=30)
        wait_for(lambda: self.state(made) != "pending")
        assert self.state(made) == "completed"
        return made

    def state(self, copy: str) -> str:
        return str(self.ec2.describe_snapshots(SnapshotIds=[copy])["Snapshots"][0]["State"])


def checksums(blocks: Any, snapshot: str) -> dict[int, str]:
    listed = blocks.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    keys = ("BlockIndex", "BlockToken")
    return {
        block["BlockIndex"]: blocks.get_snapshot_block(SnapshotId=snapshot, **{key: block[key] for key in keys})["Checksum"]
        for block in listed
    }


def shared_key_policy(keyed: KeyedInstallation) -> str:
    policy = json.loads(keyed.kms.get_key_policy(KeyId=keyed.key, PolicyName="default")["Policy"])
    vault = Vault("bunker", VAULT_ACCOUNT, DR, DR, Retention(keep_last=9))
    return json.dumps({**policy, "Statement": [*policy["Statement"], *key_policy_statements(vault, "aws")]})


def names_of(keyed: KeyedInstallation) -> dict[str, str]:
    outputs, stacks = keyed.installed.outputs, {f"{kind} stack": stack_name("snapkeep", kind) for kind in StackKind}

    def physical(logical: str) -> str:
        found = keyed.installed.client("cloudformation", DR).describe_stack_resources(StackName=stacks["dr stack"])
        return next(one["PhysicalResourceId"] for one in found["StackResources"] if one["LogicalResourceId"] == logical)

    return {
        **stacks,
        "machine": outputs["primary"]["StateMachineArn"],
        "document": outputs["primary"]["PolicyParameterName"],
        "queue": outputs["dr"]["QueueTableName"],
        "notices": outputs["dr"]["NoticesQueueUrl"],
        "rule": physical("CopyEnded"),
        "role": physical("DeleteOldSnapshotsRole"),
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


def test_an_administrator_loses_neither_what_is_locked_nor_what_is_in_the_vault(keyed: KeyedInstallation) -> None:
    installed, vault = keyed.installed, VaultAccount(keyed)
    ec2 = installed.client("ec2", DR)
    keyed.kms.put_key_policy(KeyId=keyed.key, PolicyName="default", Policy=shared_key_policy(keyed))
    volumes = [installed.volume(Name=name) for name in ("plain", "governed", "locked")]
    blocks = {"account": installed.account_id, "region": PRIMARY, "volume_id": volumes[2], "first_block": 5, "count": 3}
    installed.aws.admin("POST", "blocks", blocks)
    sources = [installed.snapshot(volume) for volume in volumes]
    plain, governed, locked = (installed.copied(source)["SnapshotId"] for source in sources)
    keyed.come_to_rest()
    content = checksums(installed.client("ebs"), sources[2])
    assert len(content) == 3
    for copy, mode in ((governed, "governance"), (locked, "compliance")):
        ec2.lock_snapshot(SnapshotId=copy, LockMode=mode, LockDuration=30)
    share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [VAULT_ACCOUNT]}
    ec2.modify_snapshot_attribute(SnapshotId=locked, **share)
    kept = vault.pulled(locked)
    regions = {"primary": PRIMARY, "dr": DR, "vault": DR}
    mine, theirs = (plain, governed, locked, keyed.key), (kept, vault.key)
    targets = Targets(installed.account_id, VAULT_ACCOUNT, regions, sources[2], volumes[2], *mine, *theirs, names_of(keyed))
    client = administrator(installed)
    answers = {}
    for call in CALLS:
        answers[call.action, call.of] = call.answer_of(client(call.service, regions[call.stack]), targets)
        if "crafted plan" in call.of:
            keyed.come_to_rest()
            # It is there still.
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
    assert checksums(vault.blocks, kept) == content
    restored = vault.ec2.create_volume(AvailabilityZone=f"{DR}a", SnapshotId=kept)["VolumeId"]
    wait_for(lambda: vault.ec2.describe_volumes(VolumeIds=[restored])["Volumes"][0]["State"] == "available")
