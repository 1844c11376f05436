"""Tries every hostile case and prints what became of it, as a table in Markdown.

    python -m tests.hostile.table

Ends with 1 if anything but a sentence came back.
"""

from __future__ import annotations

import logging
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from pe_engine.build import continue_run
from pe_engine.config import RunConfig
from pe_engine.errors import PEError
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import settled, start_run
from pe_engine.storage import RunFolder
from tests.hostile import image_cases, start_cases, zip_cases
from tests.hostile.fuzz import Tally
from tests.hostile.making import folder, image, packed
from tests.hostile.trying import tried

Row = tuple[str, str, str]
CONFIG = RunConfig(
    dataset_name="hostile",
    prompts=("x",),
    iterations=3,
    num_samples=(6,),
    lookahead=0,
    epsilon=5.0,
    image_size=16,
)
"""Of a run that starts from hostile pictures."""


def images(place: Path) -> Iterator[Row]:
    """Each beside a sound image, in a folder; the tests try them in a zip too."""
    for what, case in image_cases.CASES.items():
        source = folder(place / "set", {"good.png": image(7), case.name: case.make()})
        outcome = tried(source)
        reason = outcome.skipped.get(case.name, "")
        used = "skipped" if reason else "accepted" if len(outcome.images) == 2 else "LOST"
        yield what, used, reason
        shutil.rmtree(source)


def zips(place: Path) -> Iterator[Row]:
    """Each zip as a whole."""
    for what, case in zip_cases.CASES.items():
        case.make(place / "zip")
        outcome = tried(place / "zip", limits=case.limits)
        name = what if what in zip_cases.WHOLES else f"a zip with {what}"
        if outcome.refused:
            yield name, "refused", outcome.refused
        else:
            reasons = "; ".join(outcome.skipped.values())
            yield name, "skipped" if reasons else "accepted", reasons


def pictures(place: Path) -> Iterator[Row]:
    """Each as what a run is to start from."""
    for what, make in start_cases.PICTURES.items():
        (place / "given.npz").write_bytes(make())
        yield _started(place, place / "given.npz", f"to start from: {what}")


def runs(place: Path) -> Iterator[Row]:
    """Each spoils a finished run that another is to start from."""
    ledger = Ledger(place / "home")
    start_run(place / "whole", CONFIG, _private(place), ledger)
    list(continue_run(RunFolder(place / "whole"), ledger))
    for what, spoil in start_cases.RUNS.items():
        shutil.copytree(place / "whole", place / "run")
        spoil(place / "run")
        yield _started(place, place / "run", f"to start from: {what}")
        shutil.rmtree(place / "run")


def settings(place: Path) -> Iterator[Row]:
    """Each as the settings of a run."""
    for what, text in start_cases.SETTINGS.items():
        try:
            settled(RunConfig.from_json(text))
        except PEError as error:
            yield f"settings: {what}", "refused", _short(error, place)
        else:
            yield f"settings: {what}", "accepted", ""


def _private(place: Path) -> Path:
    return packed(place / "private.zip", {f"{i}.png": image(i) for i in range(3)})


def _started(place: Path, given: Path, what: str) -> Row:
    config = replace(CONFIG, initial=str(given))
    try:
        start_run(place / "out", config, _private(place), Ledger(place / "home"))
    except PEError as error:
        return what, "refused", _short(error, place)
    shutil.rmtree(place / "out")
    return what, "accepted", ""


def _short(error: PEError, place: Path) -> str:
    return str(error).replace(f"{place}/", "")


SECTIONS: tuple[tuple[str, Callable[[Path], Iterator[Row]]], ...] = (
    ("Files", images),
    ("Zips", zips),
    ("Pictures to start from", pictures),
    ("Runs to start from", runs),
    ("Settings", settings),
)


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable()
    tally, started, count = Tally(), time.monotonic(), 0
    with tally.watching():
        for title, rows in SECTIONS:
            print(f"### {title}\n\n| case | outcome | what is said |\n|---|---|---|")
            with tempfile.TemporaryDirectory() as place:
                for row in rows(Path(place)):
                    print("| " + " | ".join(_cell(text) for text in row) + " |")
                    count += 1
            print()
    machine = f"{psutil.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    seconds, memory = time.monotonic() - started, tally.peak / 2**20
    print(f"{count} cases in {seconds:.0f} s; {memory:.0f} MiB of memory at most; {machine}.")
    return 0


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
