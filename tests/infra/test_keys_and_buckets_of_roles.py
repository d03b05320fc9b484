"""The keys, buckets and parameters that roles use: through which services, of which account, and below which names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from snapkeep.usecases.sweep.announced_deletions import BY_RUNS, NOTIFIED, USUAL
from support.templates import ROLE, STACKS, Statement, resources, statements

WRITING = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
KEY_OF_A_WRITER = {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
"""The requests that DynamoDB makes to the key of a writer (DynamoDB developer guide, "Authorizing use of your customer managed key")."""


def actions_of(stack: str, role: str) -> set[str]:
    return {action for statement in statements(stack, role) for action in statement.actions}


@pytest.mark.parametrize("stack", STACKS)
def test_roles_that_write_the_table_may_use_its_key_through_dynamodb(stack: str) -> None:
    writers = [role for role in resources(stack, ROLE) if actions_of(stack, role) & WRITING]
    assert len(writers) == {"primary": 2, "dr": 3, "vault": 4}[stack]
    for role in writers:
        assert actions_of(stack, role) >= KEY_OF_A_WRITER, role


@pytest.mark.parametrize("stack", STACKS)
def test_keys_are_used_through_a_service_alone(stack: str) -> None:
    """The stack's own is used without one to read and write messages, whose services may have no such key."""
    services = [f"{service}.*.amazonaws.com" for service in ("dynamodb", "ec2", "s3")]
    for role in resources(stack, ROLE):
        for statement in statements(stack, role):
            used = {action for action in statement.actions if action.startswith("kms:")} - {"kms:DescribeKey"}
            if used and (used & {"kms:Encrypt", "kms:ReEncryptTo"} or "key/*" in str(statement.resources)):
                assert statement.condition["StringLike"]["kms:ViaService"] in services, role
            if "kms:CreateGrant" in used:
                assert statement.condition["Bool"] == {"kms:GrantIsForAWSResource": True}, role


@pytest.mark.parametrize("stack", STACKS)
def test_buckets_of_unknown_names_are_of_the_account(stack: str) -> None:
    for role in resources(stack, ROLE):
        for statement in statements(stack, role):
            if "s3:::*" in str(statement.resources):
                assert statement.condition["StringEquals"] == {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}, role


IDS_OF_AWS = re.compile(
    r"arn:Partition:(ec2|kms):[^:]+:[^:]*:(image|instance|key|network-interface|security-group|snapshot|subnet|volume)/\*"
)
OF_THE_SYSTEM = re.compile(
    r"\$\{\w+\.Arn\}/.+|arn:Partition:(\w+:(Region|\*)|iam:):AccountId:"
    r"((parameter/|role/|stateMachine:|table/)snapkeepSuffix[-/].+"
    r"|execution:snapkeepSuffix-\w+:\*|document/snapkeep-drill-\*|function:[A-Za-z]+Suffix)"
)
ELSEWHERE = {"arn:Partition:events:*:*:event-bus/default", "arn:Partition:s3:::*", "arn:Partition:s3:::*/records/*"}
"""Of other accounts, or of unknown names: conditions say which (`test_vault_template.py`, and above)."""


def written_arns() -> Iterator[tuple[Statement, str]]:
    """Every ARN that the templates write out, with its statement: `Region` for `${AWS::Region}`, and so on."""
    for stack in STACKS:
        for role in resources(stack, ROLE):
            for statement in statements(stack, role):
                for one in statement.resources:
                    if "Fn::Sub" in one:
                        yield statement, re.sub(r"\$\{(?:AWS::|FunctionName)(\w+)\}", r"\1", one["Fn::Sub"])


def test_resources_are_the_systems_own_or_have_ids_of_aws() -> None:
    patterns = IDS_OF_AWS, OF_THE_SYSTEM
    others = {arn for _, arn in written_arns() if arn not in ELSEWHERE and not any(one.fullmatch(arn) for one in patterns)}
    assert others == set()


def test_roles_write_parameters_of_holds_and_objects_below_their_own_prefix() -> None:
    """No function may write the policy document; Sweep alone writes all of the bucket."""
    parameters = {(one.role, arn.partition("Suffix/")[2]) for one, arn in written_arns() if "ssm:PutParameter" in one.actions}
    assert parameters == {("SignalRole", "holds/signals-*"), ("SweepRole", "holds/deletions-*")}
    objects = {(one.role, arn.partition("Arn}/")[2]) for one, arn in written_arns() if "s3:PutObject" in one.actions}
    assert {role for role, name in objects if not re.fullmatch(r"[a-z-]+/.+", name)} == {"SweepRole", "TagSnapshotsRole"}


def test_keys_of_copies_are_used_through_ec2_alone() -> None:
    any_key = {"Fn::Sub": "arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*"}
    for statement in statements("dr", "DispatchRole"):
        if statement.resources == (any_key,) and statement.actions != ("kms:DescribeKey",):
            assert statement.condition["StringLike"] == {"kms:ViaService": "ec2.*.amazonaws.com"}


@pytest.mark.parametrize("stack", STACKS)
def test_runs_can_neither_write_nor_hide_the_usual_deletions_of_a_day(stack: str) -> None:
    """A listing shows the first thousand names: none that the deleting role may write comes before the number."""
    (writing,) = [one for one in statements(stack, "DeleteOldSnapshotsRole") if "s3:PutObject" in one.actions]
    (listing,) = [one for one in statements(stack, "DeleteOldSnapshotsRole") if "s3:ListBucket" in one.actions]
    assert listing.condition == {"StringLike": {"s3:prefix": "deletions/*"}}
    patterns = [resource["Fn::Sub"].removeprefix("${Reports.Arn}/") for resource in writing.resources]

    def may_write(name: str) -> bool:
        return any(fnmatchcase(f"deletions/2026-11-30/{name}", pattern) for pattern in patterns)

    assert may_write(f"{BY_RUNS}0123456789abcdef-snap-1")
    assert may_write(NOTIFIED)
    assert f"{USUAL}:" < BY_RUNS, "a colon comes after the digits"
    forged = ("-a-snap-1", "-a/runs/x-snap-1", "-a/-notified", "-notified-", "-snap-1/-notified", f"{USUAL}9", "runs", "")
    assert [name for name in forged if may_write(name)] == []
