"""How much work and disk a visitor's run may take."""

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest
from over_http import Visitor, serving
from test_shared import start
from visitors import ACCOUNTS, shared_app

from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, RunError
from pe_engine.ui.caps import SHARED_CAPS
from pe_engine.ui.choosing import shown_presets
from pe_engine.ui.costs import KEPT_FREE_BYTES, check_disk, check_work, stored_bytes
from pe_engine.ui.fields import preset_config

USAGE = namedtuple("usage", "total used free")


def config(**changes):
    given = {"dataset_name": "x", "image_size": 64, "num_samples": (1000,), "iterations": 5}
    return RunConfig(**given | changes)


@pytest.mark.parametrize("name", shown_presets(owner=False))
def test_every_preset_that_is_offered_may_be_run(name):
    preset = preset_config(name)
    check_work(replace(preset, image_size=preset.image_size or 64), SHARED_CAPS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"iterations": 51}, "at most 50 iterations, not 51"),
        ({"lookahead": 17}, "at most 16, not 17"),
        ({"num_samples": (1_000_000,), "image_size": 8}, "billion pixels"),
        ({"image_size": 2048, "num_samples": (2000,)}, "billion pixels"),
        ({"iterations": 50, "num_samples": (7000,), "lookahead": 16}, "billion pixels"),
        ({"image_size": 100, "num_samples": (50_000,), "lookahead": 0}, "would store 8.4 GiB"),
    ],
    ids=str,
)
def test_a_visitor_does_not_take_the_whole_server(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_work(config(**changes), SHARED_CAPS)


def test_no_run_begins_without_room_for_it(monkeypatch, tmp_path):
    needed = stored_bytes(config())
    assert needed == 6 * 1000 * 64 * 64 * 3
    for free, enough in ((KEPT_FREE_BYTES + needed, True), (KEPT_FREE_BYTES + needed - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: USAGE(0, 0, free))
        if enough:
            check_disk(config(), tmp_path)
        else:
            with pytest.raises(RunError, match="stays free"):
                check_disk(config(), tmp_path)


def test_a_visitor_is_told(monkeypatch, tmp_path):
    with serving(shared_app(tmp_path)) as address:
        visitor = Visitor(address, next(iter(ACCOUNTS.items())))
        assert "at most 50 iterations" in start(visitor, {"Iterations": "51"})[-1][1][-1]
        monkeypatch.setattr(shutil, "disk_usage", lambda _: USAGE(0, 0, 10**6))
        assert "stays free" in start(visitor, {})[-1][1][-1]
        visitor.http.close()
    assert list(tmp_path.glob("runs/*")) == []
