"""Access to the console: for the person who started it, in a browser on this machine, through pages of its own."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"  # noqa: S105 - the name of a parameter
CONTENT = "Content-Security-Policy"
HEADERS = {
    CONTENT: (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with `no-referrer`, a form's origin is null (Fetch standard)
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer: nothing comes from outside, nothing is kept, and no other page can hold one of these."""


@dataclass(slots=True)
class VisitorGuard:
    """Lets through what a page of the console sends with the token of this start; refuses everything else."""

    application: ASGIApp
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    allow_actions: bool = False
    """Whether a form may act; without it, no method but GET is let through."""

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies do not tell ports apart, so each port has its own."""
        return f"snapkeep_console_{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that a request may name: another one is a foreign name that leads here (DNS rebinding)."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are let through."""
        return ("GET", "POST") if self.allow_actions else ("GET",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(scope) or self.application
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self.hosts:
            return _refused(HTTPStatus.MISDIRECTED_REQUEST, f"this console is at http://127.0.0.1:{self.port}")
        if scope["method"] not in self.methods:
            refused = _refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{' and '.join(self.methods)} alone")
            refused.headers["Allow"] = ", ".join(self.methods)
            return refused
        # Browsers name the origin of every form (Fetch standard, "append a request Origin header").
        origin = headers.get("origin", f"http://{host}" if scope["method"] == "GET" else "")
        if origin != f"http://{host}":
            return _refused(HTTPStatus.FORBIDDEN, "the request comes from another page")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return self._first(scope) or _refused(HTTPStatus.FORBIDDEN, "the request comes from another site")
        if self._is_known(headers):
            return self._first(scope)
        return self._first(scope) or _refused(
            HTTPStatus.UNAUTHORIZED, "open the address that `snapkeep console` printed: it has this start's token"
        )

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        try:
            sent = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return sent is not None and self._is_token(sent.value)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.token.encode())

    def _first(self, scope: Scope) -> Response | None:
        """Return the answer to the printed address: the token moves into a cookie, and out of the address."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] != "GET" or not any(name == TOKEN and self._is_token(value) for name, value in query):
            return None
        rest = urlencode([(name, value) for name, value in query if name != TOKEN])
        answer = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), HTTPStatus.SEE_OTHER)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return answer


MOST_FORMS = 1000
"""Forms that may be open at once: a page that renews itself makes one with each reading."""


@dataclass(slots=True)
class FormTokens:
    """Tokens of the forms that act. Each is taken once: a form that is sent twice acts once."""

    _open: dict[str, None] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock)

    def issue(self) -> str:
        """Return the token of a new form. The oldest forms become invalid."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._open[token] = None
            while len(self._open) > MOST_FORMS:
                del self._open[next(iter(self._open))]
        return token

    def take(self, token: str) -> bool:
        """Whether a token is that of a form that was not sent before."""
        with self._lock:
            return token in self._open and self._open.pop(token, None) is None


def _refused(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(f"snapkeep console: {text}\n", status)
