"""A service that charges for images, played by this process: every request to it is told."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from pe_engine.audit.running import png

NAME = "openai_images"
OPTIONS = {"most_calls": 10_000, "concurrency": 1}  # one call after the other: a fixed order


def answered_here(tell: Callable[[Any], None]) -> Iterator[Any]:
    """Changes under which no request leaves: each is told in full, and answered by a picture that
    depends on nothing but the request's own seed."""
    from pe_engine.generators.openai_images import KEY_NAME, OpenAIImages

    def send(self: OpenAIImages, wish: Any) -> SimpleNamespace:
        tell([dict(wish.sent), wish.seed, wish.parent, wish.key])
        rng = np.random.default_rng(wish.seed)
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        image = SimpleNamespace(b64_json=base64.b64encode(png(pixels)).decode(), url=None)
        return SimpleNamespace(data=[image])

    yield patch.dict(os.environ, {KEY_NAME: "no-key"})
    yield patch.object(OpenAIImages, "_send", send)
