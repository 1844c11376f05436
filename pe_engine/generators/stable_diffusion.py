"""Stable Diffusion through diffusers: RANDOM_API is text-to-image, VARIATION_API image-to-image.

The same code runs SD 1.x, SDXL and few-step models on a GPU and the bundled miniature on a CPU.

Images live as latents from one generation to the next: pixels are decoded to be looked at and never
encoded again. Everything here works on synthetic images and public randomness, so that it is
post-processing of released votes: no choice of speed made here changes what privacy costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pe_engine.errors import GeneratorError
from pe_engine.generators import checkpoints
from pe_engine.generators.base import State
from pe_engine.generators.miniature import CHARACTERS, plain_caption
from pe_engine.generators.options import check_options, option
from pe_engine.generators.prompts import Prompts

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

TIMESTEPS = 1000  # of the noise schedule of every Stable Diffusion
PIXELS_AT_ONCE = {"cuda": 32 * 512**2, "cpu": 128 * 32**2}
MOST_AT_ONCE = 256
DTYPES = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``StableDiffusion``."""

    model: str = option("", "folder or Hugging Face id of the checkpoint; empty: the bundled one")
    variation_model: str = option("", "another checkpoint for variations; empty: the same")
    steps: int | None = option(None, "denoising steps for a new image", low=1, high=1000)
    variation_steps: int | None = option(
        None, "denoising steps at degree 1; fewer below, in proportion", low=1, high=1000
    )
    guidance: float | None = option(
        None, "how closely new images keep to the prompt; 1 for no guidance", low=0, high=50
    )
    variation_guidance: float | None = option(None, "the same for variations", low=0, high=50)
    scheduler: str = option(
        "dpm++", "sampler of new images; own: the checkpoint's", choices=checkpoints.SCHEDULERS
    )
    variation_scheduler: str = option(
        "dpm++", "sampler of variations", choices=checkpoints.SCHEDULERS
    )
    random_size: int | None = option(
        None, "pixels at which new images are made, if not the image size", low=8, high=2048
    )
    negative_prompt: str = option("", "what should not be in the images")
    template: str | None = option(None, "the prompt where none is typed; {} is the class name")
    preview_autoencoder: str = option(
        "", "tiny autoencoder for look-ahead, such as madebyollin/taesd; empty: the model's"
    )
    compile: bool = option(True, "compile the UNet on a GPU: slower at the start, then faster")
    dtype: str = option("auto", "number format of the model", choices=DTYPES)
    batch_size: int | None = option(None, "images made at once", low=1, high=4096)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Recipe:
    """How images are denoised: steps at degree 1, guidance, and the scheduler's name."""

    steps: int
    guidance: float
    scheduler: str


class StableDiffusion:
    """Stable Diffusion. Its state: ``latents`` (float16 ``(N, C, h, w)``) and ``prompt`` (unicode).

    Latents are scaled as the UNet sees them. Each image has a seed of its own, so that it does not
    depend on how many are made at once.

    Args:
        image_size: height and width of the images in pixels.
        device: torch device.
        options: fields of ``Options``.

    Raises:
        ConfigError: an option or the size is out of its range.
        GeneratorError: a model cannot be found or loaded.
    """

    summary: ClassVar[str] = (
        "any Stable Diffusion checkpoint, by default a bundled miniature that writes letters and "
        "digits; its safety checker is off, since images that it blacks out would be voted on"
    )
    Options: ClassVar[type] = Options
    grey = False

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        self.options = Options(**options)
        self.image_size = self.fitting_size(self.options, image_size)
        self.device = device
        self.batch_size = self.options.batch_size or max(
            1, min(MOST_AT_ONCE, PIXELS_AT_ONCE[device] // image_size**2)
        )
        self._at_once = self.batch_size  # less once memory has run out
        self._random, self._variation = recipes(self.options)
        dtype = number_format(self.options.dtype, device)
        source = checkpoints.find(self.options.model)
        self._text_to_image = varied = checkpoints.load(source, dtype, device)
        if self.options.variation_model not in ("", self.options.model):
            source = checkpoints.find(self.options.variation_model)
            varied = checkpoints.load(source, dtype, device)
        self._image_to_image = checkpoints.image_to_image(varied)
        self._own_schedulers = self._text_to_image.scheduler, self._image_to_image.scheduler
        self._compiled = self.options.compile and device == "cuda" and can_compile()
        for pipeline in {id(p.unet): p for p in (self._text_to_image, varied)}.values():
            self._prepare(pipeline)
        self._prompts = Prompts(self._text_to_image, self.options.negative_prompt)
        self._variation_prompts = (
            self._prompts
            if varied is self._text_to_image
            else Prompts(varied, self.options.negative_prompt)
        )
        self._decoder = varied.vae
        self._preview = self._load_preview(dtype) if self.options.preview_autoencoder else None

    @classmethod
    def fitting_size(cls, options: Options, asked: int | None) -> int:
        """See ``Generator.fitting_size``; the model's own size is that of its UNet's samples."""
        sizes = [
            checkpoints.image_size(checkpoints.find(model), asked)
            for model in dict.fromkeys((options.model, options.variation_model or options.model))
        ]
        if options.random_size is not None:
            checkpoints.image_size(checkpoints.find(options.model), options.random_size)
        return sizes[-1]

    # The two calls of Private Evolution ---------------------------------------------------------

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """Text-to-image; see ``Generator.random``."""
        texts = np.array(
            [p.strip() or self._prompt_of(c) for p, c in zip(prompts, class_names, strict=True)]
        )
        return {"latents": self._resized(self._new(texts, seeds(rng, len(texts)))), "prompt": texts}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """Image-to-image from noise at exactly ``degree`` of the schedule; see ``Generator.vary``.

        Degree 1 is a new image of the same prompt, which remembers nothing of its parent; degree 0
        changes nothing.
        """
        texts, drawn = state["prompt"], seeds(rng, len(state["prompt"]))
        first = round(degree * TIMESTEPS) - 1
        if first < 0:
            return state
        if first == TIMESTEPS - 1:
            return {"latents": self._resized(self._new(texts, drawn)), "prompt": texts}
        import torch

        recipe, pipeline = self._variation, self._image_to_image
        latents = torch.as_tensor(state["latents"])

        def denoise(rows: np.ndarray) -> torch.Tensor:
            pipeline.scheduler = checkpoints.scheduler(recipe.scheduler, self._own_schedulers[1])
            parents = latents[rows].to(self.device, pipeline.unet.dtype, non_blocking=True)
            return pipeline(
                image=parents,
                generator=generators(drawn[rows]),
                guidance_scale=recipe.guidance,
                output_type="latent",
                **start(pipeline.scheduler, recipe.steps, first),
                **self._variation_prompts.rows(texts[rows], pipeline),
            ).images

        return {"latents": self._in_parts(len(texts), denoise).half(), "prompt": texts}

    def render(self, state: State, preview: bool = False) -> torch.Tensor:
        """Decoded images, float32 ``(N, 3, H, W)`` in [0, 1] on the device."""
        import torch

        decoder = self._preview if preview and self._preview else self._decoder
        latents = torch.as_tensor(state["latents"])

        @torch.inference_mode()
        def decode(rows: np.ndarray) -> torch.Tensor:
            scaled = latents[rows].to(self.device, decoder.dtype) / decoder.config.scaling_factor
            pixels = decoder.decode(scaled.to(memory_format=torch.channels_last)).sample
            return pixels.float().div_(2).add_(0.5).clamp_(0, 1)

        return self._in_parts(len(latents), decode)

    # ----------------------------------------------------------------------------------------------

    def _new(self, texts: np.ndarray, drawn: np.ndarray) -> torch.Tensor:
        """Latents of new images of ``texts``, float16, at the size for random images."""
        size = self.options.random_size or self.image_size
        recipe, pipeline = self._random, self._text_to_image

        def denoise(rows: np.ndarray) -> torch.Tensor:
            pipeline.scheduler = checkpoints.scheduler(recipe.scheduler, self._own_schedulers[0])
            return pipeline(
                height=size,
                width=size,
                num_inference_steps=recipe.steps,
                generator=generators(drawn[rows]),
                guidance_scale=recipe.guidance,
                output_type="latent",
                **self._prompts.rows(texts[rows], pipeline),
            ).images

        return self._in_parts(len(texts), denoise).half()

    def _resized(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents of random images as latents at the image size of the varying model.

        The only place where pixels are encoded: once in a run, and only if the sizes differ.
        """
        if self.options.random_size in (None, self.image_size):
            return latents
        import torch

        source, target = self._text_to_image.vae, self._decoder

        @torch.inference_mode()
        def encode(rows: np.ndarray) -> torch.Tensor:
            pixels = source.decode(latents[rows].to(source.dtype) / source.config.scaling_factor)
            pixels = torch.nn.functional.interpolate(
                pixels.sample.float(), (self.image_size,) * 2, mode="bicubic", antialias=True
            ).clamp_(-1, 1)
            mean = target.encode(pixels.to(target.dtype)).latent_dist.mean
            return mean * target.config.scaling_factor

        return self._in_parts(len(latents), encode).half()

    def _in_parts(self, n: int, work: Callable[[np.ndarray], torch.Tensor]) -> torch.Tensor:
        """``work`` on the rows 0..n-1, as many at once as the memory holds.

        A compiled UNet gets batches of one size only: the last one is filled up with its last row.
        """
        import torch

        parts, done = [], 0
        while done < n:
            rows = np.arange(done, min(n, done + self._at_once))
            fill = self._at_once - len(rows) if self._compiled else 0
            try:
                parts.append(work(np.pad(rows, (0, fill), mode="edge"))[: len(rows)])
                done += len(rows)
                continue
            except torch.OutOfMemoryError as error:
                if self._at_once == 1:
                    raise GeneratorError(self._too_large()) from error
            self._at_once = (self._at_once + 1) // 2
            torch.cuda.empty_cache()
        return torch.cat(parts)

    def _too_large(self) -> str:
        size = self.image_size
        smaller = max(8, size * 3 // 4 // 64 * 64)
        return (
            f"Not even one image of {size} x {size} pixels fits into the memory of the GPU. "
            f"Set the image size to {smaller} or less, choose a smaller model, close other "
            "programs that use the GPU, or set the device to cpu."
        )

    def _prompt_of(self, class_name: str) -> str:
        if self.options.template is not None:
            return self.options.template.replace("{}", class_name)
        if not self.options.model and class_name in tuple(CHARACTERS):
            return plain_caption(class_name)
        return f"a photo of {class_name}" if class_name else ""

    def _prepare(self, pipeline: DiffusionPipeline) -> None:
        import torch

        for model in (pipeline.unet, pipeline.vae):
            model.to(memory_format=torch.channels_last)
        if self._compiled:
            pipeline.unet.compile(fullgraph=True, dynamic=False, mode="max-autotune-no-cudagraphs")

    def _load_preview(self, dtype: torch.dtype) -> Any:
        from diffusers import AutoencoderTiny

        source = checkpoints.find(self.options.preview_autoencoder, "config.json")
        return source.load(AutoencoderTiny, dtype).to(self.device)


def recipes(options: Options) -> tuple[Recipe, Recipe]:
    """How new images and variations are made: as typed, or as suits the checkpoint."""
    usual = Recipe(20, 7.5, "") if options.model else Recipe(8, 2.0, "")
    steps = options.steps or usual.steps
    guidance = usual.guidance if options.guidance is None else options.guidance
    fresh = Recipe(steps, guidance, options.scheduler)
    again = guidance if options.variation_guidance is None else options.variation_guidance
    return fresh, Recipe(options.variation_steps or steps, again, options.variation_scheduler)


def start(scheduler: Any, steps: int, first: int) -> Mapping[str, Any]:
    """Arguments that let image-to-image begin at timestep ``first`` in [0, TIMESTEPS - 2].

    The noise is then that of the degree itself; with strength alone it would be that of the next
    multiple of 1 / steps, and none at all below 1 / steps. A checkpoint's own scheduler may not
    take timesteps; its strength is rounded up to at least one step.
    """
    import inspect

    degree = (first + 1) / TIMESTEPS
    if "timesteps" in inspect.signature(scheduler.set_timesteps).parameters:
        count = max(1, round(steps * degree))
        times = np.round((first + 1) * (1 - np.arange(count) / count)).astype(int) - 1
        return {"strength": 1.0, "timesteps": np.unique(times)[::-1].tolist()}
    return {"strength": max(degree, 1 / steps), "num_inference_steps": steps}


def seeds(rng: np.random.Generator, n: int) -> np.ndarray:
    """One seed for each of ``n`` images, int64."""
    return rng.integers(2**62, size=n)


def generators(drawn: np.ndarray) -> list[torch.Generator]:
    """One torch generator for each seed; on the CPU, so that every device draws the same noise."""
    import torch

    return [torch.Generator("cpu").manual_seed(int(seed)) for seed in drawn]


def number_format(name: str, device: str) -> torch.dtype:
    """The torch dtype: by name, or for "auto" bf16 where the hardware multiplies it fast, else
    fp16 on a GPU and fp32 on a CPU."""
    import torch

    if name != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    # not public, but unlike torch.cpu.get_capabilities it is in every version that we support
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def can_compile() -> bool:
    """Whether torch can compile for the GPU here: it needs Triton and a C compiler."""
    import importlib.util
    import shutil

    compilers = ("cc", "gcc", "clang")
    return importlib.util.find_spec("triton") is not None and any(map(shutil.which, compilers))
