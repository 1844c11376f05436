"""What the owner of a run calls it, in the ``title.json`` of its folder; nobody else reads it."""

from __future__ import annotations

import json
from pathlib import Path

from pe_engine.errors import ConfigError
from pe_engine.files import write_json

LONGEST_TITLE = 80


def write_title(folder: Path, title: str) -> str:
    """Keep the title, in one line; "" for none.

    Returns:
        What was kept.

    Raises:
        ConfigError: it is longer than 80 characters, or no text.
    """
    line = " ".join(title.split())
    if len(line) > LONGEST_TITLE:
        raise ConfigError(
            f"The title has {len(line)} characters, and {LONGEST_TITLE} is the most. Shorten it."
        )
    if not line.isprintable():
        raise ConfigError("The title has characters that cannot be shown. Type it again.")
    write_json(folder / "title.json", {"title": line})
    return line


def read_title(folder: Path) -> str:
    """What ``write_title`` kept; "" where there is none that can be read."""
    try:
        return str(json.loads((folder / "title.json").read_bytes())["title"])[:LONGEST_TITLE]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
