"""HTTP routes by which the page shows more of a run: what is being made, families, and curves.

All of it is made from synthetic images, noisy votes and who descends from whom: it is what the run
releases, or follows from it.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from pe_engine.boundary import shown
from pe_engine.family_tree import Line, family_picture
from pe_engine.images import png_bytes
from pe_engine.jobs import JobManager
from pe_engine.lineage import Family, family
from pe_engine.runner import Run
from pe_engine.snapshot import Snapshot
from pe_engine.ui.curves import curves
from pe_engine.ui.identity import who_asks
from pe_engine.ui.run_routes import NEVER, NO_IMAGE, find_seen, finished, stored_files

RELATIVES_SHOWN = 14  # siblings and children


def picture_router(manager: JobManager, owner: bool) -> APIRouter:
    """Routes below ``/runs/{run_id}``.

    Args:
        owner: whoever looks may know the private images' class names.
    """
    router = APIRouter(prefix="/runs/{run_id}", include_in_schema=False)

    @router.get("/preview.png")
    def preview(request: Request, run_id: str) -> Response:
        run, _ = find_seen(manager, run_id, who_asks(request))
        strip = run.preview()
        if strip is None:
            raise HTTPException(404, "Nothing of this run is being made now.")
        return Response(png_bytes(strip), media_type="image/png", headers=NEVER)

    @router.get("/curves.json")
    def curve_values(request: Request, run_id: str) -> JSONResponse:
        run, mine = find_seen(manager, run_id, who_asks(request))
        with stored_files():
            told = curves(run.generations, shown(run.snapshot, owner and mine))
        return JSONResponse(told, headers=NEVER)

    @router.get("/family/{generation}/{index}.json")
    def family_of(request: Request, run_id: str, generation: int, index: int) -> JSONResponse:
        run, mine = find_seen(manager, run_id, who_asks(request))
        snapshot = shown(run.snapshot, owner and mine)
        with stored_files():
            told = _told(run, snapshot, _family(run, snapshot, generation, index))
        return JSONResponse(told, headers=NEVER)  # the name of the class is among it

    @router.get("/family/{generation}/{index}.png")
    def family_png(request: Request, run_id: str, generation: int, index: int) -> Response:
        run, mine = find_seen(manager, run_id, who_asks(request))
        snapshot = shown(run.snapshot, owner and mine)
        with stored_files():
            png = family_picture(_lines(run, _family(run, snapshot, generation, index)))
        name = f"family-{generation}-{index}.png"
        headers = NEVER | {"Content-Disposition": f'inline; filename="{name}"'}
        return Response(png, media_type="image/png", headers=headers)

    return router


def _family(run: Run, snapshot: Snapshot, generation: int, index: int) -> Family:
    if not 0 <= index < finished(snapshot, generation).num_samples:
        raise HTTPException(404, NO_IMAGE)
    newest = snapshot.generations[-1].generation
    return family(lambda t: run.generations.links(t).parents, generation, index, newest)


def _told(run: Run, snapshot: Snapshot, found: Family) -> dict[str, Any]:
    """Relatives as ``[generation, index]``, the first ancestor first."""
    newest = snapshot.generations[-1].generation
    basis, votes = run.generations.known_votes(found.generation, newest)
    class_id = run.generations.links(found.generation).class_ids[found.index]
    siblings, children = found.siblings.tolist(), found.children.tolist()
    return {
        "generation": found.generation,
        "index": found.index,
        "class": snapshot.class_names[class_id],
        "basis": basis,
        "votes": None if votes is None else int(votes[found.index]),
        "ancestors": list(reversed(found.ancestors)),
        "siblings": [[found.generation, i] for i in siblings[:RELATIVES_SHOWN]],
        "siblings_in_all": len(siblings),
        "children": [[found.generation + 1, i] for i in children[:RELATIVES_SHOWN]],
        "children_in_all": len(children),
        "newest": found.generation == newest,
    }


def _lines(run: Run, found: Family) -> list[Line]:
    """The picture from generation 0 down: a line of ancestors, the siblings, the children."""
    g, image = found.generation, run.generations.image
    lines = [
        Line(f"Generation {t}: image {i}", [image(t, i)], 0) for t, i in reversed(found.ancestors)
    ]
    siblings = found.siblings[: RELATIVES_SHOWN - 1].tolist()
    label = f"Generation {g}: image {found.index}" + _and_more(len(found.siblings), "sibling")
    lines.append(Line(label, [image(g, i) for i in (found.index, *siblings)], 0))
    children = found.children[:RELATIVES_SHOWN].tolist()
    if children:
        label = f"Generation {g + 1}: {_count(len(found.children), 'child', 'children')}"
        lines.append(Line(label, [image(g + 1, i) for i in children], None))
    return lines


def _and_more(n: int, what: str) -> str:
    return f" and {_count(n, what, f'{what}s')}" if n else ""


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
