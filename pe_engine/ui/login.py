"""Logging in by name and password: nothing but the login page answers anyone else."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pe_engine.header import RUN_ID
from pe_engine.ui.accounts import SESSION_SECONDS, Accounts, Attempts, Sessions
from pe_engine.ui.bodies import TooLarge, read_body
from pe_engine.ui.gate import LOGIN, LOGOUT
from pe_engine.ui.identity import STRANGER, Identity, identity, port_of, read_cookie, write_cookie

ASSETS = Path(__file__).parent.parent.parent / "assets"
COOKIE = "pe-login-{port}"  # or two servers of one host would log each other's visitors out
MAX_FORM_BYTES = 4096
DELAY_SECONDS = 1.0
"""So long a failed attempt takes; after others of late some times as long."""

WRONG = "The name or the password is wrong. Try again."
ENDED = "You are not logged in, or the login has ended. Reload the page and log in."
NO_STORE = {"Cache-Control": "no-store"}
GONE = NO_STORE | {"Clear-Site-Data": '"cache"'}
"""Of an answer to who logs out: the browser has kept images of their runs."""


class PasswordLogin:
    """Accounts of this server.

    Args:
        passwords: by name.
        framed: the page is shown in a frame of another site.
    """

    def __init__(self, passwords: dict[str, str], framed: bool = False) -> None:
        self._accounts = Accounts(passwords)
        self._sessions = Sessions()
        self._attempts = Attempts()
        self._framed = framed

    def identify(self, scope: Scope) -> Identity:
        """Who sends a request; ``STRANGER`` where nobody is logged in."""
        name = self._sessions.name(read_cookie(scope, _cookie(scope)))
        return STRANGER if name is None else identity("account", name, account=name)

    async def identify_basic(self, scope: Scope, receive: Receive) -> Identity:
        """Who a program says it is, by ``Authorization: Basic``; ``STRANGER`` if that is wrong,
        after a while as on the login page. Then nothing of the body can be read any more."""
        name, password = _basic(scope)
        if not name:
            return STRANGER
        address = (scope.get("client") or ("", 0))[0]
        async with self._attempts.place(address):
            if self._accounts.check(name, password):
                return identity("account", name.strip(), account=name.strip())
            if not await Request(scope, receive).is_disconnected():  # while it waited for others
                await asyncio.sleep(DELAY_SECONDS * self._attempts.failed(address))
        return STRANGER

    def router(self) -> APIRouter:
        """The login page, what its form is sent to, and the way out."""
        router = APIRouter(include_in_schema=False)

        @router.get("/login")
        async def page(run: str = "") -> HTMLResponse:
            return login_page(form(run))

        @router.post("/login")
        async def log_in(request: Request) -> Response:
            return await self._log_in(request)

        @router.post("/logout")
        async def log_out(request: Request) -> Response:
            self._sessions.end(read_cookie(request.scope, _cookie(request.scope)))
            return self._go("/login", "", request)

        return router

    async def _log_in(self, request: Request) -> Response:
        try:
            body = await read_body(request.scope, request.receive, MAX_FORM_BYTES)
            fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=9)
        except (TooLarge, TimeoutError, ValueError):
            return login_page(form("", WRONG), 400)
        name, password, run = (fields.get(f, [""])[0] for f in ("name", "password", "run"))
        address = request.client.host if request.client else ""
        async with self._attempts.place(address):
            gone = await request.is_disconnected()  # while it waited for others to fail
            if gone or not self._accounts.check(name, password):
                await asyncio.sleep(0 if gone else DELAY_SECONDS * self._attempts.failed(address))
                return login_page(form(run, WRONG, name), 401)
        return self._go(_page_of(run), self._sessions.begin(name.strip()), request)

    def _go(self, place: str, token: str, request: Request) -> Response:
        seconds = SESSION_SECONDS if token else 0
        name = _cookie(request.scope)
        cookie = write_cookie(name, token, seconds, request.scope, self._framed)
        return RedirectResponse(place, 303, (NO_STORE if token else GONE) | {"Set-Cookie": cookie})


class LoginFirst:
    """ASGI middleware: who is not logged in gets the login page and nothing else.

    Args:
        app: the application behind it.
        login: ``PasswordLogin``, or ``SpaceLogin`` in ``ui/space.py``.
    """

    def __init__(self, app: ASGIApp, login: PasswordLogin) -> None:
        self.app = app
        self.login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        who, place = self.login.identify(scope), scope["path"]
        of_program = isinstance(self.login, PasswordLogin) and place not in ("/", *LOGIN, LOGOUT)
        if not who.owner and of_program:
            who = await self.login.identify_basic(scope, receive)
        scope.setdefault("state", {})["who"] = who
        if who.owner or place in (*LOGIN, LOGOUT):
            await self.app(scope, receive, send)
        elif place == "/":
            run = Request(scope).query_params.get("run", "")
            way_in = f"/login?{urlencode({'run': run})}" if RUN_ID.fullmatch(run) else "/login"
            await RedirectResponse(way_in, 303, NO_STORE)(scope, receive, send)
        else:
            await JSONResponse({"detail": ENDED}, 401, NO_STORE)(scope, receive, send)


def form(run: str, problem: str = "", name: str = "") -> str:
    """The fields of the login page, as HTML.

    Args:
        run: the run that the visitor came for, if its id is one.
        problem: why the last attempt failed.
        name: what was typed in it.
    """
    kept = f'<input type="hidden" name="run" value="{run}">' if RUN_ID.fullmatch(run) else ""
    alert = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return (
        f'<form method="post" action="/login">{kept}{alert}'
        f'<label>Name <input name="name" value="{escape(name)}" autocomplete="username" '
        f'autocapitalize="none" spellcheck="false" required{" autofocus" * (not name)}></label>'
        '<label>Password <input name="password" type="password" autocomplete="current-password" '
        f"required{' autofocus' * bool(name)}></label>"
        '<button class="primary">Log in</button></form>'
    )


def login_page(content: str, status: int = 200) -> HTMLResponse:
    """The login page around ``content`` (HTML)."""
    html = _template().replace("<!-- content -->", content)
    return HTMLResponse(html, status, NO_STORE)


@cache
def _template() -> str:
    return re.sub(r"\n\s+", "\n", (ASSETS / "login.html").read_text("utf-8"))


def _basic(scope: Scope) -> tuple[str, str]:
    """Name and password of the header; "" where it has none."""
    kind, _, text = Headers(scope=scope).get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, password = b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def _cookie(scope: Scope) -> str:
    return COOKIE.format(port=port_of(scope))


def _page_of(run: str) -> str:
    return f"/?{urlencode({'run': run})}" if RUN_ID.fullmatch(run) else "/"
