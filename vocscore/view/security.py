"""Lets only the person who started the page see it.

The address that is printed has a random token. Opening it sets a cookie, and every other request,
websockets and images included, needs that cookie. A page of another origin cannot send it
(SameSite=Strict), and requests whose `Host` or `Origin` is not the page's own are refused as well,
which also stops names of other machines that resolve to this one (DNS rebinding).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
ENTRANCE: Final = "/open"
"""The path that takes the token."""
_EVENTS: Final = "/_nicegui_ws/"
_POLICY_VIOLATION: Final = 1008
_HEADERS: Final = (
    # NiceGUI compiles its templates in the browser; nothing comes from elsewhere.
    (
        b"content-security-policy",
        (
            b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
            b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
            b"font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
            b"form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_REFUSED: Final = (
    "This page belongs to the person who started it. Open the address that 'vocscore view' "
    "printed.\n"
)
# A redirect would be part of a navigation that another program began, for which browsers keep
# SameSite=Strict cookies back; a page that goes on by itself is not.
_WELCOME: Final = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<title>vocscore</title><a href="/">Open the page</a>'
)


@dataclass(frozen=True)
class Access:
    """Who may see a page.

    Attributes:
        port: of the server.
        hosts: names by which it may be addressed; None: any (it listens on other interfaces, where
            its names are unknown; the token remains).
        token: the secret in the address.
    """

    port: int
    hosts: tuple[str, ...] | None = LOOPBACK
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def cookie(self) -> str:
        """The name of the cookie: browsers share cookies among ports, so the port is in it."""
        return f"vocscore-{self.port}"

    def address(self, host: str) -> str:
        """The address to open."""
        return f"http://{host}:{self.port}{ENTRANCE}?token={self.token}"

    def host_is_ours(self, host: str) -> bool:
        """Whether a request's `Host` is one of ours."""
        if self.hosts is None:
            return bool(host)
        return host in {f"{name}:{self.port}" for name in self.hosts}

    def is_token(self, given: str) -> bool:
        """Compare a token in constant time."""
        return hmac.compare_digest(given.encode(), self.token.encode())


class Guard:
    """ASGI middleware that refuses everything without the cookie.

    Args:
        app: what it protects.
        access: who may see it.
    """

    def __init__(self, app: App, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        if not self._is_same_origin(headers):
            await _refuse(scope, receive, send, 421, "This is not the address of the page.\n")
        elif scope["type"] == "http" and scope["path"] == ENTRANCE:
            await self._enter(scope, send)
        elif not self._has_cookie(headers):
            await _refuse(scope, receive, send, 403, _REFUSED)
        elif scope["type"] == "http" and not _may_be_sent(scope["method"], scope["path"]):
            await _answer(send, 405, "This page can only be read.\n")
        else:
            await self.app(scope, receive, _with_headers(send))

    def _is_same_origin(self, headers: Mapping[str, str]) -> bool:
        host = headers.get("host", "")
        if not self.access.host_is_ours(host):
            return False
        return headers.get("origin", f"http://{host}") == f"http://{host}"

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.access.cookie)
        except CookieError:
            return False
        return found is not None and self.access.is_token(found.value)

    async def _enter(self, scope: Mapping[str, Any], send: Send) -> None:
        """Exchange the token in the address for the cookie."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self.access.is_token(given):
            await _answer(send, 403, _REFUSED)
            return
        cookie = f"{self.access.cookie}={self.access.token}; Path=/; HttpOnly; SameSite=Strict"
        more = [(b"set-cookie", cookie.encode()), (b"content-type", b"text/html; charset=utf-8")]
        await _answer(send, 200, _WELCOME, more)


def _may_be_sent(method: str, path: str) -> bool:
    """Whether a request only reads; a tab without websockets posts its events."""
    return method in ("GET", "HEAD") or (method == "POST" and path.startswith(_EVENTS))


async def _refuse(
    scope: Mapping[str, Any], receive: Receive, send: Send, status: int, line: str
) -> None:
    """Refuse a request, or close a websocket before it is accepted."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    await _answer(send, status, line)


async def _answer(
    send: Send, status: int, text: str, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    kind = [] if more else [(b"content-type", b"text/plain; charset=utf-8")]
    headers = [*_HEADERS, *kind, *(more or []), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {name for name, _ in _HEADERS}
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in ours]
            message = {**message, "headers": [*kept, *_HEADERS]}
        await send(message)

    return wrapped
