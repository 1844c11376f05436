"""Going on from a generation of a run: the settings of the new run, and what both cost together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pe_engine.checks import check_whole
from pe_engine.components import chosen
from pe_engine.config import MAX_ITERATIONS, RunConfig
from pe_engine.past import Past, check_persons
from pe_engine.privacy.accounting import Charge, composed_epsilon, noise_multiplier


@dataclass(frozen=True)
class Cost:
    """What a run costs that goes on from another, on the same private images.

    Attributes:
        noise_multiplier: σ of the new votes.
        before: ε of what led to the generation that it goes on from: of all that was planned.
        together: ε of that and the new votes.
    """

    noise_multiplier: float
    before: float
    together: float


def continued(config: RunConfig, generation: int, iterations: int, epsilon: float) -> RunConfig:
    """The settings of a run that makes more generations from one of a run with ``config``.

    Sizes and variation degrees are those that the run had planned for the generations that follow;
    past its end those of its last. Other pictures are drawn: the seed is the next one.

    Args:
        generation: K, the one to go on from, 0..T.
        iterations: how many more.
        epsilon: ε of the new votes alone.

    Raises:
        ConfigError: a number is out of its range.
    """
    check_whole("generations", iterations, 1, MAX_ITERATIONS)
    last, samples = config.iterations, config.sample_schedule
    sizes = [samples[min(generation + i, last)] for i in range(iterations + 1)]
    kind, options = chosen(config.generator, config.generator_options)
    # where the generator's options name the degrees, they stay there
    planned = () if kind.degrees(options) else config.degree_schedule
    degrees = [planned[min(generation + i, last - 1)] for i in range(iterations)] if planned else ()
    return replace(
        config,
        iterations=iterations,
        epsilon=epsilon,
        num_samples=sizes[:1] if len(set(sizes)) == 1 else sizes,
        degrees=degrees,
        seed=(config.seed + 1) % 2**63,
        initial="",
    )


def cost(config: RunConfig, past: Past) -> Cost:
    """What the settings of the new run come to.

    Args:
        past: of the generation that it goes on from.

    Raises:
        ConfigError: the run protects persons, and those pictures were not chosen by the same ones.
    """
    check_persons(config, past)
    votes, told = config.votes_per_unit, (config.delta, config.adjacency)
    sigma = noise_multiplier(config.epsilon, config.delta, config.iterations, votes, told[1])
    new = Charge(sigma, votes, config.iterations, config.unit)
    before = composed_epsilon(past.charges, *told, config.unit)
    return Cost(sigma, before, composed_epsilon((*past.charges, new), *told, config.unit))
