"""Some of every kind of fault that ``python -m tests.durability.table`` tries at each place."""

from pathlib import Path

import pytest

from tests.durability import full_disk, kills
from tests.durability.clocks import set_clocks
from tests.durability.faults import Broken, Full
from tests.durability.memory import out_of_memory
from tests.durability.power import power_cuts
from tests.durability.races import races
from tests.durability.scene import Scene, private_images
from tests.durability.sweeps import nth_faults, scenes

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    return private_images(tmp_path_factory.mktemp("private"))


@pytest.mark.parametrize("upload", [False, True], ids=["folder", "upload"])
@pytest.mark.parametrize("keep_features", [False, True], ids=["in memory", "kept"])
@pytest.mark.parametrize("fault", [Broken, Full])
def test_nothing_is_lost_when_the_nth_operation_fails(
    fault, upload, keep_features, tmp_path, private
):
    how = {"upload": upload, "keep_features": keep_features}
    tally = nth_faults("fault", fault, scenes(tmp_path, private, **how), every=19)
    assert tally.lost == []
    assert tally.tried > 8


@pytest.mark.parametrize("upload", [False, True], ids=["folder", "upload"])
def test_nothing_is_lost_when_the_power_goes(upload, tmp_path, private):
    scene = Scene(tmp_path / "scene", private, keep_features=upload, upload=upload)
    tally = power_cuts(scene, tmp_path / "cuts", every=17)
    assert tally.lost == []
    assert tally.tried > 8


def test_nothing_is_lost_when_the_memory_of_the_gpu_runs_out(tmp_path, private):
    tally = out_of_memory(scenes(tmp_path, private))
    assert tally.lost == []
    assert tally.tried > 8


def test_nothing_is_lost_when_the_clock_is_set(tmp_path, private):
    assert set_clocks(scenes(tmp_path, private, upload=True)).lost == []


def test_nothing_is_lost_on_a_disk_that_is_really_full():
    tally = full_disk.run_apart(pages=4)
    if tally is None:
        pytest.skip("the system lets nobody mount a disk of their own")
    assert tally.lost == []
    assert tally.tried > 3


def test_nothing_is_lost_where_files_may_not_grow(tmp_path, private):
    tally = full_disk.with_small_files(scenes(tmp_path, private), step=4096)
    assert tally.lost == []
    assert tally.tried > 3


def test_nothing_is_overspent_in_races(tmp_path):
    assert races(tmp_path / "home", 40).lost == []


def test_nothing_is_lost_when_the_process_is_killed():
    for tally in kills.run_apart(every=60, at_random=9):
        assert tally.lost == []
        assert tally.tried >= 3
