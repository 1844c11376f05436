"""The finished generations of a run as its viewers read them: in small parts, some of them kept.

Reading one image reads that image alone, and who descends from whom is read without any image: a
family may reach through fifty generations of a thousand images each.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np

from pe_engine.errors import RunError
from pe_engine.population import Population
from pe_engine.population_files import Links
from pe_engine.privacy.ledger import Ledger
from pe_engine.selection import effective_number, selection_probabilities
from pe_engine.storage import RunFolder

POPULATIONS_KEPT = 3
LINKS_KEPT = 64
NUMBERS_KEPT = 1024


class Generations:
    """What is stored of one run's finished generations. Safe from any thread."""

    def __init__(self, store: RunFolder, ledger: Ledger, run_id: str) -> None:
        self._store = store
        self._ledger = ledger
        self._run_id = run_id
        self._reading = threading.Lock()  # so that many viewers at once read a thing once
        self._population = lru_cache(POPULATIONS_KEPT)(store.read_population)
        self._links = lru_cache(LINKS_KEPT)(store.read_links)
        self._effective = lru_cache(NUMBERS_KEPT)(self._count_effective)

    def population(self, generation: int) -> Population:
        """All of it.

        Raises:
            RunError: it is damaged, or gone.
        """
        with self._reading:
            return self._population(generation)

    def links(self, generation: int) -> Links:
        """Parents and class ids. Raises as ``population``."""
        with self._reading:
            return self._links(generation)

    def image(self, generation: int, index: int) -> np.ndarray:
        """uint8 ``(H, W, 3)``, or ``(H, W, 1)`` where it is grey. Raises as ``population``."""
        return self._store.read_image(generation, index)

    def noisy_votes(self, generation: int) -> np.ndarray | None:
        """int64 ``(N,)``: the released votes that chose the parents of this generation, >= 1.

        None where the ledger has none.
        """
        return self._ledger.noisy_votes(self._run_id, generation)

    def known_votes(self, generation: int, newest: int) -> tuple[str, np.ndarray | None]:
        """The noisy votes by which this generation's images can be put in order.

        Args:
            newest: the newest finished generation; votes on it are not out.

        Returns:
            "own" with the votes on these images, int64 ``(N,)``; or "parents" with those on the
            parent of each; or "none" and None, where the ledger has neither.
        """
        n = len(self.links(generation).parents)
        if generation < newest:
            own = self._votes_if_any(generation + 1)
            if own is not None and len(own) == n:
                return "own", own
        if generation > 0:
            of_parents, parents = self._votes_if_any(generation), self.links(generation).parents
            if of_parents is not None and parents.min() >= 0 and parents.max() < len(of_parents):
                return "parents", of_parents[parents]
        return "none", None

    def effective_parents(self, generation: int, threshold: float, method: str) -> float | None:
        """How many candidates effectively stood for parents of this generation, >= 1; summed over
        the classes, which choose apart. None where the ledger has no votes.

        Args:
            threshold, method: of ``selection_probabilities``.
        """
        return self._effective(generation, threshold, method)

    def _count_effective(self, generation: int, threshold: float, method: str) -> float | None:
        votes, candidates = self._votes_if_any(generation), self.links(generation - 1).class_ids
        if votes is None or len(votes) != len(candidates):
            return None
        drawn = np.bincount(self.links(generation).class_ids)
        return sum(
            effective_number(
                selection_probabilities(votes[candidates == c], threshold, method, int(n))
            )
            for c, n in enumerate(drawn)
            if n and (candidates == c).any()
        )

    def _votes_if_any(self, generation: int) -> np.ndarray | None:
        try:
            return self.noisy_votes(generation)
        except RunError:  # the ledger is away: a viewer can do without
            return None
