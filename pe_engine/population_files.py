"""Populations as files: an npz with an array for the images and one for each part of a state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pe_engine.files import atomic_write
from pe_engine.population import Population, one_channel, three_channels


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
    """What ``write_population`` stored."""
    with np.load(path, allow_pickle=False) as file:
        return Population(
            three_channels(file["images"]),
            file["class_ids"],
            file["parents"],
            {n.removeprefix("state_"): file[n] for n in file.files if n.startswith("state_")},
        )
