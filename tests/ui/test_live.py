"""What viewers of a run are told: finished sentences, and nothing that is private."""

import json

import numpy as np
import pytest

from pe_engine.events import Phase
from pe_engine.runner import GenerationView, Snapshot, Status
from pe_engine.ui.gallery import gallery_rows
from pe_engine.ui.live import duration, live_view, overall_fraction, status_line, title


@pytest.fixture
def snapshot(config):
    return Snapshot(
        version=7,
        run_id="0" * 32,
        status=Status.RUNNING,
        queue_position=0,
        config=config,
        class_names=("0", "1", "2"),
        data_summary="60 images in 3 classes",
        noise_multiplier=4.1234,
        generation=2,
        phase=Phase.VARY,
        phase_fraction=0.5,
        seconds_left=12.4,
        seconds_elapsed=12.4,
        generations=(
            GenerationView(0, 30, False, None, 0.0),
            GenerationView(1, 30, True, 4.1234, 2.71),
        ),
        notices=(),
        error="",
        zip_ready=False,
    )


def test_a_running_run_says_generation_phase_and_time_left(snapshot):
    assert status_line(snapshot) == (
        "Generation 2 of 3 · varying the selected images 50% · 12 s left"
    )
    assert title(snapshot) == "(2/3) Private Evolution Studio"
    assert overall_fraction(snapshot) == 0.5


def test_the_view_is_json_and_does_not_tell_the_number_of_private_images(snapshot):
    text = json.dumps(live_view(snapshot, has_report=False))
    assert "60" not in text
    assert json.loads(text)["generations"][1] == {
        "generation": 1,
        "samples": 30,
        "votes": True,
        "threshold": 4.12,
        "epsilon": 2.71,
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3725, "1 h 2 min"), (-1, "0 s")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_gallery_has_whole_rows_of_every_class():
    class_ids = np.repeat(np.arange(4), 100)
    rows = gallery_rows(class_ids, ("a", "b", "c", "d"))
    assert [row["name"] for row in rows] == ["a", "b", "c", "d"]
    for class_id, row in enumerate(rows):
        assert len(row["indices"]) == len(set(row["indices"])) == 21
        assert (class_ids[row["indices"]] == class_id).all()
        assert (row["indices"][0] % 100, row["indices"][-1] % 100) == (0, 99)


def test_a_small_or_empty_class_shows_what_it_has():
    rows = gallery_rows(np.array([0, 0, 2]), ("a", "b", "c"))
    assert [row["indices"] for row in rows] == [[0, 1], [], [2]]
