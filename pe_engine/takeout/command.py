"""``python -m pe_engine export``: what the page takes out, on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pe_engine.boundary import Outgoing
from pe_engine.errors import RunError
from pe_engine.files import atomic_write, home_folder
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.releasing import gather
from pe_engine.storage import RunFolder
from pe_engine.takeout.animation import evolution
from pe_engine.takeout.arguments import choice_of
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.package import zip_pieces
from pe_engine.takeout.pdf import report_pdf
from pe_engine.takeout.saving import save


def run(options: argparse.Namespace) -> int:
    """Write what was asked for, and say where it is.

    Raises:
        RunError: there is no such run, generation or place.
        ConfigError: a value is out of its range.
    """
    choice, destination = choice_of(options), options.to.absolute()
    if destination.exists():
        raise RunError(f"{destination} is there already. Choose another name.")
    folder = RunFolder(options.output)
    header = Header.from_json(folder.read_header())
    release = gather(header, folder, Ledger(home_folder()), choice.generation)
    _write(release, choice, destination)
    print(destination)
    print(f"ε is that of the whole plan: {release.epsilon_planned:.4g}.", file=sys.stderr)
    return 0


def _write(release: Outgoing, choice: Choice, destination: Path) -> None:
    """The ending of its name says what to make."""
    pieces = _file(release, choice, destination.suffix.lower())
    if pieces is None:
        save(release, choice, destination.parent, destination.name)
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(destination) as file:
        for piece in pieces:
            file.write(piece)


def _file(release: Outgoing, choice: Choice, ending: str) -> Iterator[bytes] | None:
    """Its content in pieces; None for a folder."""
    if ending == ".zip":
        return zip_pieces(release, choice)
    if ending == ".pdf":
        return iter([report_pdf(release)])
    if ending in (".gif", ".webp"):
        return iter([evolution(release, ending[1:])])
    return None
