"""Look-ahead: the L variations of every candidate that the private images vote on.

All N x L variations form one queue, cut into full batches whatever their parents. A child is
embedded as it comes from its generator's decoder and then forgotten but for its state, so that the
children of a selected parent can become members of the next generation. They were made at the same
degree as any other variation of it, and it was selected for them. Privacy does not change: all this
is post-processing of noisy votes that are already released.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pe_engine.embedders.base import Embedder
from pe_engine.generators.base import Generator as ImageGenerator
from pe_engine.generators.base import State
from pe_engine.generators.transfer import HostCopy, check_made
from pe_engine.population import Population, take_rows

SHOWN = 8
"""Children of a batch that are given out to be looked at."""


@dataclass(frozen=True)
class Look:
    """After a batch: how many candidates are done, how many children were made, and some of these
    as the generator rendered them; None without look-ahead."""

    done: int
    made: int
    shown: Any


@dataclass
class Offspring:
    """The children of one generation's candidates, child j of candidate i being number i L + j.

    Attributes:
        candidates: N of them.
        degree: the variation degree of all children.
        copies: L >= 0.
        rng: the random stream of a batch, by its number; the same each time it is asked for.
        keep: children may be recalled, so their states are kept.
    """

    generator: ImageGenerator
    embedder: Embedder
    candidates: Population
    degree: float
    copies: int
    rng: Callable[[int], np.random.Generator]
    keep: bool = True
    _states: dict[int, State] = field(default_factory=dict)

    def features(self) -> Generator[Look, None, np.ndarray]:
        """The mean embedding of each candidate's children, or its own without look-ahead.

        Yields a ``Look`` after each batch.

        Returns:
            float32 ``(N, D)``.
        """
        n = len(self.candidates)
        sums = np.zeros((n, self.embedder.dimension), np.float32)
        per_candidate = max(1, self.copies)
        for i, jobs in enumerate(self._batches(n * per_candidate)):
            shown, features = self._embed(i, jobs)
            add_groups(sums, features, int(jobs[0]), per_candidate)
            made = len(jobs) * (self.copies > 0)
            yield Look(int(jobs[-1] + 1) // per_candidate, made, shown)
        sums /= np.float32(per_candidate)
        return sums

    def recall(self, rows: np.ndarray, jobs: np.ndarray) -> Iterator[tuple[np.ndarray, State]]:
        """The states of the children with these numbers, int64 ``(M,)``, batch by batch.

        A child that a process before this one made is made again, the same.

        Yields:
            the entries of ``rows``, int64 ``(M,)``, beside a batch's numbers, and its states.
        """
        for i, batch in enumerate(self._batches(len(self.candidates) * self.copies)):
            here = (jobs >= batch[0]) & (jobs <= batch[-1])
            if here.any():
                if i not in self._states:
                    self._states[i] = HostCopy(self._vary(i, batch)).state()
                yield rows[here], take_rows(self._states[i], jobs[here] - batch[0])

    def _embed(self, i: int, jobs: np.ndarray) -> tuple[Any, np.ndarray]:
        if self.copies == 0:
            return None, self.embedder.embed(self.candidates.images[jobs])
        children = self._vary(i, jobs)
        copy = HostCopy(children) if self.keep else None  # runs while the device decodes
        images = self.generator.render(children, preview=True)
        features = self.embedder.embed(images)
        if copy:
            self._states[i] = copy.state()
        # a copy of a few, so that the batch's memory on the device is free for the next one
        return images[np.linspace(0, len(jobs) - 1, min(SHOWN, len(jobs))).astype(int)], features

    def _vary(self, i: int, jobs: np.ndarray) -> State:
        parents = self.candidates.memory(jobs // self.copies, self.generator.varies_pixels)
        children = self.generator.vary(parents, self.degree, self.rng(i))
        check_made(self.generator, children, len(jobs), None)
        return children

    def _batches(self, jobs: int) -> list[np.ndarray]:
        return batches(np.arange(jobs), self.generator.batch_size)


def add_groups(sums: np.ndarray, rows: np.ndarray, first: int, size: int) -> None:
    """Add row ``i`` of ``rows``, which has number ``first + i``, to ``sums[(first + i) // size]``.

    Only the first and the last group can be incomplete, so that the others are added as a block.
    """
    head = min(-first % size, len(rows))
    tail = head + (len(rows) - head) // size * size
    for start, end in ((0, head), (tail, len(rows))):
        if end > start:
            sums[(first + start) // size] += rows[start:end].sum(axis=0)
    whole = (first + head) // size
    groups = rows[head:tail].reshape(-1, size, rows.shape[1])
    sums[whole : whole + len(groups)] += groups.sum(axis=1)


def batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """``rows`` cut into parts of ``size``; the last one may be shorter."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]
