"""OpenAI's improved-diffusion models, trained on ImageNet in pixels: the first generator of PE.

RANDOM_API draws an image of a label; VARIATION_API puts noise on the parent's pixels and denoises
them again under the same label (Private Evolution, ICLR 2024, section 5.1 and appendix).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pe_engine.errors import ConfigError
from pe_engine.generators import checkpoints, improved_weights, stable_diffusion
from pe_engine.generators.base import PIXELS, Card, Facts, Generator, State
from pe_engine.generators.denoising import generators
from pe_engine.generators.halving import Halving
from pe_engine.generators.improved_options import LABELS, Options
from pe_engine.generators.states import consists_of

if TYPE_CHECKING:
    import torch

PIXELS_AT_ONCE = {"cuda": 256 * 64**2, "cpu": 8 * 64**2}


class ImprovedDiffusion(Generator):
    """An improved-diffusion model. Its state: ``pixels`` (uint8 ``(N, H, W, 3)``) and, if the model
    takes labels, ``label`` (int64 ``(N,)``, 0..999, ImageNet's classes in their usual order).

    With K respaced steps, degree d starts at number i = round((1 - d) K) of them from the noisiest:
    degree 1 at i = 0, where a whisper of the parent may remain, and i = K changes nothing.

    Each image has a seed of its own, so that it does not depend on how many are made at once, and
    noise is drawn on the CPU, so that it is the same on every device. Batches go to the device one
    by one; what they make comes back as bytes.

    Args:
        image_size: height and width of the images in pixels: the model's.
        device: torch device.
        options: fields of ``Options``. dropout, use_kl, use_checkpoint, rescale_learned_sigmas and
            use_data_parallel of other programs change no sample and do not exist.

    Attributes:
        sha256: of the file of the weights, hexadecimal.

    Raises:
        ConfigError: an option or the size is out of its range, or there is no such file.
        GeneratorError: the weights cannot be loaded, or are those of another model.
    """

    title: ClassVar[str] = "OpenAI improved diffusion"
    summary: ClassVar[str] = (
        "OpenAI's improved-diffusion models in pixels, such as the one of ImageNet in 64 x 64; a "
        "prompt may be an ImageNet class number, else labels are drawn"
    )
    facts: ClassVar[Facts] = Facts(
        needs="a GPU; the weights as a file (1.1 GB, public)",
        sends="nothing",
        cost="hours on a GPU",
        degrees="the part of the respaced steps that is noised and denoised again",
        offline="yes",
    )
    card: ClassVar[Card] = Card(
        draws="small photographs, like those of ImageNet, in 64 pixels",
        needs="a GPU and a file of 1.1 GB",
        needs_gpu=True,
    )
    Options: ClassVar[type] = Options
    varies_pixels: ClassVar[bool] = True

    def __init__(self, image_size: int, device: str, **options: Any) -> None:
        self.options = Options(**options)
        self.image_size = self.fitting_size(self.options, image_size)
        self.device = device
        self.batch_size = self.options.batch_size or max(1, PIXELS_AT_ONCE[device] // image_size**2)
        self._in_parts = Halving(self.batch_size, image_size, "Choose a smaller model")
        self.diffusion = self.options.diffusion()
        network, self.sha256 = improved_weights.load(
            improved_weights.found(self.options.model_path), self.options.shape()
        )
        network.compute_in(number_format(self.options.dtype, device))
        self.provenance = {"SHA-256 of model_path": self.sha256}
        self.network = checkpoints.on_device(network, device)

    @classmethod
    def check_prompts(cls, options: Options, prompts: Sequence[str]) -> None:
        """Each is a label or empty; see ``Generator.check_prompts``."""
        for prompt in filter(None, map(str.strip, prompts)):
            if not options.class_cond:
                raise ConfigError(
                    f"The prompt is {prompt[:100]!r}, but this model takes none (class_cond is "
                    "no). Leave the prompts empty."
                )
            if not (prompt.isdecimal() and len(prompt) <= len(str(LABELS - 1))):
                raise ConfigError(
                    f"The prompt is {prompt[:100]!r}, but this model only knows ImageNet's classes "
                    "by their numbers, 0 to 999. Give such a number, or no prompt for labels that "
                    "are drawn."
                )

    @classmethod
    def uses_names(cls, options: Options) -> bool:
        """No: an image is of a label of ImageNet."""
        return False

    @classmethod
    def fitting_size(cls, options: Options, asked: int | None) -> int:
        """The model's size, if its file is there; see ``Generator.fitting_size``."""
        improved_weights.found(options.model_path)
        size = options.model_image_size
        if asked not in (None, size):
            raise ConfigError(
                f"The image size is {asked} pixels, but this model makes images of {size}. Set the "
                f"image size to {size} or leave it to the generator."
            )
        return size

    @classmethod
    def degrees(cls, options: Options) -> tuple[float, ...]:
        """1 - i / K for each number i of ``variation_degree_schedule``."""
        steps = len(options.timesteps())
        return tuple(1 - start / steps for start in options.starts())

    # The two calls of Private Evolution ---------------------------------------------------------

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """New images of labels that are drawn, or typed as prompts; class names are not used."""
        described = self._described(prompts, rng)
        drawn, last = stable_diffusion.seeds(rng, len(prompts)), len(self.diffusion.timesteps) - 1

        def work(rows: np.ndarray) -> torch.Tensor:
            noise = Noise(drawn[rows], self.image_size, self.device)
            return self._denoised(noise(), last, noise, described, rows)

        return {PIXELS: self._in_parts(len(prompts), work).numpy(), **described}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """Noise the pixels to a step and denoise from there; see ``Generator.vary``."""
        pixels = state[PIXELS]
        drawn, steps = stable_diffusion.seeds(rng, len(pixels)), len(self.diffusion.timesteps)
        t = steps - 1 - round((1 - degree) * steps)
        if t < 0:
            return state
        described = {name: array for name, array in state.items() if name != PIXELS}

        def work(rows: np.ndarray) -> torch.Tensor:
            noise = Noise(drawn[rows], self.image_size, self.device)
            parents = from_bytes(pixels[rows], self.device)
            noisy = self.diffusion.noised(parents, t, noise())
            return self._denoised(noisy, t, noise, described, rows)

        return {PIXELS: self._in_parts(len(pixels), work).numpy(), **described}

    def render(self, state: State, preview: bool = False) -> np.ndarray:
        """The pixels as they are, uint8 ``(N, H, W, 3)``."""
        return state[PIXELS]

    def can_be(self, state: State) -> bool:
        """See ``Generator.can_be``."""
        if not self.options.class_cond:
            return not state
        if not consists_of(state, label=("i", ())):
            return False
        return bool(((state["label"] >= 0) & (state["label"] < LABELS)).all())

    def adopt(
        self,
        images: np.ndarray,
        class_names: Sequence[str],
        prompts: Sequence[str],
        rng: np.random.Generator,
    ) -> State:
        """Any pictures, with labels as for ``random``; see ``Generator.adopt``."""
        return {PIXELS: images, **self._described(prompts, rng)}

    # ----------------------------------------------------------------------------------------------

    def _described(self, prompts: Sequence[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What stands beside the pixels in a state: labels, if the model takes any."""
        self.check_prompts(self.options, prompts)
        labels = rng.integers(LABELS, size=len(prompts))
        for i, prompt in enumerate(map(str.strip, prompts)):
            if prompt:
                labels[i] = int(prompt)
        return {"label": labels} if self.options.class_cond else {}

    def _denoised(
        self,
        noisy: torch.Tensor,
        t: int,
        noise: Noise,
        described: dict[str, np.ndarray],
        rows: np.ndarray,
    ) -> torch.Tensor:
        """Images of step ``t``, denoised, as uint8 ``(B, H, W, 3)`` on the CPU."""
        import torch

        labels = None
        if "label" in described:
            labels = torch.from_numpy(described["label"][rows]).to(self.device)
        with torch.inference_mode():
            images = self.diffusion.denoised(
                lambda x, times: self.network(x, times, labels),
                noisy,
                t,
                None if self.options.use_ddim else noise,
            )
        return to_bytes(images)


class Noise:
    """Standard normal noise of one image after another, each from a seed of its own.

    Args:
        drawn: the seeds, int64 ``(N,)``.
        size: height and width in pixels.
        device: where the noise is wanted.
    """

    def __init__(self, drawn: np.ndarray, size: int, device: str) -> None:
        self._generators = generators(drawn)
        self._shape = (3, size, size)
        self._device = device

    def __call__(self) -> torch.Tensor:
        """The next of every image, float32 ``(N, 3, H, W)``."""
        import torch

        noise = [torch.randn(self._shape, generator=one) for one in self._generators]
        return torch.stack(noise).to(self._device)


def from_bytes(pixels: np.ndarray, device: str) -> torch.Tensor:
    """uint8 ``(N, H, W, 3)`` as float32 ``(N, 3, H, W)`` in [-1, 1] on the device."""
    import torch

    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return images.permute(0, 3, 1, 2).contiguous() / 127.5 - 1


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Float ``(N, 3, H, W)`` in [-1, 1] as uint8 ``(N, H, W, 3)`` on the CPU."""
    scaled = ((images + 1) * 127.5).clamp(0, 255).round()
    return scaled.byte().permute(0, 2, 3, 1).contiguous().cpu()


def number_format(name: str, device: str) -> torch.dtype:
    """The torch dtype: by name, or for "auto" bf16 on a GPU that multiplies it fast, else fp32.

    bf16 has the range of fp32, so that no weights can overflow in it; fp16 has not, and these
    models were sampled in fp32. Norms, softmax, embeddings, the last layer and the steps of the
    diffusion are fp32 in any case.
    """
    import torch

    if name == "auto":
        fast = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        name = "bf16" if fast else "fp32"
    return stable_diffusion.number_format(name, device)
