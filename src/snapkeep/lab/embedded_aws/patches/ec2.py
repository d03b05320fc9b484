"""EC2 and the EBS direct API: the model answers the actions that it has, ministack the others (networks and the like)."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, NoAnswer
from snapkeep.lab.embedded_aws.patches import event_history
from snapkeep.lab.embedded_aws.wire import ec2_query, ec2_xml, rest_json
from snapkeep.lab.embedded_aws.wire.errors import WireError
from snapkeep.lab.embedded_aws.wire.models import operation_model
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

# ministack's signature of a service: (method, path, headers, body, query) to (status, headers, body).
Answer = tuple[int, dict[str, str], bytes]
RouteHandler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Answer]]

_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws.ec2")
# The actions that ministack may answer: networks and the resources of a launch. Its volumes, snapshots, images and instances
# are not the model's, so that its answers about them would be wrong.
NETWORK_ACTION = re.compile(
    r"Vpc|Subnet|Security|Route|Gateway|Address|NetworkInterface|NetworkAcl|Dhcp|PrefixList|KeyPair|LaunchTemplate|Placement"
    r"|AccountAttributes|FlowLog|Vpn"
)
MODELLED_RESOURCE = re.compile(r"Volume|Snapshot|Image|Instance|Tags|Ebs")
_XML = {"Content-Type": "text/xml;charset=UTF-8"}


def apply(locked_world: LockedWorld) -> None:
    """Replace ministack's EC2 by the model, and add the EBS direct API."""
    from ministack import app
    from ministack.core import iam_actions, router

    fallback: RouteHandler = app.SERVICE_HANDLERS["ec2"]
    app.SERVICE_HANDLERS["ec2"] = ec2_handler(locked_world, fallback)
    app.SERVICE_HANDLERS["ebs"] = ebs_handler(locked_world)
    router.SERVICE_PATTERNS["ebs"] = {}
    iam_actions.SERVICE_TO_IAM_NAMESPACE["ebs"] = "ebs"
    iam_actions._BOTOCORE_SERVICE_MAP["ebs"] = ["ebs"]


def query_fields(query: Mapping[str, list[str]], body: bytes) -> dict[str, str]:
    """Return the fields of the query protocol from a parsed query string and a body."""
    fields = {name: values[0] for name, values in query.items() if values}
    fields.update(ec2_query.parse_fields("", body))
    return fields


def ec2_handler(locked_world: LockedWorld, fallback: RouteHandler) -> RouteHandler:
    """Return the handler of EC2: the model's actions, and ministack's for the others."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Answer:
        fields = query_fields(query, body)
        action = fields.get("Action", "")
        request_id = str(uuid.uuid4())
        if not locked_world.handles("ec2", action):
            if NETWORK_ACTION.search(action) and not MODELLED_RESOURCE.search(action):
                return await fallback(method, path, headers, body, query)
            message = f"The embedded AWS has no action {action}: its model of EBS does not know it"
            return 400, dict(_XML), ec2_xml.error_document("InvalidAction", message, request_id)
        try:
            answer = _call(locked_world, "ec2", action, ec2_query.parse_parameters(action, fields), headers)
        except (WireError, ApiError) as error:
            return error.http_status, dict(_XML), ec2_xml.error_document(error.code, error.message, request_id)
        except NoAnswer as error:
            code, status = _no_answer(error)
            return status, dict(_XML), ec2_xml.error_document(code, str(error), request_id)
        return 200, dict(_XML), ec2_xml.answer_document(action, answer, request_id)

    return handle


def ebs_handler(locked_world: LockedWorld) -> RouteHandler:
    """Return the handler of the EBS direct API."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Answer:
        request_id = str(uuid.uuid4())
        try:
            action, labels = rest_json.find_action("ebs", method, path)
            operation = operation_model("ebs", action)
            parameters = rest_json.parse_request(operation, labels, query, headers, body)
            answer = rest_json.answer(operation, _call(locked_world, "ebs", action, parameters, headers), request_id)
        except (WireError, ApiError) as error:
            reason = error.reason if isinstance(error, ApiError) else ""
            answer = rest_json.error_answer(error.code, error.message, error.http_status, request_id, reason)
        except NoAnswer as error:
            code, status = _no_answer(error)
            answer = rest_json.error_answer(code, str(error), status, request_id)
        return answer.status, answer.headers, answer.body

    return handle


def _call(
    locked_world: LockedWorld, service: str, action: str, parameters: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, Any]:
    from ministack.core.iam_evaluator import request_caller_arn
    from ministack.core.responses import get_account_id, get_region

    caller = str(request_caller_arn(dict(headers)))
    answer = locked_world.call(service, action, parameters, region=get_region(), account_id=get_account_id(), caller=caller)
    event_history.record(action, parameters, caller, locked_world.world.now())
    event_history.record_use_of_share(locked_world.world.state, action, parameters, get_region(), get_account_id())
    return answer


def _no_answer(error: NoAnswer) -> tuple[str, int]:
    """Return the error code and HTTP status of an unreachable region or a lost answer. SDKs retry both."""
    return ("Unavailable", 503) if error.kind == "unreachable" else ("InternalError", 500)
