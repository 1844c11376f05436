"""The product's own work, timed where the product does it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pe_engine.bench.clock import Work
from pe_engine.bench.setup import Bench
from pe_engine.build import plan_budget
from pe_engine.config import RunConfig
from pe_engine.counting import count_by_image
from pe_engine.data import PrivateDataset
from pe_engine.events import GenerationReady
from pe_engine.evolution import ClassPlan, Evolution
from pe_engine.generators.transfer import HostCopy, to_uint8
from pe_engine.offspring import Offspring
from pe_engine.population import Population
from pe_engine.privacy.accounting import epsilon_spent
from pe_engine.privacy.ledger import Charge, Ledger
from pe_engine.privacy.mechanism import discrete_gaussian
from pe_engine.release import PrivateVoters
from pe_engine.storage import RunFolder
from pe_engine.voting import nearest_candidates

SIGMA, THRESHOLD, DELTA = 2.0, 2.0, 1e-3
"""Of the seed's cat runs; they decide how many different parents are drawn."""

VOTER_BYTES = 2**28


def random_work(bench: Bench) -> Work:
    """A full batch of random images, to uint8 on the host."""
    return Work(lambda: len(random_images(bench, bench.generator.batch_size)))


def variations_work(bench: Bench) -> Work:
    """A full look-ahead batch at each degree of the schedule: varied, decoded and embedded."""
    parents = random_images(bench, bench.generator.batch_size)

    def vary(degrees: tuple[float, ...]) -> int:
        for degree in degrees:
            look_ahead(bench, parents, degree)
        return len(parents) * len(degrees)

    degrees = bench.plan.degree_schedule
    return Work(lambda: vary(degrees), lambda: vary(degrees[-1:]))


def features_work(bench: Bench) -> Work:
    """A full batch of images as they come from the decoder, to features on the host."""
    state = random_images(bench, bench.generator.batch_size).state
    varied = bench.generator.vary(state, bench.plan.middle_degree, np.random.default_rng(0))
    images = bench.generator.render(varied, preview=True)
    return Work(lambda: len(bench.embedder.embed(images)))


def votes_work(bench: Bench) -> Work:
    """Random feature vectors vote for the nearest of N others."""
    rng = np.random.default_rng(0)
    dimension = bench.embedder.dimension
    voters = max(1, min(bench.plan.voters, VOTER_BYTES // (4 * dimension)))
    private = rng.random((voters, dimension), np.float32)
    candidates = rng.random((bench.plan.samples, dimension), np.float32)
    return Work(lambda: int(counted_votes(private, candidates, bench.device).sum()))


def generation_work(bench: Bench, **changes: object) -> Work:
    """Each run makes one generation of a real run; ``changes``: settings of it that differ."""
    generations = _generations(bench, **changes)
    parents = next(generations).take(np.arange(bench.generator.batch_size) % bench.plan.samples)

    def one() -> int:
        next(generations)
        return 1

    def warm_up() -> None:
        """A batch of images, and votes with noise, so that their libraries are loaded."""
        features = look_ahead(bench, parents, bench.plan.middle_degree)
        discrete_gaussian(counted_votes(features, features, bench.device), SIGMA)

    return Work(one, warm_up)


WORKS: dict[str, Callable[[Bench], Work]] = {
    "random": random_work,
    "variations": variations_work,
    "features": features_work,
    "votes": votes_work,
    "generation": generation_work,
}


# What the works are made of, and their comparisons, too ------------------------------------------


def random_images(bench: Bench, n: int, seed: int = 0) -> Population:
    """``n`` random images with their state, as the loop would keep them."""
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, n, bench.generator.batch_size):
        size = min(bench.generator.batch_size, n - start)
        state = bench.generator.random([""] * size, [bench.plan.text] * size, rng)
        copy = HostCopy(state)
        images = to_uint8(bench.generator.render(state))
        parts.append(Population(images, np.zeros(size, np.int64), np.full(size, -1), copy.state()))
    return Population.concatenate(parts)


def private_features(bench: Bench) -> np.ndarray:
    """Float32 ``(N, D)`` of N random images, which stand for private ones.

    So the votes spread as they do when a generator fits its data.
    """
    return bench.embedder.embed(random_images(bench, bench.plan.samples, seed=1).images)


def look_ahead(bench: Bench, parents: Population, degree: float, copies: int = 1) -> np.ndarray:
    """Float32 ``(N, D)``: the mean features of ``copies`` variations of each parent."""
    stream = np.random.default_rng
    return _end(
        Offspring(bench.generator, bench.embedder, parents, degree, copies, stream).features()
    )


def counted_votes(private: np.ndarray, candidates: np.ndarray, device: str) -> np.ndarray:
    """int64 ``(N,)``: how many of the ``private`` are nearest to each candidate."""
    how = {"neighbours": 1, "metric": "l2", "search": "faiss", "device": device}
    choices = _end(nearest_candidates(private, np.arange(len(private)), candidates, **how))
    return count_by_image(choices, len(candidates))


def _generations(bench: Bench, **changes: object) -> Iterator[Population]:
    """The generations of a real run, from the 0th on, each made when it is asked for.

    Loop, votes, noise, ledger and stored generations are a run's own, and a ledger of its own; what
    is missing is reading private images.
    """
    plan = bench.plan
    releases = (DELTA, plan.repeats, 1, "add-remove")
    config = RunConfig(
        dataset_name="bench",
        generator=plan.generator,
        generator_options=plan.options,
        embedder=plan.embedder,
        epsilon=min(100.0, epsilon_spent(SIGMA, *releases)),
        delta=DELTA,
        iterations=plan.repeats,
        num_samples=(plan.samples,),
        lookahead=plan.lookahead,
        threshold=THRESHOLD,
        degrees=(plan.middle_degree,) * plan.repeats,
        image_size=plan.size,
        device=bench.device,
        **changes,
    )
    events = _evolution(bench, config).events()
    return (event.population for event in events if isinstance(event, GenerationReady))


def _evolution(bench: Bench, config: RunConfig) -> Evolution:
    home = Path(tempfile.mkdtemp(dir=bench.folder))
    budget = plan_budget(config)
    folder, ledger = RunFolder(home / "run"), Ledger(home / "ledger")
    folder.create({})
    features = private_features(bench)
    one_class = np.zeros(len(features), np.int64)
    folder.write_features(features, one_class, np.arange(len(features)))
    charge = Charge(budget.noise_multiplier, config.neighbours, config.iterations)
    ledger.open_run("bench", config.dataset_name, charge)
    ledger.bind_data("bench", ledger.fingerprint([]))
    voters = PrivateVoters(
        run_id="bench",
        config=config,
        noise_multiplier=budget.noise_multiplier,
        device=bench.device,
        class_names=("",),
        embedder=bench.embedder,
        ledger=ledger,
        folder=folder,
        open_source=_no_images,
        given_out=bench.generator.files,
    )
    return Evolution(
        config=config,
        classes=(ClassPlan("", (bench.plan.text,)),),
        generator=bench.generator,
        embedder=bench.embedder,
        voters=voters,
        folder=folder,
        threshold=budget.threshold,
        epsilons=budget.epsilons,
    )


def _no_images() -> PrivateDataset:
    raise AssertionError("the voters' features are given, so no image is read")


def _end(work: Iterator) -> object:
    """What a generator returns after all its pauses."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
