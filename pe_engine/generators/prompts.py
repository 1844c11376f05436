"""Prompts as what a UNet is conditioned on, each encoded once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

# What ``encode_prompt`` returns: the first two of SD, all four of SDXL.
_NAMES = (
    "prompt_embeds",
    "negative_prompt_embeds",
    "pooled_prompt_embeds",
    "negative_pooled_prompt_embeds",
)


class Prompts:
    """The embeddings of all prompts that a pipeline has been asked for.

    Args:
        pipeline: whose text encoders are used.
        negative: the negative prompt of every image.
    """

    def __init__(self, pipeline: DiffusionPipeline, negative: str) -> None:
        self._pipeline = pipeline
        self._negative = negative
        self._known: dict[str, dict[str, torch.Tensor]] = {}

    def rows(self, texts: np.ndarray, caller: DiffusionPipeline) -> dict[str, torch.Tensor]:
        """Arguments for ``caller``, one row for each of ``texts``."""
        import torch

        distinct, which = np.unique(texts, return_inverse=True)
        encoded = [self._encode(str(text)) for text in distinct]
        accepted = inspect.signature(caller.__call__).parameters
        return {
            name: torch.cat([one[name] for one in encoded])[which]
            for name in encoded[0]
            if name in accepted
        }

    def _encode(self, text: str) -> dict[str, torch.Tensor]:
        if text not in self._known:
            import torch

            with torch.inference_mode():
                encoded = self._pipeline.encode_prompt(
                    prompt=text,
                    device=self._pipeline.device,
                    num_images_per_prompt=1,
                    do_classifier_free_guidance=True,
                    negative_prompt=self._negative or None,  # SDXL treats "" otherwise than none
                )
            self._known[text] = dict(zip(_NAMES, encoded, strict=False))
        return self._known[text]
