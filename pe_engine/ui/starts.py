"""Runs that begin where another run of the same viewer is: its settings, its generations.

``run:<id>:<generation>`` in the field "Start from" means a generation of a run of whoever asks, and
is the only thing that a visitor of a shared server may have there.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from pe_engine.boundary import PRIVATE_SETTINGS, shown
from pe_engine.config import RunConfig
from pe_engine.continuing import Cost, continued, cost
from pe_engine.errors import ConfigError
from pe_engine.initial import past
from pe_engine.jobs import JobManager
from pe_engine.runner import Run
from pe_engine.ui.identity import Identity
from pe_engine.ui.run_routes import find_run

_OWN_RUN = re.compile(r"run:([0-9a-f]{32}):(\d{1,4})")
UNSAID = frozenset({"public_class_names"})
"""Said anew for every data set."""


def names_own_run(text: str) -> bool:
    """Whether it is ``run:<id>:<generation>``."""
    return _OWN_RUN.fullmatch(text.strip()) is not None


def start_path(manager: JobManager, who: Identity, text: str) -> str:
    """What ``RunConfig.initial`` is to be where the field says ``text``.

    Raises:
        HTTPException: it names a run that is not here for whoever asks.
        ConfigError: that run has no such generation.
    """
    found = _OWN_RUN.fullmatch(text.strip())
    if not found:
        return text
    run, generation = find_run(manager, found[1], who), int(found[2])
    _check_generation(run, generation)
    return f"{run.folder}:{generation}"


def settings_like(run: Run, owner: bool) -> tuple[RunConfig, Collection[str]]:
    """A run's settings as its viewer may see them, and the names of those that are not told.

    Args:
        owner: whoever looks owns this computer and the images.
    """
    config = shown(run.snapshot, owner).config
    return config, UNSAID if owner else UNSAID | PRIVATE_SETTINGS - {"initial"}


def settings_after(
    run: Run, owner: bool, generation: int, iterations: int, epsilon: float
) -> tuple[RunConfig, Collection[str]]:
    """The same for a run that makes more generations from one of that run.

    Raises:
        ConfigError: there is no such generation, or a number is out of its range.
    """
    _check_generation(run, generation)
    config, unsaid = settings_like(run, owner)
    more = continued(config, generation, iterations, epsilon)
    return replace(more, initial=f"run:{run.run_id}:{generation}"), unsaid


def cost_after(run: Run, owner: bool, generation: int, iterations: int, epsilon: float) -> Cost:
    """What such a run would cost together with that run; nothing is spent by asking.

    Raises:
        PEError: as ``settings_after``, or the persons of the run are not known.
    """
    _check_generation(run, generation)
    config, _ = settings_like(run, owner)
    config = continued(config, generation, iterations, epsilon)
    return cost(config, past(f"{run.folder}:{generation}"))


def _check_generation(run: Run, generation: int) -> None:
    made = len(shown(run.snapshot, owner=False).generations)
    if not 0 <= generation < made:
        raise ConfigError(
            f"This run has no generation {generation}; it has 0 to {made - 1}. Choose one of them."
        )
