"""Management events of calls on the default bus, if a trail records them: `AWS API Call via CloudTrail`.

Only writing calls of the services of Snapkeep's signals have events. Sources: EventBridge user guide, "AWS service events
delivered via AWS CloudTrail" (a trail that is logging is needed); CloudTrail user guide, "CloudTrail record contents". On AWS
an event arrives within minutes, here at once. The parameters of refused calls are left out, as most services of AWS do.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from snapkeep.lab.embedded_aws.patches import eventbridge
from snapkeep.lab.embedded_aws.patches.ec2 import query_fields
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.wire import ec2_query
from snapkeep.lab.embedded_aws.wire.errors import WireError
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

RECORDED_SERVICES = frozenset({"cloudformation", "cloudtrail", "ec2", "events", "kms", "lambda", "ssm"})
READING = ("Describe", "Get", "List", "Lookup", "Search", "Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt", "Invoke")
"""Prefixes of the actions that change nothing, and of those of KMS and Lambda that are no management events."""
_LAMBDA_VERSIONS = {"PutFunctionConcurrency": "20171031"}
"""The versions in Lambda's event names: CloudTrail records the API's version in them."""
_LOCAL_ADDRESS = "127.0.0.1"
_ERROR_OF_XML = re.compile(rb"<Code>([^<]+)</Code>")
_LAMBDA_FUNCTION = re.compile(r"/functions/([^/]+)")
Response = tuple[int, dict[str, str], bytes]
Dispatch = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]], str], Awaitable[Response]]


def apply(locked_world: LockedWorld) -> None:
    """Send the event of each recorded call after its answer is known."""
    from ministack import app

    replace(app, "_dispatch_service_request", lambda dispatch: _recording(dispatch, locked_world))


def _recording(dispatch: Dispatch, locked_world: LockedWorld) -> Dispatch:
    async def dispatch_and_record(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], request_id: str
    ) -> Response:
        if not _has_trails():
            return await dispatch(method, path, headers, body, query, request_id)
        service, action = _call(method, path, headers, body, query)
        # The check precedes the call, so that StopLogging is recorded too.
        recorded = service in RECORDED_SERVICES and bool(action) and not action.startswith(READING) and _is_recorded()
        response = await dispatch(method, path, headers, body, query, request_id)
        if recorded:
            parameters = _parameters(service, action, path, body, query)
            eventbridge.publish(_event(service, action, parameters, headers, response, locked_world.world.now()))
        return response

    return dispatch_and_record


def _call(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> tuple[str, str]:
    """Return a request's service and action; the action is empty if ministack has none."""
    from ministack import app
    from ministack.core.iam_actions import extract_iam_action

    routing = app._routing_params(method, path, headers, body, query)
    service = app.detect_service(method, path, headers, routing)
    if service not in RECORDED_SERVICES:
        return service, ""
    return service, str(extract_iam_action(service, method, path, headers, body, routing) or "").partition(":")[2]


def _has_trails() -> bool:
    """Whether there is any trail: without one, no request is read."""
    from ministack.services import cloudtrail

    return next(iter(cloudtrail._trails.all_items()), None) is not None


def _is_recorded() -> bool:
    """Whether a trail with management events is logging in this region and account."""
    from ministack.services import cloudtrail

    return any(
        trail.get("IsLogging") and _has_management_events(region, name)
        for region, name, trail in cloudtrail._visible_trail_items()
    )


def _has_management_events(region: str, name: str) -> bool:
    from ministack.core.responses import get_account_id
    from ministack.services import cloudtrail

    default = cloudtrail._DEFAULT_EVENT_SELECTORS
    selectors = cloudtrail._event_selectors.get_scoped(get_account_id(), region, name, default)
    return any(
        selector.get("IncludeManagementEvents", False)
        or any(
            part["Field"] == "eventCategory" and "Management" in part.get("Equals", ())
            for part in selector.get("FieldSelectors", ())
        )
        for selector in selectors
    )


def _parameters(service: str, action: str, path: str, body: bytes, query: dict[str, list[str]]) -> Any:
    """Return a request's parameters in CloudTrail's form; None if they cannot be read."""
    if service in ("ec2", "cloudformation"):
        fields = query_fields(query, body)
        if service == "cloudformation":
            return _lower_names({name: value for name, value in fields.items() if name not in ("Action", "Version")})
        try:
            return _recorded_by_ec2(ec2_query.parse_parameters(action, fields))
        except WireError:
            return None
    try:
        parameters = _lower_names(json.loads(body or b"{}"))
    except ValueError:
        return None
    if function := _LAMBDA_FUNCTION.search(path) if service == "lambda" else None:
        parameters["functionName"] = function[1]
    return parameters


def _recorded_by_ec2(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request of EC2 with lists as sets of items: `{"resourcesSet": {"items": [{"resourceId": …}]}, "tagSet": …}`."""
    recorded: dict[str, Any] = _lower_names(dict(parameters))
    if "resources" in recorded:
        recorded["resourcesSet"] = {"items": [{"resourceId": one} for one in recorded.pop("resources")]}
        tags = recorded.pop("tags", [])
        recorded["tagSet"] = {"items": tags} if tags else {}
    return recorded


def _lower_names(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name[:1].lower() + name[1:]: _lower_names(value) for name, value in data.items()}
    return [_lower_names(item) for item in data] if isinstance(data, list) else data


def _event(
    service: str, action: str, parameters: Any, headers: Mapping[str, str], response: Response, now: float
) -> dict[str, Any]:
    from ministack.core.iam_evaluator import request_caller_arn
    from ministack.core.responses import get_account_id, get_region

    error = error_code(response)
    if error and service == "ec2":
        error = f"Client.{error}"
    time = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"
    detail = {
        "eventVersion": "1.11",
        "userIdentity": identity_of(str(request_caller_arn(dict(headers)))),
        "eventTime": time,
        "eventSource": f"{service}.amazonaws.com",
        "eventName": action + _LAMBDA_VERSIONS.get(action, ""),
        "awsRegion": get_region(),
        "sourceIPAddress": _LOCAL_ADDRESS,
        "userAgent": headers.get("user-agent", ""),
        **({"errorCode": error} if error else {}),
        "requestParameters": None if error else parameters,
        "responseElements": None,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": get_account_id(),
    }
    return {
        "id": str(uuid.uuid4()),
        "source": f"aws.{service}",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": detail,
        "time": time,
        "resources": [],
        "account": get_account_id(),
        "region": get_region(),
    }


def identity_of(caller: str) -> dict[str, Any]:
    """Return CloudTrail's identity of a principal, given its ARN."""
    account_id, kind = caller.split(":")[4], caller.split(":", 5)[5]
    identity = {"arn": caller, "accountId": account_id}
    if kind == "root":
        return {"type": "Root", **identity}
    if not kind.startswith("assumed-role/"):
        return {"type": "IAMUser", **identity, "userName": kind.rpartition("/")[2]}
    role = kind.split("/")[1]
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{account_id}:role/{role}", "accountId": account_id, "userName": role}
    return {"type": "AssumedRole", **identity, "sessionContext": {"sessionIssuer": issuer}}


def error_code(response: Response) -> str:
    """Return the error code of a response; empty without an error."""
    status, _, body = response
    if status < 400:  # noqa: PLR2004 - HTTP's first status of an error
        return ""
    if match := _ERROR_OF_XML.search(body):
        return match[1].decode()
    try:
        answer = json.loads(body)
    except ValueError:
        return str(status)
    return str(answer.get("__type") or answer.get("Code") or status).rpartition("#")[2]
