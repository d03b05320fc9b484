"""The check of every request to the server: web pages and other users of the machine are refused.

A browser sends ``Origin`` or ``Sec-Fetch-Site`` and an SDK does not [Fetch standard; Fetch Metadata Request Headers]. A name
that an attacker's DNS points to this machine arrives in ``Host``. Other users of the machine do not know the server's secret.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from snapkeep.lab.embedded_aws.wire import ec2_xml

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMINISTRATION = "/_snapkeep/"
# Pages for every user of this machine: they only show that the server runs.
OPEN_PAGES = frozenset({"/_snapkeep/health", "/_ministack/health", "/_ministack/ready"})
# CloudFormation's response and signal URLs carry a random token in the path and no signature, as on AWS.
_TOKEN_PAGES = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
# The emulator's administration, and its metadata services, which return credentials.
_CLOSED_PAGES = ("/_ministack", "/_localstack", "/_aws", "/health", "/latest/", "/v2/credentials/")
_BROWSER_HEADERS = ("origin", "sec-fetch-site")
_CREDENTIAL = re.compile(r"Credential=[^/&,]+/\d{8}/(?P<region>[^/&,]+)/[^/&,]+/aws4_request")
_NO_REGION = "aws-global"
# Requests to global services such as IAM are signed for one of these, in every region of a caller.
_GLOBAL_REGIONS = frozenset({"us-east-1", _NO_REGION})


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
    """Return why a caller may not read a page; AWS's endpoints verify the signature themselves."""
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


def region_of(authorization: str, query: str) -> str:
    """Return the region for which a request is signed; empty if it names none [SigV4: credential scope]."""
    signed = _CREDENTIAL.search(authorization) or _CREDENTIAL.search(unquote(query))
    return signed["region"] if signed else ""


class Guard:
    """Middleware that passes requests on unless `refusal_of` refuses them, and removes CORS headers from answers."""

    def __init__(self, application: AsgiApplication, secret: str, regions: Collection[str]) -> None:
        self._application = application
        self._secret = secret
        self._regions = frozenset(regions) | _GLOBAL_REGIONS

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
        region = region_of(headers.get("authorization", ""), query)
        form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if refusal:
            await _send_refusal(send, 403, "AccessDenied", f"The embedded AWS refuses the request: {refusal}", form=form)
        elif region and region not in self._regions:
            message = (
                f"The region {region} does not exist in this world; it has {', '.join(sorted(self._regions - {_NO_REGION}))}"
            )
            await _send_refusal(send, 400, "InvalidRegion", message, form=form)
        else:
            await self._application(scope, receive, _without_cors(send))


def _json_error(code: str, message: str) -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()


def _without_cors(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if not bytes(name).lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sending


async def _send_refusal(send: Send, status: int, code: str, message: str, *, form: bool) -> None:
    """Answer a form in XML, as query services do, and other requests in JSON."""
    body = ec2_xml.error_document(code, message, str(uuid.uuid4())) if form else _json_error(code, message)
    kind = b"text/xml" if form else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"x-amzn-errortype", code.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
