"""OpenAI's Images API, and servers that speak it: RANDOM_API is a generation, VARIATION_API an edit
by a prompt, or the variations endpoint of DALL-E 2.

What is sent: prompts, public class names and synthetic images. The key is read from the environment
variable ``OPENAI_API_KEY`` and goes into the calls' header and nowhere else.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
import numpy as np

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import openai_models as models
from pe_engine.generators.base import Card, Facts
from pe_engine.generators.calling import Passing, Refusal
from pe_engine.generators.options import option
from pe_engine.generators.services import ServiceGenerator, ServiceOptions, Wish
from pe_engine.generators.wire import BoundedClient, check_address, check_key
from pe_engine.images import png_bytes

if TYPE_CHECKING:
    from openai.types import ImagesResponse

KEY_NAME = "OPENAI_API_KEY"
BEST_SIZE = 256  # pixels: much less leaves an edit little to see
MODES = ("auto", "edit", "variations")
QUALITIES = ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")

EDIT_PROMPT = (
    "Make a new picture that could stand beside the given one in one collection. "
    "It shows: {prompt}. {degree}"
)
CHANGES = (
    (0.15, "Change next to nothing: only small details and the texture of surfaces."),
    (0.35, "Keep the subject, its pose, the composition and the style; vary details and colours."),
    (0.55, "Keep the subject and the style; vary pose, colours, light and background."),
    (0.75, "Keep the kind of subject; vary its looks, the composition, light and background."),
    (1.0, "Keep only what the words say; all else shall be different from the given picture."),
)
"""What is said for degrees up to each bound. A model takes words as it likes: the order is meant,
not the amount."""


@dataclass(frozen=True, kw_only=True)
class Options(ServiceOptions):
    """The settings of ``OpenAIImages``."""

    base_url: str = option(
        models.ADDRESS,
        "address of the service; your key is sent there",
        opens="address",
        label="Address of the service",
    )
    model: str = option("gpt-image-2.5-flare", "what the service calls the model", first=True)
    variation_by: str = option(
        "auto",
        "edit: by a prompt; variations: the endpoint of DALL-E 2, which knows no degrees; auto: "
        "as suits the model",
        choices=MODES,
    )
    edit_prompt: str = option(
        EDIT_PROMPT,
        "prompt of an edit; {prompt} is the image's, {degree} how much may change",
        label="Prompt of an edit",
    )
    size: str | None = option(
        None, "size to ask for, such as 1024x1024; auto: the smallest square that is enough"
    )
    quality: str | None = option(
        None, "of the service; auto: low for GPT Image, else not said", choices=QUALITIES[1:]
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_address("base_url", self.base_url)
        if not self.model.strip():
            raise ConfigError("The option model is empty. Name the service's model.")
        if self.size is not None:
            models.check_size(self.model, self.size)
        if self.at_openai and self.model in models.RETIRED:
            raise ConfigError(
                f"OpenAI has retired {self.model}. Choose a current model, such as "
                f"{Options.model}, or a base_url where it is still served."
            )
        if self.at_openai and self.varied_by == "variations":
            raise ConfigError(
                "OpenAI has retired its variations endpoint. Set the option variation_by to edit, "
                "or a base_url where there is one."
            )

    @property
    def at_openai(self) -> bool:
        return self.base_url.rstrip("/") == models.ADDRESS

    @property
    def varied_by(self) -> str:
        """ "edit" or "variations"."""
        if self.variation_by != "auto":
            return self.variation_by
        return "variations" if self.model.startswith("dall-e-2") else "edit"

    @property
    def said_quality(self) -> str | None:
        return self.quality or ("low" if models.is_gpt_image(self.model) else None)


class OpenAIImages(ServiceGenerator):
    """OpenAI's Images API. See ``ServiceGenerator`` for its state and arguments."""

    title: ClassVar[str] = "OpenAI Images"
    summary: ClassVar[str] = (
        "OpenAI's image models, or another service that speaks its Images API, for money"
    )
    facts: ClassVar[Facts] = Facts(
        needs=f"an account with credit, its key in {KEY_NAME}",
        sends="to base_url (api.openai.com): prompts, public class names, synthetic images",
        cost="per image, by the service's list; prompts and edited images are charged for besides",
        degrees="five steps of words in the edit's prompt; none for the variations endpoint",
        offline="no",
    )
    card: ClassVar[Card] = Card(
        draws="photographs and drawings by OpenAI's image models",
        needs="a key; charged for each image",
        where="OpenAI's servers",
        key=KEY_NAME,
        suggestions=("a photo of {class}", "a photo, natural light"),
    )
    Options: ClassVar[type] = Options

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        from openai import OpenAI

        super().__init__(image_size, device, **options)
        self._http = BoundedClient()
        self._client = OpenAI(
            api_key=_key(),
            base_url=self.options.base_url,  # always said, so that OPENAI_BASE_URL is not followed
            max_retries=0,  # calling.py repeats calls
            http_client=self._http,
        )

    @classmethod
    def fitting_size(cls, options: Options, asked: int | None) -> int:
        """At most what is asked of the service; see ``Generator.fitting_size``."""
        _key()
        largest = min(models.parse_size(options.size)) if options.size else asked or BEST_SIZE
        size = asked or min(BEST_SIZE, largest)
        if size > largest:
            raise ConfigError(
                f"The image size is {size}, but images of {options.size} are asked for. Choose a "
                "smaller image size or a larger option size."
            )
        if options.size is None:
            models.smallest_size(options.model, size)
        return size

    @classmethod
    def address(cls, options: Options) -> str:
        return options.base_url

    @classmethod
    def list_price(cls, options: Options) -> float | None:
        if not options.at_openai or options.said_quality is None:
            return None
        size = options.size or models.smallest_size(options.model, 1)
        return models.list_price(options.model, options.said_quality, size)

    def new(self, prompt: str) -> Mapping[str, str | float | None]:
        return self._sent("generations") | {"prompt": prompt}

    def variation(self, prompt: str, degree: float) -> Mapping[str, str | float | None]:
        if self.options.varied_by == "variations":
            return self._sent("variations")
        words = next(words for bound, words in CHANGES if degree <= bound)
        text = self.options.edit_prompt.replace("{degree}", words).replace("{prompt}", prompt)
        return self._sent("edits") | {"prompt": text}

    def ask(self, wish: Wish) -> np.ndarray:
        return self._image(self._answer_to(wish))

    def close(self) -> None:
        super().close()
        self._client.close()

    # ----------------------------------------------------------------------------------------------

    def _sent(self, kind: str) -> dict[str, str | float | None]:
        size = self.options.size or models.smallest_size(self.options.model, self.image_size)
        address = f"{self.options.base_url.rstrip('/')}/images/{kind}"
        sent = {"address": address, "model": self.options.model, "size": size}
        return sent if kind == "variations" else sent | {"quality": self.options.said_quality}

    def _answer_to(self, wish: Wish) -> ImagesResponse:
        import openai

        problem: Exception
        try:
            return self._send(wish)
        except openai.APIStatusError as error:
            body = error.body if isinstance(error.body, dict) else {}
            words = " ".join(str(body[n]) for n in ("message", "code") if body.get(n))
            refusal = Refusal(self.service, error.status_code, error.response.headers, words)
            problem = refusal.problem(KEY_NAME, _key(), str(wish.sent.get("prompt", "")))
        except openai.APITimeoutError:
            problem = Passing(f"it did not answer in {self.options.timeout:g} seconds")
        except openai.APIConnectionError:
            problem = Passing("the connection failed or broke off")
        except (openai.APIResponseValidationError, ValueError):
            problem = Passing("it answered with something else than JSON")
        # Raised here, it does not carry the request, and so the key, as its context.
        raise problem

    def _send(self, wish: Wish) -> ImagesResponse:
        said = {name: v for name, v in wish.sent.items() if name != "address" and v is not None}
        said |= {"n": 1, "extra_headers": {"Idempotency-Key": wish.key}}
        if not models.is_gpt_image(self.options.model):
            said["response_format"] = "b64_json"
        images = self._client.images
        if wish.parent is None:
            return images.generate(**said)
        said["image"] = ("image.png", png_bytes(wish.parent), "image/png")
        return images.create_variation(**said) if "prompt" not in said else images.edit(**said)

    def _image(self, answer: ImagesResponse) -> np.ndarray:
        """uint8 ``(H, W, 1 or 3)`` of the image size."""
        try:
            first = answer.data[0]
            data = base64.b64decode(first.b64_json) if first.b64_json else self._fetched(first.url)
        except (AttributeError, TypeError, LookupError, ValueError):
            # half an answer: no list, an empty one, no text in it or no base64
            raise Passing("it answered without an image") from None
        return self.decoders.decoded(data, self.image_size)

    def _fetched(self, address: str) -> bytes:
        """An image that the service has put somewhere; the key is not sent there."""
        try:
            found = self._http.get(address)
            found.raise_for_status()
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise Passing("its image could not be fetched") from None
        return found.content


def _key() -> str:
    """Raises GeneratorError unless there is one that can be sent."""
    key = os.environ.get(KEY_NAME, "").strip()
    if not key:
        raise GeneratorError(
            f"There is no key. Put your key for the service into the environment variable "
            f"{KEY_NAME} and start again; for a server that needs none put any word there."
        )
    check_key(KEY_NAME, key)
    return key
