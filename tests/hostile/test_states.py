"""Runs to start from whose pictures are sound, but not what goes with them: each is refused by a
sentence before anything is voted for."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from pe_engine.build import continue_run
from pe_engine.components import generator_class
from pe_engine.errors import DataError, GeneratorError, RunError
from pe_engine.generators.base import PIXELS
from pe_engine.generators.improved_options import Options
from pe_engine.generators.improved_unet import UNet
from pe_engine.population_files import read_population, write_population
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.hostile.making import folder, image
from tests.hostile.table import CONFIG

SMALL = {"model_image_size": 32, "num_channels": 32, "num_res_blocks": 1, "class_cond": True}
OPTIONS = {
    "text_render": {},
    "avatar": {"processes": 1},
    "image_pool": {"pool": "{place}/pool"},
    "stable_diffusion": {"steps": 1, "guidance": 1.0},
    "improved_diffusion": {
        **SMALL,
        "model_path": "{place}/weights.pt",
        "timestep_respacing": "2",
        "variation_degree_schedule": "1",
    },
    "openai_images": {"base_url": "http://localhost:9/v1"},
}
SIZES = {"stable_diffusion": 32, "improved_diffusion": 32}  # 16 pixels otherwise
ROWS = 4


def first(value):
    """The array with another number in its first place."""

    def change(array):
        changed = array.copy()
        changed.reshape(-1)[0] = value
        return changed

    return change


def more_columns(array):
    return np.concatenate([array, array], axis=1)


WRONG = {
    "text_render": {
        "a font that there is not": ("font", first(10**6)),
        "a negative font": ("font", first(-1)),
        "fonts of floating point": ("font", lambda a: a.astype(float)),
        "a parameter that is no number": ("params", first(np.nan)),
        "an infinite parameter": ("params", first(np.inf)),
        "a parameter out of its range": ("params", first(5.0)),
        "parameters too many": ("params", more_columns),
        "parameters of whole numbers": ("params", lambda a: a.astype(int)),
        "texts that are numbers": ("text", lambda a: np.arange(len(a))),
        "an empty text": ("text", first("")),
        "a text that no font has": ("text", first("\u4e00")),
        "a text of odd spaces": ("text", lambda a: np.char.add(" ", a)),
    },
    "avatar": {
        "a choice that there is not": ("params", first(1000)),
        "a negative choice": ("params", first(-1)),
        "choices too many": ("params", more_columns),
        "choices of floating point": ("params", lambda a: a.astype(float)),
    },
    "image_pool": {
        "a place behind the pool": ("place", first(6)),
        "a negative place": ("place", first(-1)),
        "a place whose image cannot be read": ("place", first(0)),
        "places of floating point": ("place", lambda a: a.astype(float)),
        "a class that there is not": ("pool_class", first(7)),
    },
    "stable_diffusion": {
        "a latent that is no number": ("latents", first(np.nan)),
        "an infinite latent": ("latents", first(np.inf)),
        "latents of another size": ("latents", lambda a: a[..., :-1]),
        "latents without channels": ("latents", lambda a: a[:, 0]),
        "latents of whole numbers": ("latents", lambda a: a.astype(int)),
        "prompts that are numbers": ("prompt", lambda a: np.arange(len(a))),
        "prompts of two axes": ("prompt", lambda a: a[:, None]),
    },
    "improved_diffusion": {
        "a label of 1,000": ("label", first(1000)),
        "a negative label": ("label", first(-1)),
        "labels of floating point": ("label", lambda a: a.astype(float)),
    },
    "openai_images": {"prompts that are numbers": ("prompt", lambda a: np.arange(len(a)))},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(name)``: that generator, with a state of its own as a file would hold it."""
    place = tmp_path_factory.mktemp("made")
    pool = {f"{i}.png": image(i) for i in range(6)} | {"0.png": b"\x89PNG\r\n\x1a\nbroken"}
    folder(place / "pool", pool)
    shape = Options(**{**OPTIONS["improved_diffusion"], "model_path": "x"}).shape()
    torch.save(UNet(shape).state_dict(), place / "weights.pt")
    known = {}

    def make(name):
        if name not in known:
            given = {
                option: value.format(place=place) if isinstance(value, str) else value
                for option, value in OPTIONS[name].items()
            }
            generator = generator_class(name)(SIZES.get(name, 16), "cpu", **given)
            how = ([""] * ROWS, ["7" if name == "improved_diffusion" else "A"] * ROWS)
            rng = np.random.default_rng(0)
            if name == "openai_images":
                state = generator.adopt(np.zeros((ROWS, 16, 16, 3), np.uint8), *how, rng)
            else:
                state = generator.random(*how, rng)
            known[name] = generator, {n: np.array(a) for n, a in state.items() if n != PIXELS}
        return known[name]

    yield make
    for generator, _ in known.values():
        generator.close()


@pytest.fixture(autouse=True, scope="module")
def key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-none")
        yield


@pytest.mark.parametrize("name, what", [(name, what) for name in WRONG for what in WRONG[name]])
def test_state(made, name, what):
    generator, state = made(name)
    assert generator.can_be(state)
    array, change = WRONG[name][what]
    try:
        assert not generator.can_be(state | {array: change(state[array])})
    except GeneratorError as error:
        assert re.match("No bundled font|There is no text", str(error))


@pytest.mark.parametrize("name", WRONG)
def test_names(made, name):
    generator, state = made(name)
    assert not generator.can_be({})
    assert not generator.can_be(state | {"more": np.zeros(ROWS)})


@pytest.mark.parametrize("name", ["text_render", "avatar", "image_pool", "stable_diffusion"])
def test_variations_are_states_too(made, name):
    generator, state = made(name)
    varied = generator.vary(state, 1.0, np.random.default_rng(1))
    assert generator.can_be({array: np.array(values) for array, values in varied.items()})


# As runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sound run, to be spoilt."""
    root = tmp_path_factory.mktemp("finished")
    source = folder(root / "images", {f"{i}.png": image(i) for i in range(3)})
    ledger = Ledger(root / "home")
    start_run(root / "run", CONFIG, source, ledger)
    list(continue_run(RunFolder(root / "run"), ledger))
    return root / "run"


@pytest.fixture
def spoilt(finished, place):
    """``spoilt(change)``: what becomes of a run that starts from one with another population."""
    private = folder(place / "private", {f"{i}.png": image(i) for i in range(3)})
    shutil.copytree(finished, place / "run")
    ledger = Ledger(place / "home")

    def become(change, **settings):
        path = place / "run" / "generations" / "0003.npz"
        write_population(path, change(read_population(path)))
        config = replace(CONFIG, initial=str(place / "run"), **settings)
        start_run(place / "out", config, private, ledger)
        list(continue_run(RunFolder(place / "out"), ledger))

    return become


def with_state(**changed):
    return lambda population: replace(population, state=dict(population.state) | changed)


def test_run_with_a_state_that_its_generator_cannot_have_made(spoilt, place):
    with pytest.raises(RunError, match="cannot have made"):
        spoilt(with_state(font=np.full(6, 10**9)))
    assert not Ledger(place / "home").spent("hostile")
    shutil.rmtree(place / "out")
    spoilt(with_state(font=np.zeros(6, np.int64), text=np.full(6, "A")))
    assert Ledger(place / "home").spent("hostile")


def test_pictures_of_another_size_than_their_run_says(spoilt):
    with pytest.raises(DataError, match="not of 16 pixels"):
        spoilt(lambda population: replace(population, images=population.images[:, :-1]))


@pytest.mark.parametrize("prompt", [np.arange(6), np.full((6, 2), "x")], ids=["numbers", "pairs"])
def test_prompts_that_are_none_are_left_out(spoilt, place, prompt):
    pool = folder(place / "pool", {f"{i}.png": image(100 + i) for i in range(6)})
    how = {"generator": "image_pool", "generator_options": {"pool": str(pool)}}
    spoilt(with_state(prompt=prompt), **how)
