"""EventBridge's deliveries, with the permissions that AWS requires.

Without them, events go to the dead-letter queue. ministack ignores roles, and drops undeliverable events. Sources: EventBridge
user guide (identity-based and resource-based policies for targets, dead-letter queues: message attributes and the queue's
policy).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.permissions import resource_policy_allows, role_allows, service_may_assume
from snapkeep.lab.embedded_aws.patches.topics import refusal_of_key, refusal_of_topic

EVENTS = "events.amazonaws.com"
_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws.eventbridge")


@dataclass(frozen=True)
class DeliveryFailure:
    """The reason of a failed delivery, in the form of the dead-letter queue's message attributes."""

    code: str
    message: str


def apply() -> None:
    """Apply the patch."""
    from ministack.services import eventbridge

    replace(eventbridge, "_invoke_target", _with_permissions)


def _with_permissions(invoke: Any) -> Any:
    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        from ministack.services import eventbridge

        refusal = refusal_of(target, str(rule["Arn"]))
        if refusal is None:
            invoke(target, event, rule, view)
            return
        _LOGGER.warning("%s: %s is not delivered to: %s", rule["Arn"], target["Arn"], refusal.message)
        shown = (view or eventbridge._pattern_event_view(event)).event_with_detail()
        _to_dead_letters(target, str(rule["Arn"]), shown, refusal)

    return invoke_target


def refusal_of(target: Mapping[str, Any], rule_arn: str) -> DeliveryFailure | None:
    """Return why EventBridge may not deliver to a rule's target; None if it may."""
    arn = str(target["Arn"])
    _, _, service, region, account_id, _ = arn.split(":", 5)
    match service:
        case "states":
            return _refusal_by_role(target, "states:StartExecution", region) or _missing(_state_machine_exists(arn), arn)
        case "lambda":
            return _missing(_function_exists(arn), arn) or _refusal_by_policy(
                _function_policy(arn), "lambda:InvokeFunction", arn, rule_arn, account_id
            )
        case "sqs":
            return _missing(_queue(arn) is not None, arn) or _refusal_of_queue(arn, rule_arn, account_id)
        case "sns":
            words = refusal_of_topic(arn, EVENTS, rule_arn, account_id)
            return DeliveryFailure("NO_PERMISSIONS", words) if words else None
        case _:
            return None


def _missing(exists: bool, arn: str) -> DeliveryFailure | None:
    return None if exists else DeliveryFailure("RESOURCE_NOT_FOUND", f"{arn} does not exist")


def _refusal_by_role(target: Mapping[str, Any], action: str, region: str) -> DeliveryFailure | None:
    role, arn = str(target.get("RoleArn", "")), str(target["Arn"])
    if not role:
        return DeliveryFailure("NO_PERMISSIONS", f"The target {arn} has no role")
    if not service_may_assume(role, EVENTS):
        return DeliveryFailure("NO_PERMISSIONS", f"{EVENTS} may not assume {role}")
    if not role_allows(role, action, arn, region):
        return DeliveryFailure("NO_PERMISSIONS", f"{role} is not authorized to perform: {action} on resource: {arn}")
    return None


def _refusal_by_policy(policy: Any, action: str, arn: str, rule_arn: str, account_id: str) -> DeliveryFailure | None:
    if resource_policy_allows(policy, EVENTS, action, arn, rule_arn, account_id):
        return None
    return DeliveryFailure("NO_PERMISSIONS", f"The policy of {arn} does not let {EVENTS} do {action} for {rule_arn}")


def _refusal_of_queue(arn: str, rule_arn: str, account_id: str) -> DeliveryFailure | None:
    attributes = (_queue(arn) or {"attributes": {}})["attributes"]
    refusal = _refusal_by_policy(attributes.get("Policy"), "sqs:SendMessage", arn, rule_arn, account_id)
    words = refusal_of_key(str(attributes.get("KmsMasterKeyId") or ""), arn, EVENTS, rule_arn, account_id)
    return refusal or (DeliveryFailure("NO_PERMISSIONS", words) if words else None)


def _state_machine_exists(arn: str) -> bool:
    from ministack.services import stepfunctions

    return stepfunctions._resolve_state_machine_arn(arn) is not None


def _function_exists(arn: str) -> bool:
    from ministack.services import lambda_svc

    function, _, _ = lambda_svc._get_func_record_for_ref(arn)
    return bool(function)


def _function_policy(arn: str) -> Any:
    from ministack.services import lambda_svc

    policy = lambda_svc.function_policy_for_arn(arn)
    return policy[0] if policy else None


def _queue(arn: str) -> dict[str, Any] | None:
    from ministack.services import sqs

    queue: dict[str, Any] | None = sqs._queue_by_arn(arn)
    return queue


def _to_dead_letters(target: Mapping[str, Any], rule_arn: str, event: Any, refusal: DeliveryFailure) -> None:
    from ministack.core.concurrency import esm_wake
    from ministack.services import eventbridge, sqs

    queue_arn = str((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    queue = _queue(queue_arn) if queue_arn else None
    if queue is None:
        return
    if _refusal_of_queue(queue_arn, rule_arn, queue_arn.split(":")[4]):
        _LOGGER.warning("%s: the dead-letter queue %s refuses events: the event is lost, as on AWS", rule_arn, queue_arn)
        return
    eventbridge._dispatch_to_sqs(eventbridge.parse_arn(queue_arn), json.dumps(event))
    values = {"RULE_ARN": rule_arn, "TARGET_ARN": target["Arn"], "ERROR_CODE": refusal.code, "ERROR_MESSAGE": refusal.message}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    queue["messages"][-1]["message_attributes"] = attributes
    queue["messages"][-1].pop("md5_message_attributes", None)
    sqs._ensure_msg_fields(queue["messages"][-1])
    esm_wake.set()
