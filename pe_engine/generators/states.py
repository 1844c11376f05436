"""What arrays a state read from a file must consist of."""

from __future__ import annotations

import numpy as np

from pe_engine.generators.base import State


def consists_of(state: State, **arrays: tuple[str, tuple[int, ...]]) -> bool:
    """Whether a state has arrays of these names alone, each of this kind (as ``dtype.kind``) and
    row shape, and numbers that are finite."""
    return state.keys() == arrays.keys() and all(
        state[name].dtype.kind == kind
        and state[name].shape[1:] == shape
        and (kind != "f" or bool(np.isfinite(state[name]).all()))
        for name, (kind, shape) in arrays.items()
    )
