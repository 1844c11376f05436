"""HTTP routes by which the page shows and downloads a run.

Whoever asks for a run must own it; ``find_run`` sees to that, for these routes and for every
handler of the page. What goes out here is what the run releases: synthetic images, pictures of
noisy votes, the zip and the report; and the names of the classes, to the owner of the private
images or where they may be public, else class ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from pe_engine.boundary import shown
from pe_engine.errors import PEError
from pe_engine.header import RUN_ID
from pe_engine.images import png_bytes
from pe_engine.jobs import JobManager
from pe_engine.runner import Run
from pe_engine.snapshot import GenerationView, Snapshot
from pe_engine.ui.gallery import CAPTIONS, gallery_rows
from pe_engine.ui.identity import Identity, who_asks
from pe_engine.ui.watch_links import may_watch

# Another account in the same browser has another cookie, and so none of these from its cache.
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Cookie"}
NEVER = {"Cache-Control": "no-store"}
# The same whether there is no such run or it is another's.
MISSING = (
    "There is no such run here for this account. It may have been deleted, or another account "
    "started it: log in with that one."
)
MISSING_HERE = (
    "There is no such run here for this browser. It may have been deleted, or another browser "
    "started it: open it there."
)
GONE = "This generation cannot be read. The run was deleted, or its files are damaged."
NO_IMAGE = "This generation has no image of that number."
REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


def run_router(manager: JobManager, owner: bool) -> APIRouter:
    """Routes below ``/runs/{run_id}``: galleries, images, histograms, the zip and the report.

    Args:
        owner: whoever looks may know the private images' class names.
    """
    router = APIRouter(prefix="/runs/{run_id}", include_in_schema=False)

    @router.get("/gallery/{generation}.json")
    def gallery(
        request: Request,
        run_id: str,
        generation: int,
        order: Literal["votes", "made"] = "votes",
        row: int | None = None,
        page: int = 0,
    ) -> JSONResponse:
        """All rows, or one of them, of the wanted page."""
        run, mine = find_seen(manager, run_id, who_asks(request))
        snapshot = shown(run.snapshot, owner and mine)
        view = finished(snapshot, generation)
        with stored_files():
            class_ids = run.generations.links(generation).class_ids
            newest = snapshot.generations[-1].generation
            basis, votes = run.generations.known_votes(generation, newest)
        rows = gallery_rows(class_ids, snapshot.class_names, votes, order == "votes", page)
        told = {
            "generation": view.generation,
            "basis": basis,
            "caption": CAPTIONS[order if order == "made" else basis],
            "rows": rows if row is None else rows[row : row + 1] if row >= 0 else [],
            "side": snapshot.config.image_size,
        }
        return JSONResponse(told, headers=NEVER)  # names of classes are among it

    @router.get("/images/{generation}/{index}.png")
    def image(request: Request, run_id: str, generation: int, index: int) -> Response:
        run, mine = find_seen(manager, run_id, who_asks(request))
        view = finished(shown(run.snapshot, owner and mine), generation)
        if not 0 <= index < view.num_samples:
            raise HTTPException(404, NO_IMAGE)
        with stored_files():
            png = png_bytes(run.generations.image(generation, index))
        return Response(png, media_type="image/png", headers=FOREVER)

    @router.get("/votes/{generation}.png")
    def votes(request: Request, run_id: str, generation: int, theme: str = "light") -> Response:
        from pe_engine.plots import vote_histogram  # loads matplotlib

        run, mine = find_seen(manager, run_id, who_asks(request))
        snapshot = shown(run.snapshot, owner and mine)
        view = finished(snapshot, generation)
        if not view.has_votes:
            raise HTTPException(404, "Nobody voted for this generation.")
        noisy_votes = run.noisy_votes(generation)
        if noisy_votes is None:
            raise HTTPException(404, "The ledger does not know this run. Put its ledger back.")
        png = vote_histogram(
            noisy_votes,
            snapshot.noise_multiplier,
            view.threshold,
            dark=theme == "dark",
        )
        return Response(png, media_type="image/png", headers=FOREVER)

    @router.get("/synthetic.zip")
    def synthetic_zip(request: Request, run_id: str) -> FileResponse:
        run, _ = find_seen(manager, run_id, who_asks(request))
        if not run.zip_path.is_file():
            raise HTTPException(404, "The zip is written when the run is done.")
        return FileResponse(
            run.zip_path, media_type="application/zip", filename="synthetic.zip", headers=NEVER
        )

    @router.get("/report.html")
    def report(request: Request, run_id: str) -> FileResponse:
        run, _ = find_seen(manager, run_id, who_asks(request))
        path = run.folder / "report.html"
        if not path.is_file():
            raise HTTPException(404, "The report is written when the run is done.")
        headers = NEVER | {"Content-Security-Policy": REPORT_POLICY}
        return FileResponse(path, media_type="text/html", headers=headers)

    return router


def find_run(manager: JobManager, run_id: str, who: Identity) -> Run:
    """The run of that id, in memory or on disk, for its owner.

    Raises:
        HTTPException: status 404 where there is none, and in the same words where it is another's.
    """
    if not RUN_ID.fullmatch(run_id):
        raise HTTPException(404, "This is not the address of a run.")
    if manager.exists(run_id) and who.owns(manager.owner(run_id)):
        run = _stored(manager, run_id)
        if run is not None:
            return run
    raise HTTPException(404, MISSING if who.account else MISSING_HERE)


def find_seen(manager: JobManager, run_id: str, who: Identity) -> tuple[Run, bool]:
    """The run for who may look at it, and whether that is its owner and not a watcher.

    Raises:
        HTTPException: as ``find_run``.
    """
    token = dict(who.watches).get(run_id, "")
    if token and who.owner and manager.exists(run_id) and not who.owns(manager.owner(run_id)):
        run = _stored(manager, run_id) if may_watch(manager.folder(run_id), token) else None
        if run is not None:
            return run, False
    return find_run(manager, run_id, who), True


def _stored(manager: JobManager, run_id: str) -> Run | None:
    try:
        return manager.get(run_id)
    except PEError as error:
        raise HTTPException(404, str(error)) from error


@contextmanager
def stored_files() -> Iterator[None]:
    """While a run's generations are read.

    Raises:
        HTTPException: status 404 where they cannot be; the run was deleted meanwhile, or damaged.
    """
    try:
        yield
    except PEError as error:  # which names the file
        raise HTTPException(404, GONE) from error


def finished(snapshot: Snapshot, generation: int) -> GenerationView:
    """What a viewer may know of a finished generation.

    Raises:
        HTTPException: status 404 where it is not finished.
    """
    for view in snapshot.generations:
        if view.generation == generation:
            return view
    raise HTTPException(404, f"Generation {generation} is not finished.")
