"""A simulator for the first generations, then a diffusion model that goes on from its pictures.

The way to the best results of "Differentially Private Synthetic Data via APIs 3: Using Simulators
Instead of Foundation Models" (2025): a simulator searches widely and cheaply, and image-to-image
adds what it cannot draw.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pe_engine.components import (
    chosen,
    fitting_size,
    generator_class,
    parse_option_text,
)
from pe_engine.config import MAX_ITERATIONS
from pe_engine.errors import ConfigError
from pe_engine.generators.base import PIXELS, Card, Facts, Generator, State
from pe_engine.generators.options import check_options, option

SIMULATORS = ("text_render", "avatar", "image_pool")
MODELS = ("stable_diffusion", "improved_diffusion")
ASKED = ("asked_class", "asked_prompt")
"""Names in a state: what each image, or its ancestor, was asked to be."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``Composite``."""

    simulator: str = option(
        "text_render", "what draws the first generations", choices=SIMULATORS, first=True
    )
    model: str = option(
        "stable_diffusion", "what goes on from its pictures", choices=MODELS, first=True
    )
    simulated: int = option(
        2,
        "generations that the simulator varies before the model takes over",
        low=0,
        high=MAX_ITERATIONS,
        label="Generations by the simulator",
    )
    simulator_options: str = option(
        "",
        "the simulator's, as name=value; name=value, such as ink=dark",
        opens="options",
        label="Options of the simulator",
    )
    model_options: str = option(
        "",
        "the model's, likewise, such as steps=8; guidance=2",
        opens="options",
        label="Options of the model",
    )

    def __post_init__(self) -> None:
        check_options(self)
        for name, given in Composite.parts(self):
            kind, options = chosen(name, given)
            if kind.degrees(options):
                raise ConfigError(
                    f"The options of {name} name variation degrees, but the run's degrees hold for "
                    "both generators of a composite. Leave them out and set the run's."
                )


class Composite(Generator):
    """As a generator, it is its simulator, whose states also remember what was asked for; from
    generation ``simulated`` + 1 on its ``stage`` is the model.

    Args:
        image_size: height and width of the images in pixels.
        device: torch device.
        options: fields of ``Options``.

    Raises:
        ConfigError, GeneratorError: as its two generators.
    """

    title: ClassVar[str] = "Simulator, then diffusion model"
    summary: ClassVar[str] = (
        "two in one: a simulator draws the first generations, then a diffusion model goes on from "
        "its pictures"
    )
    facts: ClassVar[Facts] = Facts(
        needs="what its two generators need",
        sends="what its two generators send",
        cost="the simulator's, then the model's",
        degrees="the simulator's meaning first, then the model's",
        offline="as its two generators",
    )
    card: ClassVar[Card] = Card(
        draws="first a simulator's pictures, then a diffusion model's, which begins with them",
        needs="nothing with the bundled two; more with others",
        suggestions=("a handwritten digit {class}", "a serif letter {class}"),
    )
    Options: ClassVar[type] = Options

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        self.options = Options(**options)
        self.simulator, self.model = (
            generator_class(name)(image_size, device, **given)
            for name, given in self.parts(self.options)
        )
        self.image_size = image_size
        self.batch_size = self.simulator.batch_size
        self.grey = self.simulator.grey and self.model.grey
        self.varies_pixels = self.simulator.varies_pixels
        self.provenance = {**self.simulator.provenance, **self.model.provenance}

    @classmethod
    def parts(cls, options: Options) -> Sequence[tuple[str, dict[str, Any]]]:
        """The simulator and the model, with their options."""
        return (
            (options.simulator, parse_option_text(options.simulator, options.simulator_options)),
            (options.model, parse_option_text(options.model, options.model_options)),
        )

    @classmethod
    def adopts(cls, options: Options) -> bool:
        """Where its simulator does; see ``Generator.adopts``."""
        simulator, its_options = chosen(*cls.parts(options)[0])
        return simulator.adopts(its_options)

    @classmethod
    def paid_seconds(cls, options: Options) -> float:
        """The longer of its two; see ``Generator.paid_seconds``."""
        both = (chosen(*part) for part in cls.parts(options))
        return max(kind.paid_seconds(its_options) for kind, its_options in both)

    @classmethod
    def uses_names(cls, options: Options) -> bool:
        """Where either does; see ``Generator.uses_names``."""
        return any(
            kind.uses_names(its_options)
            for kind, its_options in (chosen(*part) for part in cls.parts(options))
        )

    @classmethod
    def fitting_size(cls, options: Options, asked: int | None) -> int:
        """The model's choice, which the simulator has to allow; see ``Generator.fitting_size``."""
        (simulator, its_options), (model, given) = cls.parts(options)
        size = fitting_size(model, given, asked)
        try:
            return fitting_size(simulator, its_options, size)
        except ConfigError as error:
            raise ConfigError(
                f"{error} (Inside a composite, options of {simulator} are typed in "
                "simulator_options, as name=value; name=value.)"
            ) from error

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """The simulator's; see ``Generator.random``."""
        return self.simulator.random(class_names, prompts, rng) | _asked(class_names, prompts)

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """The simulator's; see ``Generator.vary``."""
        return self.simulator.vary(state, degree, rng) | {name: state[name] for name in ASKED}

    def render(self, state: State, preview: bool = False) -> Any:
        """The simulator's; see ``Generator.render``."""
        return self.simulator.render(state, preview)

    def adopt(
        self,
        images: np.ndarray,
        class_names: Sequence[str],
        prompts: Sequence[str],
        rng: np.random.Generator,
    ) -> State:
        """Where the simulator can; see ``Generator.adopt``."""
        adopted = self.simulator.adopt(images, class_names, prompts, rng)
        return adopted | _asked(class_names, prompts)

    def stage(self, generation: int) -> Generator:
        """Itself, and then its model."""
        return self if generation <= self.options.simulated else self.model

    def enter(self, state: State, rng: np.random.Generator) -> State:
        """The simulator's pictures as the model's; see ``Generator.enter``."""
        return self.model.adopt(state[PIXELS], *(state[n].tolist() for n in ASKED), rng)

    def keep_in(self, folder: Path) -> None:
        """See ``Generator.keep_in``."""
        self.simulator.keep_in(folder / "simulator")
        self.model.keep_in(folder / "model")

    def heed(self, stop: threading.Event) -> None:
        """See ``Generator.heed``."""
        self.simulator.heed(stop)
        self.model.heed(stop)

    def prepare(self) -> Iterator[tuple[int, int]]:
        """See ``Generator.prepare``."""
        yield from self.simulator.prepare()
        yield from self.model.prepare()

    def files(self) -> np.ndarray:
        """Of both; see ``Generator.files``."""
        return np.concatenate([self.simulator.files(), self.model.files()])

    def close(self) -> None:
        """See ``Generator.close``."""
        self.simulator.close()
        self.model.close()


def _asked(class_names: Sequence[str], prompts: Sequence[str]) -> State:
    return {
        name: np.array(texts, np.str_)
        for name, texts in zip(ASKED, (class_names, prompts), strict=True)
    }
