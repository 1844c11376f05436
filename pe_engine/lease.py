"""The folder of a run as the thread sees it that drives the run, until the run is given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from pe_engine.errors import Interrupted
from pe_engine.storage import RunFolder

CHANGES = (
    "write_population",
    "note_committed",
    "write_provenance",
    "adopt_source",
    "images_were_read",
    "forget_images",
    "write_features",
    "delete_private",
    "delete_generator",
)


class Lease(RunFolder):
    """A ``RunFolder`` in which nothing changes any more once ``given_up`` is set.

    A thread cannot be ended from outside. One that hangs in a model and wakes up hours later, when
    its run was given up, shall find that there is nothing it can do.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.given_up = threading.Event()


def _until_given_up(name: str) -> Callable[..., None]:
    @wraps(getattr(RunFolder, name))
    def checked(self: Lease, *arguments: Any, **options: Any) -> None:
        if self.given_up.is_set():
            raise Interrupted
        getattr(RunFolder, name)(self, *arguments, **options)

    return checked


for _name in CHANGES:
    setattr(Lease, _name, _until_given_up(_name))
