"""The synthetic images of one generation, and what their generator remembers about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Population:
    """N synthetic images.

    Attributes:
        images: uint8 ``(N, H, W, 3)``, RGB. A grey generator may give one channel seen three
            times (stride 0 in the last axis), which takes a third of the memory.
        class_ids: int64 ``(N,)``, each in ``[0, number of classes)``.
        parents: int64 ``(N,)``, the index of each image's parent in the generation before;
            -1 for an image that has none.
        state: the generator's own memory, one array per name, each with first axis N
            (latents, render parameters, pool ids).
    """

    images: np.ndarray
    class_ids: np.ndarray
    parents: np.ndarray
    state: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(
                f"images must be uint8 (N, H, W, 3), got {self.images.dtype} {self.images.shape}"
            )
        for name, array in {
            "class_ids": self.class_ids,
            "parents": self.parents,
            **self.state,
        }.items():
            if len(array) != n:
                raise ValueError(f"{name} has {len(array)} rows for {n} images")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray) -> Population:
        """The images at ``indices`` (int64, repeats allowed), keeping their recorded parents."""
        return Population(
            three_channels(one_channel(self.images)[indices]),
            self.class_ids[indices],
            self.parents[indices],
            take_rows(self.state, indices),
        )

    def memory(self, rows: np.ndarray, with_images: bool = False) -> dict[str, np.ndarray]:
        """The state of the images at ``rows`` (int64, repeats allowed) as their generator wants
        it: with the images themselves, called "pixels", if it varies those."""
        state = take_rows(self.state, rows)
        if with_images:
            state["pixels"] = three_channels(one_channel(self.images)[rows])
        return state

    def with_lineage(self, class_ids: np.ndarray, parents: np.ndarray) -> Population:
        """The same images with these class ids and parents, each ``(N,)``."""
        return Population(
            self.images, class_ids.astype(np.int64), parents.astype(np.int64), self.state
        )

    @staticmethod
    def concatenate(parts: Sequence[Population]) -> Population:
        """All parts one after another; they must come from the same generator."""
        images = [p.images for p in parts]
        if all(part.strides[-1] == 0 for part in images):
            images = [one_channel(part) for part in images]
        return Population(
            three_channels(np.concatenate(images)),
            np.concatenate([p.class_ids for p in parts]),
            np.concatenate([p.parents for p in parts]),
            join_rows([p.state for p in parts]),
        )


def take_rows(state: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The rows (int64, repeats allowed) of every array of a state."""
    return {name: array[rows] for name, array in state.items()}


def join_rows(states: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """States of one generator, at least one, one after another."""
    return {name: np.concatenate([s[name] for s in states]) for name in states[0]}


def one_channel(images: np.ndarray) -> np.ndarray:
    """``(N, H, W, 1)`` where R, G and B are one view of the same memory, else the images."""
    return images[..., :1] if images.strides[-1] == 0 else images


def three_channels(images: np.ndarray) -> np.ndarray:
    """``(N, H, W, 3)``: one channel seen three times without a copy, or the images themselves."""
    return np.broadcast_to(images, (*images.shape[:3], 3)) if images.shape[-1] == 1 else images


def shares(n: int, parts: int) -> list[int]:
    """``n`` in ``parts`` whole shares that differ by at most one, the larger ones first."""
    return [n // parts + (i < n % parts) for i in range(parts)]


def sample_indices(class_ids: np.ndarray, per_class: int) -> list[np.ndarray]:
    """For each class up to ``per_class`` indices, evenly spaced over its images.

    Neighbours in a population are often siblings; an even spacing shows its variety.
    """
    shown = []
    for class_id in range(int(class_ids.max()) + 1):
        ours = np.flatnonzero(class_ids == class_id)
        count = min(per_class, len(ours))
        shown.append(ours[np.arange(count) * len(ours) // max(count, 1)])
    return shown
