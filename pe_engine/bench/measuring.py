"""From a plan to its figures."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from pe_engine.bench import ours
from pe_engine.bench.clock import measure
from pe_engine.bench.machine import describe_machine, peak_memory, reset_peak_memory
from pe_engine.bench.plan import BenchPlan
from pe_engine.bench.setup import Bench, opened
from pe_engine.bench.table import work_values
from pe_engine.components import checked_options


def run_bench(plan: BenchPlan) -> dict[str, Any]:
    """All figures of the plan as JSON values: machine, settings, peak memory, works, ablation.

    Raises:
        PEError: an option is wrong, or the model cannot be had.
    """
    with opened(plan) as bench:
        return {
            "machine": describe_machine(bench.device),
            "settings": _settings(plan, bench),
            "peak_memory_bytes": _peak(bench),
            "works": list(_works(bench)),
            "ablation": list(_ablation(bench)),
        }


def _settings(plan: BenchPlan, bench: Bench) -> dict[str, Any]:
    options = asdict(checked_options(plan.generator, bench.plan.options))
    if plan.shape:
        options["model"] = plan.shape
    return {
        "generator": plan.generator,
        **{name: value for name, value in options.items() if value not in (None, "")},
        "size": bench.plan.size,
        "batch": bench.generator.batch_size,
        "embedder": f"{plan.embedder}, {bench.embedder.dimension} features",
        "degrees": [round(degree, 3) for degree in plan.degree_schedule],
        "whole generation": f"{plan.samples} samples, look-ahead {plan.lookahead}, degree "
        f"{plan.middle_degree:.3g}",
        "repeats": plan.repeats,
    }


def _peak(bench: Bench) -> int | None:
    """Bytes for a full batch of random images and one of look-ahead; this also warms all up."""
    gc.collect()
    reset_peak_memory(bench.device)
    ours.random_work(bench).run()
    ours.variations_work(bench).warm_up()
    return peak_memory(bench.device)


def _works(bench: Bench) -> Iterator[dict[str, Any]]:
    seed = {}
    if bench.plan.baseline:
        from pe_engine.bench.seed_works import seed_works

        seed = seed_works(bench)
    for name in bench.plan.measure:
        works = {"ours": ours.WORKS[name](bench)}
        if name in seed:
            works["seed"] = seed[name]()
        yield work_values(name, measure(works, bench.plan.repeats, bench.device))


def _ablation(bench: Bench) -> Iterator[dict[str, Any]]:
    if bench.plan.ablation:
        from pe_engine.bench.ablation import ablation

        yield from ablation(bench)
