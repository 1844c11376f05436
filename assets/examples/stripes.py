"""A generator of one's own: stripes of two grey levels that vary in angle, width and brightness.

python -m pe_engine run FOLDER --generator assets/examples/stripes.py:Stripes --output OUT
"""

import numpy as np

from pe_engine.generators.base import Generator


class Stripes(Generator):
    summary = "draws stripes"
    grey = True

    def random(self, class_names, prompts, rng):
        # one row per image: angle, width, one grey level and the other, all from 0 to 1
        return {"params": rng.random((len(prompts), 4))}

    def vary(self, state, degree, rng):
        steps = rng.uniform(-degree, degree, state["params"].shape)
        return {"params": np.clip(state["params"] + steps, 0, 1)}

    def render(self, state, preview=False):
        angle, width, one, other = state["params"].T[:, :, None, None]
        y, x = np.mgrid[: self.image_size, : self.image_size] / self.image_size
        across = x * np.cos(np.pi * angle) + y * np.sin(np.pi * angle)
        pixels = np.where(np.sin(across * (5 + 45 * width)) > 0, one, other)
        return np.repeat((255 * pixels).astype(np.uint8)[..., None], 3, axis=3)
