"""The generators there are, by name. Each is imported only when it is used."""

from __future__ import annotations

GENERATORS = {
    "stable_diffusion": "pe_engine.generators.stable_diffusion:StableDiffusion",
    "text_render": "pe_engine.generators.text_render:TextRender",
}

# Options that name a model: a local folder, or an id on the Hugging Face hub.
MODEL_OPTIONS = ("model", "variation_model", "preview_autoencoder")
