"""HTTP routes by which the page lists, names, finishes and deletes the runs of whoever looks.

Nobody is told of another's runs, nor how many there are. Errors are ``{"detail": sentence}``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from pe_engine.boundary import shown
from pe_engine.command_line import command_line
from pe_engine.components import last_name
from pe_engine.errors import PEError
from pe_engine.history import Kept
from pe_engine.images import contact_sheet, png_bytes
from pe_engine.jobs import JobManager
from pe_engine.population import sample_indices
from pe_engine.snapshot import Snapshot, Status
from pe_engine.titles import read_title, write_title
from pe_engine.ui.bodies import TooLarge, read_body
from pe_engine.ui.identity import Identity, who_asks
from pe_engine.ui.live import status_line
from pe_engine.ui.run_routes import FOREVER, NEVER, find_run, finished, stored_files
from pe_engine.ui.sentences import sentence_of
from pe_engine.ui.settings import decimal
from pe_engine.ui.starts import cost_after

PAGE = 50
"""Runs that are told of at once."""

MAX_BODY_BYTES = 2**12
THUMBNAIL_IMAGES = 4
DAMAGED = "This run cannot be read: its files are damaged."


def history_router(manager: JobManager, owner: bool) -> APIRouter:
    """``/runs`` and what is below it that changes a run.

    Args:
        owner: whoever looks may know the private images' names.
    """
    router = APIRouter(prefix="/runs", include_in_schema=False)
    _add_reading(router, manager, owner)
    _add_changing(router, manager)
    return router


def _add_reading(router: APIRouter, manager: JobManager, owner: bool) -> None:
    @router.get("")
    def runs(request: Request, skip: int = 0, most: int = PAGE) -> JSONResponse:
        told = list_runs(manager, who_asks(request), owner, skip, most)
        return JSONResponse(told, headers=NEVER)

    @router.get("/{run_id}/thumbnail/{generation}.png")
    def thumbnail(request: Request, run_id: str, generation: int) -> Response:
        run = find_run(manager, run_id, who_asks(request))
        finished(shown(run.snapshot, owner), generation)
        with stored_files():
            class_ids = run.generations.links(generation).class_ids
            each = -(-THUMBNAIL_IMAGES // len(np.unique(class_ids)))
            chosen = np.concatenate(sample_indices(class_ids, each))[:THUMBNAIL_IMAGES]
            images = [run.generations.image(generation, int(i)) for i in chosen]
        sheet = contact_sheet(np.stack(images), 2)
        return Response(png_bytes(sheet), media_type="image/png", headers=FOREVER)

    @router.get("/{run_id}/command.json")
    def command(request: Request, run_id: str) -> JSONResponse:
        run = find_run(manager, run_id, who_asks(request))
        with sentences():
            line = command_line(shown(run.snapshot, owner).config)
        return JSONResponse({"command": line}, headers=NEVER)

    @router.get("/{run_id}/cost.json")
    def cost(
        request: Request, run_id: str, generation: int, iterations: int, epsilon: float
    ) -> JSONResponse:
        run = find_run(manager, run_id, who_asks(request))
        with sentences():
            told = cost_after(run, owner, generation, iterations, epsilon)
        unit = shown(run.snapshot, owner).config.unit
        sentence = (
            f"What led to generation {generation} counts as ε\u00a0=\u00a0{decimal(told.before)}, "
            "all that its run had planned. With the new votes it will be "
            f"ε\u00a0=\u00a0{decimal(told.together)} for each {unit}. Nothing is spent before you "
            "press Run."
        )
        answer = {"together": told.together, "before": told.before, "sentence": sentence}
        return JSONResponse(answer, headers=NEVER)


def _add_changing(router: APIRouter, manager: JobManager) -> None:
    def act(request: Request, run_id: str, action: Callable[[str], object]) -> JSONResponse:
        run = find_run(manager, run_id, who_asks(request))
        with sentences():
            action(run_id)
        status = shown(run.snapshot, owner=False).status
        return JSONResponse({"status": status.value}, headers=NEVER)

    @router.post("/{run_id}/stop")
    def stop(request: Request, run_id: str) -> JSONResponse:
        return act(request, run_id, manager.stop)

    @router.post("/{run_id}/finish")
    def finish(request: Request, run_id: str) -> JSONResponse:
        return act(request, run_id, manager.finish_early)

    @router.post("/{run_id}/sooner")
    def sooner(request: Request, run_id: str) -> JSONResponse:
        return act(request, run_id, manager.sooner)

    @router.delete("/{run_id}")
    def delete(request: Request, run_id: str) -> JSONResponse:
        return act(request, run_id, lambda _: _delete(manager, run_id))

    @router.delete("")
    def delete_all(request: Request) -> JSONResponse:
        return JSONResponse(_delete_all(manager, who_asks(request)), headers=NEVER)

    @router.put("/{run_id}/title")
    async def title(request: Request, run_id: str) -> JSONResponse:
        run = await asyncio.to_thread(find_run, manager, run_id, who_asks(request))
        asked = await _read_title(request)
        with sentences():
            kept = await asyncio.to_thread(write_title, run.folder, asked)
        return JSONResponse({"title": kept}, headers=NEVER)


def list_runs(
    manager: JobManager, who: Identity, owner: bool, skip: int, most: int
) -> dict[str, Any]:
    """Some of the runs of whoever asks, the newest first, and how many there are.

    Args:
        owner: whoever looks may know the private images' names.
        most: up to ``PAGE`` runs are told of.
    """
    kept = manager.kept(who.owns)
    some = kept[max(skip, 0) :][: min(max(most, 0), PAGE)]
    return {"total": len(kept), "runs": [entry(manager, run, owner) for run in some]}


def entry(manager: JobManager, run: Kept, owner: bool) -> dict[str, Any]:
    """A run as the list tells of it."""
    try:
        snapshot = shown(manager.glance(run), owner)
    except (PEError, OSError):
        snapshot = None
    return {
        "run_id": run.run_id,
        "made": run.made,
        "title": read_title(manager.folder(run.run_id)),
        **(_facts(snapshot) if snapshot else {"status": "damaged", "line": DAMAGED}),
    }


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    config, made = snapshot.config, snapshot.generations
    return {
        "status": snapshot.status.value,
        "line": status_line(snapshot),
        "position": snapshot.queue_position,
        "generation": made[-1].generation if made else None,
        "dataset": config.dataset_name,
        "generator": last_name(config.generator).replace("_", " "),
        "samples": config.sample_schedule[-1],
        "epsilon": round(snapshot.epsilon_planned, 3),
        "zip": snapshot.zip_ready,
    }


def _delete(manager: JobManager, run_id: str) -> None:
    """Also of a run that waits; one that works must be stopped before."""
    run = manager.get(run_id)
    if run is not None and shown(run.snapshot, owner=False).status is Status.QUEUED:
        manager.stop(run_id)
    manager.delete(run_id)


def _delete_all(manager: JobManager, who: Identity) -> dict[str, int]:
    """All runs of whoever asks that are not at work; how many, and how many are left."""
    deleted = left = 0
    for kept in manager.kept(who.owns):
        try:
            _delete(manager, kept.run_id)
            deleted += 1
        except (PEError, OSError):
            left += 1
    return {"deleted": deleted, "left": left}


async def _read_title(request: Request) -> str:
    try:
        sent = json.loads(await read_body(request.scope, request.receive, MAX_BODY_BYTES))
        title = sent["title"]
        title.encode()  # half a character cannot be written
    except (TooLarge, TimeoutError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise HTTPException(400, "This is no title. Type it again.") from error
    except AttributeError as error:
        raise HTTPException(400, "A title is a text. Type it again.") from error
    return title


@contextmanager
def sentences() -> Iterator[None]:
    """Problems become answers with a sentence."""
    try:
        yield
    except PEError as error:
        raise HTTPException(409, str(error)) from error
    except OSError as error:
        raise HTTPException(507, sentence_of(error)) from error
