"""Event buses with events from other accounts: their policies, PutEvents by ARN, and AWS::Events::EventBusPolicy.

ministack stores the policy of a bus and never reads it. Sources: EventBridge user guide, "Permissions for event buses" and
"Sending and receiving events between AWS accounts" (an event's `account` is that of its sender); EventBridge API reference:
PutPermission; CloudFormation template reference: AWS::Events::EventBusPolicy. Condition keys of PutEvents: Service
Authorization Reference, "Amazon EventBridge".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError, replace

TYPE = "AWS::Events::EventBusPolicy"
Properties = Mapping[str, Any]
_sender: ContextVar[str] = ContextVar("_sender", default="")
"""The account whose event is being put on a bus of another account."""


def apply() -> None:
    """Apply the patches."""
    from ministack.core import iam_evaluator
    from ministack.services import eventbridge
    from ministack.services.cloudformation import provisioners

    if not hasattr(iam_evaluator, "_RESOURCE_POLICY_LOOKUPS"):
        raise PatchBrokenError("ministack.core.iam_evaluator has no _RESOURCE_POLICY_LOOKUPS any more")
    eventbridge.bus_policy_for_arn = bus_policy_for_arn
    iam_evaluator._RESOURCE_POLICY_LOOKUPS["events"] = ("eventbridge", "bus_policy_for_arn")
    replace(eventbridge, "_put_events", _to_other_accounts)
    replace(eventbridge, "_put_permission", _as_a_statement)
    replace(eventbridge, "_dispatch_event", _from_its_sender)
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}


def bus_policy_for_arn(arn: str) -> tuple[dict[str, Any], str] | None:
    """Return a bus's policy and its account; None for another kind of resource."""
    from ministack.services import eventbridge

    *_, region, account_id, resource = arn.split(":", 5)
    if not resource.startswith("event-bus/"):
        return None
    policy = eventbridge._event_bus_policies.get_scoped(account_id, region, resource.partition("/")[2])
    return policy or {"Statement": []}, account_id


def _to_other_accounts(put: Callable[..., Any]) -> Callable[..., Any]:
    """Put an event on the bus with its ARN, in any account; IAM has already allowed it."""

    def put_events(data: dict[str, Any], **options: Any) -> Any:
        from ministack.core.responses import get_account_id, get_region, json_response, request_scope

        own, entries = get_account_id(), data.get("Entries", [])
        owners = [_owner_elsewhere(entry, own, get_region()) for entry in entries]
        if not any(owners):
            return put(data, **options)
        results: list[Any] = []
        for entry, owner in zip(entries, owners, strict=True):
            token = _sender.set(own if owner else "")
            try:
                with request_scope(owner or own, get_region()):
                    results.extend(json.loads(put({"Entries": [entry]}, **options)[2])["Entries"])
            finally:
                _sender.reset(token)
        return json_response({"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results})

    return put_events


def _owner_elsewhere(entry: Mapping[str, Any], own: str, region: str) -> str:
    """Return the account of an entry's bus in this region; empty if it is the sender's own."""
    parts = str(entry.get("EventBusName") or "").split(":", 5)
    elsewhere = len(parts) == 6 and parts[2:4] == ["events", region] and parts[4] != own  # noqa: PLR2004 - an ARN's fields
    return parts[4] if elsewhere else ""


def _from_its_sender(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def dispatch_event(event: dict[str, Any], view: Any = None) -> Any:
        from ministack.services import eventbridge

        if _sender.get():
            event["Account"] = _sender.get()
            view = eventbridge._pattern_event_view(event)
        return dispatch(event, view)

    return dispatch_event


def _as_a_statement(put: Callable[..., Any]) -> Callable[..., Any]:
    """Accept a whole policy, and an account as the principal that it denotes in a policy."""

    def put_permission(data: dict[str, Any]) -> Any:
        from ministack.core.responses import json_response
        from ministack.services import eventbridge

        if data.get("Policy"):
            eventbridge._event_bus_policies[data.get("EventBusName") or "default"] = json.loads(data["Policy"])
            return json_response({})
        principal = data.get("Principal", "*")
        return put({**data, "Principal": principal if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"}})

    return put_permission


# Stacks


def _create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, Any]]:
    bus, statement_id = str(properties.get("EventBusName") or "default"), str(properties["StatementId"])
    if any(statement["Sid"] == statement_id for statement in _statements(bus)):
        raise ValueError(f"{statement_id} already exists in the policy of {bus} ({stack_name}, {logical_id})")
    _put(bus, statement_id, properties)
    return f"{bus}|{statement_id}", {}


def _update(physical_id: str, _old: Properties, new: Properties, *_: Any) -> tuple[str, dict[str, Any]]:
    bus, _separator, statement_id = physical_id.partition("|")
    if statement_id != str(new["StatementId"]) or bus != str(new.get("EventBusName") or "default"):
        raise ValueError(f"{physical_id}: the embedded AWS does not rename a statement of a bus's policy")
    _put(bus, statement_id, new)
    return physical_id, {}


def _put(bus: str, statement_id: str, properties: Properties) -> None:
    from ministack.services import eventbridge

    statement = properties.get("Statement")
    if not statement:
        raise ValueError(f"{statement_id}: give a Statement; the embedded AWS takes no Action and Principal beside it")
    kept = [entry for entry in _statements(bus) if entry["Sid"] != statement_id]
    document = json.loads(statement) if isinstance(statement, str) else dict(statement)
    statements = [*kept, {**document, "Sid": statement_id}]
    eventbridge._event_bus_policies[bus] = {"Version": "2012-10-17", "Statement": statements}


def _delete(physical_id: str, *_: Any) -> None:
    from ministack.services import eventbridge

    bus, _separator, statement_id = physical_id.partition("|")
    eventbridge._remove_permission({"EventBusName": bus, "StatementId": statement_id})


def _statements(bus: str) -> list[dict[str, Any]]:
    from ministack.services import eventbridge

    policy: dict[str, Any] = eventbridge._event_bus_policies.get(bus) or {"Statement": []}
    return list(policy["Statement"])
