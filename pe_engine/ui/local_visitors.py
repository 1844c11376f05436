"""Who asks on a server that has no login: one of this machine, or a demo."""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pe_engine.ui.identity import (
    COOKIE_SECONDS,
    STRANGER,
    Identity,
    identity,
    read_cookie,
    write_cookie,
)
from pe_engine.ui.owner_key import OwnerKey, bearer

COOKIE = "pe-browser"
WRONG_KEY = "This is not the key of this page. Take the one in the address that app.py prints."
_TOKEN = re.compile(r"[0-9a-f]{32}")


class LocalVisitors:
    """ASGI middleware: who has the key is the machine's owner, each other browser is by itself.

    Args:
        app: the application behind it.
        key: the owner's; None for a demo, where nobody is.
        framed: the page is shown in a frame of another site.
    """

    def __init__(self, app: ASGIApp, key: OwnerKey | None, framed: bool = False) -> None:
        self.app = app
        self._key = key
        self._framed = framed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._key and (entrance := self._key.entrance(scope)):
            await entrance(scope, receive, send)
            return
        local = self._key is not None
        token = read_cookie(scope, COOKIE)
        known = _TOKEN.fullmatch(token) is not None
        browser = identity("browser", token, local=local) if known else STRANGER
        owner = self._key is not None and self._key.came_with(scope)
        if not owner and bearer(scope) is not None:
            await JSONResponse({"detail": WRONG_KEY}, 401)(scope, receive, send)
            return
        first = not owner and not browser.owner and _opens_page(scope)
        if first:
            token = secrets.token_hex(16)
            browser = identity("browser", token, local=local)
        scope.setdefault("state", {})["who"] = machines_owner(browser) if owner else browser

        async def send_with_cookie(message: Message) -> None:
            if first and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                cookie = write_cookie(COOKIE, token, COOKIE_SECONDS, scope, self._framed)
                headers.append("Set-Cookie", cookie)
                headers["Cache-Control"] = "no-store"  # a cache would make two browsers one
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def machines_owner(browser: Identity = STRANGER) -> Identity:
    """The owner of the machine, who is one in all browsers.

    Args:
        browser: what this browser made before it had the key stays theirs.
    """
    return identity("machine", "owner", local=True, may_open_paths=True, also=browser.owner)


def _opens_page(scope: Scope) -> bool:
    return scope["path"] == "/" and scope["method"] == "GET"
