"""Bodies of requests, read to an end that nobody can put off."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

BODY_SECONDS = 30
"""So long may a body pause; then its sender is cut off."""


class TooLarge(Exception):
    """A body is larger than what is taken."""


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The whole body of a request, of at most ``most`` bytes.

    Raises:
        TooLarge: it is larger.
        TimeoutError: nothing came for ``BODY_SECONDS``, or the sender went.
    """
    told = Headers(scope=scope).get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise TooLarge
    pieces, size, more = [], 0, True
    while more:
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except asyncio.TimeoutError as error:  # not TimeoutError before Python 3.11
            raise TimeoutError from error
        if message["type"] != "http.request":
            raise TimeoutError
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most:
            raise TooLarge
        more = message.get("more_body", False)
    return b"".join(pieces)
