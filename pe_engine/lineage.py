"""Families of synthetic images: who descends from whom, by ``Population.parents`` alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pe_engine.errors import RunError

ParentsOf = Callable[[int], np.ndarray]
"""The parents of a generation's images, int64 ``(N,)``, -1 for none; called once a generation."""


@dataclass(frozen=True)
class Family:
    """One image and its relatives.

    Attributes:
        generation, index: which image.
        ancestors: (generation, index) of its parent, grandparent, ... down to the first.
        siblings: int64, the other images of its generation that have the same parent.
        children: int64, the images of the next generation that have it as a parent.
    """

    generation: int
    index: int
    ancestors: tuple[tuple[int, int], ...]
    siblings: np.ndarray
    children: np.ndarray


def family(parents_of: ParentsOf, generation: int, index: int, newest: int) -> Family:
    """The family of an image.

    Args:
        newest: the newest generation that there is.

    Raises:
        RunError: a stored parent is no image of the generation before.
    """
    after = parents_of(generation + 1) if generation < newest else np.array([], np.int64)
    return Family(
        generation,
        index,
        ancestors(parents_of, generation, index),
        siblings(parents_of(generation), index),
        children(after, index),
    )


def ancestors(parents_of: ParentsOf, generation: int, index: int) -> tuple[tuple[int, int], ...]:
    """(generation, index) of the parent, the grandparent, ... of an image, none for one without.

    Raises:
        RunError: a stored parent is no image of the generation before.
    """
    line: list[tuple[int, int]] = []
    for t in range(generation, 0, -1):
        parents = parents_of(t)
        if not index < len(parents):
            raise RunError(
                f"Generation {t} has {len(parents)} images, and none of number {index}. "
                "Its file is damaged; start a new run, from another generation."
            )
        index = int(parents[index])
        if index < 0:
            break
        line.append((t - 1, index))
    return tuple(line)


def siblings(parents: np.ndarray, index: int) -> np.ndarray:
    """The other images with the same parent, int64; an image without a parent has none."""
    if parents[index] < 0:
        return np.array([], np.int64)
    same = np.flatnonzero(parents == parents[index])
    return same[same != index]


def children(parents: np.ndarray, index: int) -> np.ndarray:
    """The images of the next generation, whose ``parents`` are given, that descend from this."""
    return np.flatnonzero(parents == index)
