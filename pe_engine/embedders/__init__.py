"""The embedders there are, by name. Each is imported only when it is used."""

from __future__ import annotations

EMBEDDERS = {
    "pixels": "pe_engine.embedders.pixels:Pixels",
}
