"""Hugging Face Inference: RANDOM_API is text-to-image, VARIATION_API image-to-image.

Through the Hub's inference providers, or by the address of an Inference Endpoint. What is sent:
prompts, public class names and synthetic images. The token is read from ``HF_TOKEN`` or the login
of the Hugging Face command line and goes into the calls' header and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
import numpy as np
from PIL import Image

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators.answers import unfit
from pe_engine.generators.base import Card, Facts
from pe_engine.generators.calling import Passing, Refusal
from pe_engine.generators.options import option
from pe_engine.generators.services import ServiceGenerator, ServiceOptions, Wish
from pe_engine.generators.wire import BoundedClient, check_address, check_key
from pe_engine.hub import is_name
from pe_engine.images import png_bytes

if TYPE_CHECKING:
    from huggingface_hub import InferenceClient

KEY_NAME = "HF_TOKEN"
ROUTER = "https://router.huggingface.co"
LEAST_SIZE = 512  # pixels: what diffusion models make well
STEP = 16  # pixels: sides are multiples of it
PROVIDERS = ("auto", "fal-ai", "hf-inference", "replicate", "together", "wavespeed")
"""Those that huggingface_hub knows for both tasks."""


@dataclass(frozen=True, kw_only=True)
class Options(ServiceOptions):
    """The settings of ``HFInference``."""

    model: str = option(
        "black-forest-labs/FLUX.1-schnell",
        "Hugging Face id of a text-to-image model",
        first=True,
    )
    variation_model: str = option(
        "black-forest-labs/FLUX.1-Kontext-dev", "Hugging Face id of an image-to-image model"
    )
    provider: str = option(
        "auto", "who runs the models; auto: the first in your account", choices=PROVIDERS
    )
    endpoint: str = option(
        "",
        "address of an Inference Endpoint for new images, instead of model and provider; your "
        "token is sent there",
        opens="address",
    )
    variation_endpoint: str = option(
        "", "the same for variations; empty: the same address", opens="address"
    )
    size: int | None = option(
        None, "pixels of the side to ask for; auto: 512, or the image size", low=64, high=2048
    )
    steps: int | None = option(None, "denoising steps; auto: the model's own", low=1, high=1000)
    guidance: float | None = option(
        None, "how closely images keep to the prompt; auto: the model's own", low=0, high=50
    )
    negative_prompt: str = option("", "what should not be in the images")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("endpoint", "variation_endpoint"):
            if getattr(self, name):
                check_address(name, getattr(self, name))
        if self.variation_endpoint and not self.endpoint:
            raise ConfigError(
                "The option variation_endpoint is given without endpoint. Give the address for "
                "new images, too."
            )
        for name in ("model", "variation_model"):
            if not is_name(getattr(self, name)):
                raise ConfigError(
                    f"The option {name} is {getattr(self, name)!r}, which is no Hugging Face id "
                    "such as owner/model. Change it."
                )

    def asked_size(self, image_size: int) -> int:
        """Pixels of the side of an image as the service makes it."""
        return self.size or -(-max(LEAST_SIZE, image_size) // STEP) * STEP


class HFInference(ServiceGenerator):
    """Hugging Face Inference. See ``ServiceGenerator`` for its state and arguments."""

    title: ClassVar[str] = "Hugging Face Inference"
    summary: ClassVar[str] = (
        "models run by Hugging Face's inference providers, or by an endpoint of yours, for money"
    )
    facts: ClassVar[Facts] = Facts(
        needs=f"a Hugging Face account with credit, its token in {KEY_NAME} or logged in",
        sends=(
            "to router.huggingface.co and the provider, or to the endpoint: prompts, public class "
            "names, synthetic images; to huggingface.co: the models' ids"
        ),
        cost="by the provider's list, or the endpoint's hours",
        degrees="strength, the part of the noise schedule; models that edit by words may ignore it",
        offline="no",
    )
    card: ClassVar[Card] = Card(
        draws="photographs and drawings by a model on Hugging Face",
        needs="a token; charged for each image",
        where="Hugging Face's providers",
        key=KEY_NAME,
        suggestions=("a photo of {class}", "a photo, natural light"),
    )
    Options: ClassVar[type] = Options

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        super().__init__(image_size, device, **options)
        _bound_the_hub()

    @classmethod
    def fitting_size(cls, options: Options, asked: int | None) -> int:
        """At most what is asked of the service; see ``Generator.fitting_size``."""
        token = _token()
        if token is not None:
            check_key(KEY_NAME, token)
        elif not options.endpoint:
            raise GeneratorError(
                f"There is no token for Hugging Face. Put one that may call inference providers "
                f"into the environment variable {KEY_NAME}, or log in with 'hf auth login'."
            )
        size = asked or min(256, options.asked_size(256))
        if size > options.asked_size(size):
            raise ConfigError(
                f"The image size is {size}, but images of {options.size} pixels are asked for. "
                "Choose a smaller image size or a larger option size."
            )
        return size

    @classmethod
    def address(cls, options: Options) -> str:
        return options.endpoint or ROUTER

    def new(self, prompt: str) -> Mapping[str, str | float | None]:
        side = self.options.asked_size(self.image_size)
        target = self.options.endpoint or self.options.model
        return self._sent(prompt, target) | {"width": side, "height": side}

    def variation(self, prompt: str, degree: float) -> Mapping[str, str | float | None]:
        """The image is enlarged to the size asked for: services make one of their input's size."""
        options = self.options
        target = options.variation_endpoint or options.endpoint or options.variation_model
        side = options.asked_size(self.image_size)
        return self._sent(prompt, target) | {"side": side, "strength": degree}

    def target(self, wish: Wish) -> str:
        return str(wish.sent["target"]) if self.options.endpoint else ROUTER

    def ask(self, wish: Wish) -> np.ndarray:
        return self.decoders.decoded(self._answer_to(wish), self.image_size)

    # ----------------------------------------------------------------------------------------------

    def _sent(self, prompt: str, target: str) -> dict[str, str | float | None]:
        return {
            "target": target,
            "provider": None if self.options.endpoint else self.options.provider,
            "prompt": prompt,
            "negative_prompt": self.options.negative_prompt or None,
            "num_inference_steps": self.options.steps,
            "guidance_scale": self.options.guidance,
        }

    def _answer_to(self, wish: Wish) -> bytes:
        """The file of the image that the service sends."""
        from huggingface_hub.errors import (
            HfHubHTTPError,
            InferenceTimeoutError,
            OfflineModeIsEnabled,
        )

        problem: Exception
        try:
            return _file_of(self._send(wish))
        except OfflineModeIsEnabled:
            problem = GeneratorError("HF_HUB_OFFLINE forbids calls. Unset it.")
        except HfHubHTTPError as error:
            words = error.response.text[:1000]
            refusal = Refusal(
                self.service, error.response.status_code, error.response.headers, words
            )
            problem = refusal.problem(KEY_NAME, _token() or "", str(wish.sent["prompt"]))
        except (InferenceTimeoutError, httpx2.TimeoutException):
            problem = Passing(f"it did not answer in {self.options.timeout:g} seconds")
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            # the library opens it, and Pillow refuses, or warns where warnings are errors
            problem = unfit("has more pixels than are allowed")
        except httpx2.InvalidURL:
            problem = Passing("its image could not be fetched")
        except httpx2.HTTPError:
            problem = Passing("the connection failed or broke off")
        except (LookupError, TypeError, AttributeError, OSError, UnicodeError, StopIteration):
            problem = Passing("it answered without an image")
        except ValueError as error:
            problem = _value_problem(error)
        # Raised here, it does not carry the request, and so the token, as its context.
        raise problem

    def _send(self, wish: Wish) -> Image.Image:
        from huggingface_hub import InferenceClient

        said = {name: value for name, value in wish.sent.items() if value is not None}
        client: InferenceClient = InferenceClient(
            model=said.pop("target"),
            provider=said.pop("provider", None),
            token=_token(),
            timeout=self.options.timeout,
            headers={"Idempotency-Key": wish.key},
        )
        seed = wish.seed % 2**31  # more than services take
        if wish.parent is None:
            return client.text_to_image(**said, seed=seed)
        side = int(said.pop("side"))
        large = Image.fromarray(wish.parent).resize((side, side), Image.Resampling.LANCZOS)
        return client.image_to_image(png_bytes(np.asarray(large)), **said, seed=seed)


def _file_of(image: Image.Image) -> bytes:
    """What the library has opened, unread: it is decoded with a bound and by few readers."""
    image.fp.seek(0)
    return image.fp.read()


def _value_problem(error: ValueError) -> Exception:
    """JSON that breaks off may pass; that a provider has no such model does not."""
    import json

    if isinstance(error, json.JSONDecodeError):
        return Passing("it answered with something else than JSON")
    return GeneratorError(
        f"Hugging Face cannot make this call: {str(error)[:300].rstrip('.')}. Change the options "
        "model, variation_model or provider."
    )


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _bound_the_hub() -> None:
    """Have all of huggingface_hub call through a ``BoundedClient``.

    Its providers fetch what they have made through the library's own client, which bounds neither
    time nor size; outside of our calls that client stays as it is.
    """
    from huggingface_hub import get_session, set_client_factory

    usual = get_session()
    if isinstance(usual, BoundedClient):
        return
    how = {n: getattr(usual, n) for n in ("event_hooks", "follow_redirects", "timeout")}
    set_client_factory(lambda: BoundedClient(**how))
