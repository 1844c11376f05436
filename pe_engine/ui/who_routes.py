"""What the page asks of itself: what whoever looks may do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from pe_engine.ui.identity import who_asks

NO_KEY = (
    "This browser has no key, so it can only send images and not name a path: open the address "
    "that app.py printed."
)


def who_router() -> APIRouter:
    """``GET /who.json``: ``may_open_paths``, and ``why_not``, a sentence or "" where nobody may."""
    router = APIRouter(include_in_schema=False)

    @router.get("/who.json")
    def who(request: Request) -> JSONResponse:
        asks = who_asks(request)
        told: dict[str, Any] = {"may_open_paths": asks.may_open_paths, "why_not": ""}
        if asks.local and not asks.may_open_paths:
            told["why_not"] = NO_KEY
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    return router
