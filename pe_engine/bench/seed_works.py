"""The same works as in ``ours``, done the seed's way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pe_engine.bench.clock import Work
from pe_engine.bench.ours import (
    SIGMA,
    THRESHOLD,
    counted_votes,
    private_features,
    random_images,
)
from pe_engine.bench.seed import BATCH, SeedWay
from pe_engine.bench.setup import Bench
from pe_engine.components import checked_options


def seed_works(bench: Bench) -> dict[str, Callable[[], Work]]:
    """Makers of all works but the votes, which are counted by the same code."""
    folder = bench.folder / "seed"
    folder.mkdir()
    plan = bench.plan
    options = checked_options(plan.generator, plan.options)
    works = SeedWorks(bench, SeedWay(options, plan.size, bench.device, bench.embedder, folder))
    return {
        "random": works.random,
        "variations": works.variations,
        "features": works.features,
        "generation": works.generation,
    }


@dataclass(frozen=True)
class SeedWorks:
    """The works; images to begin with are made by ``bench.generator``."""

    bench: Bench
    seed: SeedWay

    def random(self) -> Work:
        """A full batch of random images, to uint8 on the host."""
        return Work(lambda: len(self.seed.random(self.bench.plan.text, BATCH)))

    def variations(self) -> Work:
        """A full batch at each degree of the schedule: varied, and embedded by way of PNG files."""
        parents = random_images(self.bench, BATCH).images

        def vary(degrees: tuple[float, ...]) -> int:
            for degree in degrees:
                self.seed.features(self._vary(parents, degree))
            return BATCH * len(degrees)

        degrees = self.bench.plan.degree_schedule
        return Work(lambda: vary(degrees), lambda: vary(degrees[-1:]))

    def features(self) -> Work:
        """The features of as many images as a batch of ours has."""
        images = random_images(self.bench, self.bench.generator.batch_size).images
        return Work(lambda: len(self.seed.features(images)))

    def generation(self) -> Work:
        """Each run makes the generation after the one before."""
        plan = self.bench.plan
        voters = private_features(self.bench)
        images = random_images(self.bench, plan.samples).images
        prompts = [plan.text] * len(images)
        rng = np.random.default_rng(0)

        def vote(candidates: np.ndarray) -> np.ndarray:
            return _drawn(counted_votes(voters, candidates, self.bench.device), rng)

        def one() -> int:
            nonlocal images
            degree, copies = plan.middle_degree, plan.lookahead
            images = self.seed.generation(images, prompts, degree, copies, vote)
            return 1

        return Work(one, lambda: self._vary(images[:BATCH], plan.middle_degree))

    def _vary(self, images: np.ndarray, degree: float) -> np.ndarray:
        return self.seed.vary(images, [self.bench.plan.text] * len(images), degree)


def _drawn(votes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many parents as there are candidates, in proportion to noisy votes over the threshold."""
    weights = np.maximum(votes + rng.normal(0, SIGMA, len(votes)) - THRESHOLD, 0)
    weights = weights if weights.any() else np.ones(len(votes))
    return rng.choice(len(votes), len(votes), p=weights / weights.sum())
