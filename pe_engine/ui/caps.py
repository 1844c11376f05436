"""How much a server takes from one sender and from all."""

from __future__ import annotations

from dataclasses import dataclass

from pe_engine.data import LOCAL_LIMITS, SHARED_LIMITS


@dataclass(frozen=True)
class Caps:
    """What a server takes.

    Attributes:
        files: in one upload.
        bytes: in one upload.
        of_one: uploads that one owner may have here.
        bytes_of_one: in all uploads of one owner.
        in_all: uploads of all owners.
    """

    files: int = LOCAL_LIMITS.members
    bytes: int = 64 * 2**30
    of_one: int = 100
    bytes_of_one: int = 128 * 2**30
    in_all: int = 1000


SHARED_CAPS = Caps(SHARED_LIMITS.members, 4 * 2**30, 4, 8 * 2**30, 100)
