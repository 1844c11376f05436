"""FID's Inception v3 as a table of its layers, and how to run it.

The network is Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015, in
the variant of TensorFlow's graph inception-2015-12-05 that the FID is defined with: average pools
do not count the padding, and the last block takes a maximum where the paper takes an average.
Names are those of the published file (github.com/mseitzer/pytorch-fid), which are torchvision's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FEATURES = 2048
CLASSES = 1008  # of the classifier in the file, which features do not need
NORM_EPSILON = 0.001
NORM_TERMS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, batch normalisation, ReLU.

    Attributes:
        name: within its block.
        channels: how many come out.
        kernel: height and width.
        padded: keep height and width; else only whole windows count.
    """

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


@dataclass(frozen=True)
class Pool:
    """Over 3 x 3 windows; padded where the stride is 1. ``kind``: "maximum" or "average"."""

    kind: str
    stride: int = 1


@dataclass(frozen=True)
class Block:
    """Branches side by side whose channels are joined. A fork in a branch has no name."""

    name: str
    branches: tuple[tuple[Conv | Pool | Block, ...], ...]


Layers = Sequence[Conv | Pool | Block]


def _halving(name: str, channels: int) -> Conv:
    return Conv(name, channels, (3, 3), stride=2, padded=False)


def _block_a(name: str, pooled: int) -> Block:
    return Block(
        name,
        (
            (Conv("branch1x1", 64),),
            (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))),
            (
                Conv("branch3x3dbl_1", 64),
                Conv("branch3x3dbl_2", 96, (3, 3)),
                Conv("branch3x3dbl_3", 96, (3, 3)),
            ),
            (Pool("average"), Conv("branch_pool", pooled)),
        ),
    )


def _block_c(name: str, inner: int) -> Block:
    return Block(
        name,
        (
            (Conv("branch1x1", 192),),
            (
                Conv("branch7x7_1", inner),
                Conv("branch7x7_2", inner, (1, 7)),
                Conv("branch7x7_3", 192, (7, 1)),
            ),
            (
                Conv("branch7x7dbl_1", inner),
                Conv("branch7x7dbl_2", inner, (7, 1)),
                Conv("branch7x7dbl_3", inner, (1, 7)),
                Conv("branch7x7dbl_4", inner, (7, 1)),
                Conv("branch7x7dbl_5", 192, (1, 7)),
            ),
            (Pool("average"), Conv("branch_pool", 192)),
        ),
    )


def _block_e(name: str, pool: str) -> Block:
    def fork(of: str) -> Block:
        return Block("", ((Conv(f"{of}a", 384, (1, 3)),), (Conv(f"{of}b", 384, (3, 1)),)))

    return Block(
        name,
        (
            (Conv("branch1x1", 320),),
            (Conv("branch3x3_1", 384), fork("branch3x3_2")),
            (
                Conv("branch3x3dbl_1", 448),
                Conv("branch3x3dbl_2", 384, (3, 3)),
                fork("branch3x3dbl_3"),
            ),
            (Pool(pool), Conv("branch_pool", 192)),
        ),
    )


NETWORK: Layers = (
    _halving("Conv2d_1a_3x3", 32),
    Conv("Conv2d_2a_3x3", 32, (3, 3), padded=False),
    Conv("Conv2d_2b_3x3", 64, (3, 3)),
    Pool("maximum", stride=2),
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, (3, 3), padded=False),
    Pool("maximum", stride=2),
    _block_a("Mixed_5b", 32),
    _block_a("Mixed_5c", 64),
    _block_a("Mixed_5d", 64),
    Block(
        "Mixed_6a",
        (
            (_halving("branch3x3", 384),),
            (
                Conv("branch3x3dbl_1", 64),
                Conv("branch3x3dbl_2", 96, (3, 3)),
                _halving("branch3x3dbl_3", 96),
            ),
            (Pool("maximum", stride=2),),
        ),
    ),
    _block_c("Mixed_6b", 128),
    _block_c("Mixed_6c", 160),
    _block_c("Mixed_6d", 160),
    _block_c("Mixed_6e", 192),
    Block(
        "Mixed_7a",
        (
            (Conv("branch3x3_1", 192), _halving("branch3x3_2", 320)),
            (
                Conv("branch7x7x3_1", 192),
                Conv("branch7x7x3_2", 192, (1, 7)),
                Conv("branch7x7x3_3", 192, (7, 1)),
                _halving("branch7x7x3_4", 192),
            ),
            (Pool("maximum", stride=2),),
        ),
    ),
    _block_e("Mixed_7b", "average"),
    _block_e("Mixed_7c", "maximum"),
)

Weights = Mapping[str, "tuple[torch.Tensor, torch.Tensor]"]
"""Kernel and bias of each convolution by its full name."""


def pool_features(images: torch.Tensor, weights: Weights) -> torch.Tensor:
    """``(N, 2048)`` of images ``(N, 3, 299, 299)`` in [-1, 1]."""
    return _run(NETWORK, images, weights, "").mean(dim=(2, 3))


def _run(layers: Layers, x: torch.Tensor, weights: Weights, prefix: str) -> torch.Tensor:
    import torch
    from torch.nn.functional import avg_pool2d, conv2d, max_pool2d

    for layer in layers:
        if isinstance(layer, Conv):
            kernel, bias = weights[prefix + layer.name]
            padding = tuple(side // 2 for side in layer.kernel) if layer.padded else 0
            x = conv2d(x, kernel, bias, layer.stride, padding).relu_()
        elif isinstance(layer, Pool):
            padding = 1 if layer.stride == 1 else 0
            if layer.kind == "maximum":
                x = max_pool2d(x, 3, layer.stride, padding)
            else:
                x = avg_pool2d(x, 3, layer.stride, padding, count_include_pad=False)
        else:
            inner = f"{prefix}{layer.name}." if layer.name else prefix
            x = torch.cat([_run(branch, x, weights, inner) for branch in layer.branches], dim=1)
    return x


def convolutions(
    layers: Layers = NETWORK, channels: int = 3, prefix: str = ""
) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape (outputs, inputs, height, width) of each kernel by full name; channels at the end.

    Args:
        channels: how many go in.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        if isinstance(layer, Conv):
            shapes[prefix + layer.name] = (layer.channels, channels, *layer.kernel)
            channels = layer.channels
        elif isinstance(layer, Block):
            inner = f"{prefix}{layer.name}." if layer.name else prefix
            ends = []
            for branch in layer.branches:
                found, end = convolutions(branch, channels, inner)
                shapes |= found
                ends.append(end)
            channels = sum(ends)
    return shapes, channels


def parameter_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every array that the published file holds, but for counters."""
    shapes: dict[str, tuple[int, ...]] = {
        "fc.weight": (CLASSES, FEATURES),
        "fc.bias": (CLASSES,),
    }
    for name, kernel in convolutions()[0].items():
        shapes[f"{name}.conv.weight"] = kernel
        shapes |= {f"{name}.bn.{term}": kernel[:1] for term in NORM_TERMS}
    return shapes


def fold(state: Mapping[str, torch.Tensor]) -> Weights:
    """Each convolution and the normalisation after it as one convolution with a bias.

    γ (K x - μ) / √(v + ε) + β = (s K) x + (β - s μ) with s = γ / √(v + ε).

    Args:
        state: exactly the arrays of ``parameter_shapes``, and any ``num_batches_tracked``.

    Raises:
        ValueError: a name or a shape is not the network's.
    """
    given = {
        name: tuple(array.shape)
        for name, array in state.items()
        if not name.endswith(".num_batches_tracked")
    }
    if wrong := sorted(set(given.items()) ^ set(parameter_shapes().items())):
        raise ValueError(f"{len(wrong)} names or shapes differ from FID's Inception: {wrong[:4]}")
    weights = {}
    for name in convolutions()[0]:
        gain, shift, mean, variance = (state[f"{name}.bn.{t}"].double() for t in NORM_TERMS)
        scale = gain / (variance + NORM_EPSILON).sqrt()
        kernel = state[f"{name}.conv.weight"].double() * scale.view(-1, 1, 1, 1)
        weights[name] = (kernel.float(), (shift - scale * mean).float())
    return weights
