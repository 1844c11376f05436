"""Whole runs with a public pool: stopped, resumed, with another pool, with private images in it."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.build import continue_run
from pe_engine.errors import DataError, PEError
from pe_engine.events import GenerationReady, Loaded, Notice, Phase, Progress
from pe_engine.generators import pool_features
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import png
from tests.generators.runs import evolved
from tests.generators.test_image_pool import pictures


def test_a_stopped_run_goes_on_only_with_its_pool(tmp_path, config, digits, other_digits, ledger):
    public, out = tmp_path / "public.zip", tmp_path / "out"
    shutil.copy(other_digits, public)
    settings = replace(
        config, generator="image_pool", generator_options={"pool": str(public)}, image_size=28
    )
    start_run(out, settings, digits, ledger)
    events = continue_run(RunFolder(out), ledger)
    told = next(event for event in events if isinstance(event, Notice)).message
    assert next(event for event in events if isinstance(event, GenerationReady))
    events.close()

    with zipfile.ZipFile(public, "a") as archive:
        archive.writestr("0_another.png", png(pictures()[0]))
    with pytest.raises(PEError, match=r"as (it was|they were), or start a new run"):
        list(continue_run(RunFolder(out), ledger))

    shutil.copy(other_digits, public)
    list(continue_run(RunFolder(out), ledger))
    with zipfile.ZipFile(out / "synthetic.zip") as archive:
        versions = json.loads(archive.read("manifest.json"))["versions"]
    assert told == f"fingerprint of the pool: {versions['fingerprint of the pool']}"


def test_private_images_in_the_pool_end_the_run_before_they_vote(
    tmp_path, config, digits, other_digits, ledger
):
    public = tmp_path / "public.zip"
    shutil.copy(other_digits, public)
    with zipfile.ZipFile(digits) as private, zipfile.ZipFile(public, "a") as pool:
        name = private.namelist()[7]
        pool.writestr("2_quite_another_name.png", private.read(name))
    settings = replace(
        config, generator="image_pool", generator_options={"pool": str(public)}, image_size=28
    )
    start_run(tmp_path / "out", settings, digits, ledger)
    with pytest.raises(DataError, match="private images are also in the generator's pool"):
        list(continue_run(RunFolder(tmp_path / "out"), ledger))
    assert ledger.spent("digits") == []
    assert not (tmp_path / "out" / "private" / "features.npz").exists()


def test_a_run_ends_in_a_verified_zip(tmp_path, config, digits, other_digits, ledger):
    public = tmp_path / "public.zip"
    shutil.copy(other_digits, public)
    settings = replace(
        config,
        generator="image_pool",
        generator_options={"pool": str(public), "radius": 5.0},
        image_size=28,
    )
    run = evolved(tmp_path / "out", settings, digits, ledger)
    last = run.population(3)
    assert len(last) == 30
    np.testing.assert_array_equal(last.state["pool_class"], last.class_ids)


def test_the_pool_is_looked_through_in_pieces_between_which_a_run_can_stop(
    tmp_path, config, digits, other_digits, ledger, monkeypatch
):
    monkeypatch.setattr(pool_features, "_MOST_IN_BATCH", 7)
    public = tmp_path / "public.zip"
    shutil.copy(other_digits, public)
    settings = replace(
        config, generator="image_pool", generator_options={"pool": str(public)}, image_size=28
    )
    start_run(tmp_path / "out", settings, digits, ledger)
    events = continue_run(RunFolder(tmp_path / "out"), ledger)
    assert next(events) == Loaded()
    assert isinstance(next(events), Notice)  # which pool it is
    assert next(events) == Progress(0, Phase.PREPARE, 7, 60)
    events.close()
    assert not list((tmp_path / "out" / "generator").iterdir())
    again = [*continue_run(RunFolder(tmp_path / "out"), ledger)]
    prepared = [e.done for e in again if isinstance(e, Progress) and e.phase is Phase.PREPARE]
    assert prepared == [*range(7, 60, 7), 60]
    assert (tmp_path / "out" / "synthetic.zip").is_file()
