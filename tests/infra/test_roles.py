"""Roles: each grants what `support.permissions` says, on resources as narrow as AWS offers."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from snapkeep.domain.commands import document_arn
from support.permissions import EVERY_FUNCTION, PERMISSIONS, actions_of
from support.templates import FUNCTION, MACHINE, ROLE, STACKS, Statement, all_statements, resources, statements, template

ROOT = Path(__file__).parents[2]
SWEEP_ROLES = {"SweepingRole", "SweepTimerRole"}
SERVICE_ROLES = {
    "primary": {"ProtectRole", "StartRole"} | SWEEP_ROLES,
    "dr": {"ReceiveRole", "StartRole", "VerifyingRole", "DrillingRole"} | SWEEP_ROLES,
    "vault": {"ReceiveRole", "StartRole"} | SWEEP_ROLES,
}
FUNCTIONS = [(stack, function) for stack in STACKS for function in PERMISSIONS[stack]]
SYSTEM = {"Fn::Sub": "snapkeep${FunctionNameSuffix}"}


@cache
def service_authorization() -> dict[str, Any]:
    """The Service Authorization Reference as cfn-lint ships it: actions with the resources that they can be limited to."""
    data = files("cfnlint").joinpath("data", "AdditionalSpecs", "Policies.json").read_text(encoding="utf-8")
    known: dict[str, Any] = json.loads(data)
    return known


def can_be_limited(action: str) -> bool:
    service, name = action.split(":")
    return bool(service_authorization()[service]["Actions"][name.lower()].get("Resources"))


def granted(stack: str, role: str) -> frozenset[str]:
    return frozenset(action for statement in statements(stack, role) for action in statement.actions)


@pytest.mark.parametrize(("stack", "function"), FUNCTIONS)
def test_a_role_grants_exactly_what_is_declared_for_its_function(stack: str, function: str) -> None:
    assert granted(stack, f"{function}Role") == actions_of(stack, function)


@pytest.mark.parametrize("stack", STACKS)
def test_every_function_has_its_own_role_and_every_role_is_used(stack: str) -> None:
    functions = resources(stack, FUNCTION)
    assert set(functions) == set(PERMISSIONS[stack])
    assert {name: one["Role"] for name, one in functions.items()} == {
        name: {"Fn::GetAtt": [f"{name}Role", "Arn"]} for name in functions
    }
    assert set(resources(stack, ROLE)) == {f"{name}Role" for name in functions} | SERVICE_ROLES[stack]


def test_no_action_is_a_pattern() -> None:
    assert [statement for statement in all_statements() if any("*" in action for action in statement.actions)] == []


def test_a_star_stands_only_where_aws_offers_no_resource() -> None:
    for statement in all_statements():
        if "*" in statement.resources:
            assert [action for action in statement.actions if can_be_limited(action)] == [], statement


def test_every_action_exists() -> None:
    for statement in all_statements():
        for action in statement.actions:
            service, name = action.split(":")
            assert name.lower() in service_authorization()[service]["Actions"], action


@pytest.mark.parametrize("stack", STACKS)
def test_only_managed_snapshots_can_be_deleted_beside_those_of_drills(stack: str) -> None:
    deleting = [
        statement
        for role in resources(stack, ROLE)
        for statement in statements(stack, role)
        if "ec2:DeleteSnapshot" in statement.actions and role != "RemoveAfterDrillRole"
    ]
    assert [statement.role for statement in deleting] == ["DeleteOldSnapshotsRole"]
    assert deleting[0].actions == ("ec2:DeleteSnapshot",)
    assert deleting[0].condition == {
        "StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM},
        "Null": {"aws:ResourceTag/snapkeep:hold": "true"},
    }
    assert deleting[0].resources == ({"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}::snapshot/*"},)


@pytest.mark.parametrize("stack", STACKS)
def test_no_role_may_both_delete_and_tag(stack: str) -> None:
    for role in resources(stack, ROLE):
        actions = granted(stack, role)
        assert not (actions & {"ec2:DeleteSnapshot", "ec2:DeleteVolume"} and actions & {"ec2:CreateTags", "ec2:DeleteTags"}), role


def test_the_copying_role_tags_only_in_the_copy_call() -> None:
    (tagging,) = [statement for statement in statements("dr", "DispatchRole") if "ec2:CreateTags" in statement.actions]
    assert tagging.condition == {"StringEquals": {"ec2:CreateAction": "CopySnapshot"}}


def test_the_receiving_role_tags_only_managed_copies() -> None:
    (tagging,) = [statement for statement in statements("dr", "TagSnapshotCopyRole") if "ec2:CreateTags" in statement.actions]
    assert tagging.condition == {"StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM}}


WITH_DRILL_TAG = {
    "Null": {"aws:ResourceTag/snapkeep:drill": "false"},
    "StringEqualsIfExists": {"aws:ResourceTag/snapkeep:system": SYSTEM},
}
"""Resources that drills of this system made; earlier drills named no system."""
SNAPSHOTS = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}::snapshot/*"}
VOLUMES = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:volume/*"}


def ec2_statements(role: str, verb: str) -> dict[str, tuple[Statement, ...]]:
    """The statements of a DR role whose actions begin with a verb, by action."""
    found = [statement for statement in statements("dr", role) if statement.actions[0].startswith(f"ec2:{verb}")]
    return {action: tuple(one for one in found if action in one.actions) for one in found for action in one.actions}


def test_the_role_that_removes_after_drills_needs_the_tag_of_a_drill() -> None:
    """INV-16."""
    deleting = ec2_statements("RemoveAfterDrillRole", "Delete")
    assert {action: [one.condition for one in ones] for action, ones in deleting.items()} == {
        "ec2:DeleteVolume": [WITH_DRILL_TAG],
        "ec2:DeleteSnapshot": [WITH_DRILL_TAG],
    }
    assert [one.resources for ones in deleting.values() for one in ones] == [(VOLUMES,), (SNAPSHOTS,)]
    assert {role for role in resources("dr", ROLE) if "ec2:DeleteVolume" in granted("dr", role)} == {"RemoveAfterDrillRole"}


def test_the_role_that_makes_for_drills_tags_in_the_making_call_alone() -> None:
    requested = {
        "Null": {"aws:RequestTag/snapkeep:drill": "false"},
        "StringEqualsIfExists": {"aws:RequestTag/snapkeep:system": SYSTEM},
    }
    managed = {"StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM}}
    making = ec2_statements("MakeForDrillRole", "Create")
    assert [(one.resources, one.condition) for one in making["ec2:CreateVolume"]] == [
        ((VOLUMES,), requested),
        ((SNAPSHOTS,), managed),
    ]
    assert [(one.resources, one.condition) for one in making["ec2:CreateSnapshot"]] == [
        ((VOLUMES,), WITH_DRILL_TAG),
        ((SNAPSHOTS,), requested),
    ]
    (tagging,) = making["ec2:CreateTags"]
    assert tagging.condition == {
        "StringEquals": {"ec2:CreateAction": ["CreateVolume", "CreateSnapshot", "RegisterImage", "RunInstances"]}
    }
    assert not {action for action in granted("dr", "MakeForDrillRole") if action.startswith("ec2:Delete")}


def test_instances_and_images_are_removed_by_the_tag_of_a_drill_alone() -> None:
    removing = {"ec2:TerminateInstances", "ec2:DeregisterImage"}
    found = [
        one for stack in STACKS for role in resources(stack, ROLE) for one in statements(stack, role) if removing & {*one.actions}
    ]
    assert {(one.role, one.actions[0]) for one in found} == {("RemoveAfterDrillRole", action) for action in removing}
    assert [one.condition for one in found] == [WITH_DRILL_TAG] * 2


def test_the_role_of_drills_writes_tags_of_holds_alone() -> None:
    (tagging,) = ec2_statements("DrillRole", "CreateTags")["ec2:CreateTags"]
    assert tagging.actions == ("ec2:CreateTags", "ec2:DeleteTags")
    assert tagging.condition == {
        "StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM},
        "ForAllValues:StringLike": {"aws:TagKeys": ["snapkeep:hold", "snapkeep:hold:*"]},
        "Null": {"aws:TagKeys": "false"},
    }


def test_commands_run_of_the_named_documents_alone() -> None:
    sending = [one for one in statements("primary", "MakeSnapshotsRole") if "ssm:SendCommand" in one.actions]
    assert [one.resources for one in sending] == [
        ({"Fn::Split": [",", {"Ref": "SsmDocuments"}]},),
        ({"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*"},),
    ]
    conditional = resources("primary", ROLE)["MakeSnapshotsRole"]["Policies"][-1]["Fn::If"]
    assert (conditional[0], conditional[2]) == ("RunScripts", {"Ref": "AWS::NoValue"})
    assert template("primary")["Conditions"]["RunScripts"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "SsmDocuments"}, ""]}]}
    parameter = template("primary")["Parameters"]["SsmDocuments"]
    assert parameter["Default"] == ""
    arns = [document_arn(name, "us-east-1", "111122223333", "aws") for name in ("freeze", "AWSEC2-CreateVssSnapshot")]
    assert re.fullmatch(parameter["AllowedPattern"], ",".join(arns))


@pytest.mark.parametrize(
    ("stack", "machine"),
    [
        ("primary", "Protect"),
        ("dr", "Receive"),
        ("primary", "Sweeping"),
        ("dr", "Sweeping"),
        ("dr", "Verifying"),
        ("dr", "Drilling"),
        ("vault", "Receive"),
        ("vault", "Sweeping"),
    ],
)
def test_a_state_machine_may_call_its_functions_and_no_others(stack: str, machine: str) -> None:
    substitutions = resources(stack, MACHINE)[machine]["DefinitionSubstitutions"]
    arns = [value for name, value in substitutions.items() if name != "Partition"]
    if machine == "Protect":  # executions that began under an earlier version call it
        arns.insert(2, {"Fn::GetAtt": ["CountSnapshots", "Arn"]})
    (calling,) = [statement for statement in statements(stack, f"{machine}Role") if "lambda:InvokeFunction" in statement.actions]
    assert list(calling.resources) == arns


@pytest.mark.parametrize(("stack", "machine"), [("primary", "Protect"), ("dr", "Receive"), ("vault", "Receive")])
def test_events_may_start_the_state_machine_and_do_nothing_else(stack: str, machine: str) -> None:
    (only,) = statements(stack, "StartRole")
    assert (only.actions, only.resources) == (("states:StartExecution",), ({"Ref": machine},))


def permissions_table() -> str:
    """The table of `docs/permissions.md`, made from the declaration."""
    lines = ["| stack | function | may | in order to | done by |", "|---|---|---|---|---|"]
    rows = [("all", "every function", permission) for permission in EVERY_FUNCTION]
    rows += [(stack, function, permission) for stack, function in FUNCTIONS for permission in PERMISSIONS[stack][function]]
    for stack, function, permission in rows:
        actions = ", ".join(f"`{action}`" for action in permission.actions)
        lines.append(f"| {stack} | {function} | {actions} | {permission.why} | {permission.by_service or 'the function'} |")
    return "\n".join(lines)


def test_the_documented_permissions_are_the_declared_ones() -> None:
    assert permissions_table() in (ROOT / "docs/permissions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("stack", STACKS)
def test_every_role_has_the_permissions_boundary_of_the_parameter(stack: str) -> None:
    boundary = {"Fn::If": ["BoundRoles", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    roles = resources(stack, ROLE)
    assert roles
    assert {name for name, role in roles.items() if role.get("PermissionsBoundary") != boundary} == set()


BLOCKS = {"ebs:GetSnapshotBlock", "ebs:ListChangedBlocks", "ebs:ListSnapshotBlocks"}
READERS_OF_BLOCKS = (("primary", "ReadBlocksRole"), ("dr", "VerifyRole"))


def test_only_proof_roles_read_blocks_and_of_managed_snapshots_alone() -> None:
    of_blocks = [
        (stack, statement)
        for stack in STACKS
        for role in resources(stack, ROLE)
        for statement in statements(stack, role)
        if any(action.startswith("ebs:") for action in statement.actions)
    ]
    # Dispatch counts what changed: it learns which blocks, and none of their content.
    ((stack, counting),) = [item for item in of_blocks if item[1].actions == ("ebs:ListChangedBlocks",)]
    assert (stack, counting.role) == ("dr", "DispatchRole")
    assert counting.condition == {"StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM}}
    assert not BLOCKS - {"ebs:ListChangedBlocks"} & granted("dr", "DispatchRole")
    reading = [item for item in of_blocks if item[1] is not counting]
    assert {(stack, statement.role) for stack, statement in reading} == set(READERS_OF_BLOCKS)
    assert all(statement.resources == (SNAPSHOTS,) for _, statement in reading)
    of_drills = [(stack, statement) for stack, statement in reading if statement.condition == WITH_DRILL_TAG]
    assert [(stack, statement.role, set(statement.actions)) for stack, statement in of_drills] == [
        ("dr", "VerifyRole", BLOCKS - {"ebs:ListChangedBlocks"})
    ]
    for one in reading:
        if one not in of_drills:
            assert set(one[1].actions) == BLOCKS
            assert one[1].condition == {"StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM}}


@pytest.mark.parametrize(("stack", "role"), READERS_OF_BLOCKS)
def test_a_role_that_reads_blocks_cannot_change_anything_in_ec2(stack: str, role: str) -> None:
    """INV-14."""
    assert {action for action in granted(stack, role) if action.startswith("ec2:")} <= {"ec2:DescribeSnapshots"}
    for statement in statements(stack, role):
        if statement.actions == ("kms:Decrypt",):
            assert statement.condition == {"StringLike": {"kms:ViaService": "ec2.*.amazonaws.com"}}


def test_only_one_role_shares_and_with_the_accounts_of_vaults_alone() -> None:
    """INV-22."""
    action = "ec2:ModifySnapshotAttribute"
    sharing = [
        one for stack in STACKS for role in resources(stack, ROLE) for one in statements(stack, role) if action in one.actions
    ]
    managed = {"aws:ResourceTag/snapkeep:managed": SYSTEM}
    accounts = {"Fn::Split": [",", {"Ref": "VaultAccounts"}]}
    assert [(one.role, one.actions, one.resources, one.condition) for one in sharing] == [
        (
            "ShareWithVaultRole",
            (action,),
            (SNAPSHOTS,),
            {
                "StringEquals": managed,
                "ForAllValues:StringEquals": {"ec2:Add/userId": accounts},
                "Null": {"ec2:Add/userId": "false", "ec2:Add/group": "true"},
            },
        ),
        (
            "ShareWithVaultRole",
            (action,),
            (SNAPSHOTS,),
            {"StringEquals": managed, "Null": {"ec2:Add/userId": "true", "ec2:Add/group": "true"}},
        ),
    ]


def test_the_role_that_shares_writes_its_own_two_tags_alone() -> None:
    (tagging,) = ec2_statements("ShareWithVaultRole", "CreateTags")["ec2:CreateTags"]
    assert tagging.actions == ("ec2:CreateTags", "ec2:DeleteTags")
    assert tagging.condition == {
        "StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["snapkeep:vault", "snapkeep:vault-copy"]},
        "Null": {"aws:TagKeys": "false"},
    }


def test_only_vaults_send_events_and_of_one_kind_alone() -> None:
    (policy,) = resources("dr", "AWS::Events::EventBusPolicy").values()
    statement, accounts = policy["Statement"], {"Fn::Split": [",", {"Ref": "VaultAccounts"}]}
    assert (statement["Principal"], statement["Action"]) == ({"AWS": accounts}, "events:PutEvents")
    rule = resources("dr", "AWS::Events::Rule")["VaultCopyEnded"]["EventPattern"]
    assert statement["Condition"] == {
        "ForAllValues:StringEquals": {"events:source": rule["source"][0]},
        "StringEquals": {"events:detail-type": rule["detail-type"][0]},
    }
    assert rule["account"] == accounts


def test_without_vault_accounts_nothing_for_vaults_is_made() -> None:
    made = template("dr")["Resources"]
    named = {name for name in made if name.startswith(("Share", "Vault"))}
    assert len(named) == 8
    assert {name for name, one in made.items() if one.get("Condition") == "HasVaults"} == named
