"""The rule for signals: the listed calls by others match its pattern, those of Snapkeep's own roles do not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ministack.services.eventbridge import _matches_pattern

from snapkeep.domain.signals import LISTED_CALLS
from support.calls import ACCOUNT, REQUESTS, ROOT, USER, called, session
from support.templates import ROLE, STACKS, resources, statements

RULE = "AWS::Events::Rule"
LISTED_ACTIONS = {f"{call.source.partition('.')[0]}:{call.name}" for call in LISTED_CALLS}
MAKING = {"ec2:CreateAction"}
"""The condition key of a permission to tag in the call that makes a resource, which is not a call of its own."""


def pattern(stack: str) -> dict[str, Any]:
    return resources(stack, RULE)["CallByOthers"]["EventPattern"]  # type: ignore[no-any-return]


def excluded_roles(stack: str) -> list[str]:
    _, anything_but = pattern(stack)["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"]
    # Fn::If has the ARN of a conditional role in second place.
    arns = [role["Fn::If"][1] if "Fn::If" in role else role for role in anything_but["anything-but"]]
    return [arn["Fn::GetAtt"][0] for arn in arns]


def matches(stack: str, event: dict[str, Any]) -> bool:
    """EventBridge's answer, with the roles' ARNs in place of their attributes."""
    filled = json.loads(json.dumps(pattern(stack)))
    issuer = filled["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]
    issuer["arn"][1]["anything-but"] = [f"arn:aws:iam::{ACCOUNT}:role/snapkeep-{role}" for role in excluded_roles(stack)]
    record = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    return bool(_matches_pattern(json.dumps(filled), record))


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("identity", [USER, ROOT, session("snapkeep-NotOurs"), {"type": "AWSService", "invokedBy": "x"}])
def test_a_listed_call_by_anybody_else_matches(stack: str, request_name: str, identity: dict[str, Any]) -> None:
    assert matches(stack, called(request_name, identity))
    assert matches(stack, called(request_name, identity, errorCode="AccessDenied", requestParameters=None))


@pytest.mark.parametrize("stack", STACKS)
def test_no_call_of_a_role_of_the_stack_matches(stack: str) -> None:
    assert not any(
        matches(stack, called(name, session(f"snapkeep-{role}"))) for role in excluded_roles(stack) for name in REQUESTS
    )


@pytest.mark.parametrize("stack", STACKS)
def test_the_excluded_roles_are_those_that_make_listed_calls(stack: str) -> None:
    making = {
        role
        for role in resources(stack, ROLE)
        for statement in statements(stack, role)
        if LISTED_ACTIONS & set(statement.actions) and not MAKING & {key for one in statement.condition.values() for key in one}
    }
    assert set(excluded_roles(stack)) == making


@pytest.mark.parametrize("stack", STACKS)
def test_the_pattern_names_every_listed_call(stack: str) -> None:
    detail = pattern(stack)["detail"]
    names = {name if isinstance(name, str) else name["prefix"] for name in detail["eventName"]}
    assert names == {call.name for call in LISTED_CALLS}
    assert set(detail["eventSource"]) == {call.source for call in LISTED_CALLS}


@pytest.mark.parametrize("stack", STACKS)
def test_other_tags_and_forged_events_do_not_match(stack: str) -> None:
    tags = {"resourcesSet": {"items": [{"resourceId": "i-1"}]}, "tagSet": {"items": [{"key": "Name", "value": "x"}]}}
    assert not matches(stack, called("CreateTags", requestParameters=tags))
    # PutEvents refuses sources that begin with "aws." (EventBridge API reference).
    assert not matches(stack, called("DeleteSnapshot") | {"source": "ec2"})


@pytest.mark.parametrize("stack", STACKS)
def test_the_pattern_is_within_eventbridges_limit(stack: str) -> None:
    """2,048 characters (EventBridge user guide: quotas), with ARNs of roles whose names are as long as they may be."""
    roles = dict.fromkeys(excluded_roles(stack), f"arn:aws-us-gov:iam::{ACCOUNT}:role/{'x' * 64}")
    text = json.dumps(pattern(stack), separators=(",", ":"))
    for role, arn in roles.items():
        text = text.replace(json.dumps({"Fn::GetAtt": [role, "Arn"]}, separators=(",", ":")), json.dumps(arn))
    text = re.sub(r'\{"Fn::If":\[".*?",(".*?"),\{.*?\}\]\}', r"\1", text)
    assert len(text) <= 2048
