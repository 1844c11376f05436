"""The generators there are, by name. Each is imported only when it is used."""

from __future__ import annotations

GENERATORS = {
    "text_render": "pe_engine.generators.text_render:TextRender",
}
