"""Each piece of speed work, on and off.

The product does all of them and has no switch for most. Here each is undone from outside, as
``undone`` says, or by building the generator anew with another option. Unless an item says
otherwise, what is timed is a full batch of look-ahead at the middle degree of the schedule: varied,
decoded, embedded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pe_engine.bench import undone
from pe_engine.bench.clock import Work, measure
from pe_engine.bench.ours import generation_work, look_ahead, random_images
from pe_engine.bench.setup import Bench, build_generator
from pe_engine.bench.shapes import save_tiny_autoencoder
from pe_engine.bench.table import ablation_values
from pe_engine.generators.base import Generator


def ablation(bench: Bench) -> Iterator[dict[str, Any]]:
    """JSON values of each item that this device can switch."""
    for item, unit, works in _items(bench):
        timings = measure(works, bench.plan.repeats, bench.device)
        yield ablation_values(item, unit, timings["on"], timings["off"])


def _items(bench: Bench) -> Iterator[tuple[str, str, dict[str, Work]]]:
    """Item, unit, and the works "on" and "off"; one pair is held at a time."""
    cuda = bench.device == "cuda"
    generator, per_second = bench.generator, "variations/s"
    folder = Path(mkdtemp(dir=bench.folder))

    def undo(other: object) -> dict[str, Work]:
        return _pair(bench, replace(bench, generator=other))

    yield "latents kept, not encoded from pixels", per_second, undo(undone.Encoding(generator))
    yield "prompt embeddings cached", per_second, undo(undone.Forgetful(generator))
    yield "full batches, not whole parents", per_second, _whole_parents(bench)
    via_png = replace(bench, embedder=undone.ViaPng(bench.embedder, folder))
    yield "embedded from the decoder, not by PNG", per_second, _pair(bench, via_png)
    yield (
        "voted-on children kept (a whole generation)",
        "generations/s",
        {
            "on": generation_work(bench),
            "off": generation_work(bench, fresh_children=True),
        },
    )
    first = replace(bench, generator=undone.channels_first(_built(bench)))
    yield "UNet channels last", per_second, _pair(replace(bench, generator=_built(bench)), first)
    second, first = {"variation_scheduler": "dpm++"}, {"variation_scheduler": "ddim"}
    yield "DPM-Solver++, not DDIM, same steps", per_second, _options(bench, second, first)
    saved = save_tiny_autoencoder(folder / "tiny", generator.options.model)
    tiny = {"preview_autoencoder": str(saved)}
    full = {"preview_autoencoder": ""}
    yield "tiny autoencoder for look-ahead", per_second, _options(bench, tiny, full)
    reduced, whole = {"dtype": "bf16"}, {"dtype": "fp32"}
    yield "bfloat16, not float32", per_second, _options(bench, reduced, whole)
    if cuda:
        on, off = {"compile": True}, {"compile": False}
        yield "compiled UNet", per_second, _options(bench, on, off)
        waiting = undone.Waiting(generator, bench.device)
        yield "asynchronous copies", per_second, undo(waiting)


def _pair(on: Bench, off: Bench) -> dict[str, Work]:
    return {"on": _batch(on), "off": _batch(off)}


def _batch(bench: Bench) -> Work:
    """A full batch of look-ahead."""
    parents = random_images(bench, bench.generator.batch_size)

    def once() -> int:
        look_ahead(bench, parents, bench.plan.middle_degree)
        return len(parents)

    return Work(once)


def _options(bench: Bench, on: dict[str, Any], off: dict[str, Any]) -> dict[str, Work]:
    return _pair(
        replace(bench, generator=_built(bench, **on)),
        replace(bench, generator=_built(bench, **off)),
    )


def _built(bench: Bench, **changes: Any) -> Generator:
    """The generator with other options, eager if they do not say compiled."""
    return build_generator(bench.plan, bench.device, **{"compile": False, **changes})


def _whole_parents(bench: Bench) -> dict[str, Work]:
    """Look-ahead of N parents: one queue of N L, or batches of as many parents as fit whole."""
    plan = bench.plan
    population = random_images(bench, plan.samples)
    together = max(1, bench.generator.batch_size // plan.lookahead)
    rows = list(range(plan.samples))

    def queue() -> int:
        look_ahead(bench, population, plan.middle_degree, plan.lookahead)
        return plan.samples * plan.lookahead

    def ragged() -> int:
        for start in range(0, plan.samples, together):
            parents = population.take(rows[start : start + together])
            look_ahead(bench, parents, plan.middle_degree, plan.lookahead)
        return plan.samples * plan.lookahead

    return {"on": Work(queue), "off": Work(ragged)}
