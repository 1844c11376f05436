"""HTTP routes by which a run is taken out: as a zip of one's choice, to print, to share, to a
folder of this machine, or to the Hugging Face Hub.

All of it is made of what ``boundary.outgoing`` lets out. Errors are ``{"detail": sentence}``.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from pe_engine.boundary import shown
from pe_engine.errors import ConfigError, PEError
from pe_engine.files import typed_path
from pe_engine.jobs import JobManager
from pe_engine.runner import Run
from pe_engine.takeout.animation import evolution
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.package import zip_pieces
from pe_engine.takeout.pdf import report_pdf
from pe_engine.takeout.pushing import Pushes, Target
from pe_engine.takeout.saving import folder_name, save
from pe_engine.titles import read_title
from pe_engine.ui.bodies import TooLarge, read_body
from pe_engine.ui.identity import who_asks
from pe_engine.ui.on_demand import BUSY, Counted, OnDemand, Places, TooMany
from pe_engine.ui.run_routes import NEVER, find_run, finished
from pe_engine.ui.sentences import sentence_of

MAX_BODY_BYTES = 2**12
NOT_YOURS = (
    "Only who owns this computer may name a folder on it: open the address that app.py printed."
)
_NO_NAME = re.compile("[\0\ud800-\udfff]")
"""What no name of a file can have."""

NOTHING_YET = "There is nothing to take out before the first generation is finished."


def takeout_router(
    manager: JobManager, owner: bool, output: Path | None = None, hub: str | None = None
) -> APIRouter:
    """Routes below ``/runs/{run_id}``.

    Args:
        owner: whoever looks may know the private images' names.
        output: the folder that is offered to save to.
        hub: the address of the Hub; None for the usual one.
    """
    router = APIRouter(prefix="/runs/{run_id}", include_in_schema=False)
    takeouts = _Takeouts(manager, owner)
    _add_downloads(router, takeouts)
    _add_saving(router, takeouts, output)
    _add_hub(router, takeouts, hub)
    return router


class _Takeouts:
    """What the routes share."""

    def __init__(self, manager: JobManager, owner: bool) -> None:
        self._manager = manager
        self._owner = owner
        self.places = Places()
        self.made = OnDemand()
        self.pushes = Pushes()

    def find(self, request: Request, run_id: str, generation: int | None = None) -> Run:
        """The run, if it is the visitor's and that generation is finished.

        Raises:
            HTTPException: with status 404.
        """
        run = find_run(self._manager, run_id, who_asks(request))
        snapshot = shown(run.snapshot, self._owner)
        if not snapshot.generations:
            raise HTTPException(404, NOTHING_YET)
        if generation is not None:
            finished(snapshot, generation)
        return run

    def newest(self, run: Run) -> int:
        """The last finished generation."""
        return shown(run.snapshot, self._owner).generations[-1].generation

    def name(self, run: Run) -> str:
        """What a folder of the run's release is called."""
        return folder_name(read_title(run.folder))


def _add_downloads(router: APIRouter, takeouts: _Takeouts) -> None:
    @router.get("/download.zip")
    def download(
        request: Request,
        run_id: str,
        generation: int | None = None,
        format: str = "png",
        quality: int = 90,
        size: int | None = None,
        layout: str = "classes",
    ) -> Response:
        run = takeouts.find(request, run_id, generation)
        with _sentences():
            choice = Choice(generation, format, quality, size, layout)
            pieces = zip_pieces(run.outgoing(generation), choice)
        shown_generation = takeouts.newest(run) if generation is None else generation
        name = f"synthetic-generation-{shown_generation}-{format}.zip"
        headers = NEVER | {"Content-Disposition": f'attachment; filename="{name}"'}
        given = {"media_type": "application/zip", "headers": headers}
        return Counted(pieces, takeouts.places, who_asks(request), **given)

    @router.get("/report.pdf")
    def pdf(request: Request, run_id: str) -> Response:
        run = takeouts.find(request, run_id)
        made = _made(takeouts, request, run, "pdf", lambda: report_pdf(run.outgoing()))
        headers = NEVER | {"Content-Disposition": 'inline; filename="report.pdf"'}
        return Response(made, media_type="application/pdf", headers=headers)

    @router.get("/evolution.gif")
    def gif(request: Request, run_id: str) -> Response:
        return _animation(takeouts, request, run_id, "gif")

    @router.get("/evolution.webp")
    def webp(request: Request, run_id: str) -> Response:
        return _animation(takeouts, request, run_id, "webp")


def _animation(takeouts: _Takeouts, request: Request, run_id: str, kind: str) -> Response:
    run = takeouts.find(request, run_id)
    made = _made(takeouts, request, run, kind, lambda: evolution(run.outgoing(), kind))
    headers = NEVER | {"Content-Disposition": f'inline; filename="evolution.{kind}"'}
    return Response(made, media_type=f"image/{kind}", headers=headers)


def _made(
    takeouts: _Takeouts, request: Request, run: Run, kind: str, make: Callable[[], bytes]
) -> bytes:
    """Made once for each generation that the run has come to, and for how it has ended."""
    with _sentences(), takeouts.places.of(who_asks(request)):
        key = (run.run_id, kind, takeouts.newest(run), run.zip_path.is_file())
        return takeouts.made.get(key, make)


def _add_saving(router: APIRouter, takeouts: _Takeouts, output: Path | None) -> None:
    @router.get("/takeout.json")
    def about(request: Request, run_id: str) -> JSONResponse:
        """What the panel offers: ``side`` in pixels, and ``folder``, null where none may be named.

        ``name`` is what a folder of this release will be called.
        """
        run = takeouts.find(request, run_id)
        folder = None
        if who_asks(request).may_open_paths:
            folder = str(output or Path.home() / "Synthetic images")
        side = len(run.generations.image(takeouts.newest(run), 0))
        told = {"side": side, "folder": folder, "name": takeouts.name(run)}
        return JSONResponse(told, headers=NEVER)

    @router.post("/save")
    async def save_to(request: Request, run_id: str) -> JSONResponse:
        run = await asyncio.to_thread(takeouts.find, request, run_id)
        if not who_asks(request).may_open_paths:
            raise HTTPException(403, NOT_YOURS)
        asked = await _read_json(request)
        with _sentences():
            choice = _choice_of(asked)
            folder = typed_path(_text(asked, "folder", "Type the folder to save to."))
        place = await asyncio.to_thread(_saved, takeouts, request, run, choice, folder)
        return JSONResponse({"path": str(place)}, headers=NEVER)


def _saved(takeouts: _Takeouts, request: Request, run: Run, choice: Choice, folder: Path) -> Path:
    with _sentences(), takeouts.places.of(who_asks(request)):
        return save(run.outgoing(choice.generation), choice, folder, takeouts.name(run))


def _add_hub(router: APIRouter, takeouts: _Takeouts, endpoint: str | None) -> None:
    @router.get("/hub")
    def state(request: Request, run_id: str) -> JSONResponse:
        run = takeouts.find(request, run_id)
        return JSONResponse(vars(takeouts.pushes.of(run.run_id)), headers=NEVER)

    @router.delete("/hub")
    def cancel(request: Request, run_id: str) -> JSONResponse:
        run = takeouts.find(request, run_id)
        return JSONResponse(vars(takeouts.pushes.cancel(run.run_id)), headers=NEVER)

    @router.post("/hub")
    async def push(request: Request, run_id: str) -> JSONResponse:
        run = await asyncio.to_thread(takeouts.find, request, run_id)
        asked = await _read_json(request)
        with _sentences():
            choice = _choice_of(asked)
            target = Target(
                name=_text(asked, "repo", "Type the name of the data set to make."),
                token=_text(asked, "token", "Paste a token of your Hugging Face account."),
                private=asked.get("private", True) is not False,
                endpoint=endpoint,
            )
        await asyncio.to_thread(_begin_push, takeouts, run, choice, target)
        return JSONResponse(vars(takeouts.pushes.of(run.run_id)), headers=NEVER)


def _begin_push(takeouts: _Takeouts, run: Run, choice: Choice, target: Target) -> None:
    with _sentences():
        takeouts.pushes.start(run.run_id, run.outgoing(choice.generation), choice, target)


# What is sent -----------------------------------------------------------------------------------


async def _read_json(request: Request) -> dict[str, Any]:
    try:
        sent = json.loads(await read_body(request.scope, request.receive, MAX_BODY_BYTES))
    except (TooLarge, TimeoutError, ValueError, RecursionError) as error:
        raise HTTPException(400, "The request was cut off or too long. Try again.") from error
    if not isinstance(sent, dict):
        raise HTTPException(400, "The request says nothing by name. Use the page itself.")
    return sent


def _choice_of(asked: Mapping[str, Any]) -> Choice:
    """Raises:
    ConfigError: a value is of another kind or out of its range.
    """
    kinds = {"generation": int, "format": str, "quality": int, "size": int, "layout": str}
    given = {name: asked[name] for name in kinds if asked.get(name) is not None}
    for name, value in given.items():
        if type(value) is not kinds[name]:
            raise ConfigError(f"The {name} is not one that there can be. Choose another.")
    return Choice(**given)


def _text(asked: Mapping[str, Any], name: str, missing: str) -> str:
    text = asked.get(name)
    if not isinstance(text, str) or not text.strip() or _NO_NAME.search(text):
        raise ConfigError(missing)
    return text.strip()


@contextmanager
def _sentences() -> Iterator[None]:
    """Problems become answers with a sentence."""
    try:
        yield
    except TooMany as error:
        raise HTTPException(429, BUSY) from error
    except FileNotFoundError as error:
        raise HTTPException(404, "This run is not here any more. It was deleted.") from error
    except PEError as error:
        raise HTTPException(400, str(error)) from error
    except OSError as error:
        raise HTTPException(507, sentence_of(error)) from error
