"""Populations as files: an npz with an array for the images and one for each part of a state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pe_engine.arrays import BadArrayError, read_arrays, read_row
from pe_engine.errors import RunError
from pe_engine.files import atomic_write
from pe_engine.population import Population, one_channel, three_channels


@dataclass(frozen=True)
class Links:
    """What relates a population to others: ``parents`` and ``class_ids``, both int64 ``(N,)``, as
    in ``Population``."""

    parents: np.ndarray
    class_ids: np.ndarray


def write_population(path: Path, population: Population) -> None:
    """Grey images are stored with one channel."""
    with atomic_write(path) as file:
        np.savez(
            file,
            images=one_channel(population.images),
            class_ids=population.class_ids,
            parents=population.parents,
            **{f"state_{name}": array for name, array in population.state.items()},
        )


def read_population(path: Path) -> Population:
    """What ``write_population`` stored. The file may be anybody's: see ``arrays``.

    Raises:
        RunError: it is damaged, or was never that.
    """
    try:
        held = read_arrays(path)
        state = {n.removeprefix("state_"): held[n] for n in held if n.startswith("state_")}
        images, ids, parents = held["images"], held["class_ids"], held["parents"]
        if not ids.dtype.kind == parents.dtype.kind == "i":
            raise ValueError("ids and parents are whole numbers")
        return Population(three_channels(images), ids, parents, state)
    except (BadArrayError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def read_links(path: Path) -> Links:
    """Of a stored population, without its images.

    Raises:
        RunError: as ``read_population``.
    """
    try:
        held = read_arrays(path, ("parents", "class_ids"))
        parents, ids = held["parents"], held["class_ids"]
    except (BadArrayError, LookupError) as error:
        raise _damaged(path) from error
    if not ids.dtype.kind == parents.dtype.kind == "i" or ids.shape != parents.shape:
        raise _damaged(path)
    return Links(parents, ids)


def read_image(path: Path, index: int) -> np.ndarray:
    """One image of a stored population, uint8 ``(H, W, 3)``, or ``(H, W, 1)`` where it is grey.

    Raises:
        RunError: as ``read_population``; or it has no such image.
    """
    try:
        return read_row(path, "images", index)
    except BadArrayError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> RunError:
    return RunError(
        f"The generation in {path} is damaged. Start a new run, from another generation."
    )
