"""The small curves of a run, as numbers and sentences: how many parents a generation had, and ε."""

from __future__ import annotations

from typing import Any

from pe_engine.generations import Generations
from pe_engine.snapshot import GenerationView, Snapshot

COLLAPSED = 0.1
"""Below this share of its candidates a generation descends from very few."""


def curves(generations: Generations, snapshot: Snapshot) -> dict[str, Any]:
    """``{"parents": [{"generation", "effective", "of", "few"}, ...], "said": str}``: for each
    finished generation from 1 on whose votes the ledger has, how many candidates effectively stood
    for parents of it.

    Args:
        snapshot: as the boundary shows it to this viewer.

    Raises:
        RunError: a stored generation is damaged.
    """
    method = snapshot.config.selection
    points = []
    for before, view in zip(snapshot.generations, snapshot.generations[1:], strict=False):
        effective = generations.effective_parents(view.generation, view.threshold, method)
        if effective is not None:
            points.append(_point(before, view, effective))
    return {"parents": points, "said": _said(points[-1]) if points else ""}


def _point(before: GenerationView, view: GenerationView, effective: float) -> dict[str, Any]:
    of = before.num_samples
    return {
        "generation": view.generation,
        "effective": round(effective, 1),
        "of": of,
        "few": effective < COLLAPSED * of,
    }


def _said(point: dict[str, Any]) -> str:
    said = (
        f"The votes for generation {point['generation'] - 1} chose as evenly as "
        f"{point['effective']:,.0f} of its {point['of']:,} images would."
    )
    if not point["few"]:
        return said
    return (
        f"{said} These are few: the next generations may all look alike. "
        "A lower threshold, more samples or a larger variation degree keep more variety."
    )
