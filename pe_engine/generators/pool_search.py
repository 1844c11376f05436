"""The nearest images of a pool, searched exactly and only for those who ask."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

METRICS = ("l2", "cosine", "ip")
ANY = -1
"""In the place of a class that is asked for: any image that can be read."""
UNREADABLE = -2
"""In the place of an image's class: it cannot be read."""

_BLOCK_BYTES = 64 * 2**20  # of features in memory at once
_MOST_IN_BLOCK = 2**15
_QUERIES = 128  # compared with a block at once; always as many, so that a row is computed alike
_MOST_KEPT = 2**26  # neighbours remembered, 4 bytes each

_INFINITY = 0x7F800000  # the bits of the float32
_NOBODY = 2**63 - 1


class Rows(Protocol):
    """Where features are read from; ``PoolFeatures`` is one."""

    dimension: int

    def rows(self, places: np.ndarray | slice) -> np.ndarray:
        """float32 ``(n, D)``."""


class PoolSearch:
    """Finds the nearest images of a pool of M, block by block through its features.

    "Nearest" is the smallest distance for l2, the largest cosine, and the largest inner product;
    of images that are equally near, the one with the lowest number comes first. So an image's
    neighbours, and their order, depend neither on who else is asked for nor on how many.

    Args:
        features: of the pool.
        classes: int64 ``(M,)``, the class of each image, or ``UNREADABLE``.
        metric: one of ``METRICS``.
        device: torch device that compares.
    """

    def __init__(self, features: Rows, classes: np.ndarray, metric: str, device: str) -> None:
        self._features = features
        self._classes = classes
        self._metric = metric
        self._device = device
        self._block = max(1, min(_MOST_IN_BLOCK, _BLOCK_BYTES // (4 * features.dimension)))
        self._known: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._kept = 0

    def neighbours(
        self, places: np.ndarray, classes: np.ndarray, counts: np.ndarray
    ) -> list[np.ndarray]:
        """For each of n images of the pool the nearest ones, nearest first, itself before all.

        Args:
            places: int64 ``(n,)``, images of the pool.
            classes: int64 ``(n,)``, of which class neighbours must be; ``ANY`` for all.
            counts: int64 ``(n,)``, how many are asked for, itself included; at most as many as
                there are.

        Returns:
            n arrays, int32, of at least that length.
        """
        keys = list(zip(places.tolist(), classes.tolist(), strict=True))
        asked = dict(zip(keys, counts.tolist(), strict=True))
        found = {key: self._known[key] for key in asked if key in self._known}
        short = [key for key, count in asked.items() if len(found.get(key, ())) < count]
        if short:
            own, of_class = np.array(short, np.int64).T
            others = max(asked[key] for key in short) - 1
            nearest = self.nearest(self._features.rows(own), of_class, others, own)
            for key, row in zip(short, nearest, strict=True):
                found[key] = np.concatenate([[key[0]], row[row >= 0]]).astype(np.int32)
        self._remember(found)
        return [found[key] for key in keys]

    def nearest(
        self, queries: np.ndarray, classes: np.ndarray, count: int, own: np.ndarray | None = None
    ) -> np.ndarray:
        """The nearest images of the pool to given features.

        Args:
            queries: float32 ``(n, D)``.
            classes: int64 ``(n,)``, of which class they must be; ``ANY`` for all.
            count: K, how many.
            own: int64 ``(n,)``, an image for each query that does not count; None for none.

        Returns:
            int64 ``(n, K)``, nearest first; -1 where there are fewer.
        """
        import torch

        n = len(queries)
        tables = [
            _Best(*part, count, self._metric, self._device)
            for part in _padded(queries, classes, np.full(n, -1) if own is None else own)
        ]
        for start in range(0, len(self._classes), self._block):
            part = slice(start, start + self._block)
            block = torch.from_numpy(self._features.rows(part)).to(self._device)
            kinds = torch.from_numpy(self._classes[part]).to(self._device)
            block, norms = _prepared(block, self._metric)
            norms[kinds == UNREADABLE] = torch.inf
            for table in tables:
                table.take_in(start, block, norms, kinds)
        return np.concatenate([table.places() for table in tables])[:n]

    def _remember(self, found: dict[tuple[int, int], np.ndarray]) -> None:
        for key, row in found.items():
            self._kept += len(row) - len(self._known.pop(key, ()))
            self._known[key] = row
        while self._kept > _MOST_KEPT:
            self._kept -= len(self._known.popitem(last=False)[1])


class _Best:
    """The nearest images so far of ``_QUERIES`` queries."""

    def __init__(
        self,
        queries: np.ndarray,
        classes: np.ndarray,
        own: np.ndarray,
        count: int,
        metric: str,
        device: str,
    ) -> None:
        import torch

        self._queries, _ = _prepared(torch.from_numpy(queries).to(device), metric)
        self._classes = torch.from_numpy(classes).to(device)[:, None]
        self._choosy = bool((classes != ANY).any())
        self._own = torch.from_numpy(own).to(device)
        self._count = count
        self._keys = torch.empty((len(queries), 0), dtype=torch.int64, device=device)

    def places(self) -> np.ndarray:
        """The nearest so far, int64 ``(n, K)``; -1 where there are fewer."""
        import torch

        nobody = self._keys == _NOBODY
        return torch.where(nobody, -1, self._keys & 0xFFFFFFFF).cpu().numpy()

    def take_in(
        self, start: int, block: torch.Tensor, norms: torch.Tensor, kinds: torch.Tensor
    ) -> None:
        """Compare with a block of the pool, whose first image has the place ``start``."""
        import torch

        # |q - x|² = |q|² - 2 qx + |x|², and |q|² is the same for all x
        distances = norms - 2 * (self._queries @ block.T)
        if self._choosy:
            others = (kinds != self._classes) & (self._classes != ANY)
            distances.masked_fill_(others, torch.inf)
        here = torch.nonzero((self._own >= start) & (self._own < start + len(block)))[:, 0]
        distances[here, self._own[here] - start] = torch.inf
        both = torch.cat([self._keys, _lowest_keys(distances, start, self._count)], 1)
        kept = min(self._count, both.shape[1])
        self._keys = both.topk(kept, dim=1, largest=False, sorted=True).values


def _lowest_keys(distances: torch.Tensor, start: int, count: int) -> torch.Tensor:
    """Keys of each row's images, among them its ``count`` lowest, in any order.

    Args:
        distances: float32 ``(n, B)``, of the images from the place ``start`` on.
    """
    import torch

    width = distances.shape[1]
    kept = min(count + 1, width)
    smallest, columns = distances.topk(kept, dim=1, largest=False, sorted=False)
    keys = _keys(smallest, columns + start)
    # which of the images at the distance of the last one were taken, nobody knows
    last = smallest.amax(dim=1, keepdim=True)
    tied = ((smallest == last).sum(dim=1) > 1) & (last[:, 0] < torch.inf)
    if kept < width and tied.any():
        places = torch.arange(start, start + width, device=distances.device)
        some = _keys(distances[tied], places)
        keys[tied] = some.topk(kept, dim=1, largest=False, sorted=False).values
    return keys


def _keys(distances: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """int64: in their order distances, float32, are ascending, and of equal ones the places;
    ``_NOBODY`` where a distance is infinite or not a number."""
    import torch

    bits = distances.view(torch.int32)
    # a float's bits ascend with it as a whole number's do, but descend below zero; a difference is
    # never -0.0, which would come before 0.0
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (ascending.to(torch.int64) << 32) | places
    return keys.masked_fill_(ascending >= _INFINITY, _NOBODY)


def _prepared(features: torch.Tensor, metric: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Features ``(n, D)``, of length 1 for cosine, and what to add to the distance of each,
    ``(n,)``: its squared length for l2, else nothing."""
    if metric == "l2":
        return features, features.square().sum(dim=1)
    if metric == "cosine":
        features = features / features.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return features, features.new_zeros(len(features))


def _padded(*arrays: np.ndarray) -> Sequence[tuple[np.ndarray, ...]]:
    """The arrays cut into parts of ``_QUERIES`` rows, the last one filled up with its last row."""
    parts = []
    for start in range(0, len(arrays[0]), _QUERIES):
        cut = [array[start : start + _QUERIES] for array in arrays]
        missing = _QUERIES - len(cut[0])
        parts.append(tuple(np.pad(one, [(0, missing)] + [(0, 0)] * (one.ndim - 1)) for one in cut))
    return parts
