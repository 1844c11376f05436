"""The seam between Private Evolution and a foundation model or simulator.

A generator is named in ``generators.GENERATORS`` and built as ``Class(image_size, device,
**options)``. Its options are declared once, as a frozen dataclass ``Class.Options`` whose fields
carry ``metadata={"help": ...}``; the command line and the page read them from there.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from pe_engine.population import Population


class Generator(Protocol):
    """Makes synthetic images. It never sees private data."""

    summary: ClassVar[str]
    """One line for ``pe_engine generators`` and the page."""

    Options: ClassVar[type]
    """Frozen dataclass of this generator's options, validated in ``__post_init__``."""

    batch_size: int
    """How many images the loop asks for at once."""

    grey: bool
    """True when R = G = B in every image, so that an embedder may drop two channels."""

    def random(self, n: int, class_name: str, prompt: str, rng: np.random.Generator) -> Population:
        """The paper's RANDOM_API.

        Args:
            n: how many images, >= 1.
            class_name: the class's public name; "" without classes.
            prompt: what the user typed for these images; "" when nothing.
            rng: the only source of randomness.

        Returns:
            A population of ``n`` images with class ids 0 (the caller sets them) and parents -1.

        Raises:
            GeneratorError: the class or prompt cannot be drawn, with what to do about it.
        """

    def vary(self, population: Population, degree: float, rng: np.random.Generator) -> Population:
        """The paper's VARIATION_API: one variation of each image.

        Args:
            population: the images to vary, with the state that this generator gave them.
            degree: in [0, 1], 1 = most change; mapped inside to the model's own scale.
            rng: the only source of randomness.

        Returns:
            A population of the same length and class ids, row i a variation of row i, and
            ``parents`` as they were (the loop sets them).
        """
