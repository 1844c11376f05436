"""Can anybody tell from a release which images were in? Each canary is in by the toss of a coin.

Candidates are the fixed pictures of ``squares``; a canary is the same picture as a file of the
private zip, so it votes for that candidate in all T generations. Its score is the sum of its
candidate's noisy votes. From how well scores tell who was in, a lower bound on what was really
spent follows, which must not exceed what the release claims. False alarm rate: 1e-4 each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pe_engine.audit import bounds
from pe_engine.audit.finding import Finding
from pe_engine.audit.running import Done, finish, png
from pe_engine.audit.squares import NAME, picture
from pe_engine.config import RunConfig

AUDIT = "canaries"
EPSILON, ITERATIONS = 8.0, 5
FALSE_ALARM = 1e-4
REPORT_ALARM = 0.05
ADDED, REPLACED, PERSONS = 500, 2_000, 500
COPIES, VARIED = 3, 4  # a person's images: all of one picture, or of as many different ones
GUESSED = 10  # for the bound for any mechanism: a tenth of the highest and of the lowest scores


@dataclass(frozen=True)
class Scores:
    """How present a canary looks, float64 ``(m,)``, and whether it is, bool ``(m,)``.

    A score over ``threshold`` is a guess that it is in.
    """

    values: np.ndarray
    present: np.ndarray
    threshold: float


def audit(work: Path, coins: int) -> list[Finding]:
    """Images added or left out, images that are one or the other, and persons added or left out.

    Args:
        work: a folder for the runs; their subfolders are made.
        coins: seed of the coins.
    """
    return [
        *added(work / "added", np.random.default_rng([coins, 0])),
        *replaced(work / "replaced", np.random.default_rng([coins, 1])),
        *persons(work / "persons", np.random.default_rng([coins, 2])),
    ]


def added(work: Path, rng: np.random.Generator) -> list[Finding]:
    """Each of 500 images is in or not."""
    present = rng.random(ADDED) < 0.5
    files = {f"{i}.png": png(picture(i)) for i in np.flatnonzero(present)}
    done = finish(work, _config(ADDED, "add-remove"), files)
    scores = Scores(done.noisy_votes.sum(axis=0), present, ITERATIONS / 2)
    return _findings(f"{ADDED:,} images, each in or not", scores, done)


def replaced(work: Path, rng: np.random.Generator) -> list[Finding]:
    """Each of 2,000 images is one picture or another; the first is "in"."""
    present = rng.random(REPLACED) < 0.5
    places = 2 * np.arange(REPLACED) + ~present
    files = {f"{i}.png": png(picture(place)) for i, place in enumerate(places)}
    done = finish(work, _config(2 * REPLACED, "replace"), files)
    votes = done.noisy_votes.sum(axis=0)
    scores = Scores(votes[::2] - votes[1::2], present, 0)
    return _findings(f"{REPLACED:,} images, each one or another", scores, done)


def persons(work: Path, rng: np.random.Generator) -> list[Finding]:
    """Each of 2 x 500 persons is in, with all of their images, or not; each may vote once.

    The first 500 have three images of one picture. The others have four different ones: one of
    their four candidates gets a vote, under four candidates' noise; if all got one, it would show.
    """
    first = PERSONS + VARIED * np.arange(PERSONS)
    pictures = [[i] * COPIES for i in range(PERSONS)] + [
        list(range(place, place + VARIED)) for place in first
    ]
    present = rng.random(len(pictures)) < 0.5
    files = {
        f"person{i}/{j}.png": png(picture(place))
        for i in np.flatnonzero(present)
        for j, place in enumerate(pictures[i])
    }
    config = _config(PERSONS * (1 + VARIED), "add-remove", persons="folder")
    done = finish(work, config, files)
    votes = done.noisy_votes.sum(axis=0)
    half = ITERATIONS / 2
    copies = Scores(votes[:PERSONS], present[:PERSONS], half)
    sums = votes[PERSONS:].reshape(PERSONS, VARIED).sum(axis=1)
    varied = Scores(sums, present[PERSONS:], half)
    return [
        *_findings(f"{PERSONS:,} persons of {COPIES} equal images", copies, done),
        *_findings(f"{PERSONS:,} persons of {VARIED} different images", varied, done, False),
    ]


def _config(candidates: int, adjacency: str, **more: object) -> RunConfig:
    return RunConfig(
        dataset_name="audit",
        generator=NAME,
        classes="none",
        epsilon=EPSILON,
        adjacency=adjacency,
        iterations=ITERATIONS,
        num_samples=(candidates,) * ITERATIONS + (1,),  # the last is not voted on
        lookahead=0,
        **more,
    )


def _findings(
    checked: str, scores: Scores, done: Done, sees_half_noise: bool = True
) -> list[Finding]:
    privacy = done.manifest["privacy"]
    claimed, delta = privacy["epsilon"], privacy["delta"]
    most = bounds.mu_of(claimed, delta)
    mu = bounds.lower_mu(_guesses(scores), FALSE_ALARM)
    epsilon = bounds.epsilon_of(mu, delta)
    any_kind = _one_run_epsilon(scores, delta)
    return [
        Finding(
            AUDIT,
            f"{checked}: ε at least, by Gaussian DP",
            f"ε >= {epsilon:.3f} (μ >= {mu:.3f})",
            f"ε = {claimed:.3f} claimed (μ = {most:.3f})",
            epsilon <= claimed,
            sees_half_noise,
        ),
        Finding(
            AUDIT,
            f"{checked}: ε at least, for any mechanism",
            f"ε >= {any_kind:.3f} (95 %)",
            "reported only",
            held=True,
        ),
    ]


def _guesses(scores: Scores) -> bounds.Guesses:
    guessed, present = scores.values > scores.threshold, scores.present
    return bounds.Guesses(
        int((guessed & present).sum()),
        int(present.sum()),
        int((guessed & ~present).sum()),
        int((~present).sum()),
    )


def _one_run_epsilon(scores: Scores, delta: float) -> float:
    m = len(scores.values)
    surest = m // GUESSED
    order = np.argsort(scores.values, kind="stable")
    right = (~scores.present[order[:surest]]).sum() + scores.present[order[-surest:]].sum()
    return bounds.one_run_epsilon(int(right), 2 * surest, m, delta, REPORT_ALARM)
