from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pe_engine.plots import epsilon_curve, vote_histogram

INDIGO = (0x4F, 0x46, 0xE5)
GREY = (0xB4, 0xBC, 0xCB)
ORANGE = (0xB4, 0x53, 0x09)


def votes(seed: int = 0, n: int = 1000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 10, n).round().astype(np.int64)


def opened(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGBA"))


def columns_of(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Columns in which ``colour`` appears below the legend."""
    found = (pixels[90:, :, :3] == colour).all(-1) & (pixels[90:, :, 3] == 255)
    return np.flatnonzero(found.any(0))


def test_a_picture_has_the_size_of_a_dense_screen_and_a_clear_background():
    pixels = opened(vote_histogram(votes(), 10.0, 12.0))
    assert pixels.shape == (600, 1440, 4)
    assert pixels[0, 0, 3] == 0


def test_candidates_above_the_threshold_and_only_those_are_coloured():
    nothing_above = opened(vote_histogram(votes(), 10.0, 1000.0))
    assert columns_of(nothing_above, INDIGO).size == 0
    all_above = opened(vote_histogram(np.array([5, 6, 9]), 1.0, 2.0))
    assert columns_of(all_above, GREY).size == 0


@pytest.mark.parametrize("threshold", [-7.5, 0.0, 12.0, 12.3, 19.9])
@pytest.mark.parametrize("far", [30, 400, 2000])  # wide bars where one candidate lies far outside
def test_no_bar_has_two_colours(threshold, far):
    pixels = opened(vote_histogram(np.append(votes(), far), 10.0, threshold))
    assert columns_of(pixels, INDIGO).min() > columns_of(pixels, GREY).max()


def test_bars_hold_the_votes_above_the_threshold_and_no_others():
    pixels = opened(vote_histogram(np.array([4] * 50 + [5] * 50 + [900]), 10.0, 4.0))
    passing = columns_of(pixels, INDIGO)
    assert np.flatnonzero(np.diff(passing) > 100).size == 1  # the bar with the 5s, and the far one
    assert columns_of(pixels, GREY).size > 0


def test_a_vote_equal_to_the_threshold_does_not_pass_it():
    pixels = opened(vote_histogram(np.full(10, 7), 1.0, 7.0))
    assert columns_of(pixels, INDIGO).size == 0


def test_the_threshold_line_lies_between_the_two_colours():
    pixels = opened(vote_histogram(votes(), 10.0, 12.5))[200:440]
    line = np.flatnonzero((pixels[..., :3] == ORANGE).all(-1).all(0)).mean()
    assert columns_of(pixels, GREY).max() < line < columns_of(pixels, INDIGO).min()


@pytest.mark.parametrize("draw", [vote_histogram, lambda *_, dark: epsilon_curve([0, 1], dark)])
def test_dark_pictures_have_light_text(draw):
    def brightness(dark: bool) -> float:
        pixels = opened(draw(votes(), 10.0, 12.0, dark=dark))
        margin = pixels[540:]  # the axis label
        return margin[margin[..., 3] == 255][:, :3].mean()

    assert brightness(dark=True) > 150 > 120 > brightness(dark=False)


def test_the_same_input_gives_the_same_bytes_in_any_thread():
    expected = [vote_histogram(votes(seed), 10.0, 12.0) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda seed: vote_histogram(votes(seed), 10.0, 12.0), range(4)))
    assert drawn == expected
    assert epsilon_curve([0.0, 0.5, 1.0]) == epsilon_curve([0.0, 0.5, 1.0])


def test_the_bytes_tell_nothing_about_when_and_with_what_they_were_made():
    image = Image.open(io.BytesIO(vote_histogram(votes(), 10.0, 12.0)))
    assert set(image.info) <= {"dpi"}


@pytest.mark.parametrize(
    ("noisy_votes", "sigma", "threshold"),
    [
        (np.array([0]), 1.0, 0.0),
        (np.array([-5]), 0.3, 2.0),
        (np.array([1_000_000, 0, 0]), 1.0, 1.0),
        (np.concatenate([votes(), [5000]]), 10.0, 12.0),
        (votes(), 10.0, 1e6),
        (np.array([-(2**40), 2**40]), 5000.0, 5000.0),
    ],
)
def test_extreme_votes_are_drawn(noisy_votes, sigma, threshold):
    assert opened(vote_histogram(noisy_votes, sigma, threshold)).shape == (600, 1440, 4)


def test_one_far_candidate_shows_beside_thousands():
    pixels = opened(vote_histogram(np.append(votes(n=20_000), 400), 10.0, 12.0))
    assert columns_of(pixels, INDIGO).max() > 1300


@pytest.mark.parametrize("epsilons", [[0.0], [0.0, 0.0], [0.0, 1.0], list(range(201))])
def test_any_number_of_generations_is_drawn(epsilons):
    assert opened(epsilon_curve(epsilons)).shape == (600, 1440, 4)


def test_pyplot_stays_unused():
    import subprocess
    import sys

    code = (
        "import sys; from pe_engine import plots; assert 'matplotlib' not in sys.modules;"
        "plots.epsilon_curve([0, 1]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
