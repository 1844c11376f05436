"""A run where a GPU is lent for one call at a time, as on Hugging Face's ZeroGPU.

Each generation is one call of ``one_generation`` in a forked worker that has the GPU. What goes
there and what comes back is pickled, and nothing that the worker changes in memory outlives it: all
that counts is in the run's folder and the ledger, as with a run that is stopped and resumed after
each generation. The private features therefore have to be kept on disk until the run is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pe_engine.build import continue_run
from pe_engine.components import is_out_of_memory
from pe_engine.data import PrivateDataset
from pe_engine.errors import GeneratorError, PEError, RunError
from pe_engine.events import Event, GenerationReady
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.runner import Driver
from pe_engine.storage import RunFolder

FIRST_SECONDS = 120.0
"""Asked for when nothing has been measured: with the models still to be loaded."""

LEAST_SECONDS, MOST_SECONDS = 30.0, 300.0
MARGIN = 1.5

OUT_OF_MEMORY = (
    "The memory of the lent GPU is too small for this run. Start one with fewer samples or smaller "
    "images."
)
CUT_OFF = (
    "The GPU was taken back before generation {} was done. Resume: what was voted is kept. If it "
    "happens again, start a run with fewer samples or a smaller look-ahead."
)


@dataclass(frozen=True)
class Stored:
    """Generation ``generation`` is complete and on disk; its images do not travel."""

    generation: int


@dataclass(frozen=True)
class Failed:
    """Why the call ended, to be raised again where the run is driven."""

    error: PEError | OSError


Call = Callable[[str, str, int, float], Generator[Event | Stored | Failed, None, None]]
"""``one_generation`` with the GPU around it."""


def one_generation(
    folder: str, home: str, until: int, seconds: float
) -> Generator[Event | Stored | Failed, None, None]:
    """Let a run go on until generation ``until`` is stored; after the last one, to its end.

    Args:
        folder: of the run.
        home: of the ledger that it belongs to.
        seconds: that the GPU was asked for; for whoever lends it.
    """
    try:
        for event in continue_run(RunFolder(Path(folder)), Ledger(Path(home)), until=until):
            yield Stored(event.generation) if isinstance(event, GenerationReady) else event
    except (PEError, OSError) as error:
        yield Failed(error)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        yield Failed(GeneratorError(OUT_OF_MEMORY))


def on_loan(call: Call) -> Driver:
    """What drives a run by one ``call`` for each generation; see ``runner.Run``."""

    def drive(
        folder: RunFolder,
        ledger: Ledger,
        dataset: PrivateDataset | None = None,  # the worker finds the images itself
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        if folder.finishes_early:  # which needs no GPU
            yield from continue_run(folder, ledger)
            return
        iterations = Header.from_json(folder.read_header()).config.iterations
        seconds = FIRST_SECONDS
        try:
            while not folder.zip_path.is_file() and not (stop and stop.is_set()):
                until = min(folder.last_generation() + 1, iterations)
                began = time.monotonic()
                with closing(call(str(folder.path), str(ledger.home), until, seconds)) as told:
                    yield from _events(told, folder)
                if folder.last_generation() < until and not (stop and stop.is_set()):
                    raise RunError(CUT_OFF.format(until))
                if until > 0:  # generation 0 has no look-ahead and says little of the others
                    seconds = _to_ask_for(time.monotonic() - began)
        finally:
            ledger.close_run(Header.from_json(folder.read_header()).run_id)

    return drive


def _events(told: Iterator[Event | Stored | Failed], folder: RunFolder) -> Iterator[Event]:
    for event in told:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Stored):
            event = GenerationReady(event.generation, folder.read_population(event.generation))
        yield event


def _to_ask_for(taken: float) -> float:
    """Seconds for a generation when the last one has ``taken`` so many."""
    return min(max(taken * MARGIN, LEAST_SECONDS), MOST_SECONDS)
