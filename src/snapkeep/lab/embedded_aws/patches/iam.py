"""IAM for EC2 and EBS: the emulator's evaluator, with AWS's checks (see `aws/authorization`).

ministack makes one check for each EC2 call, on an ARN with an account and without the tags of snapshots.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from snapkeep.domain.commands import document_arn
from snapkeep.lab.embedded_aws.aws.authorization import AccessCheck, CallContext, checks, resource_arn
from snapkeep.lab.embedded_aws.patches.ec2 import query_fields
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.run_command import action_of
from snapkeep.lab.embedded_aws.wire import ec2_query, rest_json
from snapkeep.lab.embedded_aws.wire.errors import WireError
from snapkeep.lab.embedded_aws.wire.models import operation_model
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

# A batch needs the permission of the single call (Service Authorization Reference, SQS: the batch has no action of its own).
BATCHES = {
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}

_pending: ContextVar[tuple[AccessCheck, ...]] = ContextVar("_pending", default=())
_refused: ContextVar[AccessCheck | None] = ContextVar("_refused", default=None)


def apply(locked_world: LockedWorld) -> None:
    """Authorize every EC2 and EBS call by all its checks, with the model's tags."""
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator

    replace(app, "pin_request_origin", _as_over_tls)
    replace(iam_actions, "extract_resource_arn", lambda extract: _noting_checks(locked_world, extract))
    replace(iam_evaluator, "enforce", _asking_all)
    replace(iam_actions, "access_denied_response", _naming_what_was_refused)


def _noting_checks(locked_world: LockedWorld, extract: Callable[..., Any]) -> Callable[..., str]:
    """Collect the checks of a request when ministack determines its resource, before it calls IAM."""

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        params: dict[str, list[str]],
        region: str,
        account_id: str,
    ) -> str:
        _pending.set(())
        if service in {"ec2", "ebs"}:
            caller = CallContext(region, account_id, locked_world.tags_of)
            _pending.set(_checks_of(locked_world, service, method, path, headers, body, params, caller))
        if service == "events":
            _pending.set(_events_put(body, region, account_id))
        if service == "ssm" and action_of(headers) == "SendCommand":
            _pending.set(_checks_of_command(locked_world, body, region, account_id))
        if service == "ssm" and (hierarchy := _hierarchy(headers, body)):
            return f"arn:aws:ssm:{region}:{account_id}:parameter/{hierarchy.strip('/')}"
        return str(extract(service, method, path, headers, body, params, region, account_id))

    return extract_resource_arn


def _events_put(body: bytes, region: str, account_id: str) -> tuple[AccessCheck, ...]:
    """Return the checks of a PutEvents request, one for each event on its bus; none for any other request."""
    try:
        entries = json.loads(body or b"{}").get("Entries") or ()
    except (ValueError, AttributeError):
        return ()
    return tuple(
        AccessCheck(
            "events:PutEvents",
            bus if bus.startswith("arn:") else f"arn:aws:events:{region}:{account_id}:event-bus/{bus}",
            {
                "events:source": [str(entry.get("Source", ""))],  # a key with many values: StringEquals does not compare them
                "events:detail-type": str(entry.get("DetailType", "")),
                "events:eventBusInvocation": "false",
            },
        )
        for entry in entries
        for bus in [str(entry.get("EventBusName") or "default")]
    )


def _hierarchy(headers: Mapping[str, str], body: bytes) -> str:
    """Return the path of a GetParametersByPath request, which is its resource; empty for any other request.

    Source: Systems Manager user guide, "Restricting access to Parameter Store parameters using IAM policies".
    """
    if action_of(headers) != "GetParametersByPath":
        return ""
    try:
        return str(json.loads(body).get("Path", ""))
    except ValueError:
        return ""


def _checks_of_command(locked_world: LockedWorld, body: bytes, region: str, account_id: str) -> tuple[AccessCheck, ...]:
    """Return the checks of SendCommand: on the document, and on each instance with its tags.

    Source: Service Authorization Reference, Systems Manager; its user guide, "Restricting Run Command access based on tags".
    """
    try:
        request = json.loads(body)
    except ValueError:
        return ()
    document = document_arn(str(request.get("DocumentName", "")), region, account_id, "aws")
    checks_of = [AccessCheck("ssm:SendCommand", document)]
    for instance_id in request.get("InstanceIds") or ():
        tags = locked_world.tags_of(region, account_id, instance_id)
        context = {f"{service}:resourceTag/{key}": value for key, value in tags.items() for service in ("aws", "ssm")}
        checks_of.append(AccessCheck("ssm:SendCommand", resource_arn("instance", instance_id, region, account_id), context))
    return tuple(checks_of)


def _checks_of_profile(parameters: Mapping[str, Any], account_id: str) -> tuple[AccessCheck, ...]:
    """Return the check of iam:PassRole for the role of an instance profile (IAM user guide: passing a role to EC2)."""
    from ministack.services import iam

    profile = parameters.get("IamInstanceProfile") or {}
    name = str(profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2])
    if not name:
        return ()
    known = iam._instance_profiles.get(name) or {}
    roles = [role if isinstance(role, str) else role["RoleName"] for role in known.get("Roles") or [name]]
    context = {"iam:PassedToService": "ec2.amazonaws.com"}
    return tuple(AccessCheck("iam:PassRole", f"arn:aws:iam::{account_id}:role/{role}", context) for role in roles)


def _asking_all(enforce_once: Callable[..., Any]) -> Callable[..., Any]:
    """Allow a request if every one of its checks is allowed."""

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        _refused.set(None)
        iam_action = BATCHES.get(iam_action, iam_action)
        questions = _pending.get() if service in {"ec2", "ebs", "events", "ssm"} else ()
        if not questions:
            questions = (AccessCheck(iam_action, resource_arn, service_context or {}),)
        for question in questions:
            arn, context = question.resource_arn, question.context
            denied = enforce_once(access_key_id, question.action, service, region, resource_arn=arn, service_context=context)
            denied = denied or refusal_elsewhere(access_key_id, question, service, region)
            if denied:
                _refused.set(question)
                return denied
        return None

    return enforce


def refusal_elsewhere(access_key_id: str, question: AccessCheck, service: str, region: str) -> Any:
    """Return the refusal of an account's root by the policy of a resource in another account; None if it is not refused.

    ministack evaluates no policy for root; in another account, root is a principal like any other.
    """
    from ministack.core import iam_evaluator

    fields = question.resource_arn.split(":")
    owner = fields[4] if len(fields) > 4 else ""  # noqa: PLR2004 - an ARN's account
    if not iam_evaluator.is_root_access_key(access_key_id) or owner in ("", access_key_id):
        return None
    resource_policy = iam_evaluator._resource_policy(service, question.resource_arn)
    if resource_policy is None:  # the service finds no resource of another account
        return None
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{access_key_id}:root",
        principal_type="Root",
        principal_account=access_key_id,
        action=question.action,
        resource_arn=question.resource_arn,
        region=region,
        service_context={key.lower(): value for key, value in question.context.items()},
    )
    answer = iam_evaluator.evaluate_resource_policy(resource_policy[0], context)
    answer.principal_arn = context.principal_arn
    return None if answer.decision == "Allow" else answer


def _naming_what_was_refused(deny: Callable[..., Any]) -> Callable[..., Any]:
    """Name the refused action and resource in the error, as EC2 does."""

    def access_denied_response(service: str, action: str, principal_arn: str, request_id: str, **details: Any) -> Any:
        question = _refused.get()
        if service != "ec2" or question is None:
            return deny(service, action, principal_arn, request_id, **details)
        message = (
            f"You are not authorized to perform this operation. User: {principal_arn} is not authorized to perform: "
            f"{question.action} on resource: {question.resource_arn} "
            f"because no identity-based policy allows the {question.action} action"
        )
        details["resource_arn"] = question.resource_arn
        return deny(service, question.action, principal_arn, request_id, **{**details, "message": message})

    return access_denied_response


def _as_over_tls(pin: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
    """Report requests as made over TLS, because this server represents AWS's TLS endpoints."""

    def pinned(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001 - ministack's signature
        pin(source_ip, True)

    return pinned


def _checks_of(
    locked_world: LockedWorld,
    service: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    params: dict[str, list[str]],
    caller: CallContext,
) -> tuple[AccessCheck, ...]:
    """Return the checks of a request; none if it cannot be parsed, so that the handler returns the error."""
    try:
        if service == "ec2":
            fields = query_fields(params, b"")
            action = fields.get("Action", "")
            if not locked_world.handles("ec2", action):
                return ()
            parameters = ec2_query.parse_parameters(action, fields)
            passed = _checks_of_profile(parameters, caller.account_id) if action == "RunInstances" else ()
            return (*checks("ec2", action, parameters, caller), *passed)
        action, labels = rest_json.find_action("ebs", method, path)
        return checks(
            "ebs", action, rest_json.parse_request(operation_model("ebs", action), labels, params, headers, body), caller
        )
    except WireError:
        return ()
