"""The IAM policies of `docs/iam` name actions that exist, fit into a managed policy, and grant no dangerous action."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from snapkeep.domain.tag_names import HOLD, HOLDER, RECOVERY
from support.templates import FUNCTION, STACKS, resources

FOLDER = Path(__file__).parents[2] / "docs/iam"
NAMES = (
    "viewer",
    "operator",
    "recoverer",
    "recoverer-instances",
    "recoverer-vault",
    "deployer",
    "deployer-resources",
    "deployer-drill",
    "deployer-vault",
    "deployer-sharing",
)
MAY_DELETE = {
    "deployer-resources": "arn:aws:ssm:*:*:parameter/snapkeep*/bucket",
    "operator": "arn:aws:ssm:*:*:parameter/snapkeep*/holds/*",
}
"""The parameters that a document's principal may delete."""
READING = ("Describe", "Get", "List", "Query", "FilterLogEvents", "Decrypt")
MANAGED_POLICY_CHARACTERS = 6144
"""IAM quotas: the size of a managed policy, without white space."""


def statements(name: str) -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / f"{name}.json").read_text())["Statement"])


def actions(name: str) -> set[str]:
    return {action for statement in statements(name) for action in statement["Action"]}


@cache
def known_actions() -> dict[str, dict[str, Any]]:
    """Return every action in lower case, by service, from the Service Authorization Reference that cfn-lint contains."""
    data = json.loads(files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text())
    return {service: entry["Actions"] for service, entry in data.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_action_exists(name: str) -> None:
    unknown = [
        action for action in actions(name) if action.partition(":")[2].lower() not in known_actions()[action.partition(":")[0]]
    ]
    assert unknown == []


@pytest.mark.parametrize("name", NAMES)
def test_an_action_of_no_resource_is_granted_on_all_of_them(name: str) -> None:
    """AWS asks about `*` for it: a statement with a resource grants nothing."""
    without = [
        action
        for statement in statements(name)
        if statement["Resource"] != "*"
        for action in statement["Action"]
        if not known_actions()[action.partition(":")[0]][action.partition(":")[2].lower()].get("Resources")
    ]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_grants_no_wildcard_and_names_its_statements(name: str) -> None:
    sids = [statement["Sid"] for statement in statements(name)]
    assert len(sids) == len(set(sids))
    assert not [action for action in actions(name) if "*" in action]


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_fits_into_a_managed_policy(name: str) -> None:
    text = json.dumps(json.loads((FOLDER / f"{name}.json").read_text()), separators=(",", ":"))
    assert len(text) <= MANAGED_POLICY_CHARACTERS


def test_a_viewer_can_change_nothing() -> None:
    assert [action for action in actions("viewer") if not action.partition(":")[2].startswith(READING)] == []


def test_an_operator_may_do_everything_that_a_viewer_may() -> None:
    assert [statement["Sid"] for statement in statements("viewer") if statement not in statements("operator")] == []


def test_no_policy_permits_answers_to_executions() -> None:
    for name in NAMES:
        assert not {"states:SendTaskSuccess", "states:SendTaskFailure", "states:GetExecutionHistory"} & actions(name)


def test_no_policy_deletes_snapshots_or_the_policy_document() -> None:
    for name in NAMES:
        if name != "recoverer-vault":
            assert "ec2:DeleteSnapshot" not in actions(name)
        deleting = [statement["Resource"] for statement in statements(name) if "ssm:DeleteParameter" in statement["Action"]]
        assert deleting == [MAY_DELETE[name]] if name in MAY_DELETE else deleting == []


def test_tags_are_written_by_a_recovery_alone() -> None:
    """Tags make snapshots managed, and retention deletes what is managed."""
    tagging = [
        (name, statement["Resource"], statement["Condition"])
        for name in NAMES
        if name != "deployer-drill"
        for statement in statements(name)
        if {"ec2:CreateTags", "ec2:DeleteTags"} & set(statement["Action"])
    ]
    holds = {"ForAllValues:StringLike": {"aws:TagKeys": [HOLD, f"{HOLDER}*"]}, "Null": {"aws:TagKeys": "false"}}
    making = ["CreateReplaceRootVolumeTask", "RegisterImage", "RunInstances"]
    made_kinds = [
        "arn:aws:ec2:*::image/*",
        *(f"arn:aws:ec2:*:*:{kind}/*" for kind in ("instance", "replace-root-volume-task", "volume")),
    ]
    assert tagging == [
        ("recoverer", "arn:aws:ec2:*::snapshot/*", holds),
        ("recoverer", "arn:aws:ec2:*:*:volume/*", {"StringEquals": {"ec2:CreateAction": "CreateVolume"}}),
        ("recoverer-instances", made_kinds, {"StringEquals": {"ec2:CreateAction": making}}),
        (
            "recoverer-instances",
            "arn:aws:ec2:*:*:volume/*",
            MADE | {"ForAllValues:StringNotLike": {"aws:TagKeys": ["snapkeep:*"]}},
        ),
        ("recoverer-vault", "arn:aws:ec2:*::snapshot/*", {"StringEquals": {"ec2:CreateAction": "CopySnapshot"}}),
    ]


def test_a_recoverer_shares_and_deletes_only_copies_of_recoveries() -> None:
    conditions = {one["Action"][0]: one["Condition"] for one in statements("recoverer-vault") if "Condition" in one}
    assert conditions["ec2:DeleteSnapshot"] == MADE
    never_with_everybody = {"ec2:Add/group": "true"}
    assert conditions["ec2:ModifySnapshotAttribute"] == {"Null": MADE["Null"] | never_with_everybody}


def test_a_deployer_tags_nothing_of_ec2_but_networks() -> None:
    (tagging,) = [statement for statement in statements("deployer-drill") if "ec2:CreateTags" in statement["Action"]]
    assert tagging["Resource"] == [f"arn:aws:ec2:*:*:{kind}/*" for kind in ("security-group", "subnet", "vpc-endpoint", "vpc")]


MADE = {"Null": {f"aws:ResourceTag/{RECOVERY}": "false"}}


def test_only_instances_and_images_of_recoveries_are_changed() -> None:
    changing = {"ec2:DeregisterImage", "ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:TerminateInstances"}
    for statement in statements("recoverer-instances"):
        if changing & set(statement["Action"]):
            assert statement["Condition"] == MADE


def test_a_recoverer_removes_only_what_a_recovery_made() -> None:
    """It cannot give an existing volume the tag: `test_tags_are_written_by_a_recovery_alone`."""
    made = MADE
    removing = [statement for statement in statements("recoverer") if "ec2:DeleteVolume" in statement["Action"]]
    assert [(statement["Resource"], statement["Condition"]) for statement in removing] == [("arn:aws:ec2:*:*:volume/*", made)]
    making = [statement for statement in statements("recoverer") if statement["Sid"] == "MakeVolumes"]
    assert making[0]["Condition"] == {"Null": {f"aws:RequestTag/{RECOVERY}": "false"}}


def test_a_recoverer_writes_no_documents_but_journals() -> None:
    writing = [statement["Resource"] for statement in statements("recoverer") if "s3:PutObject" in statement["Action"]]
    assert writing == ["arn:aws:s3:::snapkeep*/recoveries/*"]


@pytest.mark.parametrize(
    ("document", "resource"),
    [
        ("deployer-resources", "arn:aws:lambda:*:*:function:{}*"),
        *((document, "arn:aws:logs:*:*:log-group:/aws/lambda/{}*") for document in ("deployer-resources", "operator", "viewer")),
    ],
)
def test_a_document_lists_every_function_of_the_templates(document: str, resource: str) -> None:
    documents = ("deployer-resources", "deployer-vault", "deployer-sharing") if document == "deployer-resources" else (document,)
    text = "".join((FOLDER / f"{name}.json").read_text(encoding="utf-8") for name in documents)
    names = {
        function["FunctionName"]["Fn::Sub"].removesuffix("${FunctionNameSuffix}")
        for stack in STACKS
        for function in resources(stack, FUNCTION).values()
    }
    patterns = re.findall(rf'"({re.escape(resource).replace(re.escape("{}"), "[A-Za-z*]+")})"', text)
    assert [name for name in names if not any(fnmatchcase(resource.format(name), pattern) for pattern in patterns)] == []
