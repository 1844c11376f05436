"""Pictures to start a run from in place of the generator's own first generation.

They are a generation of an earlier run, or a ``samples.npz``: one of ours, or the data checkpoint
of microsoft/DPSDA (``samples`` uint8 ``(N, H, W, 3)`` in equal class blocks, ``additional_info``).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pe_engine.components import checked_options, generator_class, uses_names
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, DataError, RunError
from pe_engine.header import Header
from pe_engine.images import to_uint8
from pe_engine.population import Population, shares, three_channels
from pe_engine.privacy.accounting import Charge
from pe_engine.storage import RunFolder


@dataclass(frozen=True)
class Initial:
    """A first generation from elsewhere.

    Attributes:
        population: its images have the run's size. The state is the generator's own where
            ``complete``; otherwise ``prompt``, what each picture is said to show, or nothing.
        complete: the same generator with the same options made it.
        inherited: what it cost on the private images of the run that it comes from.
        known: whether that is known.
    """

    population: Population
    complete: bool
    inherited: tuple[Charge, ...]
    known: bool


def settled(text: str) -> str:
    """The same with the whole path, so that it is found from anywhere; "" stays."""
    path, generation = _parsed(text)
    suffix = "" if generation is None else f":{generation}"
    return f"{path.resolve()}{suffix}" if text else ""


def count(text: str) -> int:
    """How many pictures there are, without reading them.

    Raises:
        DataError, RunError: they cannot be read.
    """
    path, generation = _located(text)
    if generation is not None:
        path = RunFolder(path).generation_path(_generation(path, generation))
    names = _arrays(path)
    return names["images" if generation is not None else "samples"][0]


def read(config: RunConfig, class_names: Sequence[str]) -> Initial:
    """The pictures that ``config.initial`` names, for these classes.

    Raises:
        DataError, RunError: they cannot be read, or have other classes.
    """
    path, generation = _located(config.initial)
    if generation is None:
        return _from_file(path, config, len(class_names))
    folder = RunFolder(path)
    header = Header.from_json(folder.read_header())
    if header.class_names != tuple(class_names):
        raise DataError(
            "The run to start from has other classes than these images. Choose a run on the same "
            "classes, or another class rule."
        )
    population = folder.read_population(_generation(path, generation))
    same = ("generator", "generator_options", "image_size")
    complete = all(getattr(header.config, n) == getattr(config, n) for n in same)
    complete &= not is_staged(config)  # the state may be that of another stage
    if not complete:
        prompt = {n: population.state[n] for n in ("prompt",) if n in population.state}
        images = _resized(population.images, config.image_size)
        population = Population(images, population.class_ids, population.parents, prompt)
    # Whoever goes on from one generation has seen the votes of all.
    own = Charge(header.budget.noise_multiplier, header.config.neighbours, header.config.iterations)
    return Initial(_rootless(population), complete, (*header.inherited, own), header.start_is_known)


def _from_file(path: Path, config: RunConfig, classes: int) -> Initial:
    with np.load(path, allow_pickle=False) as file:
        images = _resized(file["samples"], config.image_size)
        labels = file["labels"] if "labels" in file.files else None
        info = file["additional_info"] if "additional_info" in file.files else None
    if labels is None:
        labels = np.repeat(np.arange(classes), shares(len(images), classes))
    if labels.shape != (len(images),) or labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"The pictures to start from have labels up to {labels.max()}, but there are {classes} "
            "classes. Choose others, or another class rule."
        )
    smallest = np.bincount(labels, minlength=classes).min()
    if smallest < config.neighbours:
        raise DataError(
            f"One of the {classes} classes has {smallest} pictures to start from, but every "
            f"private image votes for {config.neighbours}. Choose others, or another class rule."
        )
    # the seed's texts are prompts, its whole numbers labels of improved-diffusion
    kinds = "U" if uses_names(config.generator, config.generator_options) else "Uiu"
    said = {}
    if info is not None and info.dtype.kind in kinds:
        said = {"prompt": info.astype(np.str_)}
    population = Population(images, labels.astype(np.int64), labels.astype(np.int64), said)
    return Initial(_rootless(population), False, (), False)


def is_staged(config: RunConfig) -> bool:
    """Whether the generator is made of others, one after another."""
    options = checked_options(config.generator, config.generator_options)
    return bool(generator_class(config.generator).parts(options))


def _parsed(text: str) -> tuple[Path, int | None]:
    """The path, and the generation after its last colon."""
    found = re.fullmatch(r"(.*?)(?::(\d{1,4}))?", text, re.DOTALL)
    return Path(found[1]).expanduser(), None if found[2] is None else int(found[2])


def _located(text: str) -> tuple[Path, int | None]:
    """The run's folder and the generation, -1 for the last; or a file of no run and None."""
    path, generation = _parsed(text)
    if RunFolder(path).exists():
        return path, -1 if generation is None else generation
    if path.name == "samples.npz" and RunFolder(path.parent).exists():
        return path.parent, -1  # so that what it cost is known
    if not path.is_file():
        raise ConfigError(
            f"There is no run and no file {str(path)!r} to start from. Give a run's folder, with "
            ":K for its generation K, or a samples.npz."
        )
    return path, None


def _generation(path: Path, asked: int) -> int:
    last = RunFolder(path).last_generation()
    if last < 0 or asked > last:
        raise RunError(
            f"The run in {path} has {last + 1} generations, so that there is no generation "
            f"{max(asked, 0)} to start from. Choose a smaller number."
        )
    return last if asked < 0 else asked


def _arrays(path: Path) -> Mapping[str, tuple[int, ...]]:
    """The shapes of the pictures in an npz file, by name.

    Raises:
        DataError: it is none, or has no pictures.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in {"samples.npy", "images.npy"} & set(archive.namelist()):
                with archive.open(name) as file:
                    np.lib.format.read_magic(file)
                    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                if dtype == np.uint8 and len(shape) == 4 and shape[3] in (1, 3) and shape[0]:
                    shapes[name.removesuffix(".npy")] = shape
    except (OSError, ValueError, zipfile.BadZipFile):
        shapes = {}
    if not shapes:
        raise DataError(
            f"The file {path.name} holds no pictures to start from: it must be an npz file with "
            "'samples', uint8 of the shape (N, height, width, 3). Choose another one."
        )
    return shapes


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 ``(N, size, size, 3)``."""
    images = three_channels(images)
    if images.shape[1:3] == (size, size):
        return images
    return np.stack([three_channels(to_uint8(Image.fromarray(i), size)[None])[0] for i in images])


def _rootless(population: Population) -> Population:
    return population.with_lineage(population.class_ids, np.full(len(population), -1))
