"""The administration pages ``/_snapkeep/…`` beside AWS's endpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from snapkeep.lab.embedded_aws.aws.inbox import Inbox
from snapkeep.lab.embedded_aws.patches import eventbridge, metrics, service_metrics, stack_properties, stepfunctions
from snapkeep.lab.embedded_aws.world import world_admin
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AdminError(Exception):
    """An invalid request to an administration page; the message says why."""


class AdminPages:
    """The administration pages under ``/_snapkeep/``."""

    def __init__(self, locked_world: LockedWorld, inbox: Inbox) -> None:
        self._locked_world = locked_world
        self._inbox = inbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        query = {name: values[0] for name, values in parse_qs(bytes(scope.get("query_string", b"")).decode()).items()}
        body = await _body(receive)
        try:
            document = json.loads(body) if body else {}
            answer = self._answer(str(scope["method"]), str(scope["path"]).removeprefix("/_snapkeep/"), query, document)
            status = 200
        except (AdminError, ValueError, KeyError, TypeError) as error:
            answer, status = {"error": str(error)}, 400
        except LookupError as error:
            answer, status = {"error": str(error)}, 404
        await _send_json(send, status, answer)

    def _answer(self, method: str, page: str, query: dict[str, str], document: dict[str, Any]) -> dict[str, Any]:
        match (method, page):
            case ("GET", "health"):
                return self._health()
            case ("GET", "inbox"):
                messages = self._inbox.messages(query.get("account", ""), query.get("topic", ""))
                return {"messages": [message.as_dict() for message in messages]}
            case ("DELETE", "inbox"):
                self._inbox.clear(query.get("account", ""))
                return {}
            case ("GET", "world"):
                return world_admin.summary(self._locked_world)
            case ("POST", _):
                return self._change(page, document)
            case ("DELETE", "faults"):
                world_admin.clear_faults(self._locked_world)
                return {}
            case _:
                raise AdminError(f"{method} /_snapkeep/{page} is not a page of this server")

    def _health(self) -> dict[str, Any]:
        locked_world = self._locked_world
        return {
            "status": "ready",
            "pid": os.getpid(),
            "account": locked_world.world.account_id,
            "scale": locked_world.scale,
            "now": locked_world.clock.now(),
        }

    def _change(self, page: str, document: dict[str, Any]) -> dict[str, Any]:
        match page:
            case "faults":
                world_admin.add_fault(self._locked_world, document)
            case "quotas":
                world_admin.set_quotas(self._locked_world, str(document.pop("region", "")), document)
            case "speeds":
                world_admin.set_speeds(self._locked_world, document)
            case "regions/away" | "regions/back":
                world_admin.set_reach(self._locked_world, str(document["region"]), reachable=page == "regions/back")
            case "blocks" | "products/accept":
                (world_admin.write if page == "blocks" else world_admin.accept_product)(self._locked_world, document)
            case "clock":
                now = world_admin.put_forward(self._locked_world, float(document["seconds"]))
                stack_properties.expire_items(now)
                return {"now": now}
            case "schedules/fire":
                return {"fired": eventbridge.fire_schedules(str(document["account"]), str(document.get("rule", "")))}
            case "waits/end":
                stepfunctions.end_waits()
            case "alarms/evaluate":
                service_metrics.sample_queues(self._locked_world.clock.now())
                metrics.evaluate_all(float(document.get("now", self._locked_world.clock.now())))
            case _:
                raise AdminError(f"POST /_snapkeep/{page} is not a page of this server")
        return {}


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(bytes(message.get("body", b"")))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _send_json(send: Send, status: int, answer: dict[str, Any]) -> None:
    body = json.dumps(answer, default=str).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
