"""HTTP routes by which the page sends private images, outside Gradio's shared upload folder."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, HTTPException, Request

from pe_engine.errors import DataError
from pe_engine.ui.sentences import sentence_of
from pe_engine.ui.uploads import MAX_BATCH_BYTES, Uploads


def upload_router(uploads: Uploads) -> APIRouter:
    """``POST /uploads`` gives a token; then ``.../files`` or ``.../zip`` in batches; then
    ``.../finish``. ``DELETE /uploads/{token}`` removes it. Errors are ``{"detail": sentence}``.
    """
    router = APIRouter(prefix="/uploads", include_in_schema=False)

    @router.post("")
    async def begin() -> dict[str, str]:
        return {"token": await _answer(uploads.begin)}

    @router.post("/{token}/files")
    async def files(token: str, request: Request) -> dict[str, int]:
        body = await _body(request)
        return {"files": await _answer(uploads.add_files, token, body)}

    @router.post("/{token}/zip")
    async def zip_piece(token: str, offset: int, request: Request) -> dict[str, int]:
        body = await _body(request)
        return {"bytes": await _answer(uploads.add_zip_piece, token, offset, body)}

    @router.post("/{token}/finish")
    async def finish(token: str) -> dict[str, str]:
        await _answer(uploads.finish, token)
        return {"token": token}

    @router.delete("/{token}")
    async def remove(token: str) -> dict[str, str]:
        await _answer(uploads.remove, token)
        return {"token": token}

    return router


async def _answer(function, *args):
    """The result of ``function`` in a thread; its error as a sentence with status 400 or 507."""
    try:
        return await asyncio.to_thread(function, *args)
    except DataError as error:
        raise HTTPException(400, str(error)) from error
    except OSError as error:
        raise HTTPException(507, sentence_of(error)) from error


async def _body(request: Request) -> bytes:
    """The request's body, refused as soon as it grows over ``MAX_BATCH_BYTES``."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BATCH_BYTES:
            raise HTTPException(
                413, f"A batch is larger than {MAX_BATCH_BYTES // 2**20} MiB. Send smaller ones."
            )
        pieces.append(piece)
    return b"".join(pieces)
