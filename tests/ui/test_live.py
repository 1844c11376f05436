"""What viewers of a run are told: finished sentences, and nothing that is private."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from loops import awaited

from pe_engine.boundary import shown
from pe_engine.events import Phase
from pe_engine.reporting import ProgressBar
from pe_engine.snapshot import GenerationView, Preview, Snapshot, Status
from pe_engine.ui.gallery import gallery_rows
from pe_engine.ui.identity import STRANGER, Identity
from pe_engine.ui.live import (
    images_note,
    live_view,
    overall_fraction,
    pace_line,
    status_line,
    title,
)
from pe_engine.ui.viewers import Viewers


@pytest.fixture
def snapshot(config):
    return Snapshot(
        version=7,
        run_id="0" * 32,
        status=Status.RUNNING,
        queue_position=0,
        config=config,
        class_names=("anna", "bert", "carl"),
        public_names=False,
        noise_multiplier=4.1234,
        epsilon_planned=5.0,
        epsilon_spent=3.96,
        generation=2,
        phase=Phase.VARY,
        phase_fraction=0.5,
        seconds_left=12.4,
        seconds_elapsed=12.4,
        generations=(
            GenerationView(0, 30, False, None, 0.0),
            GenerationView(1, 30, True, 4.1234, 2.71),
        ),
        notices=("Generation 1 was drawn uniformly.",),
        owner_notices=("60 files could not be used, none of class 'bert'.",),
        error="",
        zip_ready=False,
    )


def test_a_running_run_says_generation_phase_and_time_left(snapshot):
    assert status_line(snapshot) == (
        "Generation 2 of 3 · varying the selected images 50% · 12 s left"
    )
    assert title(snapshot) == "(2/3) Private Evolution Studio"
    assert overall_fraction(snapshot) == 0.5


def test_a_log_is_told_how_far_a_generation_is(snapshot):
    now, stream = [0.0], io.StringIO()
    bar = ProgressBar(stream, clock=lambda: now[0])
    bar.show(snapshot)
    told = len(stream.getvalue().splitlines())  # notes and finished generations
    for second in range(1, 26):
        now[0] = float(second)
        bar.show(snapshot)
    line = "generation 2 of 3, varying the selected images 50%, 12 s left"
    assert stream.getvalue().splitlines()[told:] == [line, line]
    now[0] = 99.0
    bar.show(replace(snapshot, phase=Phase.PRIVATE, phase_fraction=0.5, seconds_left=None))
    last = stream.getvalue().splitlines()[-1]
    assert last == "generation 2 of 3, reading the private images"


def test_a_run_that_loads_its_models_says_so_and_how_long_it_may_take(snapshot):
    loading = replace(snapshot, loading=True, phase=None, seconds_left=None)
    assert status_line(loading) == "Loading the generator and the embedder"
    assert overall_fraction(loading) is None
    for fetched in ({"embedder": "clip"}, {"generator_options": {"model": "CompVis/x"}}):
        line = status_line(replace(loading, config=replace(loading.config, **fetched)))
        assert line.endswith("; a first download takes minutes")
        assert "CompVis" not in line  # a folder's name may be private


def test_a_run_that_finished_early_says_which_budget_counts(snapshot):
    view = live_view(replace(snapshot, status=Status.DONE, seconds_elapsed=12.4), False)
    assert view["line"] == (
        "Finished early: 1 of 3 generations in 12 s · ε\u00a0=\u00a05 counts as planned"
    )
    assert view["spent_line"] == "ε\u00a0=\u00a05 counts as planned · δ = 1e-5"
    assert live_view(snapshot, False)["spent_line"] == "ε spent 3.96 of 5 · δ = 1e-5"


def test_a_viewer_learns_nothing_private(snapshot):
    text = json.dumps(live_view(shown(snapshot, owner=False), has_report=False))
    for private in ("60", "digits", "anna", "bert", "carl"):
        assert private not in text
    assert json.loads(text)["generations"][1] == {
        "generation": 1,
        "samples": 30,
        "votes": True,
        "threshold": 4.12,
        "epsilon": 2.71,
    }


def test_the_owner_also_sees_the_name_and_what_was_skipped(snapshot):
    view = live_view(shown(snapshot, owner=True), has_report=False)
    assert view["detail"].startswith("digits · ")
    assert view["notices"] == [*snapshot.owner_notices, *snapshot.notices]
    assert live_view(shown(snapshot, owner=False), False)["notices"] == list(snapshot.notices)


def test_how_far_the_private_images_are_read_is_told_to_nobody(snapshot):
    views = [
        live_view(
            replace(snapshot, phase=Phase.PRIVATE, phase_fraction=done, seconds_left=left), False
        )
        for done, left in [(0.1, 90.0), (0.9, 10.0)]
    ]
    assert views[0] == views[1]
    assert views[0]["line"] == "Generation 2 of 3 · reading the private images"
    assert views[0]["fraction"] is None


def test_a_viewer_is_sent_a_view_only_where_it_differs(snapshot, monkeypatch, tmp_path):
    reading = replace(snapshot, phase=Phase.PRIVATE, phase_fraction=0.0)
    states = [replace(reading, version=v, phase_fraction=v / 20) for v in range(20)]
    states.append(replace(snapshot, version=20, status=Status.DONE))
    now = iter(states)

    def find(*_):
        return SimpleNamespace(snapshot=next(now), folder=tmp_path), True

    monkeypatch.setattr("pe_engine.ui.viewers.find_seen", find)
    monkeypatch.setattr("pe_engine.ui.viewers.POLL_SECONDS", 0)
    monkeypatch.setattr("pe_engine.ui.viewers.HEARTBEAT_SECONDS", float("inf"))

    async def watch():
        return [view async for view in Viewers(None, owner=True).attach(STRANGER, "tab", "run")]

    assert [view["status"] for view in awaited(watch())] == ["running", "done"]


def test_a_run_whose_images_are_gone_says_what_a_resume_needs(snapshot):
    stopped = replace(snapshot, status=Status.STOPPED)
    assert status_line(stopped) == "Paused in generation 2 of 3; nothing is lost"
    assert images_note(stopped) == images_note(snapshot) == ""
    forgetful = replace(stopped, needs_images=True)
    assert images_note(forgetful) == "Drop the same images again, then press Resume."
    assert images_note(replace(snapshot, needs_images=True)).startswith("If you pause this run")


def test_a_gallery_has_whole_rows_of_every_class():
    class_ids = np.repeat(np.arange(4), 100)
    rows = gallery_rows(class_ids, ("a", "b", "c", "d"))
    assert [row["name"] for row in rows] == ["a", "b", "c", "d"]
    for class_id, row in enumerate(rows):
        assert len(row["indices"]) == len(set(row["indices"])) == 21
        assert (class_ids[row["indices"]] == class_id).all()
        gaps = np.diff(row["indices"])
        assert row["indices"][0] % 100 == 0
        assert gaps.max() - gaps.min() <= 1


def test_a_small_or_empty_class_shows_what_it_has():
    rows = gallery_rows(np.array([0, 0, 2]), ("a", "b", "c", "d"))
    assert [row["indices"] for row in rows] == [[0, 1], [], [2], []]


@pytest.mark.parametrize("by_votes", [True, False])
def test_every_image_is_on_one_page_and_pages_are_bounded(by_votes):
    class_ids = np.repeat(np.arange(4), [100, 3, 0, 41])
    votes = np.random.default_rng(0).integers(-5, 20, len(class_ids))
    seen = {c: [] for c in range(4)}
    for page in range(5):
        rows = gallery_rows(class_ids, ("a", "b", "c", "d"), votes, by_votes, page)
        for class_id, row in enumerate(rows):
            assert len(row["indices"]) <= 21
            assert row["votes"] == votes[row["indices"]].tolist()
            assert row["total"] == (class_ids == class_id).sum()
            if row["page"] == page:
                seen[class_id] += row["indices"]
    assert [row["pages"] for row in rows] == [5, 1, 1, 2]
    for class_id, indices in seen.items():
        assert sorted(indices) == np.flatnonzero(class_ids == class_id).tolist()
        if by_votes:
            assert (np.diff(votes[indices]) <= 0).all()


def test_a_gallery_without_votes_is_as_it_was_made():
    class_ids = np.repeat(np.arange(2), 100)
    plain = gallery_rows(class_ids, ("a", "b"))
    assert gallery_rows(class_ids, ("a", "b"), None, by_votes=True) == plain
    assert plain[0]["votes"] is None


def test_the_pace_is_told_while_images_are_made(snapshot):
    assert pace_line(snapshot) == ""
    fast = replace(snapshot, images_made=12345, images_per_second=83.4)
    assert pace_line(fast) == "12,345 images made · 83 images/s"
    assert pace_line(replace(fast, images_per_second=0.347)).endswith(" · 0.35 images/s")
    assert pace_line(replace(fast, status=Status.DONE)) == "12,345 images made"
    assert pace_line(replace(fast, images_made=1, images_per_second=None)) == "1 image made"


def test_a_preview_says_what_it_shows(snapshot):
    assert live_view(snapshot, False)["preview"] is None
    looking = replace(snapshot, preview=Preview(3, 14, 2, Phase.LOOKAHEAD))
    assert live_view(looking, False)["preview"] == {
        "version": 3,
        "images": 14,
        "what": "Variations of generation 1, for your images to vote on",
    }
    varying = replace(snapshot, preview=Preview(4, 28, 2, Phase.VARY))
    assert live_view(varying, False)["preview"]["what"] == "Generation 2"


def test_the_oldest_of_too_many_tabs_is_told_no_more(snapshot, monkeypatch, tmp_path):
    run = SimpleNamespace(snapshot=snapshot, folder=tmp_path)
    monkeypatch.setattr("pe_engine.ui.viewers.find_seen", lambda *_: (run, True))
    monkeypatch.setattr("pe_engine.ui.viewers.POLL_SECONDS", 0)
    monkeypatch.setattr("pe_engine.ui.viewers.HEARTBEAT_SECONDS", -1)
    monkeypatch.setattr("pe_engine.ui.viewers.MAX_TABS", 2)
    viewers, me, other = Viewers(None, owner=True), Identity("1" * 64), Identity("2" * 64)

    async def watch():
        tabs = [viewers.attach(me, f"tab {i}", "run") for i in range(3)]
        tabs.append(viewers.attach(other, "tab 0", "run"))
        for tab in tabs:
            await anext(tab)
        told = [await anext(tab, None) is not None for tab in tabs]
        for tab in tabs:
            await tab.aclose()
        return told

    assert awaited(watch()) == [False, True, True, True]
    assert viewers._watching == {}


@pytest.mark.parametrize("owner", [True, False])
def test_an_error_is_told_to_the_owner_of_the_run_alone(snapshot, monkeypatch, tmp_path, owner):
    failed = replace(snapshot, status=Status.FAILED, error="The data set 'digits' may spend 3.")
    run = SimpleNamespace(snapshot=failed, folder=tmp_path)
    told = []
    for mine in (True, False):
        found = (run, mine)
        monkeypatch.setattr("pe_engine.ui.viewers.find_seen", lambda *_, found=found: found)

        async def first():
            tab = Viewers(None, owner).attach(STRANGER, "tab", "run")
            view = await anext(tab)
            await tab.aclose()
            return view

        told.append(awaited(first()))
    assert told[0]["error"] == failed.error
    assert told[1]["error"] and "digits" not in json.dumps(told[1])
