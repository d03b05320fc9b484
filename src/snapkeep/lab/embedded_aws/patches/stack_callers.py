"""The principal whose permissions count for a stack's operation: the caller, or the stack's role.

Source: CloudFormation API reference, CreateStack (RoleARN); CloudFormation user guide: service roles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from snapkeep.lab.embedded_aws.patches.permissions import principal_allows, service_may_assume

CLOUDFORMATION = "cloudformation.amazonaws.com"
_stack_role: ContextVar[str] = ContextVar("_stack_role", default="")


class ResourceRefused(Exception):
    """AWS's refusal to create or delete a resource; the stack's event shows the message."""


def check_caller(action: str, arn: str, conditions: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Raise ResourceRefused if the caller of a stack's operation, or the stack's role, lacks a permission.

    Calls of a stack's role have no aws:CalledVia [IAM user guide: global condition context keys].
    """
    from ministack.core.iam_evaluator import caller_arn
    from ministack.core.responses import get_region

    role = _stack_role.get()
    caller, via = (_session_of(role), {}) if role else (str(caller_arn()), {"aws:CalledVia": [CLOUDFORMATION]})
    if not principal_allows(caller, action, arn, get_region(), {**via, **conditions}):
        raise ResourceRefused(f"User: {caller} is not authorized to perform: {action} on resource: {arn}")


def _session_of(role_arn: str) -> str:
    return f"arn:aws:sts::{role_arn.split(':')[4]}:assumed-role/{role_arn.rpartition('/')[2]}/AWSCloudFormation"


def as_the_stack_s_role(action: str, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Carry out an operation, and the calls that it causes, with the stack's role: the one given now, or an earlier one.

    Source: CloudFormation API reference, CreateStack (RoleARN): "CloudFormation always uses this role for all future operations
    on the stack"; the caller that gives a role must be allowed to pass it.
    """

    def act(parameters: Any) -> Any:
        from ministack.services.cloudformation.handlers import _resolve_stack
        from ministack.services.cloudformation.helpers import _error, _p

        name = _p(parameters, "StackName")
        stack, named_role = _resolve_stack(name), _p(parameters, "RoleARN")
        if named_role:
            try:
                check_caller("iam:PassRole", named_role, {"iam:PassedToService": CLOUDFORMATION})
            except ResourceRefused as refused:
                return _error("AccessDenied", str(refused), 403)
            if not service_may_assume(named_role, CLOUDFORMATION):
                return _error("ValidationError", f"Role {named_role} is invalid or cannot be assumed", 400)
        role = named_role or (stack or {}).get("RoleARN", "")
        token = _stack_role.set(role)
        try:
            answer = handle(parameters)
        finally:
            _stack_role.reset(token)
        stack = _resolve_stack(name)
        if named_role and stack is not None and answer[0] < 400:  # noqa: PLR2004 - the HTTP statuses of errors
            stack["RoleARN"] = named_role
        return answer

    act.__name__ = action
    return act


def with_roles(describe: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make DescribeStacks return the role of each stack that has one."""

    def describe_stacks(parameters: Any) -> Any:
        from ministack.services.cloudformation import _stacks

        status, headers, body = describe(parameters)
        for stack in _stacks.values():
            if stack.get("RoleARN"):
                stack_id = f"<StackId>{stack['StackId']}</StackId>".encode()
                body = body.replace(stack_id, stack_id + f"<RoleARN>{stack['RoleARN']}</RoleARN>".encode())
        return status, headers, body

    return describe_stacks
