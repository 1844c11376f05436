"""The seam between Private Evolution and a foundation model or simulator.

A generator is named in ``generators.GENERATORS``, or by its user as ``file.py:Class``, and built as
``Class(image_size, device, **options)``. Its options are declared once, as a frozen dataclass
``Class.Options`` made of ``options.option`` fields; the command line, the page and the manifest
read them from there.

A generator works on states: whatever it must remember of an image to vary it and to render it
(latents, drawing parameters, pool ids). Pixels are made from a state only when somebody needs them,
and never turned back into one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pe_engine.generators.options import check_options

if TYPE_CHECKING:
    import threading

    import torch

State = Mapping[str, Any]
"""Arrays by name, one row per image: numpy, or torch tensors while a batch is on a device."""

PIXELS = "pixels"
"""The name in a state under which the images themselves stand, uint8 ``(N, H, W, 3)``."""


@dataclass(frozen=True)
class Facts:
    """What people ask before they choose a generator: a row of the documentation's table.

    Attributes:
        needs: hardware, files, keys.
        sends: what leaves this computer for where. Never anything private.
        cost: in money or time.
        degrees: what the variation degrees 0 to 1 mean to it.
        offline: whether it runs without a network, in a word or two.
    """

    needs: str
    sends: str
    cost: str
    degrees: str
    offline: str


@dataclass(frozen=True)
class Card:
    """What people see of a generator while they choose one on the page.

    Attributes:
        draws: what its pictures show, in one line.
        needs: what must be there before it can run, in a few words.
        where: whose computers it runs on; "" for this one.
        key: environment variable that holds the key it asks for; "" for none.
        needs_gpu: without one it takes hours or days.
        suggestions: prompts to begin with; ``{class}`` stands for a class name.
    """

    draws: str
    needs: str = "nothing"
    where: str = ""
    key: str = ""
    needs_gpu: bool = False
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """What a run will ask of a service that charges for it.

    Attributes:
        calls: images asked for, at most.
        cost: of all of them in US dollars; None where the price is not known.
        accepted: the calls that the user has agreed to.
        service: who is asked, such as "api.openai.com".
    """

    calls: int
    cost: float | None
    accepted: int
    service: str

    def describe(self) -> str:
        """In a sentence."""
        price = "at a price that is not known here"
        if self.cost is not None:
            price = f"${self.cost:,.2f} by the price of an image"
        return (
            f"This run asks {self.service} for up to {self.calls:,} images: {price}. What is sent "
            "along and answers that cannot be used may cost more."
        )


@dataclass(frozen=True)
class NoOptions:
    """The settings of a generator that has none."""


class Generator(ABC):
    """Makes synthetic images. It never sees private data.

    Args:
        image_size: height and width of the images in pixels.
        device: torch device.
        options: fields of ``Options``.
    """

    title: ClassVar[str]
    """What it is called on the page."""

    summary: ClassVar[str]
    """One line for ``pe_engine generators`` and the page."""

    facts: ClassVar[Facts]

    card: ClassVar[Card]
    """Of the generators that the page offers."""

    Options: ClassVar[type] = NoOptions
    """Frozen dataclass of this generator's options, validated in ``__post_init__``."""

    image_size: int
    """Height and width of its images, pixels."""

    batch_size: int = 256
    """How many images the loop asks for at once; a run stops between batches."""

    grey: bool = False
    """True when R = G = B in every image, so that an embedder may drop two channels."""

    provenance: Mapping[str, str] = MappingProxyType({})
    """What identifies the files that it works with, such as the SHA-256 of one by the name of the
    option; told at the start and in the release."""

    keeps_for_good: ClassVar[bool] = False
    """True when what lies in ``keep_in``'s folder is of worth after the run, as it was paid for."""

    varies_pixels: ClassVar[bool] = False
    """True when ``PIXELS`` is part of its states. The loop then gives ``vary`` the images of a
    population under that name, so that they are stored once."""

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        self.image_size = image_size
        self.device = device
        self.options = self.Options(**options)
        check_options(self.options)

    @classmethod
    def fitting_size(cls, options: Any, asked: int | None) -> int:
        """Height and width in pixels: ``asked`` if these options allow it; for None what suits
        them best. By default any size, and 64.

        Raises:
            ConfigError: no image can be of that size.
            GeneratorError: the options name a model that cannot be found.
        """
        return asked or 64

    @classmethod
    def parts(cls, options: Any) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """The generators that it is made of, each with its options by name; none for most."""
        return ()

    @classmethod
    def paid_seconds(cls, options: Any) -> float:
        """How long a call that somebody charges for may take: a run that is to stop waits for it,
        since what has arrived is not paid for again. 0 where nobody charges."""
        return 0.0

    @classmethod
    def adopts(cls, options: Any) -> bool:
        """Whether it has an ``adopt`` that works with these options."""
        return cls.adopt is not Generator.adopt

    @classmethod
    def uses_names(cls, options: Any) -> bool:
        """Whether class names change what it makes; if not, they need not be public."""
        return True

    @classmethod  # noqa: B027
    def check_prompts(cls, options: Any, prompts: Sequence[str]) -> None:
        """Raises ConfigError where it can be told before the start that one cannot be drawn."""

    @classmethod
    def degrees(cls, options: Any) -> tuple[float, ...]:
        """The variation degrees that the options ask for in the model's own unit, each in [0, 1];
        none where they leave them to the run's settings."""
        return ()

    @classmethod
    def estimate(cls, options: Any, images: int) -> Estimate | None:
        """What at most ``images`` images cost; None where nobody charges for them."""
        return None

    @abstractmethod
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

    @abstractmethod
    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """The paper's VARIATION_API: row i is one variation of row i.

        Args:
            state: as this generator made it.
            degree: in [0, 1], 1 = most change; mapped inside to the model's own scale.
            rng: the only source of randomness.
        """

    @abstractmethod
    def render(self, state: State, preview: bool = False) -> np.ndarray | torch.Tensor:
        """The pictures of a state: uint8 ``(N, H, W, 3)``, RGB, or float32 ``(N, 3, H, W)`` in
        [0, 1] on the device, as they come.

        Args:
            preview: only an embedder will see them, so a faster approximation will do.
        """

    def adopt(
        self,
        images: np.ndarray,
        class_names: Sequence[str],
        prompts: Sequence[str],
        rng: np.random.Generator,
    ) -> State:
        """States for pictures that another generator made, uint8 ``(N, H, W, 3)`` of the image
        size, so that they can be varied; the other arguments as for ``random``. A generator that
        draws from parameters of its own has no such method."""
        raise NotImplementedError

    def can_be(self, state: State) -> bool:
        """Whether a state is one that it may have made, by names, types, shapes and ranges: it was
        read from a file that may be anybody's. ``PIXELS`` are not in it. Called after ``prepare``.

        Raises:
            GeneratorError: it is not, with what to do about it.
        """
        return True

    def stage(self, generation: int) -> Generator:
        """The generator that varies the candidates of this generation, 1..T; mostly itself."""
        return self

    def enter(self, state: State, rng: np.random.Generator) -> State:
        """States of the stage before, with ``PIXELS``, as those of the next one. Called only where
        ``stage`` names another generator than for the generation before."""
        raise NotImplementedError

    def keep_in(self, folder: Path) -> None:  # noqa: B027 - most keep nothing
        """Where it may keep what would be paid for or computed again after a stop: a folder of the
        run's own, which may not exist yet. Called once, before any image is made."""

    def heed(self, stop: threading.Event) -> None:  # noqa: B027 - most never wait for long
        """Set from another thread when the run is to stop: a long wait then ends by raising
        ``Interrupted``. Called once, before any image is made."""

    def prepare(self) -> Iterator[tuple[int, int]]:
        """Long work before the first image, in pieces, between which a run can stop: yields how
        many are done, and of how many. Called once, after ``keep_in``."""
        return iter(())

    def files(self) -> np.ndarray:
        """SHA-256 of each file that may leave as it is, uint8 ``(M, 32)``; most give out none.
        Private images among them end a run."""
        return np.empty((0, 32), np.uint8)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """The run ends: let go of processes and connections."""
