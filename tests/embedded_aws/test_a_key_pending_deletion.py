"""Copies under a customer managed key, which is scheduled for deletion and saved: what the deployed system says and does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, REGIONS, Installation, install
from support.patience import COMMAND_SECONDS
from support.stacks import wait_for

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


def test_a_key_pending_deletion_is_found_everywhere_and_forgotten_once_it_is_saved(embedded: EmbeddedAws, tmp_path: Path) -> None:
    keyed = KeyedInstallation(embedded, tmp_path)
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
