"""A CloudFormation stack as it is, by its name or by the outputs of our templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import pages
from snapkeep.domain.system import StackKind

ABSENT = "ABSENT"
_OUTPUT_OF_SYSTEM, _OUTPUT_OF_DR = "SystemName", "QueueTableName"
"""Outputs of the templates: of both, and of the DR stack's alone."""


@dataclass(frozen=True, slots=True)
class StackDescription:
    """A stack as it is now."""

    status: str
    stack_id: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    parent_id: str = ""
    """The stack that this one is nested in; empty for a stack of its own."""
    created_at: datetime | None = None


def describe_stack(cloudformation: Any, name: str) -> StackDescription:
    """Return a stack as CloudFormation describes it, by its name or id; its status is `ABSENT` where there is none."""
    try:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if does_not_exist(error):
            return StackDescription(ABSENT, name=name)
        raise
    return _description(stack)


def find_stack(cloudformation: Any, name: str, system: str, kind: StackKind) -> StackDescription:
    """Return a system's stack by its name, else by the outputs that every stack of our templates has.

    Its status is `ABSENT` where there is none. Raise AwsRefused, AwsUnavailable where the stacks cannot be searched.
    """
    stack = describe_stack(cloudformation, name)
    if stack.status != ABSENT:
        return stack
    candidates = (
        _description(candidate)
        for page in pages(cloudformation, "describe_stacks", {}, f"search for the stack of {system}")
        for candidate in page["Stacks"]
    )
    return next((candidate for candidate in candidates if _is_of(candidate, system, kind)), stack)


def _is_of(stack: StackDescription, system: str, kind: StackKind) -> bool:
    is_dr = _OUTPUT_OF_DR in stack.outputs
    return stack.outputs.get(_OUTPUT_OF_SYSTEM) == system and is_dr is (kind is StackKind.DR)


def _description(stack: Mapping[str, Any]) -> StackDescription:
    return StackDescription(
        status=stack["StackStatus"],
        stack_id=stack["StackId"],
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())},
        parameters={parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", ())},
        tags={tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())},
        name=stack["StackName"],
        parent_id=stack.get("ParentId", ""),
        created_at=stack.get("CreationTime"),
    )


def does_not_exist(error: ClientError) -> bool:
    """Whether CloudFormation says that there is no such stack."""
    details = error.response["Error"]
    return details["Code"] == "ValidationError" and "does not exist" in details.get("Message", "")
