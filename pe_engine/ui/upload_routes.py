"""HTTP routes by which the page sends private images, outside Gradio's shared upload folder."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, HTTPException, Request

from pe_engine.errors import DataError
from pe_engine.ui.bodies import TooLarge, read_body
from pe_engine.ui.identity import who_asks
from pe_engine.ui.sentences import sentence_of
from pe_engine.ui.uploads import MAX_BATCH_BYTES, NoUpload, Uploads

MAX_AT_ONCE = 4
"""Requests of one sender that are taken at the same time; each holds a batch in memory."""


def upload_router(uploads: Uploads) -> APIRouter:
    """``POST /uploads`` gives a token; then ``.../files`` or ``.../zip`` in batches; then
    ``.../finish``. ``DELETE /uploads/{token}`` removes it. Errors are ``{"detail": sentence}``;
    the status is 404 for an upload that is not the sender's, as for one that there is not.
    """
    router = APIRouter(prefix="/uploads", include_in_schema=False)
    senders: Counter[str] = Counter()

    @asynccontextmanager
    async def sender(request: Request) -> AsyncIterator[str]:
        owner = who_asks(request).owner
        if not owner:
            raise HTTPException(
                403, "The server does not know this browser. Allow its cookie and reload the page."
            )
        if senders[owner] >= MAX_AT_ONCE:
            raise HTTPException(429, "Too much is sent at once. Wait, then drop the images again.")
        senders[owner] += 1
        try:
            yield owner
        finally:
            senders[owner] -= 1
            if not senders[owner]:
                del senders[owner]

    @router.post("")
    async def begin(request: Request) -> dict[str, str]:
        async with sender(request) as owner:
            return {"token": await _answer(uploads.begin, owner)}

    @router.post("/{token}/files")
    async def files(token: str, request: Request, batch: int | None = None) -> dict[str, int]:
        async with sender(request) as owner:
            body = await _body(request)
            return {"files": await _answer(uploads.add_files, owner, token, body, batch)}

    @router.post("/{token}/zip")
    async def zip_piece(token: str, offset: int, request: Request) -> dict[str, int]:
        async with sender(request) as owner:
            body = await _body(request)
            return {"bytes": await _answer(uploads.add_zip_piece, owner, token, offset, body)}

    @router.post("/{token}/finish")
    async def finish(token: str, request: Request) -> dict[str, str]:
        async with sender(request) as owner:
            await _answer(uploads.finish, owner, token)
            return {"token": token}

    @router.delete("/{token}")
    async def remove(token: str, request: Request) -> dict[str, str]:
        async with sender(request) as owner:
            await _answer(uploads.remove, owner, token)
            return {"token": token}

    return router


async def _answer(function, *args):
    """The result of ``function`` in a thread; its error as a sentence with status 4xx or 507."""
    try:
        return await asyncio.to_thread(function, *args)
    except NoUpload as error:
        raise HTTPException(404, str(error)) from error
    except DataError as error:
        raise HTTPException(400, str(error)) from error
    except OSError as error:
        raise HTTPException(507, sentence_of(error)) from error


async def _body(request: Request) -> bytes:
    """The request's body, refused as soon as it grows over ``MAX_BATCH_BYTES``."""
    try:
        return await read_body(request.scope, request.receive, MAX_BATCH_BYTES)
    except TooLarge as error:
        raise HTTPException(
            413, f"A batch is larger than {MAX_BATCH_BYTES // 2**20} MiB. Send smaller ones."
        ) from error
    except TimeoutError as error:
        raise HTTPException(408, "The connection was too slow. Drop the images again.") from error
