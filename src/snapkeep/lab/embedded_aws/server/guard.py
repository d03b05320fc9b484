"""The gate in front of everything that the server answers: no web page and no other user of the machine gets through.

A browser sends ``Origin`` or ``Sec-Fetch-Site`` and an SDK does not [Fetch standard; Fetch Metadata Request Headers]. A name that
an attacker's DNS points to this machine arrives in ``Host``. Another user of the machine does not know the server's secret.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMINISTRATION = "/_snapkeep/"
# Pages that answer everybody on this machine: they show that the server runs, and nothing else.
OPEN_PAGES = frozenset({"/_snapkeep/health", "/_ministack/health", "/_ministack/ready"})
# CloudFormation's response and signal URLs carry a random token in the path and are signed by nobody, as on AWS.
_TOKEN_PAGES = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
# The emulator's administration, and its metadata services, which hand out credentials.
_CLOSED_PAGES = ("/_ministack", "/_localstack", "/_aws", "/health", "/latest/", "/v2/credentials/")
_BROWSER_HEADERS = ("origin", "sec-fetch-site")


def refusal_of(method: str, path: str, headers: Mapping[str, str], query: str, secret: str) -> str:
    """Return why a request is refused; empty if it is served. Header names are in lower case."""
    sent = [name for name in _BROWSER_HEADERS if name in headers]
    if sent:
        return f"requests of web pages are not served (header {sent[0]})"
    if not is_this_machine(headers.get("host", "")):
        return "the Host header is neither a loop-back address nor localhost"
    if path in OPEN_PAGES or (method == "PUT" and path.startswith(_TOKEN_PAGES)):
        return ""
    return _refusal_of_caller(path, headers.get("authorization", ""), query, secret)


def _refusal_of_caller(path: str, authorization: str, query: str, secret: str) -> str:
    """Return why a caller may not have a page; AWS's endpoints verify the signature themselves."""
    if path.startswith(ADMINISTRATION):
        return (
            "" if hmac.compare_digest(authorization, f"Bearer {secret}") else "the administration pages need the server's secret"
        )
    if path.startswith(_CLOSED_PAGES):
        return "this page of the emulator is closed"
    if not authorization.startswith("AWS4-") and "X-Amz-Signature=" not in query:
        return "the request is not signed"
    return ""


def is_this_machine(host: str) -> bool:
    """Return whether a Host header names a loop-back address, localhost or a name below localhost [RFC 6761, section 6.3]."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Guard:
    """Passes to the application what `refusal_of` does not refuse, and removes CORS headers from its answers."""

    def __init__(self, application: Application, secret: str) -> None:
        self._application = application
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = bytes(scope.get("query_string", b"")).decode("latin-1")
        refusal = refusal_of(str(scope["method"]), str(scope["path"]), headers, query, self._secret)
        if refusal:
            await _send_refusal(send, refusal)
        else:
            await self._application(scope, receive, _without_cors(send))


def _without_cors(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if not bytes(name).lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sending


async def _send_refusal(send: Send, refusal: str) -> None:
    body = json.dumps({"__type": "AccessDeniedException", "message": f"The embedded AWS refuses: {refusal}"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
