"""Runs on neighbouring data sets look the same to everybody but the owner, byte for byte."""

from dataclasses import replace

import numpy as np
import pytest

from pe_engine import boundary, release
from pe_engine.audit import neighbours, replay
from pe_engine.audit.running import AuditError
from pe_engine.audit.watching import Frozen, Interruption, watch
from pe_engine.runner import Run
from pe_engine.ui.live import live_view


@pytest.mark.parametrize("setting", replay.SOME, ids=str)
def test_only_noisy_votes_tell_two_neighbours_apart(setting, tmp_path):
    for finding in replay.audit(tmp_path, [setting]):
        assert finding.held, f"{finding.checked}: {finding.figure}, but {finding.bound}"


def test_the_whole_matrix_has_every_combination_once():
    assert len(set(replay.ALL)) == len(replay.ALL) == 49
    assert set(replay.SOME) <= set(replay.ALL)


STATUSES = {
    Interruption.NONE: {"queued", "running", "done", "stopped"},  # it rests before it is begun
    Interruption.READING: {"queued", "running", "done", "stopping", "stopped"},
    Interruption.FAULT: {"queued", "running", "done", "failed", "stopped"},
    Interruption.RELEASED: {"queued", "running", "done", "stopping", "stopped"},
}


@pytest.mark.parametrize("stop", Interruption)
def test_a_page_shows_visitors_the_same(stop, tmp_path):
    setting = replay.QUICK
    recorded = Frozen(release.discrete_gaussian)
    files = neighbours.base(setting.layout)
    original = watch(tmp_path / "d", setting.config(), files, recorded, stop)
    shown = views(original.snapshots)
    assert {view["status"] for view in shown} == STATUSES[stop]
    assert len(shown) > 5
    for i, neighbour in enumerate(replay.neighbours_of(setting)):
        frozen = Frozen(recorded.noise, recorded.noisy)
        seen = watch(tmp_path / str(i), setting.config(), neighbour.files, frozen, stop)
        assert views(seen.snapshots) == shown, neighbour.change


def views(snapshots):
    """What the page of somebody gets who is not the owner and looks all the time."""
    told = []
    for snapshot in snapshots:
        view = live_view(boundary.shown(snapshot, owner=False), has_report=snapshot.zip_ready)
        if view not in told[-1:]:
            told.append(view)
    return told


def test_the_owner_is_told_more(tmp_path):
    """Else the comparison above would compare nothing."""
    setting = replay.QUICK
    changed = replay.neighbours_of(setting)
    corrupt = next(n for n in changed if n.change == "a corrupt file added")
    frozen = Frozen(release.discrete_gaussian)
    seen = watch(tmp_path / "d", setting.config(), corrupt.files, frozen)
    last = seen.snapshots[-1]
    assert last.owner_notices
    assert live_view(boundary.shown(last, owner=True), True) != live_view(
        boundary.shown(last, owner=False), True
    )


def test_a_run_that_was_not_interrupted_as_it_should_have_been_shows_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "stop", lambda self: None)
    setting = replay.QUICK_STOPPED
    with pytest.raises(AuditError, match="stopped while reading"):
        list(replay.audit(tmp_path, [setting]))


def test_movement_is_that_of_whole_votes():
    votes = [np.array([1, 2, 3]), np.array([0, 0, 5])]
    moved = [np.array([1, 3, 3]), np.array([0, 1, 4])]
    assert replay.movement(votes, moved) == (2, True)
    assert replay.movement(votes, [votes[0], np.array([0, 2, 5])]) == (4, False)
    assert not replay.movement(votes, [v.astype(float) for v in votes])[1]
    assert not replay.movement(votes, votes[:1])[1]
    assert not replay.movement([], [])[1]


def test_renaming_merging_and_leaving_out_looks_at_an_image_alone(tmp_path):
    """With class 0 called as 3 and class 1 left out."""
    setting = replace(replay.QUICK, others=(("class_map", {"0": "3", "1": ""}),))
    for finding in replay.audit(tmp_path, [setting]):
        assert finding.held, f"{finding.checked}: {finding.figure}, but {finding.bound}"
