"""CloudFormation: names as on AWS, no overwriting of existing resources, and the caller's permissions.

ministack generates equal names for equal stacks of two regions (roles belong to the whole account), overwrites existing
resources, and ignores the caller's permissions (`resource_types` has the actions). Source of "already exists": CloudFormation
user guide, "Name type".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from snapkeep.lab.embedded_aws.aws.authorization import AccessCheck
from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError, replace
from snapkeep.lab.embedded_aws.patches.resource_checks import checks_of_creation, checks_of_deletion, checks_of_update, filled_in
from snapkeep.lab.embedded_aws.patches.resource_types import TYPES, Properties, ResourceType
from snapkeep.lab.embedded_aws.patches.stack_callers import ResourceRefused, as_the_stack_s_role, check_caller, with_roles

SUFFIX_LENGTH = 13
Create = Callable[[str, Properties, str], Any]


# The operations of a stack and its change sets that CloudFormation carries out with the stack's role, if there is one.
STACK_ACTIONS = (
    "CreateStack",
    "UpdateStack",
    "DeleteStack",
    "CreateChangeSet",
    "ExecuteChangeSet",
    "ContinueUpdateRollback",
    "RollbackStack",
)
VIRTUAL_HOSTED = re.compile(r"https://(?P<bucket>.+?)\.s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?/(?P<key>.+)")
_nested_in: ContextVar[str] = ContextVar("_nested_in", default="")
"""The stack whose nested stack is reading its template."""


def apply() -> None:
    """Apply the patches."""
    from ministack.services.cloudformation import engine, helpers, provisioners
    from ministack.services.cloudformation import handlers as stack_handlers

    replace(provisioners, "_physical_name", _of_its_region)
    replace(engine, "_parse_template", _transformed_where_nested)
    replace(helpers, "_resolve_document", _by_either_form_of_url)
    for action in STACK_ACTIONS:
        if action not in stack_handlers._ACTION_HANDLERS:
            raise PatchBrokenError(f"CloudFormation no longer has the action {action}")
        stack_handlers._ACTION_HANDLERS[action] = as_the_stack_s_role(action, stack_handlers._ACTION_HANDLERS[action])
    describe = stack_handlers._ACTION_HANDLERS["DescribeStacks"]
    stack_handlers._ACTION_HANDLERS["DescribeStacks"] = with_roles(describe)
    nested = provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]
    nested["create"] = _naming_parent(nested["create"], 2)
    nested["update"] = _naming_parent(nested["update"], 3)
    for type_name, resource_type in TYPES.items():
        handlers = provisioners._RESOURCE_HANDLERS.get(type_name, {})
        if not {"create", "update", "delete"} <= set(handlers):
            raise PatchBrokenError(f"CloudFormation's provisioners no longer create, update and delete {type_name}")
        handlers["create"] = _checked_create(type_name, resource_type, handlers["create"])
        handlers["update"] = _checked_update(resource_type, handlers["update"])
        handlers["delete"] = _checked_delete(resource_type, handlers["delete"])


def _of_its_region(make: Callable[..., str]) -> Callable[..., str]:
    """Mix account and region into the suffix: on AWS it is random."""

    def physical_name(stack_name: str, logical_id: str, **options: Any) -> str:
        from ministack.core.responses import get_account_id, get_region

        name = make(stack_name, logical_id, **options)
        digest = hashlib.sha256(f"{name}:{get_account_id()}:{get_region()}".encode()).hexdigest()[:SUFFIX_LENGTH]
        suffix = digest if options.get("lowercase") else digest.upper()
        return name[: len(name) - SUFFIX_LENGTH] + suffix

    return physical_name


def _checked_create(type_name: str, resource_type: ResourceType, make: Create) -> Create:
    def create(logical_id: str, properties: Properties, stack_name: str) -> Any:
        name = str(properties.get(resource_type.name_property) or "")
        if name and _exists(resource_type, name):
            raise ResourceRefused(f"Resource of type '{type_name}' with identifier '{name}' already exists.")
        _check(checks_of_creation(resource_type, f"{stack_name}-{logical_id}-NEW", properties))
        return make(logical_id, properties, stack_name)

    return create


def _checked_update(resource_type: ResourceType, change: Callable[..., Any]) -> Callable[..., Any]:
    def update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        _check(checks_of_update(resource_type, physical_id, old, new))
        return change(physical_id, old, new, *rest)

    return update


def _checked_delete(resource_type: ResourceType, destroy: Callable[..., Any]) -> Callable[..., Any]:
    def delete(physical_id: str, properties: Properties, *logical_id: str) -> Any:
        _check(checks_of_deletion(resource_type, physical_id, properties))
        return destroy(physical_id, properties, *logical_id)

    return delete


def _check(checks: Iterable[AccessCheck]) -> None:
    for check in checks:
        check_caller(check.action, check.resource_arn, check.context)


# Templates


def _by_either_form_of_url(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Accept virtual-hosted-style URLs of S3 too [S3 user guide: virtual hosting of buckets]."""

    def resolve_document(parameters: Any, body_key: str, url_key: str, label: str) -> Any:
        from ministack.services.cloudformation.helpers import _p

        hosted = VIRTUAL_HOSTED.fullmatch(_p(parameters, url_key))
        if hosted:
            parameters = {**parameters, url_key: [f"https://s3.amazonaws.com/{hosted['bucket']}/{hosted['key']}"]}
        return resolve(parameters, body_key, url_key, label)

    return resolve_document


def _naming_parent(deploy: Callable[..., Any], parent_at: int) -> Callable[..., Any]:
    def deploy_nested(*arguments: Any) -> Any:
        token = _nested_in.set(str(arguments[parent_at]))
        try:
            return deploy(*arguments)
        finally:
            _nested_in.reset(token)

    return deploy_nested


def _transformed_where_nested(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Apply the transforms of a nested stack's template, like those of any other [CloudFormation user guide: template macros]."""

    def parse_template(*arguments: Any) -> Any:
        from ministack.services.cloudformation import engine, provisioners

        template, parent = parse(*arguments), _nested_in.get()
        if not parent:
            return template
        _nested_in.set("")
        provisioners._check_nested_stack_capabilities(parent, template)
        template = engine._apply_transforms(template)
        if isinstance(template, engine._TransformFailed):
            raise ResourceRefused(str(template.error))
        return template

    return parse_template


def _exists(resource_type: ResourceType, name: str) -> bool:
    import importlib

    if not resource_type.store:
        return False
    module, _, store = resource_type.store.partition(".")
    stored: Mapping[str, Any] = getattr(importlib.import_module(f"ministack.services.{module}"), store)
    return filled_in(resource_type.key, name) in stored
