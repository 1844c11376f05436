"""A run's snapshot as what the page shows: plain values and finished sentences.

The scripts in assets/parts put them on screen; the words are made here, where they can
be tested.
"""

from __future__ import annotations

from typing import Any

from pe_engine.components import last_name
from pe_engine.config import RunConfig
from pe_engine.events import Phase
from pe_engine.reporting import overall_fraction
from pe_engine.snapshot import Snapshot, Status
from pe_engine.timing import duration

LIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.STOPPING})
NO_RUN: dict[str, Any] = {"run_id": "", "status": "none"}


def live_view(snapshot: Snapshot, has_report: bool) -> dict[str, Any]:
    """What a viewer of the run sees, as JSON values.

    Args:
        snapshot: as ``boundary.shown`` gives it to this viewer.
        has_report: the report is written.
    """
    config, made = snapshot.config, len(snapshot.generations) - 1
    fraction = overall_fraction(snapshot)
    return {
        "run_id": snapshot.run_id,
        "status": snapshot.status.value,
        "line": status_line(snapshot),
        "detail": settings_line(snapshot),
        "dataset": config.dataset_name,
        "title": title(snapshot),
        "fraction": None if fraction is None else round(fraction, 4),
        "iterations": config.iterations,
        "epsilon": round(snapshot.epsilon_planned, 3),
        "own_epsilon": config.epsilon,
        "spent": round(snapshot.epsilon_spent, 3),
        "delta": _delta(snapshot),
        "spent_line": spent_line(snapshot),
        "sigma": round(snapshot.noise_multiplier, 2),
        "generations": [
            {
                "generation": view.generation,
                "samples": view.num_samples,
                "votes": view.has_votes,
                "threshold": None if view.threshold is None else round(view.threshold, 2),
                "epsilon": round(view.epsilon_spent, 3),
            }
            for view in snapshot.generations
        ],
        "pace": pace_line(snapshot),
        "preview": preview(snapshot),
        "notices": [*snapshot.owner_notices, *snapshot.notices],
        "error": snapshot.error,
        "zip": snapshot.zip_ready,
        "can_finish": made >= 1 and snapshot.status is not Status.DONE,
        "finishes_early": snapshot.finishes_early,
        "images_note": images_note(snapshot),
        "position": snapshot.queue_position,
        "report": has_report,
    }


def missing_view(run_id: str, sentence: str) -> dict[str, Any]:
    """The page of an address that leads to no run."""
    return NO_RUN | {"run_id": run_id, "status": "missing", "error": sentence}


def status_line(snapshot: Snapshot) -> str:
    """What the run is doing, in one line.

    How far the reading of the private images has come is never shown: batches of a known size
    would tell how many there are, and with add/remove-one adjacency their number is protected too.
    """
    iterations = snapshot.config.iterations
    if snapshot.status is Status.QUEUED:
        return _queue_line(snapshot.queue_position)
    if snapshot.status is Status.STOPPING:
        return "Finishing: this batch is the last" if snapshot.finishes_early else "Pausing"
    if snapshot.status is Status.STOPPED:
        if snapshot.finishes_early:
            return "Stopped before the result was written; nothing is lost"
        return f"Paused in generation {snapshot.generation} of {iterations}; nothing is lost"
    if snapshot.status is Status.FAILED:
        return f"Failed in generation {snapshot.generation} of {iterations}"
    if snapshot.status is Status.DONE:
        return _done_line(snapshot)
    if snapshot.loading:
        return "Loading the generator and the embedder" + _wait(snapshot.config)
    parts = [f"Generation {snapshot.generation} of {iterations}"]
    if snapshot.finishes_early:
        parts = ["Finishing"]
    if snapshot.phase is Phase.PRIVATE:
        return " · ".join([*parts, snapshot.phase.value])
    if snapshot.phase is not None:
        parts.append(f"{snapshot.phase.value} {snapshot.phase_fraction:.0%}")
    if snapshot.seconds_left:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return " · ".join(parts)


def images_note(snapshot: Snapshot) -> str:
    """What going on after a pause asks for; "" where it needs nothing."""
    if not snapshot.needs_images or snapshot.finishes_early:
        return ""
    if snapshot.status.ended:
        return "Drop the same images again, then press Resume."
    return "If you pause this run, it needs the same images dropped again to go on."


def pace_line(snapshot: Snapshot) -> str:
    """How many images were made since the start or resume, and how fast while some are made."""
    if not snapshot.images_made:
        return ""
    parts = [f"{snapshot.images_made:,} image{'s' * (snapshot.images_made != 1)} made"]
    speed = snapshot.images_per_second
    if speed is not None and snapshot.status in LIVE:
        parts.append(f"{speed:,.0f} images/s" if speed >= 10 else f"{speed:.2g} images/s")
    return " · ".join(parts)


def spent_line(snapshot: Snapshot) -> str:
    """What the run has spent of its budget; of one that finished early, what counts."""
    delta = f"δ = {_delta(snapshot)}"
    if snapshot.status is Status.DONE and _early(snapshot):
        return f"{_counts(snapshot)} · {delta}"
    planned = f"{round(snapshot.epsilon_planned, 3):g}"
    return f"ε spent {snapshot.epsilon_spent:.2f} of {planned} · {delta}"


def preview(snapshot: Snapshot) -> dict[str, Any] | None:
    """Which strip of small pictures there is, and what it shows."""
    strip = snapshot.preview
    if strip is None:
        return None
    what = f"Generation {strip.generation}"
    if strip.phase is Phase.LOOKAHEAD:
        what = f"Variations of generation {strip.generation - 1}, for your images to vote on"
    return {"version": strip.version, "images": strip.images, "what": what}


def settings_line(snapshot: Snapshot) -> str:
    """The settings that decide the result, so that a run seen later explains itself."""
    config = snapshot.config
    parts = [
        config.dataset_name,
        last_name(config.generator).replace("_", " "),
        f"{config.sample_schedule[-1]:,} samples",
        f"σ\u00a0=\u00a0{snapshot.noise_multiplier:.3g} votes of noise",
    ]
    return " · ".join(parts)


def title(snapshot: Snapshot) -> str:
    """The title of the browser tab, which counts generations."""
    name = "Private Evolution Studio"
    if snapshot.status in LIVE:
        return f"({snapshot.generation}/{snapshot.config.iterations}) {name}"
    if snapshot.status is Status.DONE:
        return f"Done · {name}"
    return name


def _done_line(snapshot: Snapshot) -> str:
    planned, made = snapshot.config.iterations, len(snapshot.generations) - 1
    took = f" in {duration(snapshot.seconds_elapsed)}" if snapshot.seconds_elapsed else ""
    plural = "s" * (planned != 1)
    if _early(snapshot):
        where = f"Finished early: {made} of {planned} generation{plural}{took}"
        return f"{where} · {_counts(snapshot)}"
    return f"Done: {planned} generation{plural}{took}"


def _delta(snapshot: Snapshot) -> str:
    return f"{snapshot.config.delta:g}".replace("e-0", "e-")


def _early(snapshot: Snapshot) -> bool:
    return len(snapshot.generations) - 1 < snapshot.config.iterations


def _counts(snapshot: Snapshot) -> str:
    """The ε of a run that finished early: whoever finished it has seen its votes."""
    return f"ε\u00a0=\u00a0{round(snapshot.epsilon_planned, 3):g} counts as planned"


def _queue_line(position: int) -> str:
    if position == 0:
        return "Starting"
    return f"Waiting for {position} run{'s' if position > 1 else ''} before this one"


def _wait(config: RunConfig) -> str:
    published = bool(config.generator_options.get("model")) or config.embedder != "pixels"
    return "; a first download takes minutes" if published else ""
