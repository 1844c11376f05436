"""A run's snapshot as what the page shows: plain values and finished sentences.

The page's script (assets/js/live.js) puts them on screen; the words are made here, where they can
be tested.
"""

from __future__ import annotations

from typing import Any

from pe_engine.runner import Snapshot, Status

LIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.STOPPING})
NO_RUN: dict[str, Any] = {"run_id": "", "status": "none"}


def live_view(snapshot: Snapshot, has_report: bool) -> dict[str, Any]:
    """What every viewer of the run sees; JSON values only, nothing private but the class names."""
    config = snapshot.config
    return {
        "run_id": snapshot.run_id,
        "status": snapshot.status.value,
        "line": status_line(snapshot),
        "detail": settings_line(snapshot),
        "title": title(snapshot),
        "fraction": round(overall_fraction(snapshot), 4),
        "iterations": config.iterations,
        "epsilon": config.epsilon,
        "delta": f"{config.delta:g}".replace("e-0", "e-"),
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
        "notices": list(snapshot.notices),
        "error": snapshot.error,
        "zip": snapshot.zip_ready,
        "report": has_report,
    }


def missing_view(run_id: str, sentence: str) -> dict[str, Any]:
    """The page of an address that leads to no run."""
    return NO_RUN | {"run_id": run_id, "status": "missing", "error": sentence}


def status_line(snapshot: Snapshot) -> str:
    """What the run is doing, in one line.

    Reading the private images shows a percentage only: with add/remove-one adjacency their number
    is protected too.
    """
    iterations = snapshot.config.iterations
    if snapshot.status is Status.QUEUED:
        return _queue_line(snapshot.queue_position)
    if snapshot.status is Status.STOPPING:
        return "Stopping"
    if snapshot.status is Status.STOPPED:
        return f"Stopped in generation {snapshot.generation} of {iterations}; nothing is lost"
    if snapshot.status is Status.FAILED:
        return f"Failed in generation {snapshot.generation} of {iterations}"
    if snapshot.status is Status.DONE:
        return f"Done: {iterations} generations in {duration(snapshot.seconds_elapsed)}"
    parts = [f"Generation {snapshot.generation} of {iterations}"]
    if snapshot.phase is not None:
        parts.append(f"{snapshot.phase.value} {snapshot.phase_fraction:.0%}")
    if snapshot.seconds_left is not None:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return " · ".join(parts)


def settings_line(snapshot: Snapshot) -> str:
    """The settings that decide the result, so that a run seen later explains itself."""
    config = snapshot.config
    samples = config.sample_schedule[-1]
    return (
        f"{config.dataset_name} · {config.generator.replace('_', ' ')} · {samples:,} samples · "
        f"σ\u00a0=\u00a0{snapshot.noise_multiplier:.3g} votes of noise"
    )


def title(snapshot: Snapshot) -> str:
    """The title of the browser tab, which counts generations."""
    name = "Private Evolution Studio"
    if snapshot.status in LIVE:
        return f"({snapshot.generation}/{snapshot.config.iterations}) {name}"
    if snapshot.status is Status.DONE:
        return f"Done · {name}"
    return name


def overall_fraction(snapshot: Snapshot) -> float:
    """Share of the whole run that is done, in [0, 1]: by time where known, else by generation."""
    if snapshot.status is Status.DONE:
        return 1.0
    if snapshot.seconds_left is not None and snapshot.seconds_elapsed > 0:
        return snapshot.seconds_elapsed / (snapshot.seconds_elapsed + snapshot.seconds_left)
    return len(snapshot.generations) / (snapshot.config.iterations + 1)


def duration(seconds: float) -> str:
    """Seconds as people say them: '8 s', '3 min 20 s', '2 h 5 min'."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _queue_line(position: int) -> str:
    if position == 0:
        return "Starting"
    return f"Waiting for {position} run{'s' if position > 1 else ''} before this one"
