"""What is measured: the generator and embedder of a plan, ready to work."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pe_engine.bench.plan import BenchPlan
from pe_engine.components import fitting_size, generator_class, load_class, resolve_device
from pe_engine.embedders import EMBEDDERS
from pe_engine.embedders.base import Embedder
from pe_engine.generators.base import Generator


@dataclass(frozen=True)
class Bench:
    """A plan with what it needs.

    Attributes:
        plan: its ``size`` is set, and its option ``model`` if its shape is one of random weights.
        device: "cpu" or "cuda".
        folder: for files that are gone afterwards.
    """

    plan: BenchPlan
    device: str
    generator: Generator
    embedder: Embedder
    folder: Path


@contextmanager
def opened(plan: BenchPlan) -> Iterator[Bench]:
    """Everything built, until the end of the block.

    Raises:
        PEError: an option is wrong, or the model cannot be had.
    """
    device = resolve_device(plan.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = _with_models(plan, folder, device)
        plan = replace(plan, size=fitting_size(plan.generator, plan.options, plan.size))
        generator = build_generator(plan, device)
        embedder = load_class(EMBEDDERS, plan.embedder)(plan.size, device, generator.grey)
        yield Bench(plan, device, generator, embedder, folder)


def _with_models(plan: BenchPlan, folder: Path, device: str) -> BenchPlan:
    """The same plan with random weights stored and named, and what its shape decides said."""
    options = dict(plan.options)
    if plan.shape in ("tiny", "sd15"):
        from pe_engine.bench.shapes import save_shape

        options["model"] = str(save_shape(plan.shape, folder / "model", device))
    if plan.tiny_autoencoder:
        from pe_engine.bench.shapes import save_tiny_autoencoder

        saved = save_tiny_autoencoder(folder / "tiny", options.get("model", ""))
        options["preview_autoencoder"] = str(saved)
    degrees, prompt = plan.degree_schedule, plan.text
    return replace(plan, shape=None, options=options, degrees=degrees, prompt=prompt)


def build_generator(plan: BenchPlan, device: str, **changes: object) -> Generator:
    """The plan's generator, with other values of some options."""
    kind = generator_class(plan.generator)
    return kind(plan.size, device, **{**plan.options, **changes})
