"""The noise that makes votes private: OpenDP's discrete Gaussian.

The noise is drawn by OpenDP from the operating system's entropy. It cannot be seeded, so that
nobody can draw it again and subtract it; a resumed run reads its noisy votes from the ledger.
"""

from __future__ import annotations

import math

import numpy as np

# Far above any real vote or noise, far below int64's end: no sum can overflow or saturate.
LARGEST_COUNT = 2**53
LARGEST_NOISE_MULTIPLIER = 1e7


def discrete_gaussian(counts: np.ndarray, noise_multiplier: float) -> np.ndarray:
    """Counts plus independent integer noise with mass proportional to exp(-x² / 2σ²) in each cell.

    All cells are drawn in one call, also those without a vote: which cells are empty is private,
    and a call for each cell would tell magnitudes by its time (Jin et al. 2022).

    Args:
        counts: integers ``(N,)``, at most 2⁵³ in magnitude. Private.
        noise_multiplier: σ in votes, in (0, 1e7].

    Returns:
        int64 ``(N,)``; may be negative.

    Raises:
        TypeError: the counts are not a one-dimensional array of integers.
        ValueError: σ or a count is out of range (without naming a count, which is private).
    """
    if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer):
        raise TypeError(f"counts must be integers (N,), got {counts.dtype} {counts.shape}")
    if not math.isfinite(noise_multiplier) or not 0 < noise_multiplier <= LARGEST_NOISE_MULTIPLIER:
        raise ValueError(
            f"noise multiplier σ is {noise_multiplier!r}, but must lie in "
            f"(0, {LARGEST_NOISE_MULTIPLIER:g}]"
        )
    if counts.size == 0:
        return np.zeros(0, np.int64)
    if counts.max() > LARGEST_COUNT or counts.min() < -LARGEST_COUNT:
        raise ValueError("a count is larger than 2^53 in magnitude")
    release = _measurement(float(noise_multiplier))
    return np.asarray(release(counts.astype(np.int64).tolist()), dtype=np.int64)


def _measurement(noise_multiplier: float):
    """OpenDP's vector mechanism on int64 counts with L2-sensitivity."""
    import opendp.prelude as dp

    # OpenDP marks every mechanism whose proof has not been through its full review as 'contrib'.
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return space >> dp.m.then_gaussian(scale=noise_multiplier)
