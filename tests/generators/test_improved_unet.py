"""The UNet: every name and shape of the published weights, and their numerics.

Digests, counts and outputs were taken from the published code, github.com/openai/improved-diffusion
at 1bc7bbb, with the same weights.
"""

import hashlib
import math

import numpy as np
import pytest
import torch

from pe_engine.generators.improved_options import Options
from pe_engine.generators.improved_unet import Attention, Norm, UNet, sinusoids

TINY = {"model_image_size": 32, "num_channels": 32, "num_res_blocks": 1}

# outputs at row 5, column 13
CONDITIONAL = [
    *(-0.022975, -0.03545, -0.538697, -0.109582, -0.128504, 0.11714),
    *(0.069938, 0.081793, -0.619411, 0.018491, -0.171754, 0.150898),
]
PLAIN = [0.072871, -1.194637, -0.207299, 0.109003, -1.423922, -0.068216]


def outline(options):
    """All tensors of a network by name, without memory for them."""
    with torch.device("meta"):
        return UNet(options.shape()).state_dict()


def filled(options):
    """A network with weights that are the same everywhere."""
    network, rng = UNet(options.shape()).eval().requires_grad_(False), np.random.RandomState(0)
    for _, weight in sorted(network.named_parameters()):
        spread = 1 / weight[0].numel() ** 0.5 if weight.ndim > 1 else 0.5
        weight.copy_(torch.from_numpy(spread * rng.standard_normal(weight.shape)))
    return network


def wave(size=32):
    return torch.cos(torch.arange(2 * 3 * size**2.0) * 0.37).reshape(2, 3, size, size)


@pytest.mark.parametrize(
    ("options", "tensors", "parameters", "digest"),
    [
        ({}, 451, 273_049_350, "a82ccfc4f06d02f0"),
        (
            {"model_image_size": 32, "num_channels": 128, "class_cond": False},
            446,
            52_546_438,
            "ddf12a5bf2404a47",
        ),
        (
            {
                "model_image_size": 256,
                "num_channels": 128,
                "num_res_blocks": 2,
                "class_cond": False,
                "learn_sigma": False,
            },
            456,
            124_053_251,
            "0d06d467892813e8",
        ),
    ],
    ids=["imagenet64", "cifar10", "256"],
)
def test_names_and_shapes_are_those_of_the_published_code(options, tensors, parameters, digest):
    made = outline(Options(**options))
    lines = sorted(f"{name} {list(t.shape)} {t.dtype}" for name, t in made.items())
    assert len(made) == tensors
    assert sum(tensor.numel() for tensor in made.values()) == parameters
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith(digest)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (TINY, CONDITIONAL),
        (
            {
                **TINY,
                "num_res_blocks": 2,
                "learn_sigma": False,
                "class_cond": False,
                "use_scale_shift_norm": False,
                "num_heads_upsample": 2,
                "attention_resolutions": "8",
            },
            PLAIN,
        ),
    ],
    ids=["conditional", "plain"],
)
def test_outputs_are_those_of_the_published_code(options, expected):
    chosen = Options(**options)
    labels = torch.tensor([3, 998]) if chosen.class_cond else None
    made = filled(chosen)(wave(), torch.tensor([7.0, 912.5]), labels)
    assert made.shape == (2, 6 if chosen.learn_sigma else 3, 32, 32)
    np.testing.assert_allclose(made[:, :, 5, 13].flatten(), expected, atol=2e-5)


def test_attention_is_that_of_each_head_over_all_positions():
    torch.manual_seed(0)
    heads, channels = 4, 64
    block, x = Attention(channels, heads).requires_grad_(False), torch.randn(2, channels, 3, 5)
    normed = block.norm(x.reshape(2, channels, 15)).double()
    projected = torch.einsum("oi,nit->not", block.qkv.weight[:, :, 0].double(), normed)
    projected += block.qkv.bias[:, None]
    size, seen = channels // heads, []
    for head in range(heads):
        first = 3 * size * head
        q, k, v = (projected[:, first + i * size : first + (i + 1) * size] for i in range(3))
        weights = torch.einsum("nct,ncs->nts", q, k).div(math.sqrt(size)).softmax(-1)
        seen.append(torch.einsum("nts,ncs->nct", weights, v))
    out = torch.einsum("oi,nit->not", block.proj_out.weight[:, :, 0].double(), torch.cat(seen, 1))
    expected = x + (out + block.proj_out.bias[:, None]).reshape(x.shape)
    np.testing.assert_allclose(block(x, None), expected, atol=1e-5)


def test_timesteps_are_cosines_then_sines():
    times = np.array([0.0, 17.5, 3999.0])
    angles = times[:, None] * 10000.0 ** (-np.arange(8) / 8)
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(sinusoids(torch.tensor(times), 16), expected, atol=5e-4)


def test_only_convolutions_leave_float32():
    network = filled(Options(**TINY))
    exact = network(wave(), torch.tensor([7.0, 900.0]), torch.tensor([3, 998]))
    network.compute_in(torch.bfloat16)
    rough = network(wave(), torch.tensor([7.0, 900.0]), torch.tensor([3, 998]))
    assert rough.dtype == torch.float32
    assert 0 < float((rough - exact).norm() / exact.norm()) < 0.05
    narrow = {name for name, p in network.named_parameters() if p.dtype == torch.bfloat16}
    assert "input_blocks.0.0.weight" in narrow
    assert "middle_block.1.qkv.weight" in narrow
    assert not any(
        ".0.in_layers.0." in name or name.startswith(("out.", "time")) for name in narrow
    )


def test_norms_are_computed_in_float32():
    norm, x = Norm(32), 100 + torch.rand(1, 32, 8, 8)
    made = norm(x.bfloat16())
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made, norm(x.bfloat16().float()).bfloat16())
