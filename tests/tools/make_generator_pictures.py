"""Make assets/pictures/generators/NAME.webp, the pictures on the generators' cards.

    python tests/tools/make_generator_pictures.py

Four pictures of each generator that runs on any computer, drawn by itself; a neutral symbol for
those that need a GPU for hours, or somebody's key. The same versions give the same pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from pe_engine.components import generator_class  # noqa: E402

FOLDER = ROOT / "assets" / "pictures" / "generators"
EXAMPLE = ROOT / "assets" / "examples" / "handwriting.zip"
SIDE = 112  # pixels of a card's picture, which is shown at 56
MOST_BYTES = 12 * 1024
PROMPTS = {
    "stable_diffusion": (
        32,
        ["a thin serif capital R", "a bold letter k", *["a handwritten digit {}"] * 2],
    ),
    "text_render": (56, ["A", "7", "g", "R"]),
    "avatar": (56, [""] * 4),
    "composite": (32, ["3", "8", "5", "2"]),
    "image_pool": (28, [""] * 4),
}
INK, PAPER, SHADE = (110, 118, 140), (232, 235, 243), (200, 206, 220)


def drawn(name: str, device: str = "cpu") -> Image.Image:
    """Four pictures of a generator, two by two."""
    size, prompts = PROMPTS[name]
    options = {"pool": str(EXAMPLE)} if name == "image_pool" else {}
    generator = generator_class(name)(size, device, **options)
    for _ in generator.prepare():
        pass
    prompts = [prompt.format("three") for prompt in prompts]
    rng = np.random.default_rng(5)
    pictures = generator.render(generator.random([""] * 4, prompts, rng))
    if not isinstance(pictures, np.ndarray):  # float32 (N, 3, H, W) of a network
        pictures = np.rint(255 * pictures.permute(0, 2, 3, 1).numpy()).astype(np.uint8)
    generator.close()
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in (pictures[:2], pictures[2:])])
    return Image.fromarray(sheet).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def symbol(kind: str) -> Image.Image:
    """A cloud for what runs elsewhere, a chip for what wants a GPU: no result is pretended."""
    large = Image.new("RGB", (4 * SIDE, 4 * SIDE), PAPER)
    pen = ImageDraw.Draw(large)
    if kind == "cloud":
        for x, y, r in ((150, 250, 62), (225, 195, 82), (300, 245, 68)):
            pen.ellipse((x - r, y - r, x + r, y + r), fill=INK)
        pen.rounded_rectangle((92, 240, 366, 314), 37, fill=INK)
    else:
        for at in (164, 224, 284):
            pen.line((at, 84, at, 364), fill=SHADE, width=18)
            pen.line((84, at, 364, at), fill=SHADE, width=18)
        pen.rounded_rectangle((126, 126, 322, 322), 26, fill=INK)
        pen.rounded_rectangle((180, 180, 268, 268), 14, fill=PAPER)
    return large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures = {name: drawn(name) for name in PROMPTS}
    pictures |= dict.fromkeys(("hf_inference", "openai_images"), symbol("cloud"))
    pictures["improved_diffusion"] = symbol("chip")
    for name, picture in pictures.items():
        path = FOLDER / f"{name}.webp"
        picture.save(path, quality=82, method=6)
        size = path.stat().st_size
        assert size <= MOST_BYTES, f"{path.name} has {size} bytes"
        print(f"{path.name}: {size} bytes")


if __name__ == "__main__":
    main()
