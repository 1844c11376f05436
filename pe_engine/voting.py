"""Every private image chooses its k nearest candidates.

A private image chooses exactly k distinct candidates of its own class and changes nobody else's
choice: which candidates are nearest is decided row by row, and a choice that float32 rounding could
turn either way is decided again in float64, whichever library or device searched. What a choice
adds to the counts is said in ``counting``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import numpy as np

QUERY_BATCH = 1024
SPARE_NEIGHBOURS = 3
LARGEST_NORM = 1e18
TINY = float(np.finfo(np.float32).tiny)
_ROWS_PER_EXACT_CHUNK = 256

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""``search(queries (Q, D), K) -> distances (Q, K) ascending, indices (Q, K)``."""


def nearest_candidates(
    private: np.ndarray,
    rows: np.ndarray,
    candidates: np.ndarray,
    *,
    neighbours: int,
    metric: str,
    search: str,
    device: str,
) -> Generator[None, None, np.ndarray]:
    """What the images of one class choose, after a pause for every batch of private images.

    Args:
        private: float32 ``(M, D)``, all private images.
        rows: int64 ``(m,)``, m >= 0, those of this class.
        candidates: float32 ``(N, D)``, N >= ``neighbours``, all ``usable``.
        neighbours: k >= 1.
        metric: "l2", "ip" (inner product) or "cosine".
        search: "faiss" or "torch".
        device: "cpu" or "cuda".

    Returns:
        int64 ``(m, k)``, from the nearest on; -1 throughout for a row that is not ``usable``.
    """
    chosen = np.full((len(rows), neighbours), -1, np.int64)
    space = _Space(candidates, neighbours, metric, search, device)
    # every batch has the same shape, so that the library runs the same kernels on each row
    queries = np.zeros((QUERY_BATCH, private.shape[1]), np.float32)
    for start in range(0, len(rows), QUERY_BATCH):
        places = np.arange(start, min(start + QUERY_BATCH, len(rows)))
        batch = private[rows[places]]
        votes = usable(batch)
        queries[: len(batch)] = np.where(votes[:, None], batch, 0)
        chosen[places[votes]] = space.nearest(queries)[: len(batch)][votes]
        yield
    return chosen


def usable(features: np.ndarray) -> np.ndarray:
    """bool ``(n,)``: rows of finite values whose squares have a finite sum, with room to spare.

    Told value by value, so that no sum's rounding decides.
    """
    largest = np.maximum(features.max(axis=1), -features.min(axis=1))
    return largest <= LARGEST_NORM / math.sqrt(features.shape[1])


class _Space:
    """The candidates of one class, ready to be searched.

    Candidates with the same features are searched as one group, since no search could tell them
    apart; the group's members follow each other in ascending order.
    """

    def __init__(
        self, candidates: np.ndarray, neighbours: int, metric: str, search: str, device: str
    ) -> None:
        self._k = neighbours
        cosine = metric == "cosine"
        self._l2 = metric == "l2"
        features = np.ascontiguousarray(_of_length_one(candidates) if cosine else candidates)
        self._members = _groups_of_equal_rows(features, neighbours)
        self._features = features[self._members[:, 0]]
        build = _faiss_search if search == "faiss" else _torch_search
        self._search = build(self._features, self._l2, device)
        self._largest_norm = float(_squared_norms(self._features).max())

    def nearest(self, queries: np.ndarray) -> np.ndarray:
        """int64 ``(Q, k)``: the k nearest candidates of each query, ties to the lowest index."""
        # with "cosine" only candidates are scaled: a query's own length changes no order of theirs
        wanted = min(self._k + SPARE_NEIGHBOURS, len(self._features))
        distances, groups = self._search(queries, wanted)
        chosen = self._first_members(groups)

        # A float32 sum of D products is off by at most about D u |x| |y|, u = 2^-24 (Higham,
        # Accuracy and Stability of Numerical Algorithms, section 3.1), and by a smallest number
        # for each that underflows. Two compared distances may each be off by that; l2 holds twice
        # the product and two sums of squares, and 2 |x| |y| <= |x|² + |y|².
        norms = _squared_norms(queries)
        if self._l2:
            norms = norms + self._largest_norm
        else:
            norms = np.sqrt(norms) * math.sqrt(self._largest_norm)
        slack = 4 * queries.shape[1] * (2.0**-24 * norms + TINY)
        gaps = np.diff(distances[:, : self._k + 1], axis=1)
        for row in np.flatnonzero((gaps <= slack[:, None]).any(axis=1)):
            chosen[row] = self._exact(queries[row], distances[row], groups[row], slack[row])
        return chosen

    def _exact(
        self, query: np.ndarray, distances: np.ndarray, groups: np.ndarray, slack: float
    ) -> np.ndarray:
        """The k nearest by float64 distances, then by index, among all that could be among them."""
        complete = len(groups) == len(self._features)
        if not complete and distances[-1] - distances[self._k - 1] <= slack:
            groups = np.arange(len(self._features))
        exact = np.empty(len(groups))
        for start in range(0, len(groups), _ROWS_PER_EXACT_CHUNK):
            part = slice(start, start + _ROWS_PER_EXACT_CHUNK)
            features = self._features[groups[part]].astype(np.float64)
            exact[part] = (
                ((features - query) ** 2).sum(axis=1)
                if self._l2
                else -(features * query.astype(np.float64)).sum(axis=1)
            )
        members = self._members[groups]
        distance = np.repeat(exact, members.shape[1])[members.ravel() >= 0]
        index = members[members >= 0]
        return index[np.lexsort((index, distance))[: self._k]]

    def _first_members(self, groups: np.ndarray) -> np.ndarray:
        """The first k members of each row's groups, in the order of the groups."""
        members = self._members[groups].reshape(len(groups), -1)
        order = np.argsort(members < 0, axis=1, kind="stable")[:, : self._k]
        return np.take_along_axis(members, order, axis=1)


def _of_length_one(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, np.float32(1e-30))


def _squared_norms(features: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", features, features)


def _groups_of_equal_rows(features: np.ndarray, width: int) -> np.ndarray:
    """int64 ``(G, min(width, largest group))``: ascending members of each group, -1 where none."""
    rows = (features + np.float32(0)).view(np.dtype((np.void, features.strides[0]))).ravel()
    _, group_of = np.unique(rows, return_inverse=True)
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    columns = np.arange(min(width, sizes.max()))
    slots = np.minimum(starts[:, None] + columns, len(order) - 1)
    members = np.where(columns < sizes[:, None], order[slots], -1)
    return members[np.argsort(members[:, 0])]


def _faiss_search(candidates: np.ndarray, l2: bool, device: str) -> Search:
    import faiss

    dimension = candidates.shape[1]
    index = faiss.IndexFlatL2(dimension) if l2 else faiss.IndexFlatIP(dimension)
    if device == "cuda" and faiss.get_num_gpus() > 0:
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    index.add(candidates)

    def search(queries: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        values, indices = index.search(queries, wanted)
        return (values if l2 else -values), indices

    return search


def _torch_search(candidates: np.ndarray, l2: bool, device: str) -> Search:
    import torch

    from pe_engine.embedders.network import steady

    points = torch.from_numpy(candidates).to(device)
    norms = points.square().sum(dim=1)

    def search(queries: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        batch = torch.from_numpy(np.ascontiguousarray(queries)).to(device)
        with steady():
            distances = -(batch @ points.T)  # (Q, N)
        if l2:
            distances = 2 * distances + norms + batch.square().sum(dim=1, keepdim=True)
        values, indices = distances.topk(wanted, dim=1, largest=False, sorted=True)
        return values.cpu().numpy(), indices.cpu().numpy()

    return search
