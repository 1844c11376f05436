"""Pictures to start a run from in place of the generator's own first generation.

They are a generation of an earlier run, or a ``samples.npz``: one of ours, or the data checkpoint
of microsoft/DPSDA (``samples`` uint8 ``(N, H, W, 3)`` in equal class blocks, ``additional_info``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pe_engine.arrays import BadArrayError, array_header, read_arrays
from pe_engine.components import chosen
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, DataError, RunError
from pe_engine.files import typed_path
from pe_engine.generators.base import PIXELS, Generator
from pe_engine.header import Header
from pe_engine.images import to_uint8
from pe_engine.past import NOT_TOLD, Past, of_file, of_run
from pe_engine.population import Population, shares, three_channels
from pe_engine.storage import RunFolder


@dataclass(frozen=True)
class Initial:
    """A first generation from elsewhere.

    Attributes:
        population: its images have the run's size. The state is the generator's own where
            ``complete``; otherwise ``prompt``, what each picture is said to show, or nothing.
        complete: the same generator with the same options made it, for the same prompts.
        provenance: of the files that it worked with then.
    """

    population: Population
    complete: bool
    provenance: dict[str, str]


def settled(text: str) -> str:
    """The same with the whole path, so that it is found from anywhere; "" stays."""
    path, generation = _parsed(text)
    suffix = "" if generation is None else f":{generation}"
    return f"{path.resolve()}{suffix}" if text else ""


def count(text: str) -> int:
    """How many pictures there are, without reading them.

    Raises:
        ConfigError, DataError, RunError: there are none.
    """
    path, generation = _located(text)
    if generation is None:
        return _shape(path, "samples")[0]
    return _shape(RunFolder(path).generation_path(_generation(path, generation)), "images")[0]


def past(text: str) -> Past:
    """What the pictures cost.

    Raises:
        ConfigError, DataError, RunError: there are none.
    """
    path, generation = _located(text)
    if generation is None:
        return of_file(path)
    return of_run(_header(RunFolder(path)))


def read(config: RunConfig, class_names: Sequence[str]) -> Initial:
    """The pictures that ``config.initial`` names, for these classes.

    Raises:
        ConfigError, DataError, RunError: there are none, or they do not fit.
    """
    path, generation = _located(config.initial)
    if generation is None:
        given = Initial(_from_file(path, config, len(class_names)), False, {})
    else:
        given = _from_run(path, generation, config, class_names)
    population = given.population
    if not _within(population.class_ids, len(class_names)):
        raise DataError(
            "The pictures to start from are of classes that there are not. Choose others."
        )
    smallest = np.bincount(population.class_ids, minlength=len(class_names)).min()
    if smallest < config.neighbours:
        raise DataError(
            f"One of the {len(class_names)} classes has {smallest} pictures to start from, but "
            f"every private image votes for {config.neighbours}. Choose others, or another class "
            "rule."
        )
    rootless = population.with_lineage(population.class_ids, np.full(len(population), -1))
    return Initial(rootless, given.complete, given.provenance)


def _from_run(
    path: Path, generation: int, config: RunConfig, class_names: Sequence[str]
) -> Initial:
    folder = RunFolder(path)
    header = _header(folder)
    if header.class_names != tuple(class_names):
        raise DataError(
            "The run to start from has other classes than these images. Choose a run on the same "
            "classes, or another class rule."
        )
    population = folder.read_population(_generation(path, generation))
    if _is_complete(header.config, config):
        if population.images.shape[1:3] != (config.image_size,) * 2:
            raise DataError(
                f"The pictures to start from are not of {config.image_size} pixels as their run "
                "says. Choose another run."
            )
        return Initial(population, True, folder.read_provenance())
    images = _resized(population.images, config.image_size)
    prompts = population.state.get("prompt")
    texts = prompts is not None and prompts.dtype.kind == "U" and prompts.ndim == 1
    said = {"prompt": prompts} if texts else {}
    return Initial(Population(images, population.class_ids, population.parents, said), False, {})


def check_made_by(generator: Generator, folder: RunFolder) -> None:
    """Before the first vote on pictures of an earlier run, whose files may be anybody's.

    Raises:
        RunError: this generator cannot go on from what they say.
    """
    if folder.last_generation() != 0:
        return
    state = dict(folder.read_population(0).state)
    state.pop(PIXELS, None)
    if not generator.can_be(state):
        raise RunError(
            "The run to start from holds pictures that its generator cannot have made, or not "
            "with its files as they are now. Delete this run, and start one from another run."
        )


def _header(folder: RunFolder) -> Header:
    """Raises RunError where it is none: the folder may be anybody's."""
    try:
        header = Header.from_json(folder.read_header())
        of_run(header)  # what it cost are numbers
        return header
    except (ConfigError, *NOT_TOLD) as error:
        raise RunError(
            f"The file run.json in {folder.path} is damaged. Choose another run to start from."
        ) from error


def _is_complete(earlier: RunConfig, config: RunConfig) -> bool:
    """Whether the states of the earlier run are what this one's generator would have made."""
    same = ("generator", "generator_options", "image_size")
    told = ("prompts", "class_prompts")
    new_prompts = any(getattr(config, name) for name in told) and any(
        getattr(earlier, name) != getattr(config, name) for name in told
    )
    kind, options = chosen(config.generator, config.generator_options)
    staged = kind.parts(options)  # nobody knows which part made the state
    alike = all(getattr(earlier, name) == getattr(config, name) for name in same)
    return alike and not new_prompts and not staged


def _from_file(path: Path, config: RunConfig, classes: int) -> Population:
    _shape(path, "samples")
    try:
        given = read_arrays(path, ("samples", "labels", "additional_info"))
    except BadArrayError as error:
        raise _no_pictures(path) from error
    samples, labels, info = (given.get(n) for n in ("samples", "labels", "additional_info"))
    n = len(samples)
    if labels is None:
        labels = np.repeat(np.arange(classes), shares(n, classes))
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or not _within(labels, classes):
        raise DataError(
            f"The labels of the pictures to start from must be {n} whole numbers below {classes}, "
            "the number of classes. Choose others, or another class rule."
        )
    # the seed's texts are prompts, its whole numbers labels of improved-diffusion
    kind, options = chosen(config.generator, config.generator_options)
    kinds = "U" if kind.uses_names(options) else "Uiu"
    said = {}
    if info is not None and info.shape == (n,) and info.dtype.kind in kinds:
        said = {"prompt": info.astype(np.str_)}
    ids = labels.astype(np.int64)
    return Population(_resized(samples, config.image_size), ids, ids, said)


def _parsed(text: str) -> tuple[Path, int | None]:
    """The path, and the generation after its last colon."""
    found = re.fullmatch(r"(.*?)(?::(\d{1,4}))?", text, re.DOTALL)
    return typed_path(found[1]), None if found[2] is None else int(found[2])


def _located(text: str) -> tuple[Path, int | None]:
    """The run's folder and the generation, -1 for the last; or a file of no run and None."""
    path, generation = _parsed(text)
    if RunFolder(path).exists():
        return path, -1 if generation is None else generation
    if path.name == "samples.npz" and RunFolder(path.parent).exists():
        return path.parent, -1  # with all that the run remembers
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


def _shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of the pictures that an npz file calls so.

    Raises:
        DataError: there are none.
    """
    try:
        shape, dtype = array_header(path, name)
    except BadArrayError as error:
        raise _no_pictures(path) from error
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
        raise _no_pictures(path)
    return shape


def _no_pictures(path: Path) -> DataError:
    return DataError(
        f"The file {path.name} holds no pictures to start from: it must be an npz file with "
        "'samples', uint8 of the shape (N, height, width, 3), undamaged. Choose another one."
    )


def _within(labels: np.ndarray, classes: int) -> bool:
    return bool(((labels >= 0) & (labels < classes)).all())


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 ``(N, size, size, 3)``."""
    images = three_channels(images)
    if images.shape[1:3] == (size, size):
        return images
    resized = np.empty((len(images), size, size, 3), np.uint8)
    for i, image in enumerate(images):
        resized[i] = to_uint8(Image.fromarray(np.ascontiguousarray(image)), size)
    return resized
