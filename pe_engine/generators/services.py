"""What generators share that ask a service on the network for every image.

Only prompts, public class names and synthetic images are sent, never anything private. An answer
counts as made once it is stored (see ``answers``), under a key that a resumed run derives again, so
that what has been answered is never asked for again. A process that is killed can lose the answers
that were under way, at most ``concurrency``; their keys go along as ``Idempotency-Key``, so that a
service which honours it does not charge for them a second time.

What is paid for: ``most_calls`` bounds the answers that are stored, in all of a run. A service most
likely charges as well for calls that it did not refuse and that brought nothing of use: an answer
by halves, one that took too long. They are told durably (``answers.Waste``), and bounded each time
that a run is started or resumed, by ``Options.may_waste``; then the run fails, says how many they
were, and to resume it is to allow for as many again. Calls under way at that moment come besides.
"""

from __future__ import annotations

import hashlib
import json
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pe_engine.errors import GeneratorError
from pe_engine.generators.answers import Answers, Decoders, Waste
from pe_engine.generators.base import PIXELS, Estimate, Generator, State
from pe_engine.generators.calling import Callers, Passing
from pe_engine.generators.options import check_options, option
from pe_engine.generators.states import consists_of
from pe_engine.generators.wire import call, service_of

LEAST_WASTE = 20
"""Calls: a small run, too, meets a service in a bad hour."""


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """The settings that all such generators have."""

    most_calls: int = option(
        0,
        "images that you agree to pay for; calls that bring none come besides: after 20, or a "
        "tenth as many if that is more, the run fails, and to resume it allows for so many again",
        low=0,
        high=10**9,
        label="Images that may be charged",
        first=True,
    )
    price: float | None = option(
        None,
        "US dollars for one image, for the estimate; auto: the list price, if known",
        low=0,
        high=1000,
        label="Price of an image",
    )
    template: str = option(
        "a photo of {}",
        "the prompt where none is typed; {} is the class name",
        label="Prompt where none is typed",
    )
    concurrency: int = option(4, "calls under way at once", low=1, high=32, label="Calls at once")
    attempts: int = option(
        8, "how often a call that fails is made before giving up", low=1, high=20
    )
    timeout: float = option(180.0, "seconds that one call may take", low=0.1, high=3600)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def may_waste(self) -> int:
        """Calls that may bring nothing of use until the run is resumed by its user's word."""
        return max(LEAST_WASTE, self.most_calls // 10)


@dataclass(frozen=True)
class Wish:
    """One image to be asked for.

    Attributes:
        sent: what says which image it is to be, by name: the address, the model, the prompt ...
        seed: this image's own.
        parent: uint8 ``(H, W, 3)``, the image to vary, or None.
    """

    sent: Mapping[str, str | float | None]
    seed: int
    parent: np.ndarray | None = None

    @property
    def key(self) -> str:
        """The same for the same wish, and different from any other's."""
        parent = None if self.parent is None else hashlib.sha256(self.parent.tobytes()).hexdigest()
        said = json.dumps([dict(self.sent), self.seed, parent], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()


class ServiceGenerator(Generator):
    """Asks a service for images, ``most_calls`` at most; ``may_waste`` calls that bring none come
    besides, each time that the run is started or resumed. Its state: ``pixels`` and ``prompt``
    (unicode).

    Args:
        image_size: height and width of the images in pixels.
        device: not used.
        options: fields of ``Options``.

    Raises:
        ConfigError: an option or the size is out of its range.
        GeneratorError: there is no key.
    """

    keeps_for_good: ClassVar[bool] = True
    varies_pixels: ClassVar[bool] = True

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        self.options = self.Options(**options)
        self.image_size = self.fitting_size(self.options, image_size)
        self.batch_size = 2 * self.options.concurrency  # a run can stop after two calls each
        self.service = service_of(self.address(self.options))
        self._callers = Callers(self.service, self.options.concurrency, self.options.attempts)
        self.decoders = Decoders()
        self._answers: Answers | None = None
        self._waste: Waste | None = None
        self._why_wasted = ""
        self._stop = threading.Event()

    # What a service has to say ------------------------------------------------------------------

    @classmethod
    def paid_seconds(cls, options: Any) -> float:
        """A call's longest time; see ``Generator.paid_seconds``."""
        return options.timeout

    @classmethod
    @abstractmethod
    def address(cls, options: Any) -> str:
        """Where the calls go."""

    @classmethod
    def list_price(cls, options: Any) -> float | None:
        """US dollars for one image by the service's own list; None where it is not known."""
        return None

    @abstractmethod
    def new(self, prompt: str) -> Mapping[str, str | float | None]:
        """What is sent for a new image."""

    @abstractmethod
    def variation(self, prompt: str, degree: float) -> Mapping[str, str | float | None]:
        """What is sent for a variation, besides the image."""

    def target(self, wish: Wish) -> str:
        """The address that this call goes to."""
        return self.address(self.options)

    @abstractmethod
    def ask(self, wish: Wish) -> np.ndarray:
        """One call, made within ``wire.call``.

        Returns:
            uint8 ``(H, W, 3)`` or grey ``(H, W, 1)`` of the image size.

        Raises:
            Passing: it failed in a way that may pass.
            GeneratorError: it failed for good.
        """

    # Generator ------------------------------------------------------------------------------------

    @classmethod
    def estimate(cls, options: Any, images: int) -> Estimate:
        """See ``Generator.estimate``; calls that bring no image are not counted."""
        price = cls.list_price(options) if options.price is None else options.price
        cost = None if price is None else price * images
        return Estimate(images, cost, options.most_calls, service_of(cls.address(options)))

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """A new image for each prompt; see ``Generator.random``."""
        texts = self._texts(class_names, prompts)
        drawn = _seeds(rng, len(texts))
        return self._made([Wish(self.new(t), s) for t, s in zip(texts, drawn, strict=True)], texts)

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """One variation of each image; degree 0 changes nothing. See ``Generator.vary``."""
        texts, images = state["prompt"].tolist(), state[PIXELS]
        if degree == 0:
            return state
        rows = zip(texts, _seeds(rng, len(texts)), images, strict=True)
        return self._made([Wish(self.variation(t, degree), s, i) for t, s, i in rows], texts)

    def render(self, state: State, preview: bool = False) -> np.ndarray:
        """The images as they came; see ``Generator.render``."""
        return state[PIXELS]

    def adopt(
        self,
        images: np.ndarray,
        class_names: Sequence[str],
        prompts: Sequence[str],
        rng: np.random.Generator,
    ) -> State:
        """The images with their prompts; see ``Generator.adopt``."""
        return {PIXELS: images, "prompt": np.array(self._texts(class_names, prompts), np.str_)}

    def can_be(self, state: State) -> bool:
        """See ``Generator.can_be``."""
        return consists_of(state, prompt=("U", ()))

    def keep_in(self, folder: Path) -> None:
        """Answers are stored there; see ``Generator.keep_in``."""
        self._answers = Answers(folder, self.image_size)
        self._waste = Waste(folder, self.options.may_waste)

    def heed(self, stop: threading.Event) -> None:
        """Waits between the attempts of a call end then; see ``Generator.heed``."""
        self._stop = stop

    def close(self) -> None:
        """See ``Generator.close``."""
        self._callers.close()
        self.decoders.close()

    # ----------------------------------------------------------------------------------------------

    def _texts(self, class_names: Sequence[str], prompts: Sequence[str]) -> list[str]:
        template = self.options.template
        texts = []
        for name, prompt in zip(class_names, prompts, strict=True):
            if not prompt.strip() and not name and "{}" in template:
                raise GeneratorError(
                    f"{self.service} needs a prompt for every image, and here is neither one nor "
                    "a class name. Type a prompt that says what your images show."
                )
            texts.append(prompt.strip() or template.replace("{}", name))
        return texts

    def _made(self, wishes: Sequence[Wish], texts: Sequence[str]) -> State:
        """The images of all wishes: those that have been answered, and the others by calls."""
        if self._answers is None or self._waste is None:
            raise GeneratorError(
                f"{self.service} charges for images, so they are asked for only within a run, "
                "which keeps them. Start one."
            )
        keys = [wish.key for wish in wishes]
        found = {key: self._answers.get(key) for key in keys}
        missing = {k: w for k, w in zip(keys, wishes, strict=True) if found[k] is None}
        self._check_calls(len(missing))
        calls = [partial(self._answer, k, w, found) for k, w in missing.items()]
        self._callers.all(calls, self._stop)
        images = np.stack([found[key] for key in keys])
        return {PIXELS: images, "prompt": np.array(texts, np.str_)}

    def _answer(self, key: str, wish: Wish, found: dict[str, np.ndarray | None]) -> None:
        self._check_waste()
        with call(self.target(wish), self.options.timeout) as made:
            try:
                image = self.ask(wish)
            except (Passing, GeneratorError) as error:
                if made.may_cost:
                    self._waste.add(key)
                    self._why_wasted = str(error)
                raise
        image = np.broadcast_to(image, (*image.shape[:2], 3))
        self._answers.put(key, image)
        found[key] = image

    def _check_calls(self, more: int) -> None:
        made, most = len(self._answers), self.options.most_calls
        if more and made + more > most:
            raise GeneratorError(
                f"{self.service} has given {made:,} images, and {more:,} more would "
                f"exceed the {most:,} calls that you agreed to. Start a run with a larger option "
                "most_calls."
            )

    def _check_waste(self) -> None:
        if self._waste.is_too_much:
            raise GeneratorError(
                f"{len(self._waste):,} calls to {self.service} brought no image, the last one "
                f"because {self._why_wasted}. It may have charged for them, besides the "
                f"{len(self._answers):,} images that it gave. Have a look at the service first: "
                f"if you go on, the run makes up for {self.options.may_waste:,} more such calls."
            )


def _seeds(rng: np.random.Generator, n: int) -> list[int]:
    """One for each of ``n`` images."""
    return rng.integers(2**62, size=n).tolist()
