"""The generators there are, by name. Each is imported only when it is used."""

from __future__ import annotations

GENERATORS = {
    "avatar": "pe_engine.generators.avatar:Avatar",
    "composite": "pe_engine.generators.composite:Composite",
    "hf_inference": "pe_engine.generators.hf_inference:HFInference",
    "image_pool": "pe_engine.generators.image_pool:ImagePool",
    "improved_diffusion": "pe_engine.generators.improved_diffusion:ImprovedDiffusion",
    "openai_images": "pe_engine.generators.openai_images:OpenAIImages",
    "stable_diffusion": "pe_engine.generators.stable_diffusion:StableDiffusion",
    "text_render": "pe_engine.generators.text_render:TextRender",
}


def is_custom(name: str) -> bool:
    """Whether ``name`` is that of a user's own generator: ``file.py:Class`` or ``module:Class``."""
    return ":" in name
