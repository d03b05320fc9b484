"""Permissions of AWS services that act for a stack: roles that they assume, and resource policies.

ministack enforces IAM only on requests over the wire. A state machine whose role may not invoke its function, or a rule that
may not start its target, works in ministack and fails on AWS. The patches that use this module make it fail too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

role_in_use: ContextVar[str] = ContextVar("role_in_use", default="")
"""ARN of the role with which Step Functions carries out the execution of this context; empty outside of executions."""


def role_allows(role_arn: str, action: str, resource_arn: str, region: str) -> bool:
    """Return whether the role's policies allow the action on the resource."""
    from ministack.core import iam_evaluator

    account_id, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account_id}:assumed-role/{name}/service",
        principal_type="AssumedRole",
        principal_account=account_id,
        action=action,
        resource_arn=resource_arn,
        region=region,
    )
    policies = iam_evaluator._gather_role_policies(name, account_id)
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


def principal_allows(
    principal_arn: str, action: str, resource_arn: str, region: str, conditions: Mapping[str, Any] = MappingProxyType({})
) -> bool:
    """Return whether a principal's policies and permissions boundary allow an action, under these condition keys.

    An account's root is always allowed.
    """
    from ministack.core import iam_evaluator

    if principal_arn.endswith(":root"):
        return True
    policies, limits = _policies_of(principal_arn)
    context = iam_evaluator.EvalContext(
        principal_arn=principal_arn,
        principal_type=_type_of(principal_arn),
        principal_account=principal_arn.split(":")[4],
        action=action,
        resource_arn=resource_arn,
        region=region,
        service_context={key.lower(): value for key, value in conditions.items()},
    )
    return bool(iam_evaluator.evaluate(context, policies, *limits).decision == "Allow")


def service_may_assume(role_arn: str, service: str) -> bool:
    """Return whether the role's trust policy names a service principal such as `states.amazonaws.com`.

    The policy may also name the regional principal of Step Functions [Step Functions developer guide: creating a role].
    """
    from ministack.core.responses import get_region
    from ministack.services import iam

    account_id, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account_id, None, name)
    if role is None:
        return False
    document: Any = role.get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    statements = document.get("Statement", [])
    principals = {service, service.replace("states.", f"states.{get_region()}.")}
    return any(
        statement.get("Effect") == "Allow" and principals & set(_names(statement.get("Principal")))
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def resource_policy_allows(policy: Any, service: str, action: str, resource_arn: str, source_arn: str, account_id: str) -> bool:
    """Return whether a resource's policy allows a service the action on behalf of the source."""
    from ministack.core import iam_evaluator

    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=resource_arn.split(":")[3],
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account_id, "aws:sourceowner": account_id},
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision == "Allow")


def _names(principal: Any) -> list[str]:
    if not isinstance(principal, dict):
        return []
    services = principal.get("Service", [])
    return [services] if isinstance(services, str) else list(services)


def key_allows(caller: str, action: str, key_arn: str, key_policy: Any, via: str) -> bool:
    """Return whether a principal's own policies and a KMS key's policy allow the action through the service `via`.

    The root of the key's account is always allowed. In another account both the key's policy and the principal's policies have
    to allow [KMS developer guide: allowing users in other accounts to use a KMS key].
    """
    from ministack.core import iam_evaluator

    account_id, owner, is_root = caller.split(":")[4], key_arn.split(":")[4], caller.endswith(":root")
    if is_root and account_id == owner:
        return True
    policies, limits = ([], ()) if is_root else _policies_of(caller)
    context = iam_evaluator.EvalContext(
        principal_arn=caller,
        principal_type=_type_of(caller),
        principal_account=account_id,
        action=action,
        resource_arn=key_arn,
        region=key_arn.split(":")[3],
        service_context={"kms:viaservice": via, "kms:grantisforawsresource": "true", "kms:calleraccount": account_id},
    )
    if is_root:
        return bool(iam_evaluator.evaluate_resource_policy(key_policy, context).decision == "Allow")
    identity = iam_evaluator.evaluate(context, policies, *limits)
    answer = iam_evaluator.combine_resource_policy(identity, context, key_policy, owner, required=True, limits=limits)
    return bool(answer.decision == "Allow")


def _type_of(caller: str) -> str:
    kind = caller.split(":", 5)[5]
    return "Root" if kind == "root" else "AssumedRole" if kind.startswith("assumed-role/") else "User"


def _policies_of(principal_arn: str) -> tuple[Any, Any]:
    """Return the policies of a user or of a role's session, and the limits of its permissions boundary."""
    from ministack.core import iam_evaluator
    from ministack.services import iam

    account_id, kind = principal_arn.split(":")[4], principal_arn.split(":", 5)[5]
    if kind.startswith("assumed-role/"):
        name, store = kind.split("/")[1], iam._roles
        policies = iam_evaluator._gather_role_policies(name, account_id)
    else:
        name, store = kind.rpartition("/")[2], iam._users
        policies = iam_evaluator._gather_user_policies(name, account_id)
    return policies, iam_evaluator._permissions_boundary(store, name, account_id)
