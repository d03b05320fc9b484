"""The template of a vault: nothing of production has a way in, and one way leads out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ministack.services.eventbridge import _matches_pattern

from support.templates import FUNCTION, ROLE, Statement, resources, statements, template
from support.vaulting import VaultLaboratory

OWNERS = {"Fn::Split": [",", {"Ref": "OwnerAccounts"}]}
OWN_ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
RESOURCE_POLICIES = ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy")


def all_statements() -> Iterator[Statement]:
    for role in resources("vault", ROLE):
        yield from statements("vault", role)


def admitted() -> Iterator[tuple[str, Any]]:
    """Every principal that a policy of a resource, or a role, admits, with the name of the resource."""
    documents = [(name, role["AssumeRolePolicyDocument"]) for name, role in resources("vault", ROLE).items()]
    documents += [(name, one["PolicyDocument"]) for kind in RESOURCE_POLICIES for name, one in resources("vault", kind).items()]
    documents += [(name, key["KeyPolicy"]) for name, key in resources("vault", "AWS::KMS::Key").items()]
    for name, document in documents:
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                yield name, statement["Principal"]
    for name, permission in resources("vault", "AWS::Lambda::Permission").items():
        yield name, {"Service": permission["Principal"]}


def test_no_principal_but_services_and_the_vaults_own_account_is_admitted() -> None:
    """INV-21: production has no role here, and no policy of a resource names it."""
    principals = list(admitted())
    assert len(principals) > 20
    strangers = [(name, one) for name, one in principals if set(one) != {"Service"} and (name, one) != ("Key", {"AWS": OWN_ROOT})]
    assert strangers == []
    kinds = {resource["Type"] for resource in template("vault")["Resources"].values()}
    assert not kinds & {"AWS::Events::EventBusPolicy", "AWS::Lambda::LayerVersionPermission", "AWS::RAM::ResourceShare"}


def test_events_go_to_the_owners_default_buses_and_nowhere_else() -> None:
    sending = [statement for statement in all_statements() if "events:PutEvents" in statement.actions]
    assert [statement.role for statement in sending] == ["PullRole", "SweepRole"]
    for statement in sending:
        assert statement.resources == ({"Fn::Sub": "arn:${AWS::Partition}:events:*:*:event-bus/default"},)
        assert statement.condition == {
            "ForAllValues:StringEquals": {"events:source": "snapkeep.vault"},
            "StringEqualsIfExists": {"aws:ResourceAccount": OWNERS},
        }


def test_the_copying_role_alone_uses_the_owners_keys_through_ec2() -> None:
    any_account = {"Fn::Sub": "arn:${AWS::Partition}:kms:*:*:key/*"}
    using = [statement for statement in all_statements() if any_account in statement.resources]
    assert {statement.role for statement in using} == {"DispatchRole"}
    for statement in using:
        assert statement.condition["StringEquals"] == {"aws:ResourceAccount": OWNERS}
        assert statement.condition["StringLike"] == {"kms:ViaService": "ec2.*.amazonaws.com"}
        assert ("Bool" in statement.condition) == ("kms:CreateGrant" in statement.actions)


def test_no_role_unlocks_shares_or_reads_blocks() -> None:
    actions = {action for statement in all_statements() for action in statement.actions}
    assert not actions & {"ec2:UnlockSnapshot", "ec2:ModifySnapshotAttribute", "ec2:ResetSnapshotAttribute", "sts:AssumeRole"}
    assert not {action for action in actions if action.startswith(("ebs:", "iam:", "lambda:Add"))}


def test_ec2s_event_of_a_share_reaches_pull() -> None:
    lab = VaultLaboratory()
    lab.offer(lab.make_volume())
    (shared,) = [event for event in lab.events if event["detail"].get("event") == "shareSnapshot"]
    rule = resources("vault", "AWS::Events::Rule")["PullOnShare"]
    record = {
        "Source": shared["source"],
        "DetailType": shared["detail-type"],
        "Detail": json.dumps(shared["detail"], default=str),
    }
    assert _matches_pattern(json.dumps(rule["EventPattern"]), record)
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["Pull", "Arn"]}


def test_the_stack_is_found_as_no_stack_of_production() -> None:
    """A stack that was deployed under another name is found by its outputs."""
    assert "SystemName" not in template("vault")["Outputs"]


def test_functions_of_a_vault_know_that_they_are() -> None:
    variables = template("vault")["Globals"]["Function"]["Environment"]["Variables"]
    assert (variables["SNAPKEEP_STACK"], variables["SNAPKEEP_ACCOUNT"]) == ("vault", {"Ref": "AWS::AccountId"})
    for name in ("Pull", "Sweep"):
        own = resources("vault", FUNCTION)[name]["Environment"]["Variables"]
        assert own["SNAPKEEP_OWNER_ACCOUNTS"] == {"Ref": "OwnerAccounts"}
