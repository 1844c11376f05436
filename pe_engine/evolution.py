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
from itertools import chain

import numpy as np

from pe_engine.config import RunConfig
from pe_engine.embedders.base import Embedder
from pe_engine.events import Event, GenerationReady, Notice, Phase, Progress, VotesReleased
from pe_engine.generators.base import PIXELS, State
from pe_engine.generators.base import Generator as ImageGenerator
from pe_engine.generators.transfer import HostCopy, check_made, to_uint8
from pe_engine.offspring import Offspring, batches
from pe_engine.population import Population, shares
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
            population = yield from self._entered(t, population)
            offspring = self._offspring(t, population)
            noisy_votes = yield from self._noisy_votes(t, population, offspring)
            parents = yield from self._parents(t, population, noisy_votes)
            population = yield from self._next_generation(t, population, parents, offspring)
            yield from self._finish(t, population)

    def _first_generation(self) -> Generator[Event, None, Population]:
        """RANDOM_API, for all classes and prompts in one queue; or pictures from elsewhere."""
        n = self.config.sample_schedule[0]
        given = self.folder.read_initial()
        class_ids, prompts = self._requests(n) if given is None else self._said_of(given)
        parts = []
        for i, rows in enumerate(batches(np.arange(n), self.generator.batch_size)):
            names = [self.classes[c].name for c in class_ids[rows]]
            said = [prompts[row] for row in rows]
            rng = self._rng(0, Phase.RANDOM, i)
            if given is None:
                made = self.generator.random(names, said, rng)
            else:
                made = self.generator.adopt(given.images[rows], names, said, rng)
            parts.append(_rendered(self.generator, made, len(rows)))
            yield Progress(0, Phase.RANDOM, int(rows[-1]) + 1, n, parts[-1].images, len(rows))
        return Population.concatenate(parts).with_lineage(class_ids, np.full(n, -1))

    def _requests(self, n: int) -> tuple[np.ndarray, list[str]]:
        """The class id, int64 ``(n,)``, and the prompt of each image of the first generation."""
        class_ids, prompts = [], []
        for class_id, share in enumerate(shares(n, len(self.classes))):
            texts = self.classes[class_id].prompts
            class_ids += [class_id] * share
            for text, part in zip(texts, shares(share, len(texts)), strict=True):
                prompts += [text] * part
        return np.array(class_ids, np.int64), prompts

    def _said_of(self, given: Population) -> tuple[np.ndarray, list[str]]:
        """The class id, int64 ``(n,)``, and the prompt of each picture from elsewhere."""
        prompts = given.state.get("prompt", np.full(len(given), "")).astype(object)
        for class_id, plan in enumerate(self.classes):
            ours = np.flatnonzero(given.class_ids == class_id)
            for text, rows in zip(
                plan.prompts, np.array_split(ours, len(plan.prompts)), strict=True
            ):
                if text:
                    prompts[rows] = text
        return given.class_ids, prompts.tolist()

    def _entered(self, t: int, population: Population) -> Generator[Progress, None, Population]:
        """The candidates as the generator of this generation knows them."""
        before, generator = self.generator.stage(t - 1), self.generator.stage(t)
        if generator is before:
            return population
        parts, n = [], len(population)
        for i, rows in enumerate(batches(np.arange(n), generator.batch_size)):
            state = self.generator.enter(
                population.memory(rows, True), self._rng(t, Phase.ENTER, i)
            )
            parts.append(_rendered(generator, state, len(rows)))
            yield Progress(t, Phase.ENTER, int(rows[-1]) + 1, n)
        return Population.concatenate(parts).with_lineage(population.class_ids, population.parents)

    def _offspring(self, t: int, population: Population) -> Offspring:
        return Offspring(
            self.generator.stage(t),
            self.embedder,
            population,
            self.config.degree_schedule[t - 1],
            self.config.lookahead,
            rng=lambda batch: self._rng(t, Phase.LOOKAHEAD, batch),
            keep=not self.config.fresh_children,
        )

    def _noisy_votes(
        self, t: int, population: Population, offspring: Offspring
    ) -> Generator[Event, None, np.ndarray]:
        noisy_votes = self.voters.committed(t)
        reused = noisy_votes is not None
        if not reused:
            yield from self.voters.prepare(t)
            features = yield from self._look_ahead(t, offspring)
            noisy_votes = yield from self.voters.release(t, features, population.class_ids)
        yield VotesReleased(t, noisy_votes, self.threshold, self.epsilons[t - 1], reused)
        return noisy_votes

    def _look_ahead(self, t: int, offspring: Offspring) -> Generator[Progress, None, np.ndarray]:
        """What private images vote on, float32 ``(N, D)``."""
        work = offspring.features()
        while True:
            try:
                look = next(work)
            except StopIteration as end:
                return end.value
            n = len(offspring.candidates)
            yield Progress(t, Phase.LOOKAHEAD, look.done, n, look.shown, look.made)

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
        self, t: int, population: Population, parents: np.ndarray, offspring: Offspring
    ) -> Generator[Progress, None, Population]:
        """VARIATION_API on every parent.

        With ``keep_selected`` a parent's first copy stays as it is. The children that were voted on
        are taken first, unless ``fresh_children``; only what they do not cover is made now.
        """
        copies = self.config.lookahead
        number = occurrences(parents) - self.config.keep_selected  # which child of its parent
        kept = number < 0
        made = ~kept & (number < copies) & (not self.config.fresh_children)
        voted_on = np.flatnonzero(made)
        anew = np.flatnonzero(~kept & ~made)
        pieces = chain(
            offspring.recall(voted_on, parents[voted_on] * copies + number[voted_on]),
            self._variations(t, parents, anew, offspring),
        )
        places, parts = [np.flatnonzero(kept)], [population.take(parents[kept])]
        done, total = 0, len(voted_on) + len(anew)
        for rows, state in pieces:
            places.append(rows)
            parts.append(_rendered(offspring.generator, state, len(rows)))
            done += len(rows)
            new = 0 if made[rows[0]] else len(rows)
            yield Progress(t, Phase.VARY, done, total, parts[-1].images, new)
        order = np.argsort(np.concatenate(places))
        children = Population.concatenate([part for part in parts if len(part)]).take(order)
        return children.with_lineage(population.class_ids[parents], parents)

    def _variations(
        self, t: int, parents: np.ndarray, rows: np.ndarray, offspring: Offspring
    ) -> Iterator[tuple[np.ndarray, State]]:
        """New variations of ``parents[rows]``, batch by batch: their rows and states."""
        generator = offspring.generator
        for i, batch in enumerate(batches(rows, generator.batch_size)):
            state = offspring.candidates.memory(parents[batch], generator.varies_pixels)
            rng = self._rng(t, Phase.VARY, i)
            yield batch, generator.vary(state, offspring.degree, rng)

    def _finish(self, t: int, population: Population) -> Iterator[GenerationReady]:
        self.folder.write_population(t, population)
        yield GenerationReady(t, population)

    def _rng(self, generation: int, phase: Phase, batch: int) -> np.random.Generator:
        stage = list(Phase).index(phase)
        return np.random.default_rng([self.config.seed, generation, stage, batch])


def _rendered(generator: ImageGenerator, state: State, rows: int) -> Population:
    """A batch of images with their state on the host; class ids and parents are set later."""
    copy = HostCopy(state)
    images = to_uint8(generator.render(state))
    check_made(generator, state, rows, images)
    kept = {name: array for name, array in copy.state().items() if name != PIXELS}
    unknown = np.zeros(len(images), np.int64)
    return Population(images, unknown, unknown - 1, kept)


def occurrences(values: np.ndarray) -> np.ndarray:
    """How often each value has come before, int64 ``(N,)``: [7, 3, 7, 7] gives [0, 0, 1, 2]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    counted = np.arange(len(values)) - np.repeat(starts, np.diff(starts, append=len(values)))
    before = np.empty(len(values), np.int64)
    before[order] = counted
    return before
