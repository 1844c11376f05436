"""Stable Diffusion through diffusers: RANDOM_API is text-to-image, VARIATION_API image-to-image.

The same code runs SD 1.x, SDXL and few-step models on a GPU and the bundled miniature on a CPU.

Images live as latents from one generation to the next: pixels are decoded to be looked at and not
encoded again. Everything here works on synthetic images and public randomness, so that it is
post-processing of released votes: no choice of speed made here changes what privacy costs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pe_engine.errors import GeneratorError
from pe_engine.generators import checkpoints, recipes
from pe_engine.generators.autoencoders import alike, decoded, latents_shape
from pe_engine.generators.base import Card, Facts, Generator, State
from pe_engine.generators.denoising import TIMESTEPS, Denoiser
from pe_engine.generators.halving import Halving
from pe_engine.generators.miniature import CHARACTERS, plain_caption
from pe_engine.generators.prompts import Prompts
from pe_engine.generators.states import consists_of

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

PIXELS_AT_ONCE = {"cuda": 32 * 512**2, "cpu": 128 * 32**2}
MOST_AT_ONCE = 256
SHAPES_COMPILED = 64  # sizes of images and batches that one process may come to compile


class StableDiffusion(Generator):
    """Stable Diffusion. Its state: ``latents`` (float16 ``(N, C, h, w)``) and ``prompt`` (unicode).

    Latents are scaled as the UNet sees them. Each image has a seed of its own, so that it does not
    depend on how many are made at once.

    Args:
        image_size: height and width of the images in pixels.
        device: torch device.
        options: fields of ``Options``.

    Attributes:
        fresh, variation: make new images, and variations.
        decoder: the autoencoder whose latents the state holds.

    Raises:
        ConfigError: an option or the size is out of its range.
        GeneratorError: a model cannot be found or loaded.
    """

    title: ClassVar[str] = "Stable Diffusion"
    summary: ClassVar[str] = (
        "any Stable Diffusion checkpoint, by default a bundled miniature that writes letters and "
        "digits; its safety checker is off, since images that it blacks out would be voted on"
    )
    facts: ClassVar[Facts] = Facts(
        needs="any CPU for the bundled miniature; a GPU and a download of 2 to 7 GB for others",
        sends="to the Hugging Face hub: the id of a model to download, once",
        cost="a minute with the miniature; hours on a GPU",
        degrees="the part of the noise schedule that is denoised again",
        offline="yes, once downloaded",
    )
    card: ClassVar[Card] = Card(
        draws="letters and digits by a bundled miniature; photographs by a model you name",
        needs="nothing; with a model of yours a GPU and 2 to 7 GB",
        suggestions=(
            "a handwritten digit {class}",
            "a serif letter {class}",
            "a photo of {class}",
        ),
    )
    Options: ClassVar[type] = recipes.Options

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        self.options = recipes.Options(**options)
        self.image_size = self.fitting_size(self.options, image_size)
        self.device = device
        self.batch_size = self.options.batch_size or max(
            1, min(MOST_AT_ONCE, PIXELS_AT_ONCE[device] // image_size**2)
        )
        smaller = max(8, image_size * 3 // 4 // 64 * 64)
        remedy = f"Set the image size to {smaller} or less, choose a smaller model"
        self._halving = Halving(self.batch_size, image_size, remedy)
        self._compiled = self.options.compile and device == "cuda" and can_compile()
        dtype = number_format(self.options.dtype, device)
        pipeline, prompts = self._load(self.options.model, dtype)
        new, again = recipes.recipes(self.options)
        self.fresh = Denoiser(pipeline, new, prompts)
        if self.options.variation_model not in ("", self.options.model):
            pipeline, prompts = self._load(self.options.variation_model, dtype)
        self.variation = Denoiser(pipeline, again, prompts)
        self.decoder = pipeline.vae
        self._preview = self._load_preview(dtype) if self.options.preview_autoencoder else None

    @classmethod
    def fitting_size(cls, options: recipes.Options, asked: int | None) -> int:
        """See ``Generator.fitting_size``; the model's own size is that of its UNet's samples."""
        size = checkpoints.image_size(
            checkpoints.find(options.variation_model or options.model), asked
        )
        random_size = options.random_size or size
        if options.variation_model or random_size != size:
            checkpoints.image_size(checkpoints.find(options.model), random_size)
        return size

    def heed(self, stop: threading.Event) -> None:
        """A batch ends between two steps; see ``Generator.heed``."""
        self.fresh.stop = self.variation.stop = stop

    # The two calls of Private Evolution ---------------------------------------------------------

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """Text-to-image; see ``Generator.random``."""
        texts = self._texts(class_names, prompts)
        size = self.options.random_size or self.image_size
        latents = self._new(self.fresh, texts, seeds(rng, len(texts)), size)
        return {"latents": self._for_variation(latents, size), "prompt": texts}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """Image-to-image from noise at exactly ``degree`` of the schedule; see ``Generator.vary``.

        Degree 1 is a new image of the same prompt, by the model and recipe for variations, which
        remembers nothing of its parent; degree 0 changes nothing.
        """
        texts, drawn = state["prompt"], seeds(rng, len(state["prompt"]))
        first = round(degree * TIMESTEPS) - 1
        if first < 0:
            return state
        if first == TIMESTEPS - 1:
            return {
                "latents": self._new(self.variation, texts, drawn, self.image_size),
                "prompt": texts,
            }
        import torch

        parents = torch.as_tensor(state["latents"])
        latents = self._in_parts(
            len(texts),
            lambda rows: self.variation.again(parents[rows], first, texts[rows], drawn[rows]),
        )
        return {"latents": latents.half(), "prompt": texts}

    def render(self, state: State, preview: bool = False) -> torch.Tensor:
        """Decoded images, float32 ``(N, 3, H, W)`` in [0, 1] on the device."""
        import torch

        decoder = self._preview if preview and self._preview else self.decoder
        latents = torch.as_tensor(state["latents"])
        return self._in_parts(
            len(latents),
            lambda rows: (decoded(decoder, latents[rows].to(self.device)) + 1) / 2,
        )

    def can_be(self, state: State) -> bool:
        """See ``Generator.can_be``."""
        shape = latents_shape(self.decoder, self.image_size)
        return consists_of(state, latents=("f", shape), prompt=("U", ()))

    def adopt(
        self,
        images: np.ndarray,
        class_names: Sequence[str],
        prompts: Sequence[str],
        rng: np.random.Generator,
    ) -> State:
        """Encodes the pictures, once; see ``Generator.adopt``."""
        import torch

        def encode(rows: np.ndarray) -> torch.Tensor:
            pixels = torch.from_numpy(np.ascontiguousarray(images[rows])).to(self.device)
            return self._encoded(pixels.permute(0, 3, 1, 2) / 127.5 - 1)

        latents = self._in_parts(len(images), encode).half()
        return {"latents": latents, "prompt": self._texts(class_names, prompts)}

    # ----------------------------------------------------------------------------------------------

    def _texts(self, class_names: Sequence[str], prompts: Sequence[str]) -> np.ndarray:
        """What each image is asked to show, unicode ``(N,)``."""
        return np.array(
            [p.strip() or self._prompt_of(c) for p, c in zip(prompts, class_names, strict=True)]
        )

    def _new(
        self, denoiser: Denoiser, texts: np.ndarray, drawn: np.ndarray, size: int
    ) -> torch.Tensor:
        """Float16 latents of new images of ``texts``."""
        return self._in_parts(
            len(texts), lambda rows: denoiser.new(texts[rows], drawn[rows], size)
        ).half()

    def _for_variation(self, latents: torch.Tensor, size: int) -> torch.Tensor:
        """Latents of new images as latents of the image size and of the varying model: through
        pixels, once in a run, if sizes or autoencoders differ."""
        source = self.fresh.text_to_image.vae
        if size == self.image_size and (source is self.decoder or alike(source, self.decoder)):
            return latents
        import torch

        def encode(rows: np.ndarray) -> torch.Tensor:
            pixels = torch.nn.functional.interpolate(
                decoded(source, latents[rows]),
                (self.image_size,) * 2,
                mode="bicubic",
                antialias=True,
            )
            return self._encoded(pixels.clamp_(-1, 1))

        return self._in_parts(len(latents), encode).half()

    def _encoded(self, pixels: torch.Tensor) -> torch.Tensor:
        """Latents of pixels, ``(N, 3, H, W)`` in [-1, 1]."""
        import torch

        with torch.inference_mode():
            mean = self.decoder.encode(pixels.to(self.decoder.dtype)).latent_dist.mean
            return mean * self.decoder.config.scaling_factor

    def _in_parts(self, n: int, work: Callable[[np.ndarray], torch.Tensor]) -> torch.Tensor:
        """``work`` on the rows 0..n-1, as many at once as the memory holds."""
        return self._halving(n, work, equal=self._compiled)

    def _prompt_of(self, class_name: str) -> str:
        if self.options.template is not None:
            return self.options.template.replace("{}", class_name)
        if not self.options.model and class_name in tuple(CHARACTERS):
            return plain_caption(class_name)
        return f"a photo of {class_name}" if class_name else ""

    def _load(self, model: str, dtype: torch.dtype) -> tuple[DiffusionPipeline, Prompts]:
        import torch

        pipeline = checkpoints.load(checkpoints.find(model), dtype, self.device)
        for part in (pipeline.unet, pipeline.vae):
            part.to(memory_format=torch.channels_last)
        if dtype is torch.float16 and pipeline.vae.config.force_upcast:
            pipeline.vae.float()  # it would overflow
        if self._compiled:
            # Beyond a number of shapes torch stops with an error; earlier models' do not count.
            torch._dynamo.reset()
            torch._dynamo.config.recompile_limit = SHAPES_COMPILED
            pipeline.unet.compile(fullgraph=True, dynamic=False, mode="max-autotune-no-cudagraphs")
        return pipeline, Prompts(pipeline, self.options.negative_prompt)

    def _load_preview(self, dtype: torch.dtype) -> Any:
        from diffusers import AutoencoderTiny

        name = self.options.preview_autoencoder
        source = checkpoints.find(name, "config.json")
        tiny = checkpoints.on_device(source.load(AutoencoderTiny, dtype), self.device)
        factors = [
            (2 ** (len(channels) - 1), model.config.latent_channels)
            for model, channels in (
                (tiny, tiny.config.decoder_block_out_channels),
                (self.decoder, self.decoder.config.block_out_channels),
            )
        ]
        if factors[0] != factors[1]:
            raise GeneratorError(
                f"The autoencoder {name} makes {factors[0][0]} pixels of each of "
                f"{factors[0][1]} latents, but the model's own makes {factors[1][0]} of "
                f"{factors[1][1]}. Choose one for this model, or leave it empty."
            )
        return tiny


def seeds(rng: np.random.Generator, n: int) -> np.ndarray:
    """One seed for each of ``n`` images, int64."""
    return rng.integers(2**62, size=n)


def number_format(name: str, device: str) -> torch.dtype:
    """The torch dtype: by name, or for "auto" bf16 where the hardware multiplies it fast, else
    fp16 on a GPU and fp32 on a CPU."""
    import torch

    if name != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    if device == "cuda":
        return (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float16
        )
    # not public, but unlike torch.cpu.get_capabilities it is in every version that we support
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def can_compile() -> bool:
    """Whether torch can compile for the GPU here: it needs Triton, a C compiler, and a GPU that
    stays, which one that is lent for a call at a time does not."""
    import importlib.util
    import shutil

    if "SPACES_ZERO_GPU" in os.environ:
        return False
    compilers = ("cc", "gcc", "clang")
    return importlib.util.find_spec("triton") is not None and any(map(shutil.which, compilers))
