"""People with the IAM policies of `docs/iam` can do their work, with IAM enforced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, Installation

pytestmark = pytest.mark.xdist_group("installation")
POLICIES = Path(__file__).parents[2] / "docs/iam"
UNKNOWN_KEYS = ("aws:CalledVia", "iam:PassedToService")
OTHER_RESOURCES = ("LogGroups", "KeyThroughCloudFormation")
REFUSALS = ("not authorized", "AccessDenied", "UnauthorizedOperation")
POLICY_DOCUMENT = {"version": 1, "policies": [{"name": "all", "select": {}, "retention": {"keep_last": 5}}]}


def policy_document(name: str) -> str:
    """Return a policy as the emulator can evaluate it.

    Its CloudFormation sets neither `aws:CalledVia` nor `iam:PassedToService`, and authorizes the deletion of log groups and keys
    with other resources than AWS. The actions are all of the policy's, and no others.
    """
    document = json.loads((POLICIES / f"{name}.json").read_text())
    for statement in document["Statement"]:
        if any(key in json.dumps(statement.get("Condition", {})) for key in UNKNOWN_KEYS):
            del statement["Condition"]
        if statement["Sid"] in OTHER_RESOURCES:
            statement["Resource"] = "*"
    return json.dumps(document)


def make_user(aws: EmbeddedAws, account_id: str, *policies: str) -> dict[str, str]:
    """Make an IAM user with policies of the documentation; return the environment of its commands."""
    iam = aws.client("iam", PRIMARY, account_id)
    iam.create_user(UserName=policies[0])
    for policy in policies:
        iam.put_user_policy(UserName=policies[0], PolicyName=policy, PolicyDocument=policy_document(policy))
    key = iam.create_access_key(UserName=policies[0])["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return {**os.environ, **aws.environment(PRIMARY, account_id), **credentials}


def snapkeep(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def assert_permitted(ran: subprocess.CompletedProcess[str]) -> None:
    output = ran.stdout + ran.stderr
    assert not [word for word in REFUSALS if word in output], output
    assert ran.returncode in (0, 1), output


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


def test_an_operator_may_verify_a_copy(operator: dict[str, str], installation: Installation, snapshot: str) -> None:
    installation.copied(snapshot)
    ran = snapkeep(operator, "verify", snapshot, "--structure")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "PROVED" in ran.stdout


def test_a_deployer_may_deploy_and_destroy(embedded: EmbeddedAws, account_id: str) -> None:
    deployer = make_user(embedded, account_id, "deployer", "deployer-resources")
    deployed = snapkeep(deployer, "deploy", "--region", PRIMARY, "--dr-region", DR)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    destroyed = snapkeep(deployer, "destroy", "--region", PRIMARY, "--dr-region", DR, "--yes")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
