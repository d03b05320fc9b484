"""Our own pages beside AWS's: ``/_snapkeep/…``. Not signed: the server listens on the loop-back interface alone."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from snapkeep.lab.embedded_aws import control
from snapkeep.lab.embedded_aws.host import Host
from snapkeep.lab.embedded_aws.inbox import Inbox
from snapkeep.lab.embedded_aws.patches import eventbridge, metrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AdminError(Exception):
    """A request to our own pages that is wrong, in words."""


class Admin:
    """The pages under ``/_snapkeep/``."""

    def __init__(self, host: Host, inbox: Inbox) -> None:
        self._host = host
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
                return control.summary(self._host)
            case ("POST", _):
                return self._change(page, document)
            case ("DELETE", "faults"):
                control.clear_faults(self._host)
                return {}
            case _:
                raise AdminError(f"{method} /_snapkeep/{page} is not a page of this server")

    def _health(self) -> dict[str, Any]:
        host = self._host
        return {
            "status": "ready",
            "pid": os.getpid(),
            "account": host.world.account_id,
            "scale": host.scale,
            "now": host.clock.now(),
        }

    def _change(self, page: str, document: dict[str, Any]) -> dict[str, Any]:
        match page:
            case "faults":
                control.add_fault(self._host, document)
            case "quotas":
                control.set_quotas(self._host, str(document.pop("region", "")), document)
            case "speeds":
                control.set_speeds(self._host, document)
            case "regions/away" | "regions/back":
                control.set_reach(self._host, str(document["region"]), reachable=page == "regions/back")
            case "blocks":
                control.write(self._host, document)
            case "clock":
                return {"now": control.put_forward(self._host, float(document["seconds"]))}
            case "schedules/fire":
                return {"fired": eventbridge.fire_schedules(str(document["account"]), str(document.get("rule", "")))}
            case "alarms/evaluate":
                metrics.evaluate_all(float(document.get("now", self._host.clock.now())))
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
