"""The key of whoever owns this machine: by it a local page tells its owner from other accounts.

Anybody with an account on this machine can reach 127.0.0.1. Only who can read the key, in a file of
the owner's or in what ``app.py`` printed, may have the program open paths, and sees what the
command line made.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from filelock import FileLock
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from pe_engine.files import OWNER_ONLY_FILE, atomic_write
from pe_engine.ui.identity import COOKIE_SECONDS, port_of, read_cookie, write_cookie

FILE = "page.key"
PARAMETER = "key"
COOKIE = "pe-owner-{port}"  # two servers of one host may have two homes
BEARER = "bearer "
ONCE_SECONDS = 120.0  # a browser may have to be started
_KEY = re.compile(r"[0-9a-f]{64}")


class OwnerKey:
    """The key kept in a home folder; made where there is none, or one that is damaged.

    What the owner made does not hang on it: with the file deleted, the next start makes a new key,
    the old one opens nothing, and nothing is lost.
    """

    def __init__(self, home: Path) -> None:
        """``home``: only its owner can enter it."""
        path = home / FILE
        with FileLock(home / f".{FILE}.lock"):  # two servers may start at once
            known = path.read_text("utf-8", "replace").strip() if path.is_file() else ""
            if _KEY.fullmatch(known):
                path.chmod(OWNER_ONLY_FILE)
            else:
                known = secrets.token_hex(32)
                with atomic_write(path) as file:
                    file.write(known.encode())
        self.value = known
        self._once: dict[bytes, float] = {}

    def fits(self, given: str) -> bool:
        """Whether it is this key; in constant time."""
        return hmac.compare_digest(_digest(given), _digest(self.value))

    def address_once(self) -> str:
        """An address that opens the page as the key does, once and within ``ONCE_SECONDS``.

        Other accounts read in the list of processes what a browser is told to open.
        """
        code = secrets.token_hex(32)
        self._once[_digest(code)] = time.monotonic() + ONCE_SECONDS
        return f"/?{PARAMETER}={code}"

    def _opens(self, given: str) -> bool:
        return self.fits(given) or self._once.pop(_digest(given), 0.0) > time.monotonic()

    def came_with(self, scope: Scope) -> bool:
        """Whether a request has the key, in its cookie or as a bearer's."""
        given = bearer(scope)
        return self.fits(read_cookie(scope, _cookie(scope)) if given is None else given)

    def entrance(self, scope: Scope) -> Response | None:
        """The answer to an address with a key: the same without it, and a cookie if it fits.

        None of any other address.
        """
        if scope["path"] != "/" or scope["method"] != "GET":
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        kept = [(name, value) for name, value in query if name != PARAMETER]
        if len(kept) == len(query):
            return None
        answer = RedirectResponse(f"/?{urlencode(kept)}" if kept else "/", 303)
        answer.headers["Cache-Control"] = "no-store"
        if self._opens(dict(query)[PARAMETER]):
            cookie = write_cookie(_cookie(scope), self.value, COOKIE_SECONDS, scope)
            answer.headers["Set-Cookie"] = cookie
        return answer


def bearer(scope: Scope) -> str | None:
    """What the header ``Authorization: Bearer`` says; None where there is none."""
    header = Headers(scope=scope).get("authorization", "")
    return header[len(BEARER) :].strip() if header.lower().startswith(BEARER) else None


def _cookie(scope: Scope) -> str:
    return COOKIE.format(port=port_of(scope))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
