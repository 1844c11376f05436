"""Draws from a public pool of images: the nearest-image simulator of Sim-PE.

Lin et al., "Differentially Private Synthetic Data via APIs 3: Using Simulators Instead of
Foundation Model", 2025. A new image is any of the pool; a variation is one of the images of the
pool that are nearest to its parent. Images of the pool leave as they are.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pe_engine.data import Decoded, PrivateDataset, open_dataset
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import ConfigError, DataError, GeneratorError
from pe_engine.generators.base import Card, Facts, Generator, State
from pe_engine.generators.options import check_options, option
from pe_engine.generators.pool_features import (
    PoolEmbedder,
    PoolFeatures,
    fingerprint,
    pool_features,
)
from pe_engine.generators.pool_search import ANY, METRICS, UNREADABLE, PoolSearch
from pe_engine.generators.states import consists_of

MOST_NEIGHBOURS = 10_000
AUTO_SHARE = 0.01
SEEN_BYTES = 256 * 2**20
AUTO_NEIGHBOURS = (10, 1000)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of ``ImagePool``."""

    pool: str = option(
        "", "folder or zip, on this computer", opens="path", label="Public images", first=True
    )
    embedder: str = option("pixels", "what tells which images are near", choices=tuple(EMBEDDERS))
    metric: str = option("l2", "how features are compared", choices=METRICS)
    radius: float | None = option(
        None,
        "how many images are near at degree 1; below 1, which share of the pool; auto: a hundredth",
        low=1e-6,
        high=MOST_NEIGHBOURS,
    )
    use_classes: bool = option(
        True,
        "draw a class from the pool's class of that name, if any",
        label="Draw from the class of that name",
    )

    def __post_init__(self) -> None:
        check_options(self)


class ImagePool(Generator):
    """A public pool of images. Its state: ``place`` (int64), the image's number in the pool, and
    ``pool_class`` (int64), the class of the pool that it and its variations are drawn from, or -1.

    Args:
        image_size: height and width of the images in pixels.
        device: torch device that embeds and compares.
        options: fields of ``Options``.

    Raises:
        ConfigError: an option is out of its range.
        GeneratorError: there is no pool that can be read.
    """

    title: ClassVar[str] = "Pool of public images"
    summary: ClassVar[str] = (
        "draws from your folder or zip of public images, which leave as they are; no prompts"
    )
    facts: ClassVar[Facts] = Facts(
        needs="any CPU; a public pool of images, at most 1,000,000",
        sends="nothing",
        cost="decoding the pool once, and each image that is drawn: seconds to minutes",
        degrees="share of the radius: how many nearest images of the pool to choose among",
        offline="yes, with the embedder pixels or one that was downloaded",
    )
    card: ClassVar[Card] = Card(
        draws="images out of a public collection of yours, as they are",
        needs="a folder or zip of public images",
    )
    Options: ClassVar[type] = Options

    def __init__(self, image_size: int, device: str, **options) -> None:
        super().__init__(image_size, device, **options)
        self.batch_size = min(4096, max(64, 2**24 // image_size**2))
        self._embedder = PoolEmbedder(self.options.embedder, image_size, device)
        self._folder: Path | None = None
        self._known: PoolFeatures | None = None
        self._seen: dict[int, np.ndarray] = {}  # decoded images, so many as memory is for
        self._most_seen = SEEN_BYTES // (3 * image_size**2)
        self._open = ExitStack()
        with _pool_errors():
            self._pool = _opened(self.options)
            self._decode = self._open.enter_context(self._pool.decoder())
        self._fingerprint = fingerprint(self._pool)
        self.provenance = {"fingerprint of the pool": self._fingerprint}

    @classmethod
    def fitting_size(cls, options: Any, asked: int | None) -> int:
        """Any size; 64 if none is asked for. The files of the pool are listed, none is decoded.

        Raises:
            ConfigError: no pool is named.
            GeneratorError: it is neither a folder nor a zip, or there is no image in it.
        """
        if not options.pool:
            raise ConfigError(
                "The generator image_pool draws from public images of your own. Name their folder "
                "or zip in its option pool."
            )
        with _pool_errors():
            _opened(options)
        return asked or 64

    @classmethod
    def uses_names(cls, options: Any) -> bool:
        """Where they are looked for among the pool's classes; see ``Generator.uses_names``."""
        return options.use_classes

    def keep_in(self, folder: Path) -> None:
        """The features of the pool lie there; see ``Generator.keep_in``."""
        self._folder = folder

    def prepare(self) -> Iterator[tuple[int, int]]:
        """Compute the features of the pool, or find those that the run began with; see
        ``Generator.prepare``.

        Raises:
            GeneratorError: the run began with another pool, or no image of this one can be read.
        """
        if self._folder is None:
            folder = Path(tempfile.mkdtemp(prefix="pe-pool-"))
            clean = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._open.callback(clean)
            self._folder = folder
        self._known = yield from pool_features(
            self._fingerprint, len(self._pool), self._decode, self._embedder, self._folder
        )

    def close(self) -> None:
        """Close the pool."""
        self._open.close()

    def random(
        self, class_names: Sequence[str], prompts: Sequence[str], rng: np.random.Generator
    ) -> State:
        """Images of the pool, each at most once in a batch while there are enough; see
        ``Generator.random``."""
        classes = self._classes_for(class_names)
        places = np.empty(len(classes), np.int64)
        for one in np.unique(classes):
            rows = np.flatnonzero(classes == one)
            places[rows] = _dealt(self._members(one), len(rows), rng)
        return {"place": places, "pool_class": classes}

    def vary(self, state: State, degree: float, rng: np.random.Generator) -> State:
        """Any of the k nearest images to each parent, itself included, with equal chances; see
        ``Generator.vary``.

        k = 1 + round(degree * (R - 1)), where R is the radius in images.
        """
        places, classes = state["place"], state["pool_class"]
        counts = self._counts(classes, degree)
        drawn = (rng.random(len(places)) * counts).astype(np.int64)
        moving = np.flatnonzero(drawn)
        near = self._search.neighbours(places[moving], classes[moving], counts[moving])
        children = places.copy()
        children[moving] = [row[i] for row, i in zip(near, drawn[moving], strict=True)]
        return {"place": children, "pool_class": classes}

    def render(self, state: State, preview: bool = False) -> np.ndarray:
        """The images, decoded when first asked for; a preview is no cheaper. See
        ``Generator.render``."""
        different, rows = np.unique(state["place"], return_inverse=True)
        images = np.empty((len(different), self.image_size, self.image_size, 3), np.uint8)
        places = different.tolist()
        missing = [place for place in places if place not in self._seen]
        read = dict(zip(missing, self._decode(missing, self.image_size), strict=True))
        for i, place in enumerate(places):
            images[i] = self._seen[place] if place in self._seen else self._usable(read[place])
        for place in missing[: self._most_seen - len(self._seen)]:
            self._seen[place] = read[place].pixels
        return images[rows]

    def can_be(self, state: State) -> bool:
        """See ``Generator.can_be``."""
        if not consists_of(state, place=("i", ()), pool_class=("i", ())):
            return False
        places, classes = state["place"], state["pool_class"]
        if not ((places >= 0) & (places < len(self._classes))).all():
            return False
        found = self._classes[places]
        return bool(((found != UNREADABLE) & ((classes == found) | (classes == ANY))).all())

    def _usable(self, image: Decoded | None) -> np.ndarray:
        if image is None:
            raise GeneratorError(
                "An image of the pool can no longer be read. Put the pool back as it was and "
                "resume."
            )
        return image.pixels

    def files(self) -> np.ndarray:
        """All of the pool; see ``Generator.files``."""
        return self._features.digests

    def adopt(
        self,
        images: np.ndarray,
        class_names: Sequence[str],
        prompts: Sequence[str],
        rng: np.random.Generator,
    ) -> State:
        """The nearest image of the pool to each given one; see ``Generator.adopt``."""
        classes = self._classes_for(class_names)
        nearest = self._search.nearest(self._embedder.embed_given(images), classes, 1)
        return {"place": nearest[:, 0], "pool_class": classes}

    @property
    def _features(self) -> PoolFeatures:
        if self._known is None:
            deque(self.prepare(), maxlen=0)
        return self._known

    @cached_property
    def _classes(self) -> np.ndarray:
        """int64 ``(M,)``: the pool's class of each image, or ``UNREADABLE``."""
        return np.where(self._features.readable, self._pool.class_ids, UNREADABLE)

    @cached_property
    def _sizes(self) -> dict[int, int]:
        """How many images of each class of the pool can be read; under ``ANY``, of all."""
        ids, sizes = np.unique(self._classes[self._features.readable], return_counts=True)
        by_class = dict(zip(ids.tolist(), sizes.tolist(), strict=True))
        return {**by_class, ANY: sum(by_class.values())}

    @cached_property
    def _search(self) -> PoolSearch:
        return PoolSearch(self._features, self._classes, self.options.metric, self.device)

    def _members(self, pool_class: int) -> np.ndarray:
        """The images of a class of the pool, or all that can be read, int64 ``(n,)``."""
        return np.flatnonzero(
            self._features.readable if pool_class == ANY else self._classes == pool_class
        )

    def _classes_for(self, class_names: Sequence[str]) -> np.ndarray:
        """The pool's class for each name, int64 ``(n,)``; ``ANY`` where it has none."""
        known = {}
        if self.options.use_classes and self._pool.rule != "none":
            names = enumerate(self._pool.class_names)
            known = {name: i for i, name in names if i in self._sizes}
        return np.array([known.get(name, ANY) for name in class_names], np.int64)

    def _counts(self, classes: np.ndarray, degree: float) -> np.ndarray:
        """k for each image, int64 ``(n,)``."""
        radius = self.options.radius
        k = {c: neighbours(degree, radius, self._sizes[c]) for c in np.unique(classes).tolist()}
        return np.array([k[c] for c in classes.tolist()], np.int64)


def _opened(options: Options) -> PrivateDataset:
    """The pool that is named; DataError where there is no image."""
    return open_dataset(Path(options.pool).expanduser())


@contextmanager
def _pool_errors() -> Iterator[None]:
    """Errors of a data set as errors of this generator."""
    try:
        yield
    except DataError as error:
        raise GeneratorError(f"The pool cannot be used. {error}") from error


def neighbours(degree: float, radius: float | None, size: int) -> int:
    """k, among how many of ``size`` images a variation is drawn: 1 at degree 0, R at degree 1."""
    if radius is None:
        reach = min(max(AUTO_SHARE * size, AUTO_NEIGHBOURS[0]), AUTO_NEIGHBOURS[1])
    else:
        reach = radius * size if radius < 1 else radius
    reach = min(size, MOST_NEIGHBOURS, max(1, round(reach)))
    return 1 + round(degree * (reach - 1))


def _dealt(members: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of the members, int64, in random order; one comes again only after all others."""
    rounds, rest = divmod(count, len(members))
    whole = [rng.permutation(members) for _ in range(rounds)]
    return np.concatenate([*whole, rng.choice(members, rest, replace=False)])
