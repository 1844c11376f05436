"""HTTP routes by which the owner of a run shares it, to be watched, and stops that."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from pe_engine.jobs import JobManager
from pe_engine.ui.history_routes import sentences
from pe_engine.ui.identity import who_asks
from pe_engine.ui.run_routes import NEVER, find_run
from pe_engine.ui.watch_links import end_link, link_to


def watch_router(manager: JobManager) -> APIRouter:
    """``POST /runs/{run_id}/link`` gives ``address``; ``DELETE`` makes it lead nowhere."""
    router = APIRouter(prefix="/runs/{run_id}/link", include_in_schema=False)

    @router.post("")
    def share(request: Request, run_id: str) -> JSONResponse:
        run = find_run(manager, run_id, who_asks(request))
        with sentences():
            address = link_to(run.folder, run_id)
        return JSONResponse({"address": address}, headers=NEVER)

    @router.delete("")
    def stop_sharing(request: Request, run_id: str) -> JSONResponse:
        run = find_run(manager, run_id, who_asks(request))
        with sentences():
            end_link(run.folder)
        return JSONResponse({}, headers=NEVER)

    return router
