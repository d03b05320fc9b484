"""Requests to EC2 against the policies of a role of the DR stack's template, as IAM evaluates them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator

from snapkeep.lab.embedded_aws.aws.authorization import CallContext, checks
from support.templates import ROLE, resources

ACCOUNT, REGION = "123456789012", "us-east-2"
FILLING = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "FunctionNameSuffix": ""}
NOTHING = {"Effect": "Deny", "Action": "none:None", "Resource": "*"}
"""Stands for a statement that the stack does not have."""


def is_allowed(
    role: str, action: str, request: Mapping[str, Any], tags: Mapping[str, str], parameters: Mapping[str, str], **conditions: bool
) -> bool:
    """Return whether a role may make a request about a snapshot with these tags, in a stack with these parameters."""
    policies = [resolved(policy["PolicyDocument"], parameters, conditions) for policy in resources("dr", ROLE)[role]["Policies"]]
    parsed = [iam_evaluator.parse_policy_document(json.dumps(policy)) for policy in policies]
    call = CallContext(REGION, ACCOUNT, lambda *_: dict(tags))
    (check,) = checks("ec2", action, {"SnapshotId": "snap-0123456789abcdef0", **request}, call)
    context = iam_evaluator.EvalContext(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session",
        "AssumedRole",
        ACCOUNT,
        check.action,
        check.resource_arn,
        REGION,
        service_context={key.lower(): value for key, value in check.context.items()},
    )
    return bool(iam_evaluator.evaluate(context, parsed).decision == "Allow")


def resolved(value: Any, parameters: Mapping[str, str], conditions: Mapping[str, bool]) -> Any:
    """Return a value of the template as CloudFormation resolves it; conditions that are not named do not hold."""
    if not isinstance(value, dict):
        return [resolved(item, parameters, conditions) for item in value] if isinstance(value, list) else value
    if "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return resolved(then if conditions.get(condition) else otherwise, parameters, conditions)
    if "Fn::Split" in value:
        separator, text = value["Fn::Split"]
        return str(resolved(text, parameters, conditions)).split(separator)
    if "Ref" in value or "Fn::GetAtt" in value:
        return NOTHING if value.get("Ref") == "AWS::NoValue" else parameters.get(value.get("Ref", ""), "arn:aws:other:::resource")
    if "Fn::Sub" in value:
        text = str(value["Fn::Sub"])
        for name, filled in FILLING.items():
            text = text.replace(f"${{{name}}}", filled)
        return text
    return {key: resolved(item, parameters, conditions) for key, item in value.items()}
