"""Who may talk to the server: the page it served itself, under a name it knows.

A web page elsewhere can make a browser send requests to 127.0.0.1. Two checks stop it: a request
that changes something must come from our own page, and a server bound to this machine answers only
to this machine's names (a foreign name pointing here is DNS rebinding).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
HOST = re.compile(r"([\w.-]*|\[[0-9a-fA-F:]+(\.\d{1,3}){0,3}\])(:\d{1,5})?", re.ASCII)
"""What the header Host may be. Of anything else, libraries make different things, or break down."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# The page may load from and talk to its own server only. Gradio builds its components with inline
# scripts and new Function, which is why those two are allowed.
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
HUGGING_FACE = " https://huggingface.co https://*.hf.space"


class SameOrigin:
    """ASGI middleware: refuse foreign senders, and add the headers that keep answers private.

    Args:
        app: the application behind it.
        local_only: answer only to ``LOCAL_HOSTS``; off for a server that is reached under names
            we cannot know (a container, a proxy).
        framed: Hugging Face, too, may show the page in a frame.
    """

    def __init__(self, app: ASGIApp, local_only: bool, framed: bool = False) -> None:
        self.app = app
        self.local_only = local_only
        self.policy = f"{PAGE_POLICY}; frame-ancestors 'self'{HUGGING_FACE * framed}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        headers = Headers(scope=scope)
        if not _is_name(headers.get("host", "")):
            answer = JSONResponse({"detail": "The header Host is no name of a server."}, 400)
        elif reason := self._refusal(scope["method"], headers):
            answer = JSONResponse({"detail": reason}, 403)
        else:
            answer = self.app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> str:
        host = headers.get("host", "")
        if self.local_only and _host_name(host) not in LOCAL_HOSTS:
            return "This server answers only to this machine. Open it as http://127.0.0.1."
        if method in SAFE_METHODS or _from_own_page(headers, host):
            return ""
        return "The request came from another web page and was refused. Use the page itself."

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers.setdefault("X-Content-Type-Options", "nosniff")
        # The address holds the run id. Not "no-referrer": a form would then come from "null".
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", self.policy)


def _from_own_page(headers: Headers, host: str) -> bool:
    # A proxy may rewrite Host, so the browser's own verdict goes first.
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == host != ""
    except ValueError:  # such as http://[
        return False


def _is_name(host: str) -> bool:
    try:
        return bool(HOST.fullmatch(host)) and urlsplit(f"//{host}").port != 0
    except ValueError:
        return False


def _host_name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""
