"""The UNet of "Improved Denoising Diffusion Probabilistic Models" (Nichol & Dhariwal, ICML 2021).

Parameters are called, shaped and used as in the weights that OpenAI published with the paper, so
that these load unchanged. The numbers in the names count the layers of a sequence: a layer without
parameters holds its place in it.

Torch is imported at the top, as networks are classes of it; import this module where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from pe_engine.generators.improved_options import GROUPS, LABELS, Shape

LONGEST_PERIOD = 10000.0  # of the sinusoids that stand for a timestep


class Norm(nn.GroupNorm):
    """Group norm, computed in float32 whatever comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip connection, told the time in between.

    Args:
        before, after: channels that come in and go out.
        embedding: size of the embedding of time and label.
        scale_shift: see ``Shape``.
    """

    def __init__(self, before: int, after: int, embedding: int, scale_shift: bool) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(
            Norm(before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(embedding, 2 * after if scale_shift else after)
        )
        dropout = nn.Identity()  # there only in training
        self.out_layers = nn.Sequential(
            Norm(after), nn.SiLU(), dropout, nn.Conv2d(after, after, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.in_layers(x)
        told = self.emb_layers(embedding).to(h.dtype)[:, :, None, None]
        norm, *rest = self.out_layers
        if self.scale_shift:
            scale, shift = told.chunk(2, dim=1)
            h = norm(h) * (1 + scale) + shift
        else:
            h = norm(h + told)
        for layer in rest:
            h = layer(h)
        return self.skip_connection(x) + h


class Attention(nn.Module):
    """Multi-head self-attention over all positions, added to what came in.

    The channels of ``qkv`` are laid out head by head: for each its queries, keys and values.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        flat = x.reshape(n, channels, height * width)
        layout = (n, self.heads, 3, channels // self.heads, height * width)
        # each (n, heads, positions, channels of a head); the scale is 1 / sqrt(the last)
        q, k, v = self.qkv(self.norm(flat)).reshape(layout).transpose(-1, -2).unbind(2)
        seen = functional.scaled_dot_product_attention(q, k, v)
        seen = self.proj_out(seen.transpose(-1, -2).reshape(flat.shape))
        return (flat + seen).reshape(x.shape)


class Downsample(nn.Module):
    """Half the resolution, by a convolution with stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Twice the resolution: every pixel four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class FirstConvolution(nn.Conv2d):
    """From colours to channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(3, channels, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return super().forward(x)


class Told(nn.Sequential):
    """Layers one after another, each told the embedding of time and label."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, embedding)
        return x


class UNet(nn.Module):
    """Predicts the noise in an image, or the image, and if learned the variance of a step back.

    Attributes:
        shape: what it was made from.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        embedding = 4 * shape.channels
        self.time_embed = nn.Sequential(
            nn.Linear(shape.channels, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        if shape.labels:
            self.label_emb = nn.Embedding(LABELS, embedding)
        skips: list[int] = []  # channels of what the way up is given from the way down
        self.input_blocks = nn.ModuleList(_down(shape, embedding, skips))
        deepest = skips[-1]
        self.middle_block = Told(
            ResidualBlock(deepest, deepest, embedding, shape.scale_shift),
            Attention(deepest, shape.heads),
            ResidualBlock(deepest, deepest, embedding, shape.scale_shift),
        )
        self.output_blocks = nn.ModuleList(_up(shape, embedding, skips))
        last = shape.multiples[0] * shape.channels
        self.out = nn.Sequential(
            Norm(last), nn.SiLU(), nn.Conv2d(last, 6 if shape.learned_sigma else 3, 3, padding=1)
        )

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the convolutions, but for the last, compute in ``dtype``; all the rest is float32."""
        for part in (self.input_blocks, self.middle_block, self.output_blocks):
            for module in part.modules():
                if isinstance(module, (nn.Conv1d, nn.Conv2d)):
                    module.to(dtype)

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """The prediction, float32 ``(N, 3 or 6, H, W)``.

        Args:
            x: float32 ``(N, 3, H, W)``, images in [-1, 1] with noise.
            times: ``(N,)``, timesteps of the training, which may be fractions.
            labels: int64 ``(N,)`` if the model takes labels.
        """
        embedding = self.time_embed(sinusoids(times, self.shape.channels))
        if labels is not None:
            embedding = embedding + self.label_emb(labels)
        h, skips = x.to(self.input_blocks[0][0].weight.dtype), []
        for block in self.input_blocks:
            h = block(h, embedding)
            skips.append(h)
        h = self.middle_block(h, embedding)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), embedding)
        return self.out(h.to(x.dtype))


def _down(shape: Shape, embedding: int, skips: list[int]) -> Iterator[Told]:
    """Blocks from the image to the lowest resolution; their channels are put into ``skips``."""
    yield Told(FirstConvolution(shape.channels))
    skips.append(shape.channels)
    for level, multiple in enumerate(shape.multiples):
        after = multiple * shape.channels
        for _ in range(shape.blocks):
            block = Told(ResidualBlock(skips[-1], after, embedding, shape.scale_shift))
            if 2**level in shape.attention:
                block.append(Attention(after, shape.heads))
            yield block
            skips.append(after)
        if level < len(shape.multiples) - 1:
            yield Told(Downsample(after))
            skips.append(after)


def _up(shape: Shape, embedding: int, skips: list[int]) -> Iterator[Told]:
    """Blocks back to full resolution, which take ``skips`` from its end."""
    before = skips[-1]
    for level in reversed(range(len(shape.multiples))):
        after = shape.multiples[level] * shape.channels
        for i in range(shape.blocks + 1):
            block = Told(ResidualBlock(before + skips.pop(), after, embedding, shape.scale_shift))
            if 2**level in shape.attention:
                block.append(Attention(after, shape.heads_up))
            if level > 0 and i == shape.blocks:
                block.append(Upsample(after))
            yield block
            before = after


def sinusoids(times: Tensor, size: int) -> Tensor:
    """Float32 ``(N, size)``, ``size`` even: cosines, then sines, of ``times`` ``(N,)`` at
    frequencies from 1 to almost 1 / LONGEST_PERIOD, evenly spaced in their logarithm."""
    half = size // 2
    exponents = torch.arange(half, dtype=torch.float32, device=times.device)
    frequencies = torch.exp(-math.log(LONGEST_PERIOD) * exponents / half)
    angles = times.float()[:, None] * frequencies
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
