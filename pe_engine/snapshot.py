"""The state of a run at one moment, as its viewers read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pe_engine.config import RunConfig
from pe_engine.events import Phase


class Status(str, Enum):
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Status.STOPPED, Status.DONE, Status.FAILED)


@dataclass(frozen=True)
class GenerationView:
    """A finished generation: its size, and the votes that chose its parents (from 1 on)."""

    generation: int
    num_samples: int
    has_votes: bool
    threshold: float | None
    epsilon_spent: float


@dataclass(frozen=True)
class Preview:
    """Small pictures of what is being made.

    Attributes:
        version: grows by 1 with every change.
        images: how many there are.
        generation, phase: what they were made in.
    """

    version: int
    images: int
    generation: int
    phase: Phase


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment; replaced as a whole, never changed.

    Attributes:
        version: grows by 1 with every change.
        queue_position: runs before this one; 0 when it is its turn.
        class_names, owner_notices: for the owner.
        public_names: whether class names may be shown to others, too.
        noise_multiplier: σ in votes.
        epsilon_planned: ε that all generations are to have spent, with what the run starts from.
        epsilon_spent: ε of the votes that were released.
        generation: the one being worked on, 0..T.
        phase, phase_fraction: what is being done and how much of it, 0..1.
        seconds_left: of the whole run; None until it can be told.
        seconds_elapsed: since this start or resume.
        generations: the finished ones, in order.
        error: one sentence when the run failed.
        loading: the models are being loaded, perhaps downloaded.
        images_made: since this start or resume, look-ahead variations among them.
        images_per_second: over a few seconds of making some; None until it can be told.
        preview: of what is being made; None at rest and where nothing was looked at yet.
        needs_images: once at rest, the run can only go on when the same images are given again.
        finishes_early: it makes nothing more than the release of the last generation.
    """

    version: int
    run_id: str
    status: Status
    queue_position: int
    config: RunConfig
    class_names: tuple[str, ...]
    public_names: bool
    noise_multiplier: float
    epsilon_planned: float
    epsilon_spent: float
    generation: int
    phase: Phase | None
    phase_fraction: float
    seconds_left: float | None
    seconds_elapsed: float
    generations: tuple[GenerationView, ...]
    notices: tuple[str, ...]
    owner_notices: tuple[str, ...]
    error: str
    zip_ready: bool
    loading: bool = False
    needs_images: bool = False
    finishes_early: bool = False
    images_made: int = 0
    images_per_second: float | None = None
    preview: Preview | None = None
