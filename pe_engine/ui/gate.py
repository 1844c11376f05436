"""Which addresses answer at all, and how Gradio's sessions are kept apart.

Gradio serves far more than this page needs: files, uploads, proxies, an API of every handler. Only
what the page asks for passes; all else is not there. Gradio also takes a session's name from
whoever sends it, so a name that another browser uses would lead into that one's session. Here every
name is hashed together with the identity that sends it: two identities never mean the same session,
and neither can tell which names the other uses.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pe_engine.ui.bodies import TooLarge, read_body
from pe_engine.ui.crowd import Crowd, TooMany
from pe_engine.ui.identity import Identity
from pe_engine.ui.page_events import NoEvent, PageEvents

OWN = ("/runs/", "/uploads/", "/pictures/", "/parts/")
STATIC = ("/assets/", "/static/")
JOIN = "/gradio_api/queue/join"
LISTEN = "/gradio_api/queue/data"
LOGIN = ("/login", "/login/huggingface", "/login/callback")
LOGOUT = "/logout"  # by POST only, or any web page could log its visitor out
EXACT = frozenset(
    {"/", "/runs", "/uploads", "/who.json", "/theme.css", "/favicon.ico", JOIN, LISTEN}
)

API = "/api"
API_READS = frozenset({f"{API}/config", f"{API}/gradio_api/info"})
MCP = f"{API}/mcp/"
NO_NAME = (
    "Say who you are in the header Authorization: Bearer with the key that app.py prints, or on a "
    "server with accounts Basic with name and password."
)

BUSY = "You have too much open here at once. Close other tabs of this page and try again."

MAX_EVENT_BYTES = 512 * 2**10
MAX_SESSION_NAME = 64
MAX_SESSIONS = 20_000


class Gate:
    """ASGI middleware: answers 404 for all that the page does not need, and refuses websockets.

    Args:
        app: the application behind it.
        login: the server has a login page.
        crowd: the events that are in Gradio's queue.
        events: those that the page may send.
        api_events: those that a client of the API may.
    """

    def __init__(
        self,
        app: ASGIApp,
        login: bool,
        crowd: Crowd,
        events: PageEvents,
        api_events: PageEvents,
    ) -> None:
        self.app = app
        self._events = events
        self._api_events = api_events
        self._crowd = crowd
        self._exact = EXACT.union(LOGIN if login else ())
        self._login = login
        self._joined: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            with self._crowd.request_of(scope["state"]["who"]):
                await self._answer(scope, receive, send)
        except TooMany:
            await _refuse(429, BUSY, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith(f"{API}/"):
            await self._api(scope, receive, send)
        elif path == LOGOUT and scope["method"] == "POST" and self._login:
            await self.app(scope, receive, send)
        elif path not in self._exact and not path.startswith(OWN + STATIC):
            await _refuse(404, "Not Found", scope, receive, send)
        elif path in (JOIN, LISTEN):
            await self._session(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only what ``gradio_client`` and MCP clients need, and only for who is known."""
        path, reads = scope["path"], scope["method"] == "GET"
        if not scope["state"]["who"].owner:
            await _refuse(401, NO_NAME, scope, receive, send)
        elif path in (API + JOIN, API + LISTEN):
            await self._session(scope, receive, send)
        elif path == MCP and not reads:
            await self._bounded(scope, receive, send)
        elif path == MCP:
            await _refuse(405, "There is no stream to listen to. Send POST.", scope, receive, send)
        elif path in API_READS and reads:
            await self.app(scope, receive, send)
        else:
            await _refuse(404, "Not Found", scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, MAX_EVENT_BYTES)
        except TooLarge:
            reason = f"The request has more than {MAX_EVENT_BYTES // 2**10} KiB."
            await _refuse(413, reason, scope, receive, send)
        except TimeoutError:
            await _refuse(408, "The request was cut off. Try again.", scope, receive, send)
        else:
            await self.app(scope, _replay(body, receive), send)

    async def _session(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = scope["state"]["who"]
        if not who.owner:
            reason = "The server does not know this browser. Allow its cookie and reload the page."
            await _refuse(403, reason, scope, receive, send)
        elif scope["path"].endswith(JOIN):
            await self._join(who, scope, receive, send)
        else:
            await self._listen(who, scope, receive, send)

    async def _join(self, who: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, MAX_EVENT_BYTES)
            of_api = scope["path"].startswith(API)
            event = (self._api_events if of_api else self._events).read(body)
        except TooLarge:
            reason = (
                f"The page sent more than {MAX_EVENT_BYTES // 2**10} KiB. Shorten what is typed."
            )
            await _refuse(413, reason, scope, receive, send)
            return
        except TimeoutError:
            await _refuse(408, "The request was cut off. Try again.", scope, receive, send)
            return
        except NoEvent:
            await _refuse(400, "This is not an event of the page.", scope, receive, send)
            return
        event["session_hash"] = self._remember(session_of(who, event["session_hash"]))
        body = json.dumps(event).encode()
        replaced = {**scope, "headers": list(scope["headers"])}
        MutableHeaders(scope=replaced)["content-length"] = str(len(body))
        with self._crowd.place_for(who):
            await self.app(replaced, _replay(body, receive), send)

    async def _listen(self, who: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        session = session_of(who, query.get("session_hash", [""])[0])
        if session not in self._joined:
            await _refuse(404, "There is no such session here.", scope, receive, send)
            return
        query_string = urlencode({"session_hash": session}).encode()
        await self.app({**scope, "query_string": query_string}, receive, send)

    def _remember(self, session: str) -> str:
        self._joined[session] = None
        self._joined.move_to_end(session)
        if len(self._joined) > MAX_SESSIONS:
            self._joined.popitem(last=False)
        return session


def session_of(who: Identity, name: str) -> str:
    """The session that an identity means by a name of its choice."""
    return hashlib.sha256(f"{who.owner}/{name[:MAX_SESSION_NAME]}".encode()).hexdigest()[:32]


def _replay(body: bytes, receive: Receive) -> Receive:
    """``receive`` for an application that is to read ``body``."""
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(status: int, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"detail": reason}, status)(scope, receive, send)
