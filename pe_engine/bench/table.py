"""The figures of a benchmark as JSON values and as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pe_engine.bench.clock import Timing

NOTHING = "–"
UNITS = {
    "random": "images",
    "variations": "variations",
    "features": "features",
    "votes": "votes",
    "generation": "generations",
}


def work_values(work: str, timings: Mapping[str, Timing]) -> dict[str, Any]:
    """JSON values of one work: ``ours`` and, with a baseline, ``seed`` and their ``ratio``."""
    values: dict[str, Any] = {"work": work, "unit": f"{UNITS[work]}/s"}
    values |= {side: timing_values(timing) for side, timing in timings.items()}
    if "seed" in timings:
        values["ratio"] = timings["ours"].rate / timings["seed"].rate
    return values


def ablation_values(item: str, unit: str, on: Timing, off: Timing) -> dict[str, Any]:
    """JSON values of one piece of speed work; ``ratio`` above 1 says that it pays."""
    return {
        "item": item,
        "unit": unit,
        "on": timing_values(on),
        "off": timing_values(off),
        "ratio": on.rate / off.rate,
    }


def timing_values(timing: Timing) -> dict[str, float | None]:
    return {
        "per_second": timing.rate,
        "seconds": timing.seconds,
        "items": timing.items,
        "outside_unet": timing.outside_unet,
        "unet_rows_per_item": timing.unet_rows,
    }


def as_text(result: Mapping[str, Any]) -> str:
    """Markdown: what it was measured on, the works, and the ablation if there is one."""
    facts = {**result["machine"], **result["settings"]}
    facts["peak memory"] = _memory(result["peak_memory_bytes"])
    tables = [_table(("measured on", ""), [(name, _shown(value)) for name, value in facts.items()])]
    if result["works"]:
        heads = ("work", "ours", "seed's way", "ratio", "outside the UNet (ours, seed's)")
        heads += ("UNet evaluations each (ours, seed's)",)
        tables.append(_table(heads, [_work_cells(work) for work in result["works"]]))
    if result["ablation"]:
        heads = ("speed work", "on", "off", "ratio")
        tables.append(_table(heads, [_ablation_cells(item) for item in result["ablation"]]))
    return "\n\n".join(tables)


def _work_cells(work: Mapping[str, Any]) -> tuple[str, ...]:
    sides = [work[side] for side in ("ours", "seed") if side in work]
    rates = [_rate(side, work["unit"]) for side in sides]
    shares = ", ".join(_share(side["outside_unet"]) for side in sides)
    passes = ", ".join(f"{side['unet_rows_per_item']:.1f}" for side in sides)
    seed, ratio = (rates[1], f"{work['ratio']:.2f}") if len(sides) == 2 else (NOTHING, NOTHING)
    return work["work"], rates[0], seed, ratio, shares, passes


def _ablation_cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    rates = (_rate(item[side], item["unit"]) for side in ("on", "off"))
    return (item["item"], *rates, f"{item['ratio']:.2f}")


def _rate(timing: Mapping[str, float], unit: str) -> str:
    if unit == "generations/s":
        return f"{timing['seconds']:.2f} s"
    rate = timing["per_second"]
    return f"{rate:,.0f} {unit}" if rate >= 1000 else f"{rate:.3g} {unit}"


def _share(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f} %"


def _memory(size: int | None) -> str:
    return NOTHING if size is None else f"{size / 2**20:,.0f} MiB"


def _shown(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return NOTHING if value in (None, "") else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
