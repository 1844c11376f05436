"""The options of improved-diffusion models, and what they say of the network and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pe_engine.errors import ConfigError
from pe_engine.generators.gaussian_diffusion import (
    SCHEDULES,
    GaussianDiffusion,
    noise_schedule,
    respaced,
    whole,
)
from pe_engine.generators.options import check_options, option
from pe_engine.generators.recipes import DTYPES

# multiples of num_channels at each level, by the image size
LEVELS = {32: (1, 2, 2, 2), 64: (1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4)}
GROUPS = 32  # of every group norm
LABELS = 1000  # ImageNet's


@dataclass(frozen=True)
class Shape:
    """What decides which parameters a UNet has.

    Attributes:
        channels: at full resolution.
        multiples: of these channels at each level; each level has half the resolution of the one
            before.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention: by how many times the levels with attention are smaller than the image.
        heads, heads_up: attention heads on the way down and in the middle, and on the way up.
        scale_shift: the timestep scales and shifts normed features, instead of being added.
        learned_sigma: three more channels come out, which say the variance.
        labels: whether it takes a label from 0 to ``LABELS - 1``.
    """

    channels: int
    multiples: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    heads: int
    heads_up: int
    scale_shift: bool
    learned_sigma: bool
    labels: bool


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``ImprovedDiffusion``, called as by those who trained such models.

    The defaults are those of the published imagenet64_cond_270M_250K.pt. What matters only in
    training (dropout, checkpointing, the loss) has no option.
    """

    model_path: str = option(
        "",
        "a file on this computer, such as imagenet64_cond_270M_250K.pt",
        opens="path",
        label="Weights",
        first=True,
    )
    model_image_size: int = option(
        64, "the model's image size: 32, 64 or 256 pixels", label="Size of the model's images"
    )
    num_channels: int = option(
        192, "channels at full resolution", low=GROUPS, high=4096, label="Channels"
    )
    num_res_blocks: int = option(
        3, "residual blocks at each resolution", low=1, high=16, label="Residual blocks"
    )
    attention_resolutions: str = option("16,8", "resolutions with attention, in pixels")
    num_heads: int = option(4, "attention heads", low=1, high=256, label="Attention heads")
    num_heads_upsample: int | None = option(
        None,
        "attention heads on the way up, if not as many",
        low=1,
        high=256,
        label="Attention heads, on the way up",
    )
    use_scale_shift_norm: bool = option(
        True,
        "the timestep scales and shifts normed features",
        label="Scale and shift by the timestep",
    )
    class_cond: bool = option(
        True, "the model takes one of 1000 labels", label="Labels are given to the model"
    )
    learn_sigma: bool = option(
        True, "the model predicts variances", label="Variances are predicted"
    )
    sigma_small: bool = option(
        False,
        "ancestral steps without predicted variances take the least that is right",
        label="Least variances",
    )
    predict_xstart: bool = option(
        False, "the model predicts images, not their noise", label="Images are predicted"
    )
    diffusion_steps: int = option(4000, "timesteps of its training", low=50, high=100_000)
    noise_schedule: str = option("cosine", "noise of its training", choices=SCHEDULES)
    rescale_timesteps: bool = option(
        False, "it was told timesteps from 0 to 1000", label="Timesteps up to 1000"
    )
    timestep_respacing: str = option(
        "100",
        "how many of the timesteps to sample at, or ddim10, 10,20,30; empty: all",
        label="Timesteps to sample at",
    )
    use_ddim: bool = option(
        True, "sample by DDIM; else by ancestral steps, which add noise", label="Sample by DDIM"
    )
    clip_denoised: bool = option(
        True, "keep predicted images within black and white", label="Keep within black and white"
    )
    variation_degree_schedule: str = option(
        "",
        "steps at which variation starts, one for each generation, 0 the noisiest, such as 0,2,4; "
        "empty: the run's degrees",
        label="Starts of variation",
    )
    dtype: str = option(
        "auto", "number format of the convolutions", choices=DTYPES, label="Number format"
    )
    batch_size: int | None = option(
        None, "images made at once", low=1, high=4096, label="Images at once"
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.model_image_size not in LEVELS:
            raise ConfigError(
                f"The option model_image_size is {self.model_image_size}, but such models are of "
                f"{', '.join(map(str, LEVELS))} pixels. Choose one of these."
            )
        self._check_attention()
        timesteps = self.timesteps()
        for start in self.starts():
            if start >= len(timesteps):
                raise ConfigError(
                    f"The option variation_degree_schedule has {start}, but timestep_respacing "
                    f"{self.timestep_respacing!r} makes {len(timesteps)} steps. Choose whole "
                    f"numbers from 0, the noisiest, to {len(timesteps) - 1}."
                )

    def shape(self) -> Shape:
        """The network."""

        return Shape(
            channels=self.num_channels,
            multiples=LEVELS[self.model_image_size],
            blocks=self.num_res_blocks,
            attention=tuple(self.model_image_size // size for size in self._attended()),
            heads=self.num_heads,
            heads_up=self.num_heads_upsample or self.num_heads,
            scale_shift=self.use_scale_shift_norm,
            learned_sigma=self.learn_sigma,
            labels=self.class_cond,
        )

    def diffusion(self) -> GaussianDiffusion:
        """Its noise."""
        unlearned = "small" if self.sigma_small else "large"
        return GaussianDiffusion(
            noise_schedule(self.noise_schedule, self.diffusion_steps),
            self.timesteps(),
            variance="learned" if self.learn_sigma else unlearned,
            predict_xstart=self.predict_xstart,
            rescale_timesteps=self.rescale_timesteps,
            clip_denoised=self.clip_denoised,
        )

    def starts(self) -> list[int]:
        """The numbers of ``variation_degree_schedule``."""
        return _numbers("variation_degree_schedule", self.variation_degree_schedule)

    def _attended(self) -> list[int]:
        return _numbers("attention_resolutions", self.attention_resolutions)

    def _check_attention(self) -> None:
        """Raises ConfigError unless there is a network of these channels, heads and resolutions."""
        multiples = LEVELS[self.model_image_size]
        sizes = [self.model_image_size >> level for level in range(len(multiples))]
        for size in self._attended():
            if size not in sizes:
                raise ConfigError(
                    f"The option attention_resolutions has {size}, but a model of "
                    f"{self.model_image_size} pixels has the resolutions "
                    f"{', '.join(map(str, sizes))}. Choose among these."
                )
        if self.num_channels % GROUPS:
            raise ConfigError(
                f"The option num_channels is {self.num_channels}, but must be a multiple of "
                f"{GROUPS}. Give the number that the model was trained with."
            )
        for name in ("num_heads", "num_heads_upsample"):
            heads = getattr(self, name) or self.num_heads
            if self.num_channels % heads:
                raise ConfigError(
                    f"The option {name} is {heads}, but {self.num_channels} channels cannot be "
                    "shared out evenly among as many. Give the number of the model's training."
                )

    def timesteps(self) -> np.ndarray:
        """Those of the training at which to sample, int64 ``(K,)``, rising.

        Raises:
            ConfigError: there are none such.
        """
        try:
            timesteps = respaced(self.diffusion_steps, self.timestep_respacing.strip())
        except ValueError as error:
            raise ConfigError(
                f"The option timestep_respacing is {self.timestep_respacing!r}, but {error}. Give "
                "a number of steps such as 100, ddim10, or 10,20,30."
            ) from error
        if not len(timesteps):
            raise ConfigError(
                f"The option timestep_respacing is {self.timestep_respacing!r}, which leaves no "
                "step. Ask for at least one."
            )
        return timesteps


def _numbers(name: str, text: str) -> list[int]:
    """The whole numbers in a text with commas; none in an empty one.

    Raises:
        ConfigError: it holds something else.
    """
    try:
        return [whole(part) for part in text.split(",")] if text.strip() else []
    except ValueError as error:
        raise ConfigError(
            f"The option {name} is {text!r}, but {error}. Give whole numbers with commas, such as "
            "16,8."
        ) from error
