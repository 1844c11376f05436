"""A generator that costs money, degrees in steps of its own, for tests of what starting checks."""

from dataclasses import dataclass

import numpy as np

from pe_engine.generators.base import Estimate, Generator
from pe_engine.generators.options import option


@dataclass(frozen=True, kw_only=True)
class Options:
    most_calls: int = option(0, "images that may be asked for")
    halves: bool = option(False, "degrees of one half")
    pool: str = option("", "pictures to look at", opens="path")


class Paid(Generator):
    summary = "asks for grey squares"
    Options = Options

    @classmethod
    def degrees(cls, options):
        return (0.5, 0.5, 0.5) if options.halves else ()

    @classmethod
    def estimate(cls, options, images):
        return Estimate(images, images * 0.02, options.most_calls, "squares.example")

    def random(self, class_names, prompts, rng):
        return {"level": rng.integers(256, size=len(prompts))}

    def vary(self, state, degree, rng):
        return state

    def render(self, state, preview=False):
        shape = (len(state["level"]), self.image_size, self.image_size, 3)
        return np.broadcast_to(state["level"].astype(np.uint8)[:, None, None, None], shape)
