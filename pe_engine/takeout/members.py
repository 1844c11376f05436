"""Files of a release on their way into a zip, each with its SHA-256 and size for the manifest."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

READ_BYTES = 1 << 20


class Members:
    """Adds to a zip, and remembers what was added in ``files``."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, content: bytes, compression: int) -> None:
        self._archive.writestr(member(name, compression), content)
        self.files[name] = facts(content)

    def add_file(self, path: Path, compression: int) -> None:
        """The file at ``path`` under its own name, read in pieces."""
        entry = member(path.name, compression)
        entry.file_size = path.stat().st_size  # tells zipfile whether it needs 64-bit sizes
        digest = hashlib.sha256()
        with path.open("rb") as source, self._archive.open(entry, "w") as target:
            while block := source.read(READ_BYTES):
                digest.update(block)
                target.write(block)
        self.files[path.name] = {"sha256": digest.hexdigest(), "size": path.stat().st_size}


def facts(content: bytes) -> dict[str, Any]:
    """What the manifest says of a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def member(name: str, compression: int) -> zipfile.ZipInfo:
    """Same date, system and mode everywhere, so that the same run gives the same bytes."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = compression
    entry.create_system = 3  # Unix, whose modes the next line means
    entry.external_attr = 0o100644 << 16
    return entry


def as_text(manifest: dict[str, Any]) -> str:
    """One line for each entry of each part: readable, and json's fast encoder does the rest."""
    parts = []
    for name, part in manifest.items():
        lines = part.items() if isinstance(part, dict) else ()
        inner = ",\n".join(f"  {_line(key)}: {_line(value)}" for key, value in lines)
        parts.append(f" {_line(name)}: " + (f"{{\n{inner}\n }}" if inner else _line(part)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
