"""Images of a release as files of the chosen kind and size."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pe_engine.images import png_bytes
from pe_engine.population import Population
from pe_engine.takeout.choice import Choice

TINY = 96
"""Sides in pixels up to which the page, too, shows pixels as squares when it enlarges them."""

FOLDER = "images/"
METADATA = "images/metadata.jsonl"


def in_class_blocks(population: Population) -> Population:
    """Sorted by class id; within a class the order stays."""
    order = np.argsort(population.class_ids, kind="stable")
    if np.array_equal(order, np.arange(len(order))):
        return population  # spares a copy of all images
    return population.take(order)


def image_files(
    population: Population, classes: Sequence[Mapping[str, Any]], choice: Choice
) -> Iterator[tuple[str, bytes]]:
    """The name in the release and the bytes of each image, in the order of their rows.

    Args:
        population: in class blocks.
        classes: the manifest's; ``folder`` of each says where its images lie.
    """
    images = _grey_if_all_are(population.images)
    names = image_names(population.class_ids, classes, choice)
    for image, name in zip(images, names, strict=True):
        yield FOLDER + name, encoded(image, choice)


def image_names(
    class_ids: np.ndarray, classes: Sequence[Mapping[str, Any]], choice: Choice
) -> Iterator[str]:
    """Below ``images/``, one per row."""
    folders = [f"{entry['folder']}/".lstrip("/") for entry in classes]
    for row, class_id in enumerate(class_ids):
        yield f"{folders[class_id]}{row:06d}.{choice.ending}"


def metadata_lines(
    class_ids: np.ndarray, classes: Sequence[Mapping[str, Any]], choice: Choice, generation: int
) -> bytes:
    """``metadata.jsonl`` as Hugging Face's ``imagefolder`` reads it: one JSON object per image.

    ``file_name`` counts from the folder of the file itself. There is a ``label`` where there are
    classes, and a ``label_name`` where names say more than the ids do.
    Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder
    """
    named = has_names(classes)
    lines = []
    for class_id, name in zip(class_ids, image_names(class_ids, classes, choice), strict=True):
        entry: dict[str, Any] = {"file_name": name}
        if len(classes) > 1:
            entry["label"] = int(class_id)
        if named:
            entry["label_name"] = classes[class_id]["name"]
        lines.append(json.dumps({**entry, "generation": generation}, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def has_names(classes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the classes are called anything but their ids."""
    return len(classes) > 1 and any(entry["name"] != str(entry["id"]) for entry in classes)


def encoded(image: np.ndarray, choice: Choice) -> bytes:
    """One image, uint8 ``(H, W, 3)`` or grey ``(H, W, 1)``, as a file without metadata."""
    if choice.size is not None and image.shape[:2] != (choice.size, choice.size):
        image = _resized(image, choice.size)
    if choice.format == "png":
        return png_bytes(image)
    file = io.BytesIO()
    picture = _pillow(image)
    if choice.format == "jpeg":
        picture.save(file, "JPEG", quality=choice.quality, subsampling=0, optimize=True)
    else:
        lossless = choice.quality == 100
        picture.save(file, "WEBP", quality=choice.quality, lossless=lossless)
    return file.getvalue()


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    """Squares for enlarged pixels of tiny images, else Lanczos, which antialiases."""
    side = max(image.shape[:2])
    smooth = size < side or side > TINY
    filter_ = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    resized = np.asarray(_pillow(image).resize((size, size), filter_))
    return resized if resized.ndim == 3 else resized[..., None]


def _pillow(image: np.ndarray) -> Image.Image:
    grey = image.shape[-1] == 1
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if grey else image))


def _grey_if_all_are(images: np.ndarray) -> np.ndarray:
    """``(N, H, W, 1)`` if R = G = B in all images, else ``(N, H, W, 3)``: never a mixture."""
    all_grey = images.strides[-1] == 0 or all((i == i[..., :1]).all() for i in images)
    return images[..., :1] if all_grey else images
