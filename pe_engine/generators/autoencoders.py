"""Autoencoders of latent diffusion models: pixels of latents, and which latents are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def decoded(decoder: Any, latents: torch.Tensor) -> torch.Tensor:
    """Pixels of latents as the UNet sees them, float32 ``(N, 3, H, W)`` in [-1, 1]."""
    import torch

    with torch.inference_mode():
        scaled = latents.to(decoder.dtype) / decoder.config.scaling_factor
        pixels = decoder.decode(scaled.to(memory_format=torch.channels_last)).sample
        return pixels.float().clamp_(-1, 1)


def alike(one: Any, other: Any) -> bool:
    """Whether two autoencoders are of the same kind, and their latents of the same scale."""
    names = ("latent_channels", "scaling_factor", "block_out_channels")
    return all(one.config[name] == other.config[name] for name in names)


def latents_shape(decoder: Any, image_size: int) -> tuple[int, int, int]:
    """``(C, h, w)`` of one image: every block but the last halves its sides."""
    side = image_size // 2 ** (len(decoder.config.block_out_channels) - 1)
    return decoder.config.latent_channels, side, side
