"""CLIP's image features."""

from __future__ import annotations

from pe_engine.embedders.network import Inputs, NetworkEmbedder
from pe_engine.embedders.weights import load_pretrained

# of CLIP's training images; github.com/openai/CLIP, clip/clip.py
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Clip(NetworkEmbedder):
    """The projected image features of CLIP ViT-B/32, 512 numbers, not scaled to length 1.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
    Images are resized whole; they are square already.
    """

    summary = (
        "what CLIP ViT-B/32 sees, 512 numbers; for photographs and drawings of things; "
        "downloads 605 MB once"
    )

    def __init__(self, image_size: int, device: str, grey: bool) -> None:
        from transformers import CLIPVisionModelWithProjection

        model = load_pretrained("clip", CLIPVisionModelWithProjection, device)
        super().__init__(
            lambda images: model(images).image_embeds,
            model.config.projection_dim,
            Inputs(model.config.image_size, MEAN, DEVIATION),
            device,
        )
