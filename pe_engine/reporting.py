"""What the command line prints: the progress bar and its tables."""

from __future__ import annotations

import math
import shlex
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from pe_engine.components import generator_class, generator_options, load_class
from pe_engine.config import ADJACENCIES
from pe_engine.embedders import EMBEDDERS
from pe_engine.events import Phase
from pe_engine.generators import GENERATORS
from pe_engine.presets import PRESETS
from pe_engine.privacy.ledger import DatasetSummary, Ledger
from pe_engine.snapshot import Snapshot, Status
from pe_engine.timing import duration

BAR_WIDTH = 24


class ProgressBar:
    """One line that is rewritten on a terminal; elsewhere one line per finished generation, and
    between them one every ``QUIET_SECONDS``.

    Args:
        clock: seconds that only go forward.
    """

    QUIET_SECONDS = 10.0

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._last_line = clock()
        self._rewrites = stream.isatty()
        self._lines_shown = 0  # generations told so far
        self._told: set[str] = set()

    def show(self, snapshot: Snapshot) -> None:
        """Tell what is new."""
        for notice in (*snapshot.owner_notices, *snapshot.notices):
            if notice not in self._told:
                self._line(f"Note: {notice}")
                self._told.add(notice)
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r" + progress_line(snapshot)[:width].ljust(width))
            self._stream.flush()
            return
        for view in snapshot.generations[self._lines_shown :]:
            spent = f", ε spent {view.epsilon_spent:.4g}" if view.has_votes else ""
            self._line(
                f"Generation {view.generation} of {snapshot.config.iterations}: "
                f"{view.num_samples:,} images{spent}"
            )
        self._lines_shown = len(snapshot.generations)
        quiet = self._clock() - self._last_line >= self.QUIET_SECONDS
        if quiet and not snapshot.status.ended:
            self._line(progress_words(snapshot))

    def close(self, snapshot: Snapshot) -> None:
        """Show the last state and leave the line."""
        self.show(snapshot)
        if self._rewrites:
            self._stream.write("\n")

    def _line(self, text: str) -> None:
        start = "\r" if self._rewrites else ""
        self._stream.write(f"{start}{text}\n")
        self._stream.flush()
        self._last_line = self._clock()


def progress_line(snapshot: Snapshot) -> str:
    """``[#####     ] generation 2 of 5, looking ahead 40 %, 12 s left``."""
    filled = round(BAR_WIDTH * (overall_fraction(snapshot) or 0))
    return f"[{'#' * filled:{BAR_WIDTH}}] {progress_words(snapshot)}"


def progress_words(snapshot: Snapshot) -> str:
    """``generation 2 of 5, looking ahead 40%, 12 s left``; how much of the private images is read
    is not told: batches of a known size would tell how many there are."""
    what = snapshot.phase.value if snapshot.phase else snapshot.status.value
    if snapshot.loading:
        what = "loading the models"
    elif snapshot.phase not in (None, Phase.PRIVATE):
        what += f" {snapshot.phase_fraction:.0%}"
    parts = [f"generation {snapshot.generation} of {snapshot.config.iterations}", what]
    if snapshot.seconds_left and snapshot.status is Status.RUNNING:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return ", ".join(parts)


def overall_fraction(snapshot: Snapshot) -> float | None:
    """Share of the whole run that is done, in [0, 1]: by time where known, else by generation.

    None while the models are loaded, and while the private images are read.
    """
    if snapshot.status is Status.DONE:
        return 1.0
    if snapshot.loading or snapshot.phase is Phase.PRIVATE:
        return None
    if snapshot.seconds_left is not None and snapshot.seconds_elapsed > 0:
        return snapshot.seconds_elapsed / (snapshot.seconds_elapsed + snapshot.seconds_left)
    return len(snapshot.generations) / (snapshot.config.iterations + 1)


def budget_table(ledger: Ledger, delta: float) -> str:
    """What each data set has spent: ε at this δ, under both adjacencies, for each image; and for
    each person, where a run has protected persons."""
    entries = ledger.datasets()
    units = ["image"]
    if any(_of_persons(entry) for entry in entries):
        units.append("person")
    promises = [(unit, adjacency) for unit in units for adjacency in ADJACENCIES]
    heads = [
        f"ε {adjacency.replace('-', '/')}{' of a person' * (unit == 'person')}"
        for unit, adjacency in promises
    ]
    rows = [("data set", "runs", "generations", "reserved", *heads, "cap on ε")]
    for entry in entries:
        spent = [entry.epsilon(delta, how, unit) for unit, how in promises]
        rows.append(
            (
                entry.name,
                str(entry.runs),
                str(entry.generations),
                str(entry.reserved),
                *("no bound" if math.isinf(epsilon) else f"{epsilon:.4g}" for epsilon in spent),
                _cap(entry),
            )
        )
    if len(rows) == 1:
        return "Nothing has been spent yet."
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    same = [
        f"{entry.name!r} has the same images as {', '.join(map(repr, entry.other_names))}; what is "
        "spent on them counts for all."
        for entry in entries
        if entry.other_names
    ]
    held = [
        f"Reserved under {entry.name!r} by run {run_id}; give it back with --release {run_id}"
        for entry in entries
        for run_id in entry.open_runs
    ]
    return "\n".join([*lines, f"(all ε at δ = {delta:g})", *same, *held])


def _of_persons(entry: DatasetSummary) -> bool:
    capped = entry.cap is not None and entry.cap.unit == "person"
    return capped or any(charge.unit == "person" for charge in entry.charges)


def _cap(entry: DatasetSummary) -> str:
    if entry.cap is None:
        return "none"
    return f"{entry.cap.epsilon:.4g}{' of a person' * (entry.cap.unit == 'person')}"


def describe_generators(names: list[str]) -> str:
    """Each generator with its options."""
    lines = []
    for name in names:
        lines.append(f"{name}: {generator_class(name).summary}")
        lines += [
            f"    --option {option.name}={_shown(option.default)}  {option.help}"
            + (f" ({', '.join(option.choices)})" if option.choices else "")
            for option in generator_options(name)
        ]
    return "\n".join(lines)


def generator_table() -> str:
    """All generators as a table in Markdown, for the documentation."""
    heads = ("Generator", "Needs", "Sends", "Costs", "Variation degree", "Offline")
    rows = [
        (f"`{name}`", *vars(generator_class(name).facts).values()) for name in sorted(GENERATORS)
    ]
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def describe_presets() -> str:
    """Each preset with its settings, as they are typed."""
    lines = []
    for name, preset in PRESETS.items():
        lines.append(f"{name}: {preset.summary}")
        for setting, value in preset.settings.items():
            lines += [f"    {shlex.join(words)}" for words in _typed(setting, value)]
    return "\n".join(lines)


def _typed(setting: str, value: object) -> list[list[str]]:
    """The words of each flag of ``run`` that sets a setting of a preset."""
    flag = f"--{setting.replace('_', '-')}"
    if setting == "generator_options":
        return [["--option", f"{name}={_shown(chosen)}"] for name, chosen in value.items()]
    if setting == "prompts":
        return [["--prompt", *value]]
    if isinstance(value, bool):
        return [[flag]] if value else []
    if isinstance(value, tuple):
        return [[flag, ",".join(map(str, value))]]
    return [[flag, str(_shown(value))]]


def _shown(default: object) -> object:
    return "auto" if default is None else default


def describe_embedders() -> str:
    return "\n".join(f"{n}: {load_class(EMBEDDERS, n).summary}" for n in EMBEDDERS)
