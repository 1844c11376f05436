"""The public seed system's way of doing the same work, to compare with.

Written after what microsoft/DPSDA (commit d0d7116) does in ``apis/stable_diffusion_api.py``,
``dpsda/feature_extractor.py`` and ``main.py``; none of its code is here. What it does:

- two separate pipelines, float16 on a GPU, eager, channels first, batches of 10 with a ragged tail;
- prompts go through the text encoder with every batch;
- a population is uint8 pixels: each variation scales them, encodes them with the VAE, and rounds
  the result to uint8 again;
- the L variations are made one fold after another, each over all candidates;
- features are taken of PNG files: each image is resized per channel in float, rounded, written, and
  read back (so with its Inception and CLIP features; its pixel features skip this, see ``features``
  of the ablation for what it costs);
- the children that were voted on are dropped, and the next generation is made anew;
- each generation is stored as an npz and as PNG files.

Steps, guidance and scheduler are given, so that both sides take the same. Where the seed is slower
still, this is not: the feature model is loaded once, not once for each fold, files are read by
threads rather than by 12 processes started anew each time, neither FID nor the pictures of the most
and least voted images are made, and votes are counted by the same code on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pe_engine.embedders.base import Embedder
from pe_engine.errors import ConfigError
from pe_engine.generators import checkpoints
from pe_engine.generators.recipes import Options, Recipe, recipes

BATCH = 10
READERS = 12


class SeedWay:
    """Both of its image interfaces and its feature extraction.

    Args:
        options: of our generator; the same models, steps, guidance and schedulers are taken.
        size: image size in pixels.
        folder: for its files.

    Raises:
        ConfigError: the model is no Stable Diffusion 1.x or 2.x, which is all that the seed takes.
    """

    def __init__(
        self, options: Options, size: int, device: str, embedder: Embedder, folder: Path
    ) -> None:
        from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

        self._size = size
        self._device = device
        self._embedder = embedder
        self._files = PngFiles(folder)
        self._random, self._variation = recipes(options)
        varied = options.variation_model or options.model
        self.random_pipeline = _load(StableDiffusionPipeline, options.model, device, self._random)
        self.variation_pipeline = _load(
            StableDiffusionImg2ImgPipeline, varied, device, self._variation
        )

    def random(self, prompt: str, n: int) -> np.ndarray:
        """uint8 ``(n, size, size, 3)`` images of the prompt."""
        made = [
            self.random_pipeline(
                prompt=prompt,
                width=self._size,
                height=self._size,
                num_inference_steps=self._random.steps,
                guidance_scale=self._random.guidance,
                num_images_per_prompt=min(BATCH, n - start),
                output_type="np",
            ).images
            for start in range(0, n, BATCH)
        ]
        return _rounded(np.concatenate(made))

    def vary(self, images: np.ndarray, prompts: Sequence[str], degree: float) -> np.ndarray:
        """One variation of each of the uint8 images, in the same shape."""
        import torch

        pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
        scaled = pixels.float() / 255
        made = [
            self.variation_pipeline(
                prompt=list(prompts[start : start + BATCH]),
                image=scaled[start : start + BATCH],
                strength=max(degree, min(1.0, 1.5 / self._variation.steps)),  # at least a step
                num_inference_steps=self._variation.steps,
                guidance_scale=self._variation.guidance,
                output_type="np",
            ).images
            for start in range(0, len(images), BATCH)
        ]
        return _rounded(np.concatenate(made))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Float32 ``(n, D)`` of uint8 images, by way of PNG files."""
        return self._embedder.embed(self._files.there_and_back(images))

    def generation(
        self,
        images: np.ndarray,
        prompts: Sequence[str],
        degree: float,
        copies: int,
        vote: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """The population that follows ``images``, uint8 ``(N, size, size, 3)``.

        Args:
            vote: gives the parents, int64 ``(N,)``, for the candidates' features.
        """
        folds = [self.vary(images, prompts, degree) for _ in range(copies)]
        parents = vote(np.mean([self.features(fold) for fold in folds], axis=0))
        children = self.vary(images[parents], [prompts[p] for p in parents], degree)
        np.savez(self._files.folder / "samples.npz", samples=children)
        self._files.write(children)
        return children


@dataclass(frozen=True)
class PngFiles:
    """PNG files ``0.png``, ``1.png``, ... in ``folder``, written over each time."""

    folder: Path

    def there_and_back(self, images: np.ndarray) -> np.ndarray:
        """The same uint8 ``(n, H, W, 3)`` images, resized to their own size, written and read."""
        paths = self.write([_resized_in_float(image) for image in images])
        with ThreadPoolExecutor(READERS) as readers:
            return np.stack(list(readers.map(_read_png, paths)))

    def write(self, images: Sequence[np.ndarray]) -> list[Path]:
        paths = [self.folder / f"{i}.png" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path)
        return paths


def _load(kind: type, model: str, device: str, recipe: Recipe) -> Any:
    import torch

    source = checkpoints.find(model)
    found = source.config(kind)["_class_name"]
    if found != "StableDiffusionPipeline":
        raise ConfigError(
            f"The model is a {found}, but the seed's way is known for a StableDiffusionPipeline "
            "only. Leave out --baseline, or choose another model."
        )
    dtype = torch.float16 if device == "cuda" else torch.float32
    unchecked = {"safety_checker": None, "requires_safety_checker": False}
    pipeline = source.load(kind, dtype, **unchecked).to(device)
    pipeline.scheduler = checkpoints.scheduler(recipe.scheduler, pipeline.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _rounded(images: np.ndarray) -> np.ndarray:
    """uint8 of float images in [0, 1]; random weights in float16 may give what is no number."""
    with np.errstate(invalid="ignore"):
        return np.clip(images * 255, 0, 255).round().astype(np.uint8)


def _resized_in_float(image: np.ndarray) -> np.ndarray:
    """uint8 of an image resized channel by channel in float32, to the size it has."""
    planes = (Image.fromarray(plane) for plane in image.transpose(2, 0, 1).astype(np.float32))
    resized = [np.asarray(p.resize(p.size, Image.Resampling.BICUBIC)) for p in planes]
    return np.clip(np.stack(resized, axis=-1), 0, 255).round().astype(np.uint8)


def _read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)
