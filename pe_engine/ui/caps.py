"""How much a server takes from one sender and from all, and how much one run may ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

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
        iterations, lookahead, samples: of one run; samples of one generation.
        side: pixels, height and width of the images of one run.
        pixels: of all candidates of one run and their look-ahead variations.
        stored_bytes: that one run may store.
        run_seconds: so long one run may keep others waiting; then it is stopped.
        kept_seconds: so long a run is kept after its last change; then it is deleted.
    """

    files: int = LOCAL_LIMITS.members
    bytes: int = 64 * 2**30
    of_one: int = 100
    bytes_of_one: int = 128 * 2**30
    in_all: int = 1000
    iterations: float = inf
    lookahead: float = inf
    samples: float = inf
    side: float = inf
    pixels: float = inf
    stored_bytes: float = inf
    run_seconds: float = inf
    kept_seconds: float = inf


SHARED_CAPS = Caps(
    files=SHARED_LIMITS.members,
    bytes=4 * 2**30,
    of_one=4,
    bytes_of_one=8 * 2**30,
    in_all=100,
    iterations=50,
    lookahead=16,
    pixels=2 * 10**10,  # the preset "cats" makes 4 · 10^9
    stored_bytes=8 * 2**30,
)

DEMO_CAPS = Caps(
    files=6000,  # the bundled example has 5,000
    bytes=64 * 2**20,
    of_one=2,
    bytes_of_one=128 * 2**20,
    in_all=50,
    iterations=5,
    lookahead=4,
    samples=1000,
    side=512,
    pixels=7 * 10**8,  # 100 samples of 512 pixels, look-ahead 4, 5 iterations
    stored_bytes=512 * 2**20,
    run_seconds=300,
    kept_seconds=24 * 3600,
)
