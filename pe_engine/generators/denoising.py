"""One checkpoint with a recipe: latents of new images, and of variations of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from pe_engine.errors import Interrupted
from pe_engine.generators import checkpoints
from pe_engine.generators.prompts import Prompts
from pe_engine.generators.recipes import Recipe

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

TIMESTEPS = 1000  # of the noise schedule of every Stable Diffusion


@dataclass
class Denoiser:
    """Makes latents, scaled as the UNet sees them.

    Args:
        text_to_image: a pipeline; the image-to-image one is made of the same components.
        recipe: how many steps, and so on.
        prompts: of this checkpoint's text encoder.
        stop: once it is set, a batch ends before its next step by raising ``Interrupted``.
    """

    text_to_image: DiffusionPipeline
    recipe: Recipe
    prompts: Prompts
    stop: Event = field(default_factory=Event)
    image_to_image: DiffusionPipeline = field(init=False)

    def __post_init__(self) -> None:
        self.image_to_image = checkpoints.image_to_image(self.text_to_image)
        self._own = self.text_to_image.scheduler
        self._scheduler = self.recipe.scheduler
        if type(self.text_to_image).__name__.startswith("LatentConsistency"):
            self._scheduler = "lcm"  # such a pipeline knows no other

    def new(self, texts: np.ndarray, seeds: np.ndarray, size: int) -> torch.Tensor:
        """Text-to-image: latents of ``texts``, with ``size`` pixels a side when decoded.

        Args:
            texts, seeds: unicode and int64 ``(N,)``.
        """
        steps = {"num_inference_steps": self.recipe.steps, "height": size, "width": size}
        return self._denoised(self.text_to_image, texts, seeds, steps)

    def again(
        self, latents: torch.Tensor, first: int, texts: np.ndarray, seeds: np.ndarray
    ) -> torch.Tensor:
        """Image-to-image: ``latents`` with the noise of timestep ``first``, denoised.

        Args:
            latents: ``(N, C, h, w)``, on any device.
            first: in [0, TIMESTEPS - 1].
        """
        unet = self.image_to_image.unet
        given = {"image": latents.to(unet.device, unet.dtype, non_blocking=True)}
        return self._denoised(self.image_to_image, texts, seeds, given, first)

    def _denoised(
        self,
        pipeline: DiffusionPipeline,
        texts: np.ndarray,
        seeds: np.ndarray,
        given: Mapping[str, Any],
        first: int | None = None,
    ) -> torch.Tensor:
        # a new one each time: it remembers the steps of the last batch
        pipeline.scheduler = checkpoints.scheduler(self._scheduler, self._own)
        begin = {} if first is None else start(pipeline.scheduler, self.recipe.steps, first)
        with checkpoints.quiet():
            return pipeline(
                generator=generators(seeds),
                guidance_scale=self.recipe.guidance,
                output_type="latent",
                callback_on_step_end=self._go_on,
                callback_on_step_end_tensor_inputs=[],
                **given,
                **begin,
                **self.prompts.rows(texts, pipeline),
            ).images

    def _go_on(self, *_: Any) -> dict[str, Any]:
        """What diffusers calls after each step; it changes nothing."""
        if self.stop.is_set():
            raise Interrupted
        return {}


def start(scheduler: Any, steps: int, first: int) -> Mapping[str, Any]:
    """Arguments that let image-to-image begin at timestep ``first`` in [0, TIMESTEPS - 1].

    The noise is then that of the degree itself; with strength alone it would be that of the next
    multiple of 1 / steps, and none at all below 1 / steps. A checkpoint's own scheduler may not
    take timesteps; then the strength is the nearest that it can have.
    """
    degree = (first + 1) / TIMESTEPS
    count = max(1, round(steps * degree))
    if checkpoints.takes_timesteps(scheduler):
        times = np.round((first + 1) * (1 - np.arange(count) / count)).astype(int) - 1
        return {"strength": 1.0, "timesteps": np.unique(times)[::-1].tolist()}
    # diffusers cuts steps * strength down to a whole number, which rounding must not spoil
    return {"strength": min(1.0, (count + 0.5) / steps), "num_inference_steps": steps}


def generators(seeds: np.ndarray) -> list[torch.Generator]:
    """One torch generator for each seed; on the CPU, so that every device draws the same noise."""
    import torch

    return [torch.Generator("cpu").manual_seed(int(seed)) for seed in seeds]
