"""Whose a folder of the server is: a run's or an upload's, in its ``owner.json``.

Only a hash of who owns it is stored, so that a copy of the folder lets nobody in.
"""

from __future__ import annotations

import json
from pathlib import Path

from pe_engine.files import atomic_write

NOBODY = ""


def write_owner(folder: Path, owner: str) -> None:
    """``owner``: the hash of an identity, as ``ui/identity.py`` makes it."""
    with atomic_write(folder / "owner.json") as file:
        file.write(json.dumps({"owner": owner}).encode())


def read_owner(folder: Path) -> str | None:
    """What ``write_owner`` stored; None where nothing was, ``NOBODY`` where it cannot be read."""
    try:
        stored = json.loads((folder / "owner.json").read_bytes())
        return str(stored["owner"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError):
        return NOBODY
