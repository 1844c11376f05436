"""Stable Diffusion pipelines with random weights: the speed of a shape needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pe_engine.generators.checkpoints import quiet

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTokenizer

SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
"""Of Stable Diffusion 1.x, as its public scheduler_config.json says."""

# Each part's sizes. "sd15" is left at the defaults of diffusers where these are SD 1.5's own.
UNETS = {
    "tiny": {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
    },
    "sd15": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
}
AUTOENCODERS = {
    "tiny": {
        "block_out_channels": (8, 8, 16, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "sample_size": 64,
    },
    "sd15": {
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "sample_size": 512,
    },
}
TEXT_ENCODERS = {
    "tiny": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    },
    "sd15": {
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    },
}


def save_shape(shape: str, folder: Path, device: str) -> Path:
    """A pipeline of this shape with random weights, stored in ``folder`` (sd15: 2 GB).

    Args:
        shape: "tiny" or "sd15".
        device: where to make the weights; in bfloat16 on a GPU, which all its users cast from.
    """
    import torch

    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        with torch.device(device):
            pipeline = _pipeline(shape)
        if device == "cuda":
            pipeline.to(torch.bfloat16)
        pipeline.save_pretrained(folder)
    return folder


def save_tiny_autoencoder(folder: Path, model: str) -> Path:
    """An ``AutoencoderTiny`` with random weights for the latents of ``model``, as TAESD for SD."""
    import torch
    from diffusers import AutoencoderKL, AutoencoderTiny

    from pe_engine.generators.checkpoints import find

    levels = len(find(model).config(AutoencoderKL, subfolder="vae")["block_out_channels"])
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        AutoencoderTiny(
            encoder_block_out_channels=(64,) * levels,
            decoder_block_out_channels=(64,) * levels,
            num_encoder_blocks=(1, *(3,) * (levels - 1)),
            num_decoder_blocks=(*(3,) * (levels - 1), 1),
        ).save_pretrained(folder)
    return folder


def _pipeline(shape: str) -> StableDiffusionPipeline:
    from diffusers import (
        AutoencoderKL,
        DPMSolverMultistepScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    words = _tokenizer()
    text = {"vocab_size": len(words), **TEXT_ENCODERS[shape]}
    ids = {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return StableDiffusionPipeline(
        vae=AutoencoderKL(
            latent_channels=4,
            scaling_factor=0.18215,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            **AUTOENCODERS[shape],
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(**text, **ids)),
        tokenizer=words,
        unet=UNet2DConditionModel(**UNETS[shape]),
        scheduler=DPMSolverMultistepScheduler(**SCHEDULE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _tokenizer() -> CLIPTokenizer:
    """Each character of ASCII is a token; enough, since what a text says has no say in the time."""
    from transformers import CLIPTokenizer

    characters = [chr(code) for code in range(33, 127)]
    names = [*characters, *(f"{c}</w>" for c in characters), "ca", "cat</w>"]
    names += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={name: i for i, name in enumerate(names)},
        merges=[("c", "a"), ("ca", "t</w>")],
        model_max_length=77,
    )
