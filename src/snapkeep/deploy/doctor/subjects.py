"""Stacks as the doctor examines them: deployed values, given values, and names that their templates fix."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from snapkeep.deploy.doctor.examination import StackSubject
from snapkeep.deploy.doctor.ports import ResourceKind
from snapkeep.deploy.parameters import DR_REGION, SUFFIX
from snapkeep.deploy.stack_descriptions import StackDescription
from snapkeep.deploy.templates import INFRA, read_template
from snapkeep.domain.system import StackKind

VERSION_OUTPUT = "Version"
_NAMED: Mapping[str, tuple[ResourceKind, str]] = {
    "AWS::Serverless::Function": (ResourceKind.FUNCTION, "FunctionName"),
    "AWS::Logs::LogGroup": (ResourceKind.LOG_GROUP, "LogGroupName"),
    "AWS::Serverless::StateMachine": (ResourceKind.STATE_MACHINE, "Name"),
    "AWS::DynamoDB::Table": (ResourceKind.TABLE, "TableName"),
}
"""The types of resources with names of their own. The names of roles and buckets are CloudFormation's."""


def stack_subject(
    kind: StackKind,
    region: str,
    suffix: str,
    stack: StackDescription,
    parameters: Mapping[str, str],
    unreadable: str = "",
    *,
    dr_region: str = "",
) -> StackSubject:
    """Return the stack `primary` or `dr` of a region with its deployed parameters, and those that a deployment gives it.

    `unreadable` says why it could not be described. `dr_region` is that of a primary stack which is not deployed.
    """
    template = _template(kind)
    defaults = {name: str(rule["Default"]) for name, rule in template["Parameters"].items() if "Default" in rule}
    if dr_region:
        defaults[DR_REGION] = dr_region
    deployed = bool(stack.parameters)
    names = {} if deployed or unreadable else fixed_names(template, suffix)
    return StackSubject(
        region=region,
        parameters={**defaults, **stack.parameters, **parameters},
        deployed=deployed,
        version=stack.outputs.get(VERSION_OUTPUT, ""),
        names=names,
        unreadable=unreadable,
    )


def fixed_names(template: Mapping[str, Any], suffix: str) -> dict[ResourceKind, list[str]]:
    """Return the names that a template fixes under a suffix, by kind of resource."""
    names: dict[ResourceKind, list[str]] = {}
    for resource in template["Resources"].values():
        kind, name_property = _NAMED.get(resource["Type"], (None, ""))
        name = resource.get("Properties", {}).get(name_property)
        if kind and name:
            names.setdefault(kind, []).append(name["Fn::Sub"].replace(f"${{{SUFFIX}}}", suffix))
    return names


@cache
def _template(kind: StackKind) -> dict[str, Any]:
    return read_template(INFRA / f"{kind}.yaml")
