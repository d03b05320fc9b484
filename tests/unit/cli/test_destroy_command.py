"""`snapkeep destroy` names and deletes the DR stack of every DR region."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from snapkeep.cli import common
from snapkeep.cli.commands.deploy import deploy_app, destroy_app
from snapkeep.cli.errors import NotConfirmed
from snapkeep.deploy import deployment
from snapkeep.deploy.deployment import RemovalResult
from snapkeep.deploy.stacks import StackOutcome, StackResult
from support.installed_stacks import Clients, Settings, Stacks

PRIMARY, DR, FURTHER, FORMER, FOREIGN = "eu-central-1", "eu-west-1", "eu-north-1", "eu-south-1", "us-east-1"
STACKS: Stacks = {
    (PRIMARY, "snapkeep-primary"): {"DRRegion": DR},
    (DR, "snapkeep-dr"): {"Retention": "3"},
    (FURTHER, "snapkeep-dr"): {"Retention": "4"},
    (FORMER, "snapkeep-dr"): {"Retention": "4", "tag:snapkeep:primary-region": PRIMARY},
    (FOREIGN, "snapkeep-dr"): {"Retention": "4", "tag:snapkeep:primary-region": "us-west-2"},
}
COPIES = [{"region": region, "retention": {"keep_last": 1}} for region in (DR, FURTHER)]
DOCUMENT = {"version": 1, "policies": [{"name": "gold", "select": {}, "retention": {"keep_last": 3}, "copies": COPIES}]}


@pytest.fixture
def destroyed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def settings(**options: str) -> Settings:
        documents = {PRIMARY: json.dumps(DOCUMENT)}
        return Settings(options["region"], options["dr_region"], stacks=STACKS, documents=documents)

    class Recorded:
        def __init__(self, target: Any, watcher: Any) -> None:
            self.target = target

        def destroy(self, kinds: Sequence[str], further: Sequence[str] = ()) -> RemovalResult:
            calls.append((tuple(kinds), self.target.dr_region, list(further)))
            return RemovalResult("snapkeep", "123456789012", (), {})

    monkeypatch.setattr(common, "aws_settings", settings)
    monkeypatch.setattr(deployment, "Deployment", Recorded)
    return calls


def destroy(*arguments: str) -> None:
    CliRunner().invoke(destroy_app, ["--region", PRIMARY, *arguments], catch_exceptions=False)


def test_every_dr_stack_of_the_system_is_deleted(destroyed: list[Any]) -> None:
    destroy("--yes")
    assert destroyed == [(("primary", "dr"), DR, [FURTHER, FORMER])]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("describe_regions", "other regions with DR stacks are not known: "),
        ("describe_stacks", f"{FORMER}: it is not known whether it has a DR stack: "),
    ],
)
def test_a_region_that_cannot_be_searched_is_reported(
    destroyed: list[Any], monkeypatch: pytest.MonkeyPatch, method: str, message: str
) -> None:
    answer = getattr(Clients, method)

    def refused(self: Clients, **request: Any) -> Any:
        if method == "describe_regions" or self.region == FORMER:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, method)
        return answer(self, **request)

    monkeypatch.setattr(Clients, method, refused)
    result = CliRunner().invoke(destroy_app, ["--region", PRIMARY, "--yes"], catch_exceptions=False)
    assert destroyed == [(("primary", "dr"), DR, [FURTHER])]
    assert message in result.stderr


def test_the_question_names_every_region(destroyed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []

    def refuse(question: str) -> bool:
        questions.append(question)
        return False

    monkeypatch.setattr(common, "can_ask", lambda *, json: not json)
    monkeypatch.setattr("typer.confirm", refuse)
    with pytest.raises(NotConfirmed):
        destroy()
    question = f"Delete the stacks of snapkeep in {PRIMARY} and {DR} and {FURTHER} and {FORMER}? Snapshots stay. {deployment.KEY_OF_RECORDS}."
    assert questions == [question]
    assert destroyed == []


def test_only_dr_with_a_region_deletes_only_its_dr_stack(destroyed: list[Any]) -> None:
    destroy("--yes", "--only", "dr", "--dr-region", FURTHER)
    assert destroyed == [(("dr",), FURTHER, [])]


def test_only_primary_leaves_every_dr_stack(destroyed: list[Any]) -> None:
    destroy("--yes", "--only", "primary")
    assert destroyed == [(("primary",), DR, [])]


def test_only_the_network_of_drills_is_deleted(destroyed: list[Any]) -> None:
    destroy("--yes", "--only", "drill")
    assert destroyed == [(("drill",), DR, [])]


def test_only_a_vaults_stack_is_deleted_in_the_given_region(destroyed: list[Any]) -> None:
    destroy("--yes", "--only", "vault")
    assert destroyed == [(("vault",), "", [])]


def test_only_a_vaults_stack_is_deployed_with_its_parameters(destroyed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def deploy(recorded: Any, primary: Any, dr: Any, **how: Any) -> Any:
        calls.append((recorded.target.region, primary, dr, how["vault_parameters"], how["kinds"]))
        how["examine"]()
        return SimpleNamespace(stacks=())

    monkeypatch.setattr(deployment.Deployment, "deploy", deploy, raising=False)
    examined = Mock(return_value=())
    monkeypatch.setattr("snapkeep.cli.commands.doctor.examined_vault", examined)
    arguments = ["--region", DR, "--only", "vault", "--parameter", "OwnerAccounts=111122223333"]
    CliRunner().invoke(deploy_app, arguments, catch_exceptions=False)
    assert calls == [(DR, {}, {}, {"OwnerAccounts": "111122223333"}, ["vault"])]
    assert examined.call_args.args[1] == {"OwnerAccounts": "111122223333"}
    assert destroyed == []


@pytest.mark.parametrize(
    ("outcome", "outputs", "shown"),
    [
        (StackOutcome.CREATED, {"SweepStateMachineArn": "arn"}, True),
        (StackOutcome.UPDATED, {"SweepStateMachineArn": "arn"}, False),
        (StackOutcome.CREATED, {"DrillSubnet": "subnet-1"}, False),
    ],
)
def test_a_deployment_explains_the_alarm_of_a_new_stack(
    destroyed: list[Any], monkeypatch: pytest.MonkeyPatch, outcome: StackOutcome, outputs: dict[str, str], shown: bool
) -> None:
    made = SimpleNamespace(stacks=(StackResult("snapkeep-vault", DR, outcome, outputs),))
    monkeypatch.setattr(deployment.Deployment, "deploy", lambda *_, **__: made, raising=False)
    result = CliRunner().invoke(deploy_app, ["--region", DR, "--only", "vault"], catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert ("NoSweepAlarm is in ALARM until the first sweep. The schedule makes one, or now:" in lines) is shown
    assert lines[-1].startswith("  snapkeep vault sweep") is shown
