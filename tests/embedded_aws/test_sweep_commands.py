"""The commands status, sweep and explain, against both stacks as they are deployed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.deployment import DR, PRIMARY, Installation
from support.patience import COMMAND_SECONDS
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")


def snapkeep(installation: Installation, *arguments: str, columns: int = 100) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **installation.aws.environment(PRIMARY, installation.account_id), "COLUMNS": str(columns)}
    command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)


@pytest.fixture(scope="module")
def protected(installation: Installation) -> tuple[str, str]:
    """A snapshot, and its copy, whose run has ended."""
    snapshot = installation.snapshot(installation.volume(Name="told"))
    copy = installation.copied(snapshot)["SnapshotId"]
    machine = installation.outputs["primary"]["StateMachineArn"]
    sfn = installation.client("stepfunctions")
    wait_for(lambda: not sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])
    return snapshot, copy


def test_status_fails_while_a_volume_is_unprotected_and_names_it(installation: Installation, protected: tuple[str, str]) -> None:
    bare = installation.volume(Name="bare")
    result = snapkeep(installation, "status", "--json")
    assert result.returncode == 1, result.stderr
    data = json.loads(result.stdout)
    health = {volume["volume_id"]: volume["health"] for volume in data["volumes"]}
    assert health[bare] == "no_snapshot"
    assert "protected" in health.values()
    shown = snapkeep(installation, "status", columns=80)
    assert bare in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    installation.client("ec2").delete_volume(VolumeId=bare)


def test_sweep_follows_both_regions_and_prints_both_reports(installation: Installation, protected: tuple[str, str]) -> None:
    result = snapkeep(installation, "sweep", "--json")
    assert result.stdout, result.stderr
    reports = json.loads(result.stdout)["reports"]
    assert [report["region"] for report in reports] == [DR, PRIMARY]
    assert result.returncode == int(any(report["outcome"] != "OK" for report in reports))
    listed = json.loads(snapkeep(installation, "report", "list", "--json").stdout)
    assert {kept["id"] for kept in listed["reports"]} >= {report["id"] for report in reports}
    shown = snapkeep(installation, "report", "show", reports[0]["id"], "--json")
    assert json.loads(shown.stdout) == reports[0]


def test_nothing_is_adopted_without_a_yes(installation: Installation) -> None:
    result = snapkeep(installation, "sweep", "--adopt")
    assert result.returncode == 2
    assert "snapkeep plan --adopt" in result.stderr


def test_explain_shows_the_run_the_copy_and_the_verdict(installation: Installation, protected: tuple[str, str]) -> None:
    snapshot, copy = protected
    result = snapkeep(installation, "explain", snapshot, "--json")
    assert result.returncode == 0, result.stderr
    story = json.loads(result.stdout)
    assert (story["action"], story["copies"][0]["id"]) == ("keep", copy)
    texts = [event["text"] for event in story["events"]]
    assert any(text.startswith("run snapkeep-protect:") and "SUCCEEDED" in text for text in texts)
    assert any(text.startswith("CopySnapshotToDR: copy") for text in texts)
    shown = snapkeep(installation, "explain", copy)
    assert f"as of {story['origin']['start_time'][:10]}" in shown.stdout


def test_explain_refuses_invalid_ids_and_names_unknown_ones(installation: Installation) -> None:
    assert snapkeep(installation, "explain", "vol-1").returncode == 2
    unknown = snapkeep(installation, "explain", "snap-0123456789abcdef0")
    assert unknown.returncode == 1
    assert "it was deleted, never existed" in unknown.stdout
