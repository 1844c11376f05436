"""Cat Cookie and Cat Doudou, from the zip that Kaggle gives: a folder for each cat.

The facts are those of microsoft/DPSDA at 9078c67 (pe/data/image/cat.py). Images of other files in
it, or of other shapes, would be resized to 512 pixels and cut square, as that loader does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pe_engine.decoding import UnreadableError, decode
from pe_engine.errors import DataError
from pe_engine.population import three_channels
from pe_engine.sources import LOCAL_LIMITS
from pe_engine.zips import ZipSource

CATS = ("cookie", "doudou")
SIDE = 512


def images(archive: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Folder, file name and pixels, uint8 ``(512, 512, 3)``, of each photograph.

    Each cat's are numbered from 0 in the order of their names.

    Raises:
        DataError: it is no zip, or has no photographs of one of the cats.
    """
    source = ZipSource(archive, LOCAL_LIMITS)
    counts: Counter[str] = Counter()
    with source.reader() as read:
        for name in sorted(source.names):
            cat = next((part for part in name.split("/")[:-1] if part in CATS), None)
            if cat is None:
                continue
            try:
                pixels = decode(read(name), SIDE, LOCAL_LIMITS.pixels)
            except UnreadableError as error:
                raise DataError(f"In the zip, {name} {error}. Fetch it again.") from error
            yield cat, f"{cat}_{counts[cat]:03d}.png", three_channels(pixels[None])[0]
            counts[cat] += 1
    missing = [cat for cat in CATS if not counts[cat]]
    if missing:
        raise DataError(
            f"The zip has no image in a folder {missing[0]!r}. Fetch the zip with the folders "
            f"{' and '.join(CATS)}."
        )
