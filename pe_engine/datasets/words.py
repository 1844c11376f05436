"""Numbers as people say them."""

from __future__ import annotations


def amount(count: int) -> str:
    """Bytes: ``170 MB``, ``10.7 GB``."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
