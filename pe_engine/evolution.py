"""Private Evolution. Read this first.

The loop of "Differentially Private Synthetic Data via Foundation Model APIs 1: Images"
(Lin et al., ICLR 2024, Algorithm 1). It sees the private images only through the noisy votes that
``PrivateVoters`` releases; all the rest is post-processing of those votes and public randomness.

Given the committed noisy votes and the seed, a run is deterministic: every batch of work has a
random stream of its own, so a resumed run makes the same images as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pe_engine.config import RunConfig
from pe_engine.embedders.base import Embedder
from pe_engine.events import Event, GenerationReady, Notice, Phase, Progress, VotesReleased
from pe_engine.generators.base import Generator as ImageGenerator
from pe_engine.population import Population
from pe_engine.release import PrivateVoters
from pe_engine.selection import select_parents
from pe_engine.storage import RunFolder


@dataclass(frozen=True)
class ClassPlan:
    """What one class is called towards the generator, and the prompts for its samples."""

    name: str
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Evolution:
    """One run, wired.

    Attributes:
        classes: one entry per class, in the order of the class ids.
        threshold: H in votes.
        epsilons: ε after each of the T generations.
    """

    config: RunConfig
    classes: Sequence[ClassPlan]
    generator: ImageGenerator
    embedder: Embedder
    voters: PrivateVoters
    folder: RunFolder
    threshold: float
    epsilons: Sequence[float]

    def events(self) -> Iterator[Event]:
        """Run from the last stored generation to the end, saying what happens.

        Closing the iterator between two events stops the run; a new one goes on from there.
        """
        last = self.folder.last_generation()
        if last < 0:
            population = yield from self._first_generation()
            yield from self._finish(0, population)
        else:
            population = self.folder.read_population(last)
        for t in range(max(last, 0) + 1, self.config.iterations + 1):
            degree = self.config.degree_schedule[t - 1]
            noisy_votes = yield from self._noisy_votes(t, population, degree)
            parents = yield from self._parents(t, population, noisy_votes)
            population = yield from self._next_generation(t, population, parents, degree)
            yield from self._finish(t, population)

    def _first_generation(self) -> Generator[Event, None, Population]:
        """RANDOM_API, class by class and prompt by prompt."""
        n = self.config.sample_schedule[0]
        batches = [
            (class_id, prompt, size)
            for class_id, share in enumerate(shares(n, len(self.classes)))
            for prompt, part in zip(
                self.classes[class_id].prompts,
                shares(share, len(self.classes[class_id].prompts)),
                strict=True,
            )
            for size in _batches(part, self.generator.batch_size)
        ]
        parts, done = [], 0
        for i, (class_id, prompt, size) in enumerate(batches):
            rng = self._rng(0, Phase.RANDOM, i)
            made = self.generator.random(size, self.classes[class_id].name, prompt, rng)
            parts.append(made.with_lineage(np.full(size, class_id), np.full(size, -1)))
            done += size
            yield Progress(0, Phase.RANDOM, done, n)
        return Population.concatenate(parts)

    def _noisy_votes(
        self, t: int, population: Population, degree: float
    ) -> Generator[Event, None, np.ndarray]:
        noisy_votes = self.voters.committed(t)
        reused = noisy_votes is not None
        if not reused:
            yield from self.voters.prepare(t)
            features = yield from self._look_ahead(t, population, degree)
            noisy_votes = yield from self.voters.release(t, features, population.class_ids)
        yield VotesReleased(t, noisy_votes, self.threshold, self.epsilons[t - 1], reused)
        return noisy_votes

    def _look_ahead(
        self, t: int, population: Population, degree: float
    ) -> Generator[Progress, None, np.ndarray]:
        """What private images vote on: the mean embedding of L variations of each candidate."""
        n, copies = len(population), self.config.lookahead
        features = np.empty((n, self.embedder.dimension), np.float32)
        start = 0
        for i, size in enumerate(_batches(n, max(1, self.generator.batch_size // max(1, copies)))):
            rows = np.arange(start, start + size)
            if copies == 0:
                features[rows] = self.embedder.embed(population.images[rows])
            else:
                several = population.take(np.repeat(rows, copies))
                varied = self.generator.vary(several, degree, self._rng(t, Phase.LOOKAHEAD, i))
                embedded = self.embedder.embed(varied.images)  # (size * L, D)
                features[rows] = embedded.reshape(size, copies, -1).mean(axis=1)
            start += size
            yield Progress(t, Phase.LOOKAHEAD, start, n)
        return features

    def _parents(
        self, t: int, population: Population, noisy_votes: np.ndarray
    ) -> Generator[Notice, None, np.ndarray]:
        """Indices of the next generation's parents, in class blocks."""
        rng = self._rng(t, Phase.VOTE, 0)
        parents = []
        n = self.config.sample_schedule[t]
        for class_id, share in enumerate(shares(n, len(self.classes))):
            ours = np.flatnonzero(population.class_ids == class_id)
            chosen = select_parents(
                noisy_votes[ours], self.threshold, share, self.config.selection, rng
            )
            parents.append(ours[chosen.parents])
            if chosen.uniform:
                where = f" of class {class_id}" if len(self.classes) > 1 else ""
                yield Notice(
                    t,
                    f"No candidate{where} had more noisy votes than the threshold "
                    f"{self.threshold:.1f}, so the parents of generation {t} were drawn uniformly. "
                    "Fewer samples, a larger ε or fewer iterations give the votes more weight.",
                )
        return np.concatenate(parents)

    def _next_generation(
        self, t: int, population: Population, parents: np.ndarray, degree: float
    ) -> Generator[Progress, None, Population]:
        """VARIATION_API on every parent; with ``keep_selected`` its first copy stays as it is."""
        kept = np.zeros(len(parents), bool)
        if self.config.keep_selected:
            kept[np.unique(parents, return_index=True)[1]] = True
        to_vary = np.flatnonzero(~kept)
        parts = [population.take(parents[kept])]
        start = 0
        for i, size in enumerate(_batches(len(to_vary), self.generator.batch_size)):
            rows = parents[to_vary[start : start + size]]
            rng = self._rng(t, Phase.VARY, i)
            parts.append(self.generator.vary(population.take(rows), degree, rng))
            start += size
            yield Progress(t, Phase.VARY, start, len(to_vary))
        order = np.argsort(np.concatenate([np.flatnonzero(kept), to_vary]))
        children = Population.concatenate([p for p in parts if len(p)]).take(order)
        return children.with_lineage(population.class_ids[parents], parents)

    def _finish(self, t: int, population: Population) -> Iterator[GenerationReady]:
        self.folder.write_population(t, population)
        yield GenerationReady(t, population)

    def _rng(self, generation: int, phase: Phase, batch: int) -> np.random.Generator:
        stage = list(Phase).index(phase)
        return np.random.default_rng([self.config.seed, generation, stage, batch])


def shares(n: int, parts: int) -> list[int]:
    """``n`` in ``parts`` whole shares that differ by at most one, the larger ones first."""
    return [n // parts + (i < n % parts) for i in range(parts)]


def _batches(n: int, size: int) -> list[int]:
    return [min(size, n - start) for start in range(0, n, size)]
