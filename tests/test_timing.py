"""The time left: exact for work of constant speed."""

import pytest

from pe_engine.config import RunConfig
from pe_engine.events import Phase, Progress
from pe_engine.timing import TimeLeft, duration

RATE = 0.01  # seconds for one image


def test_constant_speed_is_told_exactly():
    config = RunConfig(dataset_name="d", iterations=2, num_samples=(100,), lookahead=3)
    left = TimeLeft(config)
    images = 100 + 2 * (300 + 100) + 100  # random, twice look-ahead and variations, export
    seconds = left.record(Progress(0, Phase.RANDOM, 50, 100), 50 * RATE)
    assert seconds == pytest.approx((images - 50) * RATE)
    left.record(Progress(0, Phase.RANDOM, 100, 100), 50 * RATE)
    left.record(Progress(1, Phase.PRIVATE, 10, 10), 2.0)
    left.record(Progress(1, Phase.LOOKAHEAD, 100, 100), 300 * RATE)
    seconds = left.record(Progress(1, Phase.VOTE, 1, 1), 0.5)
    # what is left: variations, the whole second generation with its voting, and the export
    assert seconds == pytest.approx((100 + 300 + 100 + 100) * RATE + 0.5)


def test_nothing_is_left_at_the_end_and_a_resumed_run_counts_what_remains():
    config = RunConfig(dataset_name="d", iterations=2, num_samples=(100,), lookahead=0)
    left = TimeLeft(config)
    seconds = left.record(Progress(2, Phase.VARY, 50, 100), 50 * RATE)
    assert seconds == pytest.approx(150 * RATE)
    assert left.record(Progress(2, Phase.EXPORT, 5, 5), 1.0) == 0.0


def test_durations_are_said_as_people_say_them():
    said = [duration(seconds) for seconds in (0.4, 59.4, 59.6, 125, 3599.6, 11_400)]
    assert said == ["0 s", "59 s", "1 min", "2 min 5 s", "1 h", "3 h 10 min"]
