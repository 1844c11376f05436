"""Gaussian diffusion: noise schedules, respacing, and the two ways to sample.

With ᾱ_t the share of an image's power that is left after step t = 0..T-1, the forward process is

    q(x_t | x_0) = N(√ᾱ_t x_0, (1 - ᾱ_t) I)                        (DDPM, eq. 4)

Sources: DDPM (Ho et al., NeurIPS 2020), Improved DDPM (Nichol & Dhariwal, ICML 2021) and DDIM (Song
et al., ICLR 2021). Coefficients are computed in float64; images are float32 in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SCHEDULES = ("linear", "cosine")
VARIANCES = ("learned", "small", "large")
LARGEST_BETA = 0.999


def noise_schedule(name: str, steps: int) -> np.ndarray:
    """β_t = 1 - ᾱ_t / ᾱ_{t-1}, float64 ``(steps,)``.

    "linear" is that of DDPM, section 4, for any number of steps; "cosine" is eq. 17 of Improved
    DDPM with offset s = 0.008.
    """
    if name == "linear":
        return np.linspace(1e-4, 0.02, steps) * 1000 / steps
    kept = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * math.pi / 2) ** 2
    return np.minimum(1 - kept[1:] / kept[:-1], LARGEST_BETA)


def respaced(steps: int, respacing: str) -> np.ndarray:
    """The timesteps of the training at which to sample, int64 ``(K,)``, rising.

    Args:
        steps: T of the training.
        respacing: "" for all; "ddimN" for N with one whole stride from 0; else whole numbers with
            commas, such as "10,20": as many timesteps, from first to last, of that many equal
            sections of the training.

    Raises:
        ValueError: saying why they cannot be had.
    """
    if not respacing:
        return np.arange(steps)
    if respacing.startswith("ddim"):
        count = whole(respacing[len("ddim") :])
        for stride in range(1, steps):
            if len(range(0, steps, stride)) == count:
                return np.arange(0, steps, stride)
        raise ValueError(f"no whole stride makes {count} of {steps} steps")
    counts = [whole(part) for part in respacing.split(",")]
    size, larger = divmod(steps, len(counts))
    chosen, first = [], 0
    for i, count in enumerate(counts):
        length = size + (i < larger)
        if count > length:
            raise ValueError(f"a section of {length} steps has no {count}")
        chosen.append(first + _evenly(length, count))
        first += length
    return np.concatenate(chosen)


def whole(text: str) -> int:
    """The whole number from 0 that ``text`` is.

    Raises:
        ValueError: it is none.
    """
    if not text.strip().isdecimal():
        raise ValueError(f"{text.strip()!r} is no whole number")
    return int(text)


def _evenly(length: int, count: int) -> np.ndarray:
    """``count`` of the numbers 0..length-1, from first to last."""
    if count < 2:
        return np.arange(count)
    # added up, not multiplied: the published models are sampled with this rounding
    stride = (length - 1) / (count - 1)
    return np.rint(np.cumsum([0.0, *[stride] * (count - 1)])).astype(np.int64)


@dataclass(frozen=True)
class GaussianDiffusion:
    """A diffusion of K steps, cut out of the one that a model was trained on.

    A step t is 0..K-1, K-1 being the noisiest. A model is a function of noisy images, float32
    ``(N, 3, H, W)``, and timesteps of the training, float32 ``(N,)``.

    Args:
        schedule: β of the training, float64 ``(T,)``.
        timesteps: those that are kept, int64 ``(K,)``, rising.
        variance: of an ancestral step: "learned" between the two others, "small" that of the
            posterior, "large" β.
        predict_xstart: the model predicts the image, not its noise.
        rescale_timesteps: the model is told timesteps as if there had been 1000 in training.
        clip_denoised: clip predicted images to [-1, 1].
    """

    schedule: np.ndarray
    timesteps: np.ndarray
    variance: str = "learned"
    predict_xstart: bool = False
    rescale_timesteps: bool = False
    clip_denoised: bool = True

    @cached_property
    def alpha_bar(self) -> np.ndarray:
        """ᾱ_t of the K steps, float64 ``(K,)``."""
        return np.cumprod(1 - self.schedule)[self.timesteps]

    @cached_property
    def before(self) -> np.ndarray:
        """ᾱ_{t-1} of the K steps, float64 ``(K,)``; that before the first is 1."""
        return np.append(1.0, self.alpha_bar[:-1])

    @cached_property
    def betas(self) -> np.ndarray:
        """β_t of steps that leap over what was cut out; Improved DDPM eq. 19."""
        return 1 - self.alpha_bar / self.before

    @cached_property
    def posterior_variance(self) -> np.ndarray:
        """β̃_t, DDPM eq. 7; that of step 0 is 0."""
        return self.betas * (1 - self.before) / (1 - self.alpha_bar)

    def noised(self, images: torch.Tensor, t: int, noise: torch.Tensor) -> torch.Tensor:
        """x_t of images x_0; see the module's formula."""
        kept = float(self.alpha_bar[t])
        return math.sqrt(kept) * images + math.sqrt(1 - kept) * noise

    def denoised(
        self,
        model: Model,
        x: torch.Tensor,
        t: int,
        noise: Callable[[], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """x_0 of ``x`` at step ``t``, by all steps from there.

        Args:
            noise: draws standard normal noise for an ancestral step; None for DDIM.
        """
        for step in range(t, -1, -1):
            if noise is None:
                x = self.ddim_step(model, x, step)
            else:
                x = self.ancestral_step(model, x, step, noise() if step else None)
        return x

    def ddim_step(self, model: Model, x: torch.Tensor, t: int) -> torch.Tensor:
        """x_{t-1} without new noise: DDIM eq. 12 with σ_t = 0."""
        image, _ = self._predicted(model, x, t)
        kept, before = float(self.alpha_bar[t]), float(self.before[t])
        # what is noise if the image is that: not what the model said, where that was clipped
        noise = (math.sqrt(1 / kept) * x - image) / math.sqrt(1 / kept - 1)
        return math.sqrt(before) * image + math.sqrt(1 - before) * noise

    def ancestral_step(
        self, model: Model, x: torch.Tensor, t: int, noise: torch.Tensor | None
    ) -> torch.Tensor:
        """A draw from p(x_{t-1} | x_t), or its mean without ``noise``: so ends step 0."""
        image, v = self._predicted(model, x, t)
        mean = self.posterior_mean(image, x, t)
        return mean if noise is None else mean + self._deviation(v, t) * noise

    def posterior_mean(self, image: torch.Tensor, x: torch.Tensor, t: int) -> torch.Tensor:
        """μ̃_t(x_t, x_0) of q(x_{t-1} | x_t, x_0), DDPM eq. 7."""
        kept, before, beta = self.alpha_bar[t], self.before[t], self.betas[t]
        of_image = float(beta * np.sqrt(before) / (1 - kept))
        of_x = float((1 - before) * np.sqrt(1 - beta) / (1 - kept))
        return of_image * image + of_x * x

    def _predicted(
        self, model: Model, x: torch.Tensor, t: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The predicted x_0, and v of a learned variance."""
        times = x.new_full((len(x),), float(self.timesteps[t]))
        if self.rescale_timesteps:
            times = times * (1000 / len(self.schedule))
        said, v = model(x, times).tensor_split([x.shape[1]], dim=1)
        if not self.predict_xstart:
            kept = float(self.alpha_bar[t])
            said = math.sqrt(1 / kept) * x - math.sqrt(1 / kept - 1) * said
        return said.clamp(-1, 1) if self.clip_denoised else said, v

    def _deviation(self, v: torch.Tensor, t: int) -> torch.Tensor | float:
        """σ_t, t >= 1; if learned, between √β̃_t for v = -1 and √β_t for v = 1, Improved DDPM
        eq. 15."""
        small, large = math.log(self.posterior_variance[t]), math.log(self.betas[t])
        if self.variance == "learned":
            share = (v + 1) / 2
            return (0.5 * (share * large + (1 - share) * small)).exp()
        return math.exp(0.5 * (small if self.variance == "small" else large))
