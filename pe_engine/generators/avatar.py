"""Draws cartoon faces: the avatar simulator of Sim-PE.

Lin et al., "Differentially Private Synthetic Data via APIs 3: Using Simulators Instead of
Foundation Model", 2025. A face is a vector of choices (hair, eyes, skin, clothes, ...), kept in the
population's state; a variation chooses some of them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from pe_engine.generators.avatar_drawing import CHOICES, VIEWS, draw
from pe_engine.generators.base import Card, Facts, Generator, State
from pe_engine.generators.options import check_options, option
from pe_engine.generators.processes import Processes, processors
from pe_engine.generators.states import consists_of

STYLES = ("any", "circle", "transparent")
BACKGROUNDS = ("white", "black")
FAVOURED = ("facial_hair", "accessory")  # half of the faces have none, others draw uniformly
BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``Avatar``."""

    style: str = option(
        "any", "faces before a coloured circle, with nothing behind, or both", choices=STYLES
    )
    crop: str = option("face", "the face, or the whole picture", choices=tuple(VIEWS))
    background: str = option("white", "colour where nothing is drawn", choices=BACKGROUNDS)
    processes: int | None = option(
        None,
        "processes that draw; at most, and by default, one per processor",
        low=1,
        high=256,
        label="Processes that draw",
    )

    def __post_init__(self) -> None:
        check_options(self)


class Avatar(Generator):
    """The avatar simulator. Its state: ``params``, int64 ``(N, P)``, places in ``CHOICES``.

    Args:
        image_size: height and width of the images in pixels.
        device: not used; faces are drawn on the processors.
        options: fields of ``Options``.

    Raises:
        ConfigError: an option is out of its range.
    """

    title: ClassVar[str] = "Cartoon faces"
    summary: ClassVar[str] = "draws cartoon faces, whatever the class name or prompt"
    facts: ClassVar[Facts] = Facts(
        needs="any CPU",
        sends="nothing",
        cost="about 5 ms per image and processor",
        degrees="chance that each of 16 choices (hair, eyes, skin, ...) is drawn anew",
        offline="yes",
    )
    card: ClassVar[Card] = Card(draws="cartoon faces, whatever the class name or prompt")
    Options: ClassVar[type] = Options

    def __init__(self, image_size: int, device: str, **options) -> None:
        super().__init__(image_size, device, **options)
        self.image_size = image_size
        self.batch_size = min(512, max(16, BATCH_BYTES // (3 * image_size**2)))
        self._cumulative = [_cumulative(name, self.options.style) for name in CHOICES]
        drawing = partial(
            draw, size=image_size, view=self.options.crop, background=self.options.background
        )
        count = min(self.options.processes or processors(), processors())
        self._draw = Processes(drawing, count)

    @classmethod
    def uses_names(cls, options: Options) -> bool:
        """No: it draws faces whatever they are called."""
        return False

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """Faces from the library's own prior: every choice uniform, but for half of the faces
        neither beard nor accessory. See ``Generator.random``."""
        return {"params": self._chosen(rng.random((len(class_names), len(CHOICES))))}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """Each choice is drawn anew from the prior with probability ``degree``, as in Sim-PE; see
        ``Generator.vary``."""
        params = state["params"]
        draws = rng.random((*params.shape, 2))
        anew = self._chosen(draws[..., 1])
        return {"params": np.where(draws[..., 0] < degree, anew, params)}

    def render(self, state: State, preview: bool = False) -> np.ndarray:
        """The pictures; a preview is no cheaper. See ``Generator.render``."""
        different, places = np.unique(state["params"], axis=0, return_inverse=True)
        return self._draw(different)[places.reshape(-1)]

    def can_be(self, state: State) -> bool:
        """See ``Generator.can_be``."""
        if not consists_of(state, params=("i", (len(CHOICES),))):
            return False
        sizes = [len(choices) for choices in CHOICES.values()]
        return bool(((state["params"] >= 0) & (state["params"] < sizes)).all())

    def close(self) -> None:
        """End the processes that draw."""
        self._draw.close()

    def _chosen(self, draws: np.ndarray) -> np.ndarray:
        """The choices, int64 ``(N, P)``, that uniform numbers in [0, 1), ``(N, P)``, stand for."""
        columns = [
            np.searchsorted(cumulative, column, side="right")
            for cumulative, column in zip(self._cumulative, draws.T, strict=True)
        ]
        return np.stack(columns, axis=1).astype(np.int64)


def _cumulative(name: str, style: str) -> np.ndarray:
    """float64 ``(n,)``: the chance of each choice of a parameter or one before it, without the
    last, which is 1."""
    choices = CHOICES[name]
    chances = np.full(len(choices), 1 / len(choices))
    if name in FAVOURED:
        chances = chances / 2 + 0.5 * np.array([choice.name == "NONE" for choice in choices])
    if name == "style" and style != "any":
        chances = np.array([float(choice.name == style.upper()) for choice in choices])
    return np.cumsum(chances)[:-1]
