"""Who is asking: a browser by its cookie, or an account where the server asks for a login.

Every request carries an ``Identity`` in ``scope["state"]["who"]``. What an identity makes is stored
with the SHA-256 of it; a cookie holds 128 random bits, so that the hash tells nothing of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "pe-browser"
COOKIE_SECONDS = 400 * 24 * 3600  # the longest that browsers keep one
_TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Identity:
    """Attributes:
    owner: SHA-256 of who it is, in hex; "" of one who is not known and owns nothing.
    account: the name to show where there is a login.
    local: it uses a page on its own machine that asks for no login.
    """

    owner: str = ""
    account: str = ""
    local: bool = False

    def owns(self, owner: str | None) -> bool:
        """Whether this is the owner; None, of what the command line made, is a local page's."""
        if not self.owner:
            return False
        return self.local if owner is None else hmac.compare_digest(owner, self.owner)


STRANGER = Identity()


def identity(kind: str, secret: str, **facts: Any) -> Identity:
    """The identity of a ``secret``, such as a cookie's value or an account's name, of its kind."""
    return Identity(hashlib.sha256(f"{kind}:{secret}".encode()).hexdigest(), **facts)


def who_asks(request: Any) -> Identity:
    """The identity behind a Starlette request, or behind Gradio's around one."""
    request = getattr(request, "request", request)
    return request.scope["state"]["who"]


class BrowserCookie:
    """ASGI middleware for a server without a login: each browser is an identity of its own.

    Args:
        app: the application behind it.
        local: the server is bound to this machine.
    """

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self.app = app
        self.local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = read_cookie(scope, COOKIE)
        known = _TOKEN.fullmatch(token) is not None
        first = not known and scope["path"] == "/" and scope["method"] == "GET"
        if first:
            token = secrets.token_hex(16)
        who = identity("browser", token, local=self.local) if known or first else STRANGER
        scope.setdefault("state", {})["who"] = who

        async def send_with_cookie(message: Message) -> None:
            if first and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                cookie = write_cookie(COOKIE, token, COOKIE_SECONDS, scope)
                headers.append("Set-Cookie", cookie)
                headers["Cache-Control"] = "no-store"  # a cache would make two browsers one
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def read_cookie(scope: Scope, name: str) -> str:
    """The value of a cookie of the request; "" where there is none."""
    return Request(scope).cookies.get(name, "")


def write_cookie(
    name: str, value: str, seconds: int, scope: Mapping[str, Any], framed: bool = False
) -> str:
    """A Set-Cookie header that no script can read; ``seconds`` <= 0 deletes the cookie."""
    flags = f"{name}={value}; Path=/; HttpOnly; Max-Age={seconds}"
    if framed:
        return f"{flags}; SameSite=None; Secure; Partitioned"
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{flags}; SameSite=Lax{secure}"
