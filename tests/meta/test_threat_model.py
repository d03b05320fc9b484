"""The threat model says what each role could do at worst as the templates grant it, and names a test for every threat."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.templates import FUNCTION, STACKS, Statement, resources, statements
from support.threats import rows

ROOT = Path(__file__).parents[2]
THREATS = ("Deletion", "Copies in a wrong place", "Leaks", "Silence")
HARMLESS = re.compile(
    r"(ec2|states|dynamodb|ssm|s3|sqs|logs|lambda|cloudtrail|ebs|kms):(Describe|Get|List|Lookup)\w+"
    r"|dynamodb:Query|(logs|xray):Put\w+|logs:CreateLogStream|sqs:ReceiveMessage"
    r"|kms:(Decrypt|Encrypt|GenerateDataKey|GenerateDataKeyWithoutPlaintext|ReEncryptFrom|ReEncryptTo)"
)
"""Actions that change nothing, show no data of a volume, or are worth nothing without one of those below: keys are of no use alone."""
MADE, TAG_OF_DRILL, MANAGED = "ec2:CreateAction", "aws:ResourceTag/snapkeep:drill", "aws:ResourceTag/snapkeep:managed"
ANSWERS = ("states:SendTaskSuccess", "states:SendTaskFailure")
CAPABILITIES = {
    "ec2:DeleteVolume": "delete volumes of drills",
    "ec2:TerminateInstances": "terminate instances of drills",
    "ec2:DeregisterImage": "deregister images of drills",
    "ec2:RegisterImage": "launch instances of copies",
    "ec2:RunInstances": "launch instances of copies",
    "ec2:DeleteTags": "release held points",
    "ec2:CopySnapshot": "make copies",
    "ec2:CreateSnapshot": "make snapshots",
    "ec2:CreateSnapshots": "make snapshots",
    "ec2:CreateVolume": "make volumes of copies",
    "kms:CreateGrant": "use keys through EC2",
    "ebs:GetSnapshotBlock": "read the data of snapshots",
    "ec2:DescribeInstanceAttribute": "read user data",
    "dynamodb:PutItem": "write the queue of copies",
    "dynamodb:UpdateItem": "write the queue of copies",
    "dynamodb:DeleteItem": "write the queue of copies",
    **dict.fromkeys(ANSWERS, "answer waiting executions"),
    "states:StartExecution": "start executions",
    "states:GetExecutionHistory": "read task tokens",
    "ec2:LockSnapshot": "lock managed snapshots",
    "lambda:InvokeFunction": "have source blocks read",
    "lambda:InvokeFunction LockSnapshots": "have snapshots locked",
    "s3:PutObject": "write the bucket",
    "ssm:PutParameter": "place holds",
    "ssm:SendCommand": "run the documents of SsmDocuments on instances",
    "iam:PassRole": "launch instances of copies",
    "ssm:AddTagsToResource": "place holds",
    "events:PutEvents": "send word",
    "sns:Publish": "publish messages",
    "sqs:SendMessage": "leave notices",
    "sqs:DeleteMessage": "take messages away",
}
IN_DRILLS = "run commands in instances of drills"
SHARING = {
    "ec2:ModifySnapshotAttribute": "share managed copies with vaults",
    "ec2:CreateTags": "mark copies as shared",
    "ec2:DeleteTags": "mark copies as shared",
}
"""The capabilities of the one role that shares."""


def capability(statement: Statement, action: str) -> str:
    """Return what an action allows at worst; empty for one that is harmless."""
    keys = {key for condition in statement.condition.values() for key in condition}
    if action == "ec2:CreateTags" and MADE in keys:
        return ""
    if action == "ec2:DeleteSnapshot":
        assert keys & {TAG_OF_DRILL, MANAGED}, statement
        return "delete snapshots of drills" if TAG_OF_DRILL in keys else "delete managed snapshots"
    if statement.role == "ShareWithVaultRole" and action in SHARING:
        assert MANAGED in keys, statement
        return SHARING[action]
    if action == "ec2:CreateTags":
        if "aws:TagKeys" in keys:
            return "hold points"
        return "tag managed snapshots" if MANAGED in keys else "tag any snapshot"
    if action == "lambda:InvokeFunction" and "LockSnapshots" in str(statement.resources):
        action += " LockSnapshots"
    harmless = HARMLESS.fullmatch(action)
    assert action in CAPABILITIES or harmless, f"{action} of {statement.role}: say what an attacker could do with it"
    return IN_DRILLS if (statement.role, action) == ("DrillRole", "ssm:SendCommand") else CAPABILITIES.get(action, "")


def worst_of(stack: str, function: str) -> set[str]:
    granted = statements(stack, f"{function}Role")
    return {found for statement in granted for action in statement.actions if (found := capability(statement, action))}


WORST = "The role of a function, used by an attacker with its code"


FUNCTIONS = [(stack, function) for stack in STACKS for function in resources(stack, FUNCTION)]


@pytest.mark.parametrize(("stack", "function"), FUNCTIONS)
def test_the_page_says_what_a_role_could_do_at_worst(stack: str, function: str) -> None:
    (row,) = [row for row in rows(WORST) if row[:2] == [stack, function]]
    assert set(filter(None, row[2].split(", "))) == worst_of(stack, function)


def test_each_capability_has_its_bounds_and_no_other_is_named() -> None:
    named = {one for row in rows(WORST) if len(row) == 2 for one in row[0].split(", ")}
    assert named == {one for stack, function in FUNCTIONS for one in worst_of(stack, function)}
    assert len([row for row in rows(WORST) if len(row) == 3]) == len(FUNCTIONS)


@pytest.mark.parametrize("heading", THREATS)
def test_every_threat_has_a_test(heading: str) -> None:
    threats = rows(heading)
    assert threats
    for threat, _, tests in threats:
        paths = re.findall(r"`(tests/[^`]+)`", tests)
        assert paths, threat
        assert [path for path in paths if not (ROOT / path).is_file()] == [], threat
