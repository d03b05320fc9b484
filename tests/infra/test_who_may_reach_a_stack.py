"""Policies of resources, and trusts of roles: which services reach a stack, for whom, and never without TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.templates import ROLE, STACKS, resources

OWN_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
POLICIES = {
    "AWS::SQS::QueuePolicy": ("Queues", "AWS::SQS::Queue"),
    "AWS::SNS::TopicPolicy": ("Topics", "AWS::SNS::Topic"),
    "AWS::S3::BucketPolicy": ("Bucket", "AWS::S3::Bucket"),
}
"""The policies of each kind: the property with the resources that they are of, and the kind of these."""


def policies(stack: str, kind: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name of each resource with a policy of a kind, and its statements."""
    for policy in resources(stack, kind).values():
        of = policy[POLICIES[kind][0]]
        for one in of if isinstance(of, list) else [of]:
            yield one["Ref"], policy["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("stack", STACKS)
def test_queues_topics_and_buckets_refuse_plain_http(stack: str, kind: str) -> None:
    refusing = {
        name
        for name, statements in policies(stack, kind)
        for one in statements
        if (one["Effect"], one["Principal"], one.get("Condition")) == ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}})
    }
    assert refusing == resources(stack, POLICIES[kind][1]).keys()


@pytest.mark.parametrize("stack", STACKS)
def test_services_send_only_for_the_stacks_rules_and_the_accounts_alarms(stack: str) -> None:
    rules = resources(stack, "AWS::Events::Rule")
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for name, statements in policies(stack, kind):
            for one in [one for one in statements if one["Effect"] == "Allow"]:
                if one["Principal"] == {"Service": "cloudwatch.amazonaws.com"}:
                    assert one["Condition"] == OWN_ACCOUNT, name
                    continue
                assert one["Principal"] == {"Service": "events.amazonaws.com"}, name
                senders = one["Condition"]["ArnEquals"]["aws:SourceArn"]
                for sender in senders if isinstance(senders, list) else [senders]:
                    assert sender.get("Fn::If", ["", sender])[1]["Fn::GetAtt"][0] in rules, name


@pytest.mark.parametrize("stack", STACKS)
def test_only_rules_of_the_stack_with_a_function_as_target_invoke_it(stack: str) -> None:
    permissions, rules = resources(stack, "AWS::Lambda::Permission"), resources(stack, "AWS::Events::Rule")
    assert permissions
    for name, permission in permissions.items():
        assert (permission["Principal"], permission["Action"]) == ("events.amazonaws.com", "lambda:InvokeFunction"), name
        targets = [target["Arn"] for target in rules[permission["SourceArn"]["Fn::GetAtt"][0]]["Targets"]]
        assert permission["FunctionName"] in targets, name


@pytest.mark.parametrize("stack", STACKS)
def test_roles_of_state_machines_are_assumed_for_the_account_alone(stack: str) -> None:
    """Of another account's state machine with this role Step Functions is a confused deputy (its developer guide)."""
    trusts = [trust for role in resources(stack, ROLE).values() for trust in role["AssumeRolePolicyDocument"]["Statement"]]
    of_machines = [trust for trust in trusts if trust["Principal"] == {"Service": "states.amazonaws.com"}]
    assert len(of_machines) >= 2
    assert all(trust["Condition"] == OWN_ACCOUNT for trust in of_machines)


@pytest.mark.parametrize("stack", STACKS)
def test_the_key_encrypts_logs_of_the_account_alone(stack: str) -> None:
    (key,) = resources(stack, "AWS::KMS::Key").values()
    (of_logs,) = [one for one in key["KeyPolicy"]["Statement"] if "logs." in str(one["Principal"])]
    own = {"Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"}
    assert of_logs["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": own}}
