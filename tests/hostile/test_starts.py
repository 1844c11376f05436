"""Hostile pictures to start from: each is refused by one sentence, before any budget is spent."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pe_engine import initial
from pe_engine.build import continue_run
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, PEError
from pe_engine.past import Past
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import settled, start_run
from pe_engine.storage import RunFolder
from tests.hostile.making import folder, image
from tests.hostile.start_cases import CHARGES, PICTURES, RUNS, SETTINGS, npy, npz
from tests.hostile.table import CONFIG


@pytest.fixture
def private(place):
    return folder(place / "private", {f"{i}.png": image(i) for i in range(3)})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sound run, to be spoilt."""
    root = tmp_path_factory.mktemp("finished")
    source = folder(root / "images", {f"{i}.png": image(i) for i in range(3)})
    ledger = Ledger(root / "home")
    start_run(root / "run", CONFIG, source, ledger)
    assert len([*continue_run(RunFolder(root / "run"), ledger)]) > 4
    return root / "run"


def refused(place, private, given) -> str:
    ledger = Ledger(place / "home")
    before = sorted(place.rglob("*"))
    tracemalloc.start()
    with pytest.raises(PEError) as error:
        start_run(place / "out", replace(CONFIG, initial=str(given)), private, ledger)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert sorted(place.rglob("*")) == before
    assert not ledger.spent("hostile")
    assert str(private) not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("what", PICTURES)
def test_pictures(place, private, finished, what):
    path = place / "given.npz"
    path.write_bytes(PICTURES[what]())
    said = refused(place, private, path)
    assert "pictures to start from" in said


@pytest.mark.parametrize("what", RUNS)
def test_run(place, private, finished, what):
    shutil.copytree(finished, place / "run")
    RUNS[what](place / "run")
    assert refused(place, private, place / "run")


def released(finished, place):
    """The samples of a release, away from its run, and the manifest beside them."""
    (place / "release").mkdir()
    for name in ("samples.npz", "manifest.json"):
        shutil.copy(finished / name, place / "release" / name)
    return place / "release" / "samples.npz", place / "release" / "manifest.json"


@pytest.mark.parametrize("what", CHARGES)
def test_manifest_of_charges(place, private, finished, what):
    samples, manifest = released(finished, place)
    told = json.loads(manifest.read_bytes())
    told["privacy"]["inherited"] = CHARGES[what]
    manifest.write_text(json.dumps(told))
    assert "manifest.json" in refused(place, private, samples)


OWN = {
    **{f"σ = {sigma!r}": ("noise_multiplier", sigma) for sigma in (0, -1.0, np.nan, 1e300, "5")},
    "no σ": ("noise_multiplier", None),
    "releases that are refunds": ("planned_releases", -3),
    "releases that are a list": ("planned_releases", [3]),
    "an unknown start": ("start", "Nobody looked."),
}


@pytest.mark.parametrize("what", OWN)
def test_manifest_of_its_own_charge(place, private, finished, what):
    samples, manifest = released(finished, place)
    told = json.loads(manifest.read_bytes())
    name, value = OWN[what]
    told["privacy"][name] = value
    manifest.write_text(json.dumps(told))
    assert "manifest.json" in refused(place, private, samples)


MANIFESTS = {
    "another file": lambda told: told["files"]["samples.npz"].update(sha256="0" * 64),
    "no file": lambda told: told.update(files=[]),
    "another program": lambda told: told["product"].update(name="evil"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_the_manifest_of_something_else_tells_nothing(place, finished, what):
    samples, manifest = released(finished, place)
    assert initial.past(str(samples)).known
    told = json.loads(manifest.read_bytes())
    MANIFESTS[what](told)
    manifest.write_text(json.dumps(told))
    assert initial.past(str(samples)) == Past((), known=False)


@pytest.mark.parametrize(
    "data", [b"", b"5", b"[]", b"null", b"1" * 10_000, b"[" * 100_000, b"\xff"]
)
def test_a_manifest_that_is_none_tells_nothing(place, finished, data):
    samples, manifest = released(finished, place)
    manifest.write_bytes(data)
    assert initial.past(str(samples)) == Past((), known=False)


def test_what_the_hostile_ones_are_made_of_is_sound(place, private, finished):
    ledger = Ledger(place / "home")
    (place / "given.npz").write_bytes(npz(samples=npy(), labels=npy(np.zeros(6, np.int64))))
    start_run(place / "out", replace(CONFIG, initial=str(finished)), private, ledger)
    given = initial.read(replace(CONFIG, initial=str(place / "given.npz")), ("",))
    assert (given.population.images == 100).all()


@pytest.mark.parametrize("what", SETTINGS)
def test_settings(what):
    with pytest.raises(ConfigError):
        settled(RunConfig.from_json(SETTINGS[what]))
