"""The web server: our routes, with the Gradio page mounted among them."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles

from pe_engine.components import resolve_device
from pe_engine.data import LOCAL_LIMITS, SHARED_LIMITS
from pe_engine.jobs import JobManager
from pe_engine.ui.run_routes import run_router
from pe_engine.ui.security import LOCAL_HOSTS, SameOrigin
from pe_engine.ui.upload_routes import upload_router
from pe_engine.ui.uploads import Uploads

MAX_WAITING_EVENTS = 256
SHUTDOWN_SECONDS = 1  # then the streams of open pages are cut
GRADIO_UPLOAD_LIMIT = "1mb"  # nothing is uploaded through Gradio


def serve(app: FastAPI, host: str, port: int) -> None:
    """Answer at ``host:port`` until Ctrl-C."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    # Addresses hold run ids, so there is no access log.
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def build_app(home: Path, host: str) -> FastAPI:
    """The application that serves the page, keeping everything below ``home``.

    Args:
        home: folder of runs, uploads and ledger; made if missing.
        host: the address it will be bound to. A local one is answered by local names only, and
            whoever looks is the owner of the images; elsewhere a viewer of a run learns nothing of
            them that the run does not release, and an upload's size has tighter limits.
    """
    # Gradio reads this when it is imported, and its files must not lie in the shared /tmp.
    os.environ["GRADIO_TEMP_DIR"] = str(home / "gradio")
    import gradio as gr

    from pe_engine.ui.handlers import Handlers
    from pe_engine.ui.layout import ASSETS, build_page
    from pe_engine.ui.theme import THEME
    from pe_engine.ui.viewers import Viewers

    owner = host in LOCAL_HOSTS
    limits = LOCAL_LIMITS if owner else SHARED_LIMITS
    uploads = Uploads(home, max_files=limits.members)
    uploads.remove_stale()
    manager = JobManager(home, limits=limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Loading torch takes seconds, which the first run should not have to wait for.
        threading.Thread(target=resolve_device, args=("auto",), daemon=True).start()
        yield
        manager.close()  # a run in progress stops after its batch and can be resumed

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    # Where the outer application has its own CORS rule, Gradio does not add its laxer one.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_middleware(SameOrigin, local_only=owner)
    app.include_router(upload_router(uploads))
    app.include_router(run_router(manager, owner))
    app.mount("/pictures", StaticFiles(directory=ASSETS / "pictures"))
    page = build_page(Handlers(uploads, manager, owner, limits), Viewers(manager, owner))
    page.queue(default_concurrency_limit=4, max_size=MAX_WAITING_EVENTS, api_open=False)
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=GRADIO_UPLOAD_LIMIT,
        ssr_mode=False,
        enable_monitoring=False,
        theme=THEME,
        css_paths=[ASSETS / "style.css"],
        js=(ASSETS / "js" / "page.js").read_text("utf-8"),
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log line tells more than that open pages were cut off at the end."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "graceful" not in record.msg
