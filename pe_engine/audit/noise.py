"""Is the noise what it should be? 50,000 real draws, through real runs; and 12,000 each where an
image votes for several candidates, and where a person does.

The pictures of ``squares`` make the clean votes known, so that the noise is the published votes
minus them. Each check gives a false alarm once in a million times; the variance catches a σ that is
off by 2.1 % with a probability of 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from pe_engine.audit.finding import Finding
from pe_engine.audit.running import Done, finish, png
from pe_engine.audit.squares import NAME, picture
from pe_engine.config import RunConfig

AUDIT = "noise"
CELLS, ITERATIONS = 10_000, 5
HALF = CELLS // 2  # the candidates of the first class; the second class has no image at all
IMAGES = 500  # so many candidates of the first class get one vote each
FALSE_ALARM = 1e-6
LEAST_EXPECTED = 25
SEVERAL = 3  # k, or c
FEWER_CELLS, FEWER_ITERATIONS, FEWER_IMAGES = 6_000, 2, 30
COPIES = 2  # look-ahead L, with k > 1

Pair = tuple[np.ndarray, np.ndarray]


def audit(work: Path) -> list[Finding]:
    """What is found in the noise of two runs that are alike in every setting.

    Args:
        work: a folder for the runs; their subfolders are made.
    """
    config = RunConfig(
        dataset_name="audit",
        generator=NAME,
        classes="folder",
        epsilon=15.0,  # little noise shows best what rounding would do to it
        iterations=ITERATIONS,
        num_samples=(CELLS,) * ITERATIONS + (2,),  # the last generation is not voted on
        lookahead=0,
        threshold=2.0,
    )
    files = {f"0/{i}.png": png(picture(i)) for i in range(IMAGES)} | {"1/": b""}
    first, again = (finish(work / name, config, files) for name in ("first", "again"))
    sigma = first.manifest["privacy"]["noise_multiplier"]
    clean = (np.arange(CELLS) < IMAGES).astype(np.int64)
    noise, other = first.noisy_votes - clean, again.noisy_votes - clean
    return [
        _variance("variance, all cells", noise, sigma),
        _variance("variance, a class without images", noise[:, HALF:], sigma),
        _mean("mean, cells with one vote", noise[:, :IMAGES], sigma),
        _frequencies("frequency of each value", noise, sigma),
        _correlation("correlation, any two iterations", list(combinations(noise, 2))),
        _correlation("correlation, two classes", [(noise[:, :HALF], noise[:, HALF:])]),
        _correlation("correlation, two equal runs", [(noise, other)]),
        _distances("correlation, cells at any distance", noise.ravel()),
        _several_of_an_image(work / "image"),
        _several_of_a_person(work / "person"),
    ]


def _several_of_an_image(work: Path) -> Finding:
    """k = 3 and look-ahead 2. The children of candidate i are the pictures 2 i and 2 i + 1, so that
    each image's 3 nearest candidates can be found here, by distances in float64."""
    config = _fewer(neighbours=SEVERAL, lookahead=COPIES)
    images = np.stack([picture(i) for i in range(FEWER_IMAGES)]).reshape(FEWER_IMAGES, -1) / 255
    children = np.stack([picture(i) for i in range(COPIES * FEWER_CELLS)])
    candidates = children.reshape(FEWER_CELLS, COPIES, -1).mean(axis=1) / 255
    distances = (candidates**2).sum(axis=1) - 2 * images @ candidates.T
    nearest = np.argsort(distances, axis=1)[:, :SEVERAL]
    clean = np.bincount(nearest.ravel(), minlength=FEWER_CELLS)
    done = finish(work, config, {f"{i}.png": png(picture(i)) for i in range(FEWER_IMAGES)})
    return _variance_of(f"k = {SEVERAL}, look-ahead {COPIES}", done, clean)


def _several_of_a_person(work: Path) -> Finding:
    """c = 3, and each person's 3 images vote for the 3 candidates that are like them."""
    config = _fewer(persons="folder", person_votes=SEVERAL)
    files = {f"person{i // SEVERAL}/{i}.png": png(picture(i)) for i in range(FEWER_IMAGES)}
    clean = (np.arange(FEWER_CELLS) < FEWER_IMAGES).astype(np.int64)
    return _variance_of(f"c = {SEVERAL}", finish(work, config, files), clean)


def _fewer(lookahead: int = 0, **more: object) -> RunConfig:
    return RunConfig(
        dataset_name="audit",
        generator=NAME,
        classes="none",
        epsilon=15.0,
        iterations=FEWER_ITERATIONS,
        num_samples=(FEWER_CELLS,) * FEWER_ITERATIONS + (SEVERAL,),
        lookahead=lookahead,
        **more,
    )


def _variance_of(setting: str, done: Done, clean: np.ndarray) -> Finding:
    sigma = done.manifest["privacy"]["noise_multiplier"]
    return _variance(f"variance, {setting}", done.noisy_votes - clean, sigma)


def exact(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Values, int64, and masses, float64, of the discrete Gaussian: proportional to exp(-x²/2σ²)
    (Canonne, Kamath, Steinke 2020, Definition 1), as far as doubles go."""
    reach = math.ceil(40 * sigma)
    values = np.arange(-reach, reach + 1)
    mass = np.exp(-(values**2) / (2 * sigma**2))
    return values, mass / mass.sum()


def _variance(checked: str, noise: np.ndarray, sigma: float) -> Finding:
    """Σ x² / v against χ², one degree of freedom a draw; v is the discrete Gaussian's variance."""
    from scipy import stats

    values, mass = exact(sigma)
    statistic = np.sum(noise.astype(float) ** 2) / (mass @ values**2)
    low, high = stats.chi2(noise.size).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2]) / noise.size
    ratio = float(statistic / noise.size)
    return Finding(
        AUDIT,
        f"{checked}, {noise.size:,} draws",
        f"{ratio:.4f} of the right one",
        f"{low:.4f} to {high:.4f}",
        bool(low < ratio < high),
        sees_half_noise=True,
    )


def _mean(checked: str, noise: np.ndarray, sigma: float) -> Finding:
    """Nothing is taken from clean votes before noise comes to them."""
    mean = float(noise.mean())
    bound = _largest_normal(1) * sigma / math.sqrt(noise.size)
    return Finding(
        AUDIT,
        f"{checked}, {noise.size:,} draws",
        f"{mean:+.4f} votes off",
        f"at most {bound:.4f}",
        abs(mean) < bound,
    )


def _frequencies(checked: str, noise: np.ndarray, sigma: float) -> Finding:
    """χ² of how often each value came, rare values together with their neighbours."""
    from scipy import stats

    values, mass = exact(sigma)
    common = values[mass * noise.size >= LEAST_EXPECTED]
    low, high = common[0], common[-1]
    observed = np.bincount(np.clip(noise.ravel(), low, high) - low, minlength=high - low + 1)
    expected = np.bincount(np.clip(values, low, high) - low, mass) * noise.size
    p = float(stats.chisquare(observed, expected).pvalue)
    return Finding(
        AUDIT,
        f"{checked}, {len(expected)} bins",
        f"p = {p:.3g}",
        f"at least {FALSE_ALARM:g}",
        p >= FALSE_ALARM,
        sees_half_noise=True,
    )


def _correlation(checked: str, pairs: Sequence[Pair]) -> Finding:
    """The largest correlation of the cells of each pair."""
    largest, bound = 0.0, math.inf
    for one, other in pairs:
        r = abs(float(np.corrcoef(one.ravel(), other.ravel())[0, 1]))
        largest, bound = max(largest, r), _largest_normal(len(pairs)) / math.sqrt(one.size)
    return Finding(AUDIT, checked, f"{largest:.4f}", f"at most {bound:.4f}", largest < bound)


def _distances(checked: str, noise: np.ndarray) -> Finding:
    """The largest correlation of the draws with themselves, moved by any distance around a ring."""
    spectrum = np.abs(np.fft.rfft(noise - noise.mean())) ** 2
    around = np.fft.irfft(spectrum, len(noise))
    r = np.abs(around[1 : len(noise) // 2] / around[0])
    bound = _largest_normal(len(r)) / math.sqrt(len(noise))
    return Finding(AUDIT, checked, f"{r.max():.4f}", f"at most {bound:.4f}", bool(r.max() < bound))


def _largest_normal(count: int) -> float:
    """What the largest of ``count`` standard normal values exceeds, either way, once in a million
    times at most."""
    from scipy import stats

    return float(stats.norm.isf(FALSE_ALARM / 2 / count))
