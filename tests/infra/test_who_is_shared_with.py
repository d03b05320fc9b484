"""INV-22: requests of ModifySnapshotAttribute against the policy of the one role that may make them, as IAM evaluates it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator

from snapkeep.lab.embedded_aws.aws.authorization import CallContext, checks
from support.templates import ROLE, resources

ACCOUNT, VAULT, SECOND, STRANGER = "123456789012", "210987654321", "310987654321", "999988887777"
MANAGED = {"snapkeep:managed": "snapkeep"}
VALUES = {"AWS::Partition": "aws", "AWS::Region": "us-east-2", "AWS::AccountId": ACCOUNT, "FunctionNameSuffix": ""}


def resolved(value: Any) -> Any:
    """Return a value of the template as CloudFormation resolves it, with two accounts in VaultAccounts."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Split" in value:
        return [VAULT, SECOND]
    if "Fn::Sub" in value:
        text = str(value["Fn::Sub"])
        for name, filling in VALUES.items():
            text = text.replace(f"${{{name}}}", filling)
        return text
    if "Fn::GetAtt" in value or "Fn::If" in value:
        return "arn:aws:other:::resource"
    return {key: resolved(item) for key, item in value.items()}


def allowed(tags: dict[str, str], **request: Any) -> bool:
    policies = [resolved(policy["PolicyDocument"]) for policy in resources("dr", ROLE)["ShareWithVaultRole"]["Policies"]]
    parsed = [iam_evaluator.parse_policy_document(json.dumps(policy)) for policy in policies]
    call = CallContext("us-east-2", ACCOUNT, lambda *_: tags)
    (check,) = checks("ec2", "ModifySnapshotAttribute", {"SnapshotId": "snap-0123456789abcdef0", **request}, call)
    context = iam_evaluator.EvalContext(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/share/session",
        "AssumedRole",
        ACCOUNT,
        check.action,
        check.resource_arn,
        "us-east-2",
        service_context={key.lower(): value for key, value in check.context.items()},
    )
    return bool(iam_evaluator.evaluate(context, parsed).decision == "Allow")


def adding(*accounts: str, **more: Any) -> dict[str, Any]:
    return {"OperationType": "add", "UserIds": list(accounts), **more}


@pytest.mark.parametrize("request_", [adding(VAULT), adding(SECOND), adding(VAULT, SECOND)])
def test_managed_copies_are_shared_with_vaults(request_: dict[str, Any]) -> None:
    assert allowed(MANAGED, **request_)


@pytest.mark.parametrize("accounts", [[VAULT], [STRANGER]])
def test_shares_of_managed_copies_are_taken_back(accounts: list[str]) -> None:
    assert allowed(MANAGED, OperationType="remove", UserIds=accounts)


@pytest.mark.parametrize(
    ("tags", "request_"),
    [
        (MANAGED, adding(STRANGER)),
        (MANAGED, adding(VAULT, STRANGER)),
        (MANAGED, {"OperationType": "add", "GroupNames": ["all"]}),
        (MANAGED, adding(VAULT, GroupNames=["all"])),
        (MANAGED, {"CreateVolumePermission": {"Add": [{"UserId": STRANGER}], "Remove": [{"UserId": VAULT}]}}),
        (MANAGED, {"CreateVolumePermission": {"Add": [{"Group": "all"}]}}),
        ({}, adding(VAULT)),
        ({"snapkeep:managed": "snapkeep2"}, adding(VAULT)),
        ({}, {"OperationType": "remove", "UserIds": [VAULT]}),
    ],
)
def test_no_other_request_is_allowed(tags: dict[str, str], request_: dict[str, Any]) -> None:
    assert not allowed(tags, **request_)
