"""Links by which somebody else may watch one run: its address with a token.

The token is 128 random bits in the run's folder; without the file nobody watches. A browser keeps
the newest few tokens in a cookie. Who watches sees what ``boundary.shown`` shows to those who do
not own the images, and downloads the release; nothing that steers, renames or deletes is theirs.
"""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pe_engine.files import atomic_write
from pe_engine.header import RUN_ID
from pe_engine.ui.identity import COOKIE_SECONDS, port_of, read_cookie, write_cookie

FILE = "watch.key"
PARAMETER = "watch"
COOKIE = "pe-watch-{port}"
MOST_KEPT = 8
_TOKEN = re.compile(r"[0-9a-f]{32}")
_KEPT = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{32})")


def link_to(folder: Path, run_id: str) -> str:
    """The address by which others may watch the run; made if there is none."""
    path = folder / FILE
    token = path.read_text() if path.is_file() else ""
    if not _TOKEN.fullmatch(token):
        token = secrets.token_hex(16)
        with atomic_write(path) as file:
            file.write(token.encode())
    return "/?" + urlencode({"run": run_id, PARAMETER: token})


def is_shared(folder: Path) -> bool:
    """Whether a link leads to the run."""
    return (folder / FILE).is_file()


def end_link(folder: Path) -> None:
    """From now on no link of before leads to the run."""
    (folder / FILE).unlink(missing_ok=True)


def may_watch(folder: Path, token: str) -> bool:
    """Whether the token is the run's; in constant time."""
    try:
        known = (folder / FILE).read_text()
    except FileNotFoundError:
        return False
    fits = hmac.compare_digest(known.encode(), token.encode())
    return fits and _TOKEN.fullmatch(known) is not None


class WatchLinks:
    """ASGI middleware: takes a token out of the address into a cookie, also of who has yet to log
    in, and tells the application which runs the visitor has links to; whether they fit is asked
    where a run is looked for."""

    def __init__(self, app: ASGIApp, framed: bool = False) -> None:
        """``framed``: the page is shown in a frame of another site."""
        self.app = app
        self._framed = framed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kept = dict(_KEPT.findall(read_cookie(scope, _cookie(scope))))
        if answer := _entrance(scope, kept, self._framed):
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["watches"] = tuple(kept.items())[-MOST_KEPT:]
        await self.app(scope, receive, send)


def _entrance(scope: Scope, kept: dict[str, str], framed: bool) -> Response | None:
    if scope["path"] != "/" or scope["method"] != "GET":
        return None
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    token, run_id = query.pop(PARAMETER, ""), query.get("run", "")
    if not (_TOKEN.fullmatch(token) and RUN_ID.fullmatch(run_id)):
        return None
    kept.pop(run_id, None)
    newest = [*kept.items(), (run_id, token)][-MOST_KEPT:]
    value = "-".join(f"{run}.{of_run}" for run, of_run in newest)
    answer = RedirectResponse(f"/?{urlencode(query)}", 303)
    answer.headers["Cache-Control"] = "no-store"
    cookie = write_cookie(_cookie(scope), value, COOKIE_SECONDS, scope, framed)
    answer.headers["Set-Cookie"] = cookie
    return answer


def _cookie(scope: Scope) -> str:
    return COOKIE.format(port=port_of(scope))
