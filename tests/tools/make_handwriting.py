"""Make assets/examples/handwriting.zip from an npz of the MNIST training images.

    python tests/tools/make_handwriting.py mnist_train.npz assets/examples/handwriting.zip

The npz holds ``images`` uint8 (60000, 28, 28) and ``labels`` (60000,). Only its first 55,000 images
are drawn from; the last 5,000 are kept apart so that results can be measured on images that no
example data set holds. The same input gives the same zip, byte for byte, with the same Pillow.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SEED = 0
FIRST = 55_000
PER_CLASS = 500
CLASSES = 10


def choose(labels: np.ndarray) -> np.ndarray:
    """Indices int64 (CLASSES * PER_CLASS,) of the drawn images, in ascending order."""
    rng = np.random.default_rng(SEED)
    usable = labels[:FIRST]
    drawn = [
        rng.choice(np.flatnonzero(usable == label), PER_CLASS, replace=False)
        for label in range(CLASSES)
    ]
    return np.sort(np.concatenate(drawn))


def write_zip(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Grey PNGs named ``<label>_<running index>.png``, stored with one fixed date."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, index in enumerate(choose(labels)):
            png = io.BytesIO()
            Image.fromarray(images[index]).save(png, format="PNG", optimize=True)
            member = zipfile.ZipInfo(f"{labels[index]}_{number:05d}.png", (1998, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            archive.writestr(member, png.getvalue())


def main() -> None:
    """Parse the two paths and write the zip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("npz", type=Path, help="MNIST's training images and labels")
    parser.add_argument("zip", type=Path, help="where to write the example")
    arguments = parser.parse_args()
    with np.load(arguments.npz) as data:
        write_zip(data["images"], data["labels"], arguments.zip)


if __name__ == "__main__":
    main()
