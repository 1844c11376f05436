"""A generator that costs nothing: grey dots that drift. It may be told to fail or to hang."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pe_engine.generators.base import Facts, Generator

SIZE = 8


class Dots(Generator):
    """Its state: ``dots``, float32 ``(N, 64)`` in [0, 1], the pixels as they would be unrounded."""

    title: ClassVar[str] = "Dots"
    summary: ClassVar[str] = "grey dots that drift"
    facts: ClassVar[Facts] = Facts("nothing", "nothing", "nothing", "how far dots drift", "yes")
    grey = True
    batch_size = 4

    def random(self, class_names, prompts, rng):
        return {"dots": rng.random((len(prompts), SIZE * SIZE), np.float32)}

    def vary(self, state, degree, rng):
        drift = rng.normal(0, degree / 4, state["dots"].shape).astype(np.float32)
        return {"dots": np.clip(state["dots"] + drift, 0, 1)}

    def render(self, state, preview=False):
        images = np.rint(state["dots"] * 255).astype(np.uint8).reshape(-1, SIZE, SIZE, 1)
        return np.broadcast_to(images, (*images.shape[:3], 3))
