"""`snapkeep rename`: the snapshots and copies of a destroyed system are taken over by a deployed one, with consent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.model import Origin
from snapkeep.domain.tag_names import MANAGED
from snapkeep.domain.tags import description_of_copy, tags_for_copy, tags_for_snapshot
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.patience import COMMAND_SECONDS
from support.stacks import Builder, wait_for
from support.templates import ROLE, resources

PRIMARY, DR = "us-east-1", "us-east-2"
OLD, NEW = "snapkeep-old", "snapkeep-new"


class Account:
    """An account of the embedded AWS, and the commands of a person in it."""

    def __init__(self, embedded: EmbeddedAws, account_id: str) -> None:
        self.embedded = embedded
        self.account_id = account_id

    def client(self, service: str, region: str) -> Any:
        return self.embedded.client(service, region, self.account_id)

    def snapkeep(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
        environment = {**os.environ, **self.embedded.environment(PRIMARY, self.account_id)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)

    def managers(self, region: str) -> list[str]:
        snapshots = self.client("ec2", region).describe_snapshots(OwnerIds=["self"])["Snapshots"]
        return sorted(tag["Value"] for snapshot in snapshots for tag in snapshot.get("Tags", ()) if tag["Key"] == MANAGED)

    def leave_snapshot(self, volume_id: str) -> None:
        """Make a snapshot and a copy as system OLD left them behind."""
        ec2 = self.client("ec2", PRIMARY)
        made = ec2.create_snapshot(VolumeId=volume_id)
        wait_for(lambda: ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"][0]["State"] == "completed")
        origin = Origin(PRIMARY, volume_id, made["SnapshotId"], made["StartTime"].replace(microsecond=0))
        ec2.create_tags(Resources=[origin.snapshot_id], Tags=tag_list(tags_for_snapshot(OLD, "default", origin)))
        copy = self.client("ec2", DR).copy_snapshot(
            SourceRegion=PRIMARY,
            SourceSnapshotId=origin.snapshot_id,
            Description=description_of_copy(origin),
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tag_list(tags_for_copy(OLD, "default", origin))}],
        )["SnapshotId"]
        wait_for(lambda: self.client("ec2", DR).describe_snapshots(SnapshotIds=[copy])["Snapshots"][0]["State"] == "completed")


def test_a_destroyed_systems_snapshots_are_taken_over(embedded: EmbeddedAws, account_id: str) -> None:
    account = Account(embedded, account_id)
    volume_id = Builder(embedded, account_id).volume(Name="data")
    for _ in range(2):
        account.leave_snapshot(volume_id)
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = account.client("iam", PRIMARY)
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]["Arn"]
    bound = ("--parameter", f"PermissionsBoundary={boundary}", "--dr-parameter", f"PermissionsBoundary={boundary}")
    vaults = ("--dr-parameter", "VaultAccounts=210987654321")
    deployed = account.snapkeep("deploy", "--yes", "--name", "-new", "--retention", "1", "--dr-retention", "2", *bound, *vaults)
    assert deployed.returncode == 0, deployed.stderr
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith(NEW)]
    assert len(roles) == sum(len(resources(stack, ROLE)) for stack in ("primary", "dr"))
    boundaries = {
        iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") for role in roles
    }
    assert boundaries == {boundary}
    checks = json.loads(account.snapkeep("doctor", "--json", "--name", "-new").stdout)["checks"]
    (former,) = [check for check in checks if (check["id"], check["region"]) == ("former_systems", DR)]
    assert former["state"] == "warning"
    assert f"snapkeep rename {OLD} {NEW}" in former["remedy"]

    Builder(embedded, account_id, DR).function(
        "TagSnapshotCopy-old", "def handler(event, context): pass", Environment={"Variables": {"SNAPKEEP_NAME": OLD}}
    )
    refused = account.snapkeep("rename", OLD, NEW, "--yes")
    assert refused.returncode == 2
    assert f"system {OLD} is still deployed in {DR}" in refused.stderr
    account.client("lambda", DR).delete_function(FunctionName="TagSnapshotCopy-old")
    unasked = account.snapkeep("rename", OLD, NEW)
    assert (unasked.returncode, account.managers(PRIMARY)) == (2, [OLD, OLD])

    renamed = account.snapkeep("rename", OLD, NEW, "--yes", "--json")
    assert renamed.returncode == 0, renamed.stderr
    assert json.loads(renamed.stdout)["snapshots_to_adopt"] == 4
    swept = account.snapkeep("sweep", "--json", "--name", "-new")
    assert swept.stdout, swept.stderr
    assert set(account.managers(PRIMARY)) == set(account.managers(DR)) == {NEW}
    assert account.managers(DR) == [NEW, NEW], "no copy was made again"
