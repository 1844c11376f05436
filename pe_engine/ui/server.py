"""The web server: our routes, with the Gradio page mounted among them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles

from pe_engine.jobs import JobManager
from pe_engine.ui.run_routes import run_router
from pe_engine.ui.security import LOCAL_HOSTS, SameOrigin
from pe_engine.ui.upload_routes import upload_router
from pe_engine.ui.uploads import Uploads

MAX_WAITING_EVENTS = 256
GRADIO_UPLOAD_LIMIT = "1mb"  # nothing is uploaded through Gradio


def build_app(home: Path, host: str) -> FastAPI:
    """The application that serves the page, keeping everything below ``home``.

    Args:
        home: folder of runs, uploads and ledger; made if missing.
        host: the address it will be bound to; a local one is answered by local names only.
    """
    # Gradio reads this when it is imported, and its files must not lie in the shared /tmp.
    os.environ["GRADIO_TEMP_DIR"] = str(home / "gradio")
    import gradio as gr

    from pe_engine.ui.handlers import Handlers
    from pe_engine.ui.layout import ASSETS, build_page
    from pe_engine.ui.theme import THEME

    uploads = Uploads(home)
    uploads.remove_stale()
    manager = JobManager(home)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        manager.close()  # a run in progress stops after its batch and can be resumed

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    # Where the outer application has its own CORS rule, Gradio does not add its laxer one.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_middleware(SameOrigin, local_only=host in LOCAL_HOSTS)
    app.include_router(upload_router(uploads))
    app.include_router(run_router(manager))
    app.mount("/pictures", StaticFiles(directory=ASSETS / "pictures"))
    page = build_page(Handlers(uploads, manager))
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
