"""The embedders there are, by name. Each is imported only when it is used."""

from __future__ import annotations

EMBEDDERS = {
    "pixels": "pe_engine.embedders.pixels:Pixels",
    "inception": "pe_engine.embedders.inception:Inception",
    "clip": "pe_engine.embedders.clip:Clip",
    "dinov2": "pe_engine.embedders.dinov2:Dinov2",
}
