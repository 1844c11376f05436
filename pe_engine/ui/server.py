"""The web server: our routes, with the Gradio page mounted among them."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles

from pe_engine.build import plan_budget
from pe_engine.components import resolve_device
from pe_engine.errors import ConfigError
from pe_engine.files import OWNER_ONLY_FOLDER, owner_folder
from pe_engine.jobs import JobManager
from pe_engine.takeout.saving import keep_copy
from pe_engine.ui.crowd import Crowd
from pe_engine.ui.gate import API, MCP, Gate
from pe_engine.ui.history_routes import history_router
from pe_engine.ui.house import LOCAL, SHARED, House
from pe_engine.ui.lent_gpu import announce, is_zero_gpu, lent
from pe_engine.ui.local_visitors import LocalVisitors, machines_owner
from pe_engine.ui.login import LoginFirst, PasswordLogin
from pe_engine.ui.owner_key import PARAMETER, OwnerKey
from pe_engine.ui.page_events import PageEvents
from pe_engine.ui.parts import ADDRESS, ASSETS, Modules, head, style_sheets
from pe_engine.ui.picture_routes import picture_router
from pe_engine.ui.run_routes import run_router
from pe_engine.ui.security import LOCAL_HOSTS, SameOrigin
from pe_engine.ui.serving import MAX_CONNECTIONS
from pe_engine.ui.space import SpaceLogin
from pe_engine.ui.takeout_routes import takeout_router
from pe_engine.ui.upload_routes import upload_router
from pe_engine.ui.uploads import Uploads
from pe_engine.ui.watch_links import WatchLinks
from pe_engine.ui.watch_routes import watch_router
from pe_engine.ui.who_routes import who_router

if TYPE_CHECKING:
    import gradio as gr

MAX_WAITING_EVENTS = 256
MAX_SESSIONS = 256
"""Tabs whose state Gradio keeps, those that asked last: 0.4 MB each, forgotten by number alone. An
older one begins anew with its next event, which is no loss: no handler keeps anything there."""
MOUNTED: dict[str, Any] = {
    "footer_links": [],
    "run_history": False,
    "allowed_paths": [],
    "max_file_size": "1mb",  # nothing is uploaded through Gradio
    "ssr_mode": False,
    "enable_monitoring": False,
    "mcp_server": False,  # ours is another
}
NO_LOGIN = (
    "Others could reach this server at {host}, so it must ask for a login. Name the accounts in "
    "the environment variable PE_AUTH=name:password, or by --auth name:password; on a Hugging Face "
    "Space set hf_oauth: true. For a demo that anybody may use within narrow bounds, say --demo or "
    "PE_DEMO=1."
)
TIDY_SECONDS = 600.0


def build_app(
    home: Path,
    host: str,
    login: PasswordLogin | SpaceLogin | None = None,
    framed: bool = False,
    output: Path | None = None,
    house: House | None = None,
) -> FastAPI:
    """The application that serves the page, keeping everything below ``home``.

    Its ``state`` has ``address``, where the owner opens the page with the key, ``key`` (None with a
    login) and ``manager``, of the runs.

    Args:
        home: folder of runs, uploads and ledger; made if missing.
        host: the address it will be bound to. A local one without a login is answered by local
            names only, and whoever looks is the owner of the images; else a viewer of a run learns
            nothing of them that the run does not release, and there are tighter limits.
        login: who may come in; without one each browser is somebody else.
        framed: the page is shown in a frame by Hugging Face.
        output: where each finished run is copied to, too, in a folder of its own.
        house: its rules; ``LOCAL`` or ``SHARED`` where they are not given.

    Raises:
        ConfigError: another machine could come in without a login.
    """
    house = house or (LOCAL if host in LOCAL_HOSTS and login is None else SHARED)
    owner = house.owner
    if login is None and not (owner or house.open):
        raise ConfigError(NO_LOGIN.format(host=host))
    # Gradio reads this when it is imported, and its files must not lie in the shared /tmp.
    gradios = _closed(home) / "gradio"
    shutil.rmtree(gradios, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(_closed(gradios))
    if is_zero_gpu(os.environ):
        house = lent(house)
    import gradio as gr

    from pe_engine.presets import FIRST
    from pe_engine.ui.api import Api
    from pe_engine.ui.api_doors import api_page, mcp_app, mcp_server
    from pe_engine.ui.fields import preset_config
    from pe_engine.ui.handlers import Handlers
    from pe_engine.ui.layout import build_page
    from pe_engine.ui.theme import THEME
    from pe_engine.ui.viewers import Viewers

    # A second to load, and never in two threads at once; the first page asks for it.
    plan_budget(preset_config(FIRST))
    uploads = Uploads(home, house.caps)
    copy = partial(keep_copy, parent=output.absolute()) if output else None
    manager = JobManager(
        home,
        house.limits,
        house.quota,
        apart=True,
        keeper=machines_owner().owner if owner else "",
        finished=copy,
        driver=house.driver,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Loading torch takes seconds, which the first run should not have to wait for.
        loading = threading.Thread(target=resolve_device, args=("auto",), daemon=True)
        loading.start()
        tidying = asyncio.create_task(_tidy(manager, house.caps.kept_seconds))
        async with mcp.session_manager.run():
            yield
        tidying.cancel()
        manager.close()  # a run in progress stops after its batch and can be resumed
        shutil.rmtree(gradios, ignore_errors=True)
        loading.join()  # native code breaks down if the interpreter goes before

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    handlers = Handlers(uploads, manager, house)
    page = _queued(build_page(handlers, Viewers(manager, owner), login is not None))
    api = Api(handlers)
    named, mcp = _queued(api_page(api)), mcp_server(api)
    key = OwnerKey(home) if owner else None
    app.state.manager = manager
    app.state.key, app.state.address = key, f"/?{PARAMETER}={key.value}" if key else "/"
    _protect(app, login, key, framed, page, named)
    app.include_router(who_router())
    app.include_router(upload_router(uploads))
    app.include_router(run_router(manager, owner))
    app.include_router(watch_router(manager))
    app.include_router(history_router(manager, owner))
    app.include_router(takeout_router(manager, owner, output))
    app.include_router(picture_router(manager, owner))
    app.mount("/pictures", StaticFiles(directory=ASSETS / "pictures"))
    app.mount(ADDRESS, Modules())
    app.mount(MCP.rstrip("/"), mcp_app(mcp))
    gr.mount_gradio_app(app, named, path=API, show_error=True, **MOUNTED)
    if is_zero_gpu(os.environ):
        announce()
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        show_error=False,
        **MOUNTED,
        theme=THEME,
        css_paths=style_sheets(),
        head=head(),
        js=(ASSETS / "js" / "page.js").read_text("utf-8"),
    )


def _protect(
    app: FastAPI,
    login: PasswordLogin | SpaceLogin | None,
    key: OwnerKey | None,
    framed: bool,
    page: gr.Blocks,
    named: gr.Blocks,
) -> None:
    """What every request passes before it is answered; the last one added is the first passed."""
    app.add_middleware(
        Gate,
        login=login is not None,
        crowd=Crowd(page, named),
        events=PageEvents(page),
        api_events=PageEvents(named),
    )
    if login is None:
        app.add_middleware(LocalVisitors, key=key, framed=framed)
    else:
        app.include_router(login.router())
        app.add_middleware(LoginFirst, login=login)
    app.add_middleware(WatchLinks, framed=framed)
    # Where the outer application has its own CORS rule, Gradio does not add its laxer one.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    if isinstance(login, SpaceLogin):
        login.attach(app)
    app.add_middleware(SameOrigin, local_only=key is not None, framed=framed)


async def _tidy(manager: JobManager, seconds: float) -> None:
    """From time to time delete the runs that nothing has changed in for so long."""
    while isfinite(seconds):
        await asyncio.to_thread(manager.delete_older, seconds)
        await asyncio.sleep(TIDY_SECONDS)


def _queued(page: gr.Blocks) -> gr.Blocks:
    page.state_session_capacity = MAX_SESSIONS
    page.max_threads = MAX_CONNECTIONS  # Gradio answers no more events at once, streams included
    page.queue(default_concurrency_limit=4, max_size=MAX_WAITING_EVENTS, api_open=False)
    page.has_launched = True  # else Gradio takes any path that is sent for an uploaded file
    return page


def _closed(folder: Path) -> Path:
    """``folder``, made if missing, as one that no other account of this machine can enter."""
    owner_folder(folder)
    with suppress(PermissionError):  # a volume of somebody else's
        folder.chmod(OWNER_ONLY_FOLDER)
    return folder
