"""SSM: Run Command and its documents are the model's, because the instances are; ministack's know no instance of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, NoAnswer
from snapkeep.lab.embedded_aws.patches.ec2 import Answer, RouteHandler
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

_JSON = {"Content-Type": "application/x-amz-json-1.1"}


def apply(locked_world: LockedWorld) -> None:
    """Replace ministack's Run Command by the model."""
    from ministack import app

    app.SERVICE_HANDLERS["ssm"] = _handler(locked_world, app.SERVICE_HANDLERS["ssm"])


def action_of(headers: Mapping[str, str]) -> str:
    """Return the action of a request in AWS's JSON protocol; empty for other requests."""
    target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
    return target.rpartition(".")[2]


def _handler(locked_world: LockedWorld, fallback: RouteHandler) -> RouteHandler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Answer:
        action = action_of(headers)
        if not locked_world.handles("ssm", action):
            return await fallback(method, path, headers, body, query)
        from ministack.core.iam_evaluator import request_caller_arn
        from ministack.core.responses import get_account_id, get_region

        caller = str(request_caller_arn(dict(headers)))
        place = {"region": get_region(), "account_id": get_account_id(), "caller": caller}
        try:
            answer = locked_world.call("ssm", action, json.loads(body or b"{}"), **place)
        except ApiError as error:
            return error.http_status, dict(_JSON), _error(error.code, error.message)
        except NoAnswer as error:
            return 500, dict(_JSON), _error("InternalServerError", str(error))
        return 200, dict(_JSON), json.dumps(answer, default=_seconds).encode()

    return handle


def _error(code: str, message: str) -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()


def _seconds(value: Any) -> float:
    """Return a time in the form of the JSON protocol."""
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} has no place in JSON")
