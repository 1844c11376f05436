"""Small pictures of what is being made: few, small, seldom."""

import numpy as np
import pytest

from pe_engine.events import Loaded, Notice, Phase, Progress, VotesReleased
from pe_engine.previews import KEPT, PER_LOOK, SECONDS_BETWEEN, SIDE, Previews
from pe_engine.timing import Pace


def batch(n=64, side=512, phase=Phase.RANDOM, generation=0, value=9):
    images = np.full((n, side, side, 3), value, np.uint8)
    return Progress(generation, phase, n, n, images, n)


def test_a_strip_is_bounded_however_much_is_made():
    previews = Previews()
    assert previews.newest is previews.strip() is None
    for i in range(20):
        previews.record(batch(value=i), i * SECONDS_BETWEEN)
    assert previews.strip().shape == (SIDE, KEPT * SIDE, 3)
    assert (previews.newest.version, previews.newest.images) == (20, KEPT)
    assert previews.strip()[0, -1, 0] == 19 and previews.strip()[0, 0, 0] == 20 - KEPT // PER_LOOK


def test_nobody_looks_more_often_than_twice_a_second():
    previews = Previews()
    for i in range(100):
        previews.record(batch(2, 28), i * SECONDS_BETWEEN / 10)
    assert previews.newest.version == 10
    assert previews.newest.images == 20
    assert previews.strip().shape[0] == 28  # small ones stay as they are


def test_the_strip_shows_one_step_at_a_time():
    previews = Previews()
    previews.record(batch(7), 0)
    previews.record(batch(3, phase=Phase.LOOKAHEAD, generation=1), 1)
    assert previews.newest.images == 3
    assert (previews.newest.generation, previews.newest.phase) == (1, Phase.LOOKAHEAD)


def test_what_is_decoded_on_a_device_is_shown_too():
    torch = pytest.importorskip("torch")
    previews = Previews()
    previews.record(Progress(1, Phase.LOOKAHEAD, 4, 4, torch.full((4, 3, 8, 8), 0.2), 4), 0)
    assert previews.strip().shape == (8, 32, 3) and (previews.strip() == 51).all()


def test_reading_and_voting_are_nowhere_in_the_pace():
    paces = []
    for reading in (1.0, 500.0):  # seconds, by the number of private images
        pace, now = Pace(), 0.0
        pace.record(Loaded(), now)
        for _ in range(3):
            pace.record(batch(10, 8), now := now + 1)
        pace.record(Progress(1, Phase.PRIVATE, 1, 9), now := now + reading)
        if reading > 1:
            pace.record(Notice(1, "3 files could not be used.", private=True), now)
        for _ in range(2):  # the first batch comes after what follows the reading
            pace.record(batch(10, 8, Phase.LOOKAHEAD), now := now + reading)
            pace.record(batch(10, 8, Phase.LOOKAHEAD), now := now + 2)
            pace.record(Progress(1, Phase.VOTE, 1, 9), now := now + reading)
        pace.record(VotesReleased(1, np.zeros(1), 1.0, 1.0, False), now := now + reading)
        pace.record(batch(10, 8, Phase.VARY), now := now + 1)
        paces.append((pace.made, pace.per_second))
    assert paces[0] == paces[1] == (80, 60 / 8)


@pytest.mark.parametrize("notice", [False, True])
def test_reading_stored_features_is_nowhere_in_the_pace(notice):
    """A resumed run reads them, all in one, before its first batch of look-ahead."""
    paces = []
    for reading in (1.0, 500.0):
        pace, now = Pace(), 0.0
        pace.record(Loaded(), now)
        if notice:
            pace.record(Notice(0, "The weights: abc."), now)
        pace.record(batch(10, 8, Phase.LOOKAHEAD), now := now + reading)
        assert pace.per_second is None
        pace.record(batch(10, 8, Phase.LOOKAHEAD), now := now + 2)
        paces.append((pace.made, pace.per_second))
    assert paces[0] == paces[1] == (20, 5.0)


def test_the_pace_is_that_of_the_last_seconds():
    pace = Pace()
    pace.record(Loaded(), 0)
    assert pace.per_second is None
    for i in range(10):
        pace.record(batch(100, 8), i + 1)
    for i in range(5):
        pace.record(batch(10, 8), 10 + 5 * (i + 1))
    assert pace.per_second == 2
