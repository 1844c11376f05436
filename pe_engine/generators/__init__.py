"""The generators there are, by name. Each is imported only when it is used."""

from __future__ import annotations

GENERATORS = {
    "stable_diffusion": "pe_engine.generators.stable_diffusion:StableDiffusion",
    "text_render": "pe_engine.generators.text_render:TextRender",
}
