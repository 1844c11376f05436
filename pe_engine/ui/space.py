"""Logging in with a Hugging Face account, on a Space whose card says ``hf_oauth: true``.

The exchange with Hugging Face is Gradio's own; who came out of it is read from its signed session.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.types import Scope

from pe_engine.errors import ConfigError
from pe_engine.header import RUN_ID
from pe_engine.ui.identity import STRANGER, Identity, identity
from pe_engine.ui.login import GONE, login_page

REFUSED = '<p class="problem" role="alert">This account may not use this server.</p>'
BUTTON = (
    '<a class="primary" href="/login/huggingface{query}" target="_blank" rel="noopener">'
    "Log in with Hugging Face</a>"
)


class SpaceLogin:
    """Accounts of Hugging Face.

    Args:
        allowed: names of those who may come in; empty: whoever has an account.
    """

    def __init__(self, allowed: frozenset[str] = frozenset()) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)

    def identify(self, scope: Scope) -> Identity:
        """Who sends a request; ``STRANGER`` where nobody is logged in or may come in.

        The identity is the account's number, because a name can go to somebody else.
        """
        user = self._user(scope)
        name, number = user.get("preferred_username"), user.get("sub")
        if not isinstance(name, str) or not isinstance(number, str) or not number:
            return STRANGER
        if self._allowed and name.lower() not in self._allowed:
            return STRANGER
        return identity("huggingface", number, account=name)

    def router(self) -> APIRouter:
        """The login page and the way out; Gradio has the routes that the page's button leads to."""
        router = APIRouter(include_in_schema=False)

        @router.api_route("/login", methods=["GET", "POST"])
        async def page(run: str = "") -> HTMLResponse:
            query = f"?run={run}" if RUN_ID.fullmatch(run) else ""
            return login_page(BUTTON.format(query=query))

        @router.post("/logout")
        async def log_out(request: Request) -> RedirectResponse:
            request.session.clear()
            return RedirectResponse("/login", 303, GONE)

        return router

    def attach(self, app: FastAPI) -> None:
        """Add Gradio's routes and the middleware that reads its session, outside all others.

        Raises:
            ConfigError: Gradio sees no Space; it would then let anybody in under a made-up name.
        """
        from gradio.oauth import OAUTH_CLIENT_SECRET, attach_oauth
        from gradio.utils import get_space

        if get_space() is None or not OAUTH_CLIENT_SECRET:
            raise ConfigError("This is no Space with hf_oauth: true. Use PE_AUTH=name:password.")
        attach_oauth(app)

    def _user(self, scope: Scope) -> Mapping[str, object]:
        info = scope.get("session", {}).get("oauth_info") or {}
        if info.get("expires_at", 0) < time.time():
            return {}
        return info.get("userinfo") or {}


def allowed_users(environment: Mapping[str, str]) -> frozenset[str]:
    """The names in ``PE_ALLOWED_USERS``, separated by commas or spaces."""
    return frozenset(re.split(r"[\s,]+", environment.get("PE_ALLOWED_USERS", ""))) - {""}
