"""A document whose locks the deployed stacks do not allow is not put in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.plan import app as plan_app
from snapkeep.cli.commands.policy import app
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.stack_limits import check_locks, documents_not_allowed, vaults_not_allowed
from snapkeep.domain.policy.document import parse_document
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.system import StackKind
from snapkeep.usecases.policies import stored_text
from support.volume_plans import DOCUMENT, World

PRIMARY, DR = "us-east-1", "us-east-2"
COMPLIANCE = {"mode": "compliance", "for": "14d", "cool_off": "24h"}


@dataclass
class Installed:
    """Stacks with these parameters; a region without an entry has none, None does not answer."""

    parameters: dict[str, Mapping[str, str] | None] = field(default_factory=dict)
    settings: AwsSettings = field(default_factory=lambda: AwsSettings(PRIMARY, DR))

    def stack_parameters(self, kind: StackKind, region: str) -> Mapping[str, str]:
        assert (kind is StackKind.PRIMARY) == (region == PRIMARY)
        parameters = self.parameters.get(region, {})
        if parameters is None:
            raise EndpointConnectionError(endpoint_url="https://cloudformation")
        return parameters


def refusals(parameters: dict[str, Mapping[str, str] | None]) -> list[tuple[str, str]]:
    copies = [{"region": DR, "retention": {}, "lock": COMPLIANCE}]
    policy = {"name": "gold", "select": {}, "retention": {}, "lock": {"mode": "governance", "for": "7d"}, "copies": copies}
    try:
        check_locks(Installed(parameters), parse_document({"version": 1, "policies": [policy]}))  # type: ignore[arg-type]
    except InvalidPolicy as refused:
        return [(problem.path, problem.right) for problem in refused.problems]
    return []


@pytest.mark.parametrize(
    ("parameters", "paths"),
    [
        ({PRIMARY: {"MaxLockDays": "7"}, DR: {"MaxLockDays": "14", "AllowComplianceLocks": "yes"}}, []),
        ({PRIMARY: {"MaxLockDays": "6"}, DR: None}, ["policies[0].lock.for"]),
        ({DR: {"MaxLockDays": "13", "AllowComplianceLocks": "yes"}}, ["policies[0].copies[0].lock.for"]),
        ({DR: {"MaxLockDays": "14", "AllowComplianceLocks": "no"}}, ["policies[0].copies[0].lock.mode"]),
        ({PRIMARY: {"Retention": "7"}}, ["policies[0].lock.for"]),
        ({PRIMARY: None, DR: None}, []),
        ({}, []),
    ],
)
def test_a_lock_beyond_the_stacks_parameters_is_refused(
    parameters: dict[str, Mapping[str, str] | None], paths: list[str]
) -> None:
    assert [path for path, _ in refusals(parameters)] == paths


def test_the_refusal_names_the_parameter_to_deploy_first() -> None:
    [(_, right)] = refusals({PRIMARY: {"MaxLockDays": "0"}})
    assert right == "raise MaxLockDays of the stack in us-east-1 first: it is 0"


@pytest.mark.parametrize(
    ("accounts", "allowed"), [("", False), ("999999999999", False), ("999999999999,210987654321", True), (None, True)]
)
def test_a_push_names_a_vault_that_the_stack_may_not_share_with(accounts: str | None, allowed: bool) -> None:
    """The document was put in force without a word, and nothing was shared."""
    vault = {"name": "bunker", "account": "210987654321", "region": DR, "from": DR, "retention": {"keep_last": 1}}
    rule = {"region": DR, "retention": {}, "kms_key": "alias/dr"}
    policy = {"name": "gold", "select": {}, "retention": {}, "copies": [rule], "vault": "bunker"}
    installed: Any = Installed({DR: None if accounts is None else {"VaultAccounts": accounts}})
    notes = list(vaults_not_allowed(installed, parse_document({"version": 1, "vaults": [vault], "policies": [policy]})))
    assert len(notes) == (0 if allowed else 1)
    value = ",".join(filter(None, [accounts, "210987654321"]))
    assert all(f"VaultAccounts={value}`" in note for note in notes), "the accounts that it has stay"


ARN_OF_FREEZE = "arn:aws:ssm:us-east-1:123456789012:document/freeze"
ARN_OF_AWS = "arn:aws:ssm:us-east-1::document/AWSEC2-CreateVssSnapshot"


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        ("", "freeze, AWSEC2-CreateVssSnapshot"),
        (ARN_OF_FREEZE, "AWSEC2-CreateVssSnapshot"),
        (f"{ARN_OF_FREEZE}, {ARN_OF_AWS}", ""),
        (f"{ARN_OF_FREEZE}-more,{ARN_OF_AWS}", "freeze"),
        (None, ""),
    ],
)
def test_a_push_names_commands_that_the_stack_does_not_allow(allowed: str | None, missing: str) -> None:
    """The document was put in force without a word, and its snapshots were not application-consistent."""
    scripts = {"before": {"ssm_document": "freeze"}, "after": {"ssm_document": "AWSEC2-CreateVssSnapshot"}}
    policy = {"name": "gold", "select": {}, "retention": {}, "snapshots": {"every": "4h"}, **scripts}
    installed: Any = Installed({PRIMARY: None if allowed is None else {"SsmDocuments": allowed, "Retention": "7"}})
    notes = list(documents_not_allowed(installed, parse_document({"version": 1, "policies": [policy]})))
    assert len(notes) == bool(missing)
    assert all(f"policy gold: AWS refuses {missing}, as SsmDocuments of the stack in us-east-1" in note for note in notes)


LOCKED = DOCUMENT.replace("keep_last: 3}", "keep_last: 3}\n    lock: {mode: governance, for: 3650d}")


def policy(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--region", PRIMARY])


@pytest.fixture
def allowing(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Stacks that allow locks of ten years."""
    parameters = {"Retention": "2", "MaxLockDays": "3650"}
    monkeypatch.setattr(InstalledSystem, "stack_parameters", lambda *_: parameters)
    return world


def test_push_and_difference_show_the_locks_of_a_rule(allowing: World, document: Path) -> None:
    document.write_text(LOCKED, encoding="utf-8")
    kept = [one.id for one in allowing.listings[PRIMARY]]
    said = f"{len(kept)}  snapshots would be locked in governance mode by the next sweeps, until "
    assert said in policy("push", str(document)).output, "before its question"
    assert said in policy("diff", str(document)).output
    planned = CliRunner().invoke(plan_app, ["--region", PRIMARY, "--policy", str(document), "--diff"])
    assert said in planned.output
    data = json.loads(policy("push", str(document), "--yes", "--json").stdout)["changes"][0]["locks"]
    assert [(locks["mode"], locks["snapshots"], locks["after_proof"]) for locks in data] == [("governance", kept, False)]
    assert said not in policy("diff", str(document)).output, "it is in force"


def test_a_rollback_to_locks_that_the_stacks_do_not_allow_is_refused(world: World, document: Path) -> None:
    world.documents[PRIMARY] = [stored_text(yaml.safe_load(LOCKED)), stored_text(yaml.safe_load(DOCUMENT))]
    refused = policy("rollback", "--yes")
    assert isinstance(refused.exception, InvalidPolicy)
    assert "raise MaxLockDays of the stack in us-east-1 first" in str(refused.exception)
    assert len(world.documents[PRIMARY]) == 2
    document.write_text(LOCKED, encoding="utf-8")
    for said in (policy("diff"), CliRunner().invoke(plan_app, ["--region", PRIMARY, "--policy", str(document), "--diff"])):
        assert "raise MaxLockDays of the stack in us-east-1 first" in said.stderr
        assert "would be locked" not in said.stdout
