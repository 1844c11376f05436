"""Hostile pictures to start from: each is refused by one sentence, before any budget is spent."""

from __future__ import annotations

import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pe_engine import initial
from pe_engine.build import continue_run
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError, PEError
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import settled, start_run
from pe_engine.storage import RunFolder
from tests.hostile.making import folder, image
from tests.hostile.start_cases import PICTURES, RUNS, npy, npz

CONFIG = RunConfig(
    dataset_name="hostile",
    prompts=("x",),
    iterations=3,
    num_samples=(6,),
    lookahead=0,
    epsilon=5.0,
    image_size=16,
)


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


def test_what_the_hostile_ones_are_made_of_is_sound(place, private, finished):
    ledger = Ledger(place / "home")
    (place / "given.npz").write_bytes(npz(samples=npy(), labels=npy(np.zeros(6, np.int64))))
    start_run(place / "out", replace(CONFIG, initial=str(finished)), private, ledger)
    given = initial.read(replace(CONFIG, initial=str(place / "given.npz")), ("",))
    assert (given.population.images == 100).all()


SETTINGS = {
    "nothing": "",
    "a number": "5",
    "a list": "[1]",
    "null": "null",
    "a text": '"x"',
    "an empty object": "{}",
    "an unknown name": '{"evil": 1}',
    "half an object": '{"dataset_name": ',
    "a budget of NaN": '{"dataset_name": "x", "epsilon": NaN}',
    "a budget of infinity": '{"dataset_name": "x", "epsilon": Infinity}',
    "a negative budget": '{"dataset_name": "x", "epsilon": -1}',
    "a budget that is a text": '{"dataset_name": "x", "epsilon": "8"}',
    "a budget that is true": '{"dataset_name": "x", "epsilon": true}',
    "iterations that are a list": '{"dataset_name": "x", "iterations": [1]}',
    "10**400 iterations": '{"dataset_name": "x", "iterations": 1' + "0" * 400 + "}",
    "a number of 10,000 digits": '{"dataset_name": "x", "iterations": ' + "1" * 10_000 + "}",
    "samples that are no list": '{"dataset_name": "x", "num_samples": 5}',
    "samples that are texts": '{"dataset_name": "x", "num_samples": ["a"]}',
    "a generator that is a module": '{"dataset_name": "x", "generator": "os:system"}',
    "prompts that are a number": '{"dataset_name": "x", "prompts": 5}',
    "a name that is a list": '{"dataset_name": ["x"]}',
    "an object nested 100,000 deep": '{"dataset_name": ' + "[" * 100_000,
}


@pytest.mark.parametrize("what", SETTINGS)
def test_settings(what):
    with pytest.raises(ConfigError):
        settled(RunConfig.from_json(SETTINGS[what]))
