"""The seam between Private Evolution and a foundation model or simulator.

A generator is named in ``generators.GENERATORS`` and built as ``Class(image_size, device,
**options)``. Its options are declared once, as a frozen dataclass ``Class.Options`` whose fields
carry ``metadata={"help": ...}``, and ``"choices"`` where only some texts are allowed; the command
line and the page read them from there. An optional number's default is None, "the model's own".

A generator works on states: whatever it must remember of an image to vary it and to render it
(latents, drawing parameters, pool ids). Pixels are made from a state only when somebody needs them,
and never turned back into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

State = Mapping[str, Any]
"""Arrays by name, one row per image: numpy, or torch tensors while a batch is on a device."""


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

    @classmethod
    def fitting_size(cls, options: Any, asked: int | None) -> int:
        """Height and width in pixels: ``asked`` if these options allow it; for None what suits
        them best.

        Raises:
            ConfigError: no image can be of that size.
            GeneratorError: the options name a model that cannot be found.
        """

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """The paper's RANDOM_API: one state per row.

        Args:
            class_names: each image's public class name; "" without classes.
            prompts: what the user typed for each image; "" when nothing.
            rng: the only source of randomness.

        Raises:
            GeneratorError: a class or prompt cannot be drawn, with what to do about it.
        """

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """The paper's VARIATION_API: row i is one variation of row i.

        Args:
            state: as this generator made it.
            degree: in [0, 1], 1 = most change; mapped inside to the model's own scale.
            rng: the only source of randomness.
        """

    def render(self, state: State, preview: bool = False) -> np.ndarray | torch.Tensor:
        """The pictures of a state: uint8 ``(N, H, W, 3)``, RGB, or float32 ``(N, 3, H, W)`` in
        [0, 1] on the device, as they come.

        Args:
            preview: only an embedder will see them, so a faster approximation will do.
        """
