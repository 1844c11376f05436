"""What a benchmark measures: checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pe_engine.checks import check_one_of, check_whole, check_within
from pe_engine.config import DEVICES, IMAGE_SIZE_RANGE, MAX_SAMPLES, RunConfig
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS

DIFFUSION = "stable_diffusion"
SHAPES = ("miniature", "tiny", "sd15")
WORKS = ("random", "variations", "features", "votes", "generation")

SEED_DEGREES = (
    *(0.98, 0.96, 0.94, 0.92, 0.88, 0.84, 0.80, 0.76, 0.72),
    *(0.68, 0.64, 0.60, 0.56, 0.52, 0.48, 0.44, 0.40),
)
"""The 17 variation degrees of microsoft/DPSDA, scripts/main_stable_diffusion_cookie.sh; the 18th
entry of that list, its first, belongs to the random images and is not used."""

SEED_PROMPT = "A photo of ragdoll cat"


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """What to measure, and on what.

    Attributes:
        generator, options, embedder, device: as in a run.
        shape: for Stable Diffusion, "sd15" or "tiny" for random weights of that shape, "miniature"
            for the bundled model; None for the model that ``options`` name.
        size: image size in pixels; None for the model's own.
        prompt: of every image; "" for one that suits the shape.
        samples, lookahead: N and L of the whole generation.
        degrees: the variation degrees to average over; empty for the seed's with ``sd15``, else
            the default of a run.
        voters: how many private feature vectors vote when votes are timed.
        repeats: how often each work is timed, after one that is not; the median counts.
        measure: which of ``WORKS``.
        tiny_autoencoder: decode the look-ahead by a tiny autoencoder with random weights.
        baseline: time the seed's way of doing the same work, too.
        ablation: time each piece of speed work on and off.

    Raises:
        ConfigError: naming the setting, its value, the bound and what to do.
    """

    generator: str = DIFFUSION
    options: Mapping[str, Any] = field(default_factory=dict)
    shape: str | None = None
    size: int | None = None
    prompt: str = ""
    embedder: str = "pixels"
    samples: int = 100
    lookahead: int = 8
    degrees: tuple[float, ...] = ()
    voters: int = 10_000
    repeats: int = 3
    device: str = "auto"
    measure: tuple[str, ...] = WORKS
    tiny_autoencoder: bool = False
    baseline: bool = False
    ablation: bool = False

    def __post_init__(self) -> None:
        check_one_of("generator", self.generator, tuple(GENERATORS))
        check_one_of("embedder", self.embedder, tuple(EMBEDDERS))
        check_one_of("device", self.device, DEVICES)
        for work in self.measure:
            check_one_of("work to measure", work, WORKS)
        if self.size is not None:
            check_whole("image size", self.size, *IMAGE_SIZE_RANGE)
        check_whole("number of samples", self.samples, 1, MAX_SAMPLES)
        check_whole("look-ahead", self.lookahead, 1, 64)
        check_whole("number of voters", self.voters, 1, 10_000_000)
        check_whole("number of repeats", self.repeats, 1, 100)
        for degree in self.degrees:
            check_within("variation degree", degree, 0.0, 1.0)
        self._check_diffusion()

    def _check_diffusion(self) -> None:
        for name in ("shape", "tiny_autoencoder", "baseline", "ablation"):
            if getattr(self, name) and self.generator != DIFFUSION:
                raise ConfigError(
                    f"--{name.replace('_', '-')} is for the generator {DIFFUSION}, not for "
                    f"{self.generator}. Leave it out, or choose that generator."
                )
        if self.shape is not None:
            check_one_of("shape", self.shape, SHAPES)
            if "model" in self.options:
                raise ConfigError(
                    f"Both --shape {self.shape} and the option model={self.options['model']} say "
                    "which model to measure. Give one of them."
                )

    @property
    def degree_schedule(self) -> tuple[float, ...]:
        if self.degrees:
            return self.degrees
        return SEED_DEGREES if self.shape == "sd15" else RunConfig(dataset_name="x").degree_schedule

    @property
    def middle_degree(self) -> float:
        """The degree of the whole generation and of the ablation."""
        return self.degree_schedule[len(self.degree_schedule) // 2]

    @property
    def text(self) -> str:
        """The prompt of every image."""
        if self.prompt:
            return self.prompt
        if self.generator != DIFFUSION:
            return "7"
        return SEED_PROMPT if self.shape == "sd15" else "a handwritten digit seven"
