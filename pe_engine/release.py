"""The only door between the private images and the evolution loop.

``PrivateVoters`` reads the private images into features, and releases noisy votes on the candidates
of a generation. Clean votes live inside ``PrivateVoters.release`` alone. Noisy votes and their
charge are in the ledger before anyone sees them; once committed they are read back, never drawn
again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from pe_engine.config import RunConfig
from pe_engine.counting import count_by_image, count_by_person, draw_turns
from pe_engine.data import PrivateDataset
from pe_engine.embedders.base import Embedder
from pe_engine.errors import DataError, GeneratorError, OtherImagesError, RunError
from pe_engine.events import Event, Notice, Phase, Progress
from pe_engine.privacy.ledger import Ledger
from pe_engine.privacy.mechanism import discrete_gaussian
from pe_engine.storage import RunFolder
from pe_engine.voting import nearest_candidates, usable

READ_BATCH = 256


class PrivateVoters:
    """The private images of one run.

    Args:
        open_source: opens the private data set; called only when it has to be read.
        given_out: SHA-256 of the files that the generator may let leave as they are, uint8
            ``(M, 32)``.
        persons_of: the run for which the images must belong to the same persons, see
            ``Ledger.bind_data``; "" for none.
    """

    def __init__(
        self,
        *,
        run_id: str,
        config: RunConfig,
        noise_multiplier: float,
        device: str,
        class_names: Sequence[str],
        embedder: Embedder,
        ledger: Ledger,
        folder: RunFolder,
        open_source: Callable[[], PrivateDataset],
        given_out: Callable[[], np.ndarray],
        persons_of: str = "",
    ) -> None:
        self._run_id = run_id
        self._config = config
        self._noise_multiplier = noise_multiplier
        self._device = device
        self._class_names = class_names
        self._embedder = embedder
        self._ledger = ledger
        self._folder = folder
        self._open_source = open_source
        self._given_out = given_out
        self._persons_of = persons_of
        self._features: np.ndarray | None = None  # float32 (M, D)
        self._class_ids: np.ndarray | None = None  # int64 (M,)
        self._person_ids: np.ndarray | None = None  # int64 (M,)

    def committed(self, generation: int) -> np.ndarray | None:
        """The noisy votes that the ledger holds for this generation, int64 ``(N,)``."""
        noisy_votes = self._ledger.noisy_votes(self._run_id, generation)
        if noisy_votes is not None:  # a crash may have come before that was noted
            self._folder.note_committed(generation)
        return noisy_votes

    def prepare(self, generation: int) -> Iterator[Event]:
        """Have the private features in memory: stored ones, or read from the images.

        Raises:
            DataError: no image could be read.
            OtherImagesError: these are not the images the run began with; they are forgotten.
            RunError: the images are needed again.
        """
        if self._features is not None:
            return
        stored = self._folder.read_features()
        if self._folder.read_source() is not None:  # not read yet, or given again to be checked
            try:
                stored = yield from self._read_images(generation)
            except OtherImagesError:
                self._folder.forget_images()
                raise
            if self._config.keep_features:
                self._folder.write_features(*stored)
            self._folder.images_were_read(keeps_features=self._config.keep_features)
        if stored is None:
            raise RunError(
                "The private images are needed to go on, but this run keeps no features of them. "
                "Give the same images again."
            )
        self._features, self._class_ids, self._person_ids = stored

    def release(
        self, generation: int, candidates: np.ndarray, class_ids: np.ndarray
    ) -> Generator[Progress, None, np.ndarray]:
        """Noisy votes on the candidates, int64 ``(N,)``, committed with their charge.

        Every cell of every class gets noise, a class without private images too.

        Args:
            generation: the generation whose parents these votes choose.
            candidates: float32 ``(N, D)``.
            class_ids: int64 ``(N,)``.

        Raises:
            GeneratorError: a candidate's features are not ``usable``. Then no neighbours are
                nearest, and one private image could vote twice for a candidate.
        """
        if not usable(candidates).all():
            raise GeneratorError(
                "Some synthetic images came out as no numbers at all, so that nothing can be "
                "compared with them; no budget was spent on them. Choose another number format "
                "(the option dtype: fp32 is safest) or another model."
            )
        choices = yield from self._choices(generation, candidates, class_ids)
        if self._config.unit == "person":
            turns = draw_turns(self._features, self._class_ids, generation)
            most = self._config.person_votes
            counts = count_by_person(choices, self._person_ids, turns, most, len(candidates))
        else:
            counts = count_by_image(choices, len(candidates))
        noisy_votes = discrete_gaussian(counts, self._noise_multiplier)
        self._ledger.commit(self._run_id, generation, noisy_votes)
        self._folder.note_committed(generation)
        return noisy_votes

    def _choices(
        self, generation: int, candidates: np.ndarray, class_ids: np.ndarray
    ) -> Generator[Progress, None, np.ndarray]:
        """int64 ``(M, k)``: the candidates of its own class nearest to each private image."""
        choices = np.full((len(self._features), self._config.neighbours), -1, np.int64)
        classes = len(self._class_names)
        for c in range(classes):
            # told by classes alone: batches would tell how many private images there are; and of
            # each class, since whether one is empty is private, too
            voting = Progress(generation, Phase.VOTE, c, classes)
            yield voting
            ours = np.flatnonzero(class_ids == c)
            rows = np.flatnonzero(self._class_ids == c)
            pauses = nearest_candidates(
                self._features,
                rows,
                candidates[ours],
                neighbours=self._config.neighbours,
                metric=self._config.metric,
                search=self._config.search,
                device=self._device,
            )
            chosen = yield from _with_events(pauses, voting)
            choices[rows] = np.where(chosen < 0, -1, ours[chosen])
        yield Progress(generation, Phase.VOTE, classes, classes)
        return choices

    def _read_images(
        self, generation: int
    ) -> Generator[Event, None, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        dataset = self._open_source()
        if tuple(dataset.class_names) != tuple(self._class_names):
            raise OtherImagesError(
                "These images have other classes than the run began with. Give the folder or zip "
                "that the run was started on."
            )
        features = np.empty((len(dataset), self._embedder.dimension), np.float32)
        class_ids = np.empty(len(dataset), np.int64)
        person_ids = np.empty(len(dataset), np.int64)
        digests: list[bytes] = []
        for batch in dataset.batches(self._config.image_size, READ_BATCH):
            rows = slice(len(digests), len(digests) + len(batch.images))
            if len(batch.images):
                features[rows] = self._embedder.embed(batch.images)
            class_ids[rows] = batch.class_ids
            person_ids[rows] = batch.person_ids
            digests += batch.digests
            yield Progress(generation, Phase.PRIVATE, batch.done, len(dataset))
        found = len(digests)
        self._check_pool(set(digests))
        persons = None
        if self._config.unit == "person":
            persons = self._ledger.persons_fingerprint(digests, person_ids[:found].tolist())
        images = self._ledger.fingerprint(digests)
        self._ledger.bind_data(self._run_id, images, persons, persons_of=self._persons_of)
        skipped = len(dataset.skipped) + len(dataset) - found
        if skipped:
            said = f"{skipped:,} files could not be used as images; left out."
            yield Notice(generation, said, private=True)
        if said := dataset.empty_class_notice(class_ids[:found]):
            yield Notice(generation, said, private=True)
        return features[:found], class_ids[:found], person_ids[:found]

    def _check_pool(self, private: set[bytes]) -> None:
        """Raises DataError where a private image would leave as it is."""
        if any(row.tobytes() in private for row in self._given_out()):
            raise DataError(
                "Some of the private images are also in the generator's pool, whose images leave "
                "as they are. Nothing was voted for and nothing spent. Delete this run, and start "
                "one with a pool of public images only."
            )


def _with_events(
    pauses: Generator[None, None, np.ndarray], event: Progress
) -> Generator[Progress, None, np.ndarray]:
    """The same generator, saying ``event`` at each pause."""
    while True:
        try:
            next(pauses)
        except StopIteration as end:
            return end.value
        yield event
