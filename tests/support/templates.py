"""The templates as data: CloudFormation's short forms become their long ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cfnlint.decode import cfn_yaml

from support.asl import INFRA

STACKS = ("primary", "dr", "vault")
FUNCTION, ROLE, MACHINE = "AWS::Serverless::Function", "AWS::IAM::Role", "AWS::Serverless::StateMachine"


@cache
def template(stack: str) -> dict[str, Any]:
    """Return a stack's template, `!Ref` and its like as `{"Ref": …}`."""
    parsed: dict[str, Any] = _plain(cfn_yaml.loads((INFRA / f"{stack}.yaml").read_text(encoding="utf-8")))
    return parsed


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node


def resources(stack: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of a stack's resources of one type, by name."""
    return {name: resource["Properties"] for name, resource in template(stack)["Resources"].items() if resource["Type"] == kind}


@dataclass(frozen=True)
class Statement:
    """One statement of a role's policies."""

    role: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]
    condition: dict[str, Any]


def statements(stack: str, role: str) -> Iterator[Statement]:
    """Return the statements of a role's policies, also of those that it has on a condition. Every statement allows."""
    for policy in resources(stack, ROLE)[role]["Policies"]:
        for statement in map(_if_made, policy.get("Fn::If", ["", policy])[1]["PolicyDocument"]["Statement"]):
            assert statement["Effect"] == "Allow"
            yield Statement(
                role, tuple(_listed(statement["Action"])), tuple(_listed(statement["Resource"])), statement.get("Condition", {})
            )


def all_statements() -> Iterator[Statement]:
    """Return the statements of all roles of all stacks."""
    for stack in STACKS:
        for role in resources(stack, ROLE):
            yield from statements(stack, role)


def _if_made(statement: dict[str, Any]) -> dict[str, Any]:
    """Return a statement that only some stacks have as they have it."""
    if "Fn::If" not in statement:
        return statement
    _, made, none = statement["Fn::If"]
    assert none == {"Ref": "AWS::NoValue"}
    return dict(made)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
