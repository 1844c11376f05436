"""Speed work undone: generators and embedders that wrap the product's and do what it avoids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pe_engine.bench.clock import synchronise
from pe_engine.bench.seed import PngFiles
from pe_engine.embedders.base import Embedder
from pe_engine.generators.base import Generator, State
from pe_engine.generators.transfer import HostCopy, to_uint8

if TYPE_CHECKING:
    import torch

    from pe_engine.generators.stable_diffusion import StableDiffusion


class Wrapped(Generator):
    """A generator that does as another one does."""

    def __init__(self, inner: Generator) -> None:
        self.inner = inner
        self.image_size = inner.image_size
        self.batch_size = inner.batch_size
        self.grey = inner.grey

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        return self.inner.random(class_names, prompts, rng)

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        return self.inner.vary(state, degree, rng)

    def render(self, state: State, preview: bool = False):
        return self.inner.render(state, preview)


class Encoding(Wrapped):
    """Keeps pixels from one generation to the next and encodes them with every variation.

    The pixels are those that were decoded for the look-ahead anyway.
    """

    inner: StableDiffusion

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        state = self.inner.random(class_names, prompts, rng)
        return {**state, "pixels": to_uint8(self.inner.render(state))}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        latents = self._encoded(np.ascontiguousarray(state["pixels"]))
        return self.inner.vary({**state, "latents": latents}, degree, rng)

    def _encoded(self, pixels: np.ndarray) -> torch.Tensor:
        import torch

        vae = self.inner.decoder
        with torch.inference_mode():
            images = torch.from_numpy(pixels).to(self.inner.device).permute(0, 3, 1, 2)
            scaled = (images.float() / 127.5 - 1).to(vae.dtype)
            return vae.encode(scaled).latent_dist.sample() * vae.config.scaling_factor


class Forgetful(Wrapped):
    """Encodes the prompt of every image of every batch."""

    inner: StableDiffusion

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        import torch

        texts = [str(text) for text in state["prompt"]]
        with torch.inference_mode():
            self.inner.variation.image_to_image.encode_prompt(texts, self.inner.device, 1, True)
        return self.inner.vary(state, degree, rng)


def channels_first(generator: StableDiffusion) -> StableDiffusion:
    """The same generator, its UNet's weights laid out as they come."""
    import torch

    generator.variation.image_to_image.unet.to(memory_format=torch.contiguous_format)
    return generator


class Waiting(Wrapped):
    """Waits for the device after each batch, and copies it to the host, before it goes on."""

    def __init__(self, inner: Generator, device: str) -> None:
        super().__init__(inner)
        self._device = device

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        varied = self.inner.vary(state, degree, rng)
        synchronise(self._device)
        HostCopy(varied).state()
        return varied


class ViaPng:
    """An embedder that is given images by way of uint8 and PNG files."""

    def __init__(self, inner: Embedder, folder: Path) -> None:
        self._inner = inner
        self._files = PngFiles(folder)
        self.dimension = inner.dimension

    def embed(self, images) -> np.ndarray:
        return self._inner.embed(self._files.there_and_back(to_uint8(images)))
