"""The time left: exact for work of constant speed."""

import pytest

from pe_engine.config import RunConfig
from pe_engine.events import Phase, Progress
from pe_engine.timing import TimeLeft, counted_down, duration

RATE = 0.01  # seconds for one image


def test_constant_speed_is_told_exactly():
    config = RunConfig(dataset_name="d", iterations=2, num_samples=(100,), lookahead=3)
    left = TimeLeft(config)
    images = 100 + 2 * (300 + 100)  # random, twice look-ahead and variations
    seconds = left.record(Progress(0, Phase.RANDOM, 50, 100), 50 * RATE)
    assert seconds == pytest.approx((images - 50) * RATE)
    left.record(Progress(0, Phase.RANDOM, 100, 100), 50 * RATE)
    assert left.record(Progress(1, Phase.PRIVATE, 10, 10), 2.0) is None
    left.record(Progress(1, Phase.LOOKAHEAD, 100, 100), 300 * RATE)
    seconds = left.record(Progress(1, Phase.VOTE, 1, 1), 0.5)
    # what is left: variations, and the whole second generation with its voting
    assert seconds == pytest.approx((100 + 300 + 100) * RATE + 0.5)


def test_nothing_is_left_at_the_end_and_a_resumed_run_counts_what_remains():
    config = RunConfig(dataset_name="d", iterations=2, num_samples=(100,), lookahead=0)
    left = TimeLeft(config)
    seconds = left.record(Progress(2, Phase.VARY, 50, 100), 50 * RATE)
    assert seconds == pytest.approx(50 * RATE)
    assert left.record(Progress(2, Phase.EXPORT, 5, 5), 1.0) == 0.0


def test_the_recent_pace_decides():
    left = TimeLeft(RunConfig(dataset_name="d", iterations=1, num_samples=(100,), lookahead=0))
    for done in range(10, 60, 10):
        left.record(Progress(1, Phase.VARY, done, 100), 1.0)
    for done in range(60, 100, 10):
        seconds = left.record(Progress(1, Phase.VARY, done, 100), 30.0)
    assert seconds == pytest.approx(30.0)  # ten images are left, and the last ten took so long


def test_a_run_that_finishes_early_has_only_its_export_left():
    left = TimeLeft(RunConfig(dataset_name="d", iterations=9, num_samples=(100,), lookahead=0))
    left.record(Progress(2, Phase.VARY, 50, 100), 500.0)
    assert left.record(Progress(2, Phase.EXPORT, 25, 100), 1.0) == pytest.approx(3.0)


@pytest.mark.parametrize("reading", [0.0, 900.0])
def test_the_reading_of_private_images_shows_in_no_estimate(reading):
    config = RunConfig(dataset_name="d", iterations=2, num_samples=(100,), lookahead=1)
    fresh, resumed = TimeLeft(config), TimeLeft(config)
    fresh.record(Progress(0, Phase.RANDOM, 100, 100), 1.0)
    assert fresh.record(Progress(1, Phase.PRIVATE, 5, 10), reading) is None
    assert fresh.record(Progress(1, Phase.LOOKAHEAD, 100, 100), 1.0) == pytest.approx(3.0)
    # stored features are read before the first batch
    assert resumed.record(Progress(1, Phase.LOOKAHEAD, 50, 100), reading) is None
    assert resumed.record(Progress(1, Phase.LOOKAHEAD, 75, 100), 0.25) == pytest.approx(3.25)


def test_the_time_left_goes_down_between_two_batches():
    assert [counted_down(12.0, since) for since in (0.0, 0.9, 1.2, 5.0, 99.0)] == [12, 12, 11, 7, 0]
    assert counted_down(None, 5.0) is None


def test_durations_are_said_as_people_say_them():
    said = [duration(seconds) for seconds in (0.4, 59.4, 59.6, 125, 3599.6, 11_400)]
    assert said == ["0 s", "59 s", "1 min", "2 min 5 s", "1 h", "3 h 10 min"]
