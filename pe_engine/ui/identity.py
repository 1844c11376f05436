"""Who is asking: the machine's owner by a key, a browser by its cookie, or an account where the
server asks for a login.

Every request carries an ``Identity`` in ``scope["state"]["who"]``. What an identity makes is stored
with the SHA-256 of it; a cookie holds 128 random bits, so that the hash tells nothing of it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

COOKIE_SECONDS = 400 * 24 * 3600  # the longest that browsers keep one


@dataclass(frozen=True)
class Identity:
    """Attributes:
    owner: SHA-256 of who it is, in hex; "" of one who is not known and owns nothing.
    account: the name to show where there is a login.
    local: it uses a page on this machine that asks for no login.
    may_open_paths: it owns the machine, so that the program opens what it names.
    also: SHA-256 of a second identity whose things are its own, too; "" for none.
    watches: ids of others' runs, each with the token of a link to it; see ``ui/watch_links.py``.
    """

    owner: str = ""
    account: str = ""
    local: bool = False
    may_open_paths: bool = False
    also: str = ""
    watches: tuple[tuple[str, str], ...] = ()

    def owns(self, owner: str | None) -> bool:
        """Whether this is the owner; None, of what the command line made, is the machine's."""
        if not self.owner:
            return False
        if owner is None:
            return self.may_open_paths
        same = hmac.compare_digest(owner, self.owner)
        return same or (bool(self.also) and hmac.compare_digest(owner, self.also))


STRANGER = Identity()


def identity(kind: str, secret: str, **facts: Any) -> Identity:
    """The identity of a ``secret``, such as a cookie's value or an account's name, of its kind."""
    return Identity(hashlib.sha256(f"{kind}:{secret}".encode()).hexdigest(), **facts)


def who_asks(request: Any) -> Identity:
    """The identity behind a Starlette request, or behind Gradio's around one."""
    request = getattr(request, "request", request)
    state = request.scope["state"]
    return replace(state["who"], watches=state.get("watches", ()))


def read_cookie(scope: Scope, name: str) -> str:
    """The value of a cookie of the request; "" where there is none."""
    return Request(scope).cookies.get(name, "")


def port_of(scope: Scope) -> int:
    """The port that the request came to; 0 where that is not known."""
    _, port = scope.get("server") or ("", 0)
    return port or 0


def write_cookie(
    name: str, value: str, seconds: int, scope: Mapping[str, Any], framed: bool = False
) -> str:
    """A Set-Cookie header that no script can read; ``seconds`` <= 0 deletes the cookie."""
    flags = f"{name}={value}; Path=/; HttpOnly; Max-Age={seconds}"
    if framed:
        return f"{flags}; SameSite=None; Secure; Partitioned"
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{flags}; SameSite=Lax{secure}"
