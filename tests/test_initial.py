"""Starting from an earlier generation or from pictures of somebody else."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine import initial
from pe_engine.build import continue_run
from pe_engine.errors import ConfigError, DataError, RunError
from pe_engine.header import Header
from pe_engine.privacy.accounting import Charge, composed_epsilon
from pe_engine.starting import settled, start_run
from pe_engine.storage import RunFolder

SD = {
    "generator": "stable_diffusion",
    "generator_options": {"steps": 1},
    "iterations": 1,
    "lookahead": 0,
    "num_samples": (6,),
}


def finish(out, config, source, ledger):
    start_run(out, config, source, ledger)
    return [*continue_run(RunFolder(out), ledger)]


def header(out):
    return Header.from_json(RunFolder(out).read_header())


def privacy(out):
    return json.loads((out / "manifest.json").read_text("utf-8"))["privacy"]


@pytest.fixture
def first(tmp_path, config, digits, ledger):
    """A finished run of text_render with three generations of 30 images."""
    finish(tmp_path / "first", config, digits, ledger)
    return tmp_path / "first"


@pytest.fixture
def foreign(tmp_path):
    """The seed's data checkpoint: 9 pictures in three class blocks, each of one grey level."""
    levels = np.arange(9, dtype=np.uint8) * 20
    samples = np.broadcast_to(levels[:, None, None, None], (9, 40, 40, 3))
    path = tmp_path / "foreign.npz"
    np.savez(path, samples=samples, additional_info=np.array([f"a {i}" for i in range(9)]))
    return path


def test_a_run_goes_on_from_a_generation_with_all_that_it_remembered(
    tmp_path, config, digits, ledger, first
):
    again = replace(config, initial=f"{first}:2", iterations=1, num_samples=(50,))
    finish(tmp_path / "out", again, digits, ledger)
    start, source = RunFolder(tmp_path / "out"), RunFolder(first).read_population(2)
    given = start.read_population(0)
    np.testing.assert_array_equal(given.images, source.images)
    assert given.state.keys() == source.state.keys()
    np.testing.assert_array_equal(given.state["params"], source.state["params"])
    assert (given.parents == -1).all()
    assert header(tmp_path / "out").config.num_samples == (30, 50)
    assert len(start.read_population(1)) == 50


def test_what_the_earlier_run_cost_is_part_of_epsilon(tmp_path, config, digits, ledger, first):
    finish(tmp_path / "second", replace(config, initial=str(first)), digits, ledger)
    finish(tmp_path / "third", replace(config, initial=f"{tmp_path / 'second'}:1"), digits, ledger)
    all_charges = ledger.spent("digits")  # nine votings
    told = privacy(tmp_path / "third")
    assert told["epsilon"] == composed_epsilon(all_charges, config.delta)
    assert told["epsilon"] > config.epsilon + 3
    assert told["generations"][0]["epsilon"] == privacy(tmp_path / "second")["epsilon"]
    assert "earlier run" in told["start"]
    assert "without looking" in privacy(first)["start"]


def test_an_earlier_runs_own_samples_file_tells_what_it_cost(
    tmp_path, config, digits, ledger, first
):
    asked = settled(replace(config, initial=str(first / "samples.npz")))
    assert initial.read(asked, tuple("012")).complete
    past = initial.past(asked.initial)
    assert past.known
    assert past.charges == (Charge(header(first).budget.noise_multiplier, 1, 3),)


def test_the_manifest_beside_a_release_tells_what_it_cost(tmp_path, config, digits, ledger, first):
    again = replace(config, initial=f"{first}:1", iterations=2)
    finish(tmp_path / "again", again, digits, ledger)
    with zipfile.ZipFile(tmp_path / "again" / "synthetic.zip") as release:
        release.extractall(tmp_path / "unzipped")
    past = initial.past(str(tmp_path / "unzipped" / "samples.npz"))
    assert past == initial.past(str(tmp_path / "again"))
    assert [charge.generations for charge in past.charges] == [3, 2]
    assert past.known
    (tmp_path / "unzipped" / "manifest.json").write_text('{"privacy": {}}')
    assert not initial.past(str(tmp_path / "unzipped" / "samples.npz")).known


def test_another_generator_adopts_the_pictures(tmp_path, config, digits, ledger, first):
    changed = replace(config, **SD, initial=f"{first}:3")
    finish(tmp_path / "out", changed, digits, ledger)
    folder = RunFolder(tmp_path / "out")
    adopted, source = folder.read_population(0), RunFolder(first).read_population(3)
    np.testing.assert_array_equal(adopted.class_ids, source.class_ids)
    near = np.abs(adopted.images.mean((1, 2, 3)) - source.images.mean((1, 2, 3)))
    other = np.abs(adopted.images.mean((1, 2, 3)) - source.images[::-1].mean((1, 2, 3)))
    assert near.mean() < other.mean() / 3
    assert set(adopted.state) == {"latents", "prompt"}


def test_pictures_of_somebody_else_come_in_class_blocks_with_their_prompts(
    tmp_path, config, digits, ledger, foreign
):
    finish(tmp_path / "out", replace(config, **SD, initial=str(foreign)), digits, ledger)
    adopted = RunFolder(tmp_path / "out").read_population(0)
    assert adopted.class_ids.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert adopted.state["prompt"].tolist() == [f"a {i}" for i in range(9)]
    assert np.diff(adopted.images.mean((1, 2, 3))).min() > 0  # each as bright as it was given
    told = privacy(tmp_path / "out")
    assert "the owner gave" in told["start"]
    assert told["epsilon"] <= config.epsilon


def test_labels_of_the_seed_are_for_the_generator_that_knows_them(tmp_path, config, foreign):
    samples = np.load(foreign)["samples"]
    np.savez(tmp_path / "labels.npz", samples=samples, additional_info=np.arange(9) + 200)
    asked = replace(config, **SD, image_size=40, initial=str(tmp_path / "labels.npz"))
    assert initial.read(asked, tuple("012")).population.state == {}
    labelled = replace(asked, generator="improved_diffusion", generator_options={})
    given = initial.read(labelled, tuple("012")).population
    assert given.state["prompt"].tolist() == [str(label) for label in range(200, 209)]


def test_pictures_have_labels_if_the_file_says_so(tmp_path, config, digits, foreign):
    samples = np.load(foreign)["samples"]
    labels = [2, 1, 0] * 3
    np.savez(tmp_path / "labelled.npz", samples=samples, labels=labels)
    asked = replace(config, image_size=28, initial=str(tmp_path / "labelled.npz"))
    given = initial.read(asked, tuple("012"))
    assert given.population.class_ids.tolist() == labels
    assert given.population.images.shape == (9, 28, 28, 3)


def test_prompts_of_the_run_are_shared_out_where_the_file_has_none(
    tmp_path, config, digits, ledger, foreign
):
    np.savez(tmp_path / "plain.npz", samples=np.load(foreign)["samples"])
    asked = replace(config, **SD, initial=str(tmp_path / "plain.npz"), prompts=("x", "y"))
    finish(tmp_path / "out", asked, digits, ledger)
    adopted = RunFolder(tmp_path / "out").read_population(0)
    assert adopted.state["prompt"].tolist() == ["x", "x", "y"] * 3


@pytest.mark.parametrize(
    "arrays",
    [
        {"labels": np.zeros(9)},
        {"labels": np.array([0, 1, -1] * 3)},
        {"labels": np.zeros((9, 1), int)},
        {"labels": np.array([], int)},
        {"samples": np.zeros((9, 4, 4, 3))},
        {"samples": np.zeros((0, 4, 4, 3), np.uint8)},
        {"additional_info": np.array([object()] * 9)},
    ],
    ids=[
        "real labels",
        "a negative label",
        "two axes",
        "none",
        "real pixels",
        "no picture",
        "objects",
    ],
)
def test_files_that_do_not_fit_are_said(tmp_path, config, digits, ledger, foreign, arrays):
    np.savez(tmp_path / "bad.npz", **{"samples": np.load(foreign)["samples"], **arrays})
    asked = replace(config, **SD, initial=str(tmp_path / "bad.npz"))
    refused(DataError, "pictures to start from", tmp_path, asked, digits, ledger)


@pytest.mark.parametrize("info", [np.array("x"), np.array(["x"]), np.full((9, 2), "x")], ids=str)
def test_information_that_is_no_prompt_for_each_picture_is_left_aside(
    tmp_path, config, foreign, info
):
    np.savez(tmp_path / "odd.npz", samples=np.load(foreign)["samples"], additional_info=info)
    asked = replace(config, **SD, image_size=40, initial=str(tmp_path / "odd.npz"))
    assert initial.read(asked, tuple("012")).population.state == {}


def test_damaged_files_and_files_of_a_run_are_said(
    tmp_path, config, digits, ledger, foreign, first
):
    data = bytearray(foreign.read_bytes())
    data[30000:31000] = bytes(1000)
    (tmp_path / "damaged.npz").write_bytes(data)
    for path in (tmp_path / "damaged.npz", first / "generations" / "0001.npz"):
        asked = replace(config, **SD, initial=str(path))
        refused(DataError, "holds no pictures to start from", tmp_path, asked, digits, ledger)


def test_sizes_are_refused_before_pictures_are_enlarged(
    tmp_path, config, digits, ledger, monkeypatch
):
    np.savez(tmp_path / "many.npz", samples=np.zeros((1800, 8, 8, 3), np.uint8))
    monkeypatch.setattr(initial, "read", lambda *given: pytest.fail("it was read"))
    asked = replace(config, **SD, image_size=1024, initial=str(tmp_path / "many.npz"))
    refused(ConfigError, "need 5.3 GiB", tmp_path, asked, digits, ledger)


def test_typed_prompts_go_before_those_that_pictures_have(
    tmp_path, config, digits, ledger, foreign
):
    asked = replace(config, **SD, initial=str(foreign), class_prompts={"1": ("typed",)})
    finish(tmp_path / "out", asked, digits, ledger)
    said = RunFolder(tmp_path / "out").read_population(0).state["prompt"].tolist()
    assert said == ["a 0", "a 1", "a 2", "typed", "typed", "typed", "a 6", "a 7", "a 8"]


def test_other_prompts_need_a_generator_that_adopts(tmp_path, config, digits, ledger, first):
    asked = replace(config, initial=str(first), prompts=("7",))
    refused(ConfigError, "same options, prompts and image", tmp_path, asked, digits, ledger)


def refused(error, match, tmp_path, config, digits, ledger):
    with pytest.raises(error, match=match):
        start_run(tmp_path / "out", config, digits, ledger)
    assert not (tmp_path / "out").exists()
    assert sum(entry.reserved for entry in ledger.datasets()) == 0


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("{first}:7", RunError, "has 4 generations"),
        ("{first}/manifest.json", DataError, "holds no pictures"),
        ("{first}/nothing", ConfigError, "no run and no file"),
        ("{foreign}", ConfigError, "cannot go on from given pictures"),
    ],
)
def test_what_cannot_be_started_from(
    tmp_path, config, digits, ledger, first, foreign, text, error, match
):
    asked = replace(config, initial=text.format(first=first, foreign=foreign))
    refused(error, match, tmp_path, asked, digits, ledger)


def test_other_classes_and_missing_classes_are_refused(
    tmp_path, config, digits, ledger, first, foreign
):
    unclassed = replace(config, classes="none", prompts=("a",), initial=str(first))
    refused(DataError, "other classes", tmp_path, unclassed, digits, ledger)
    samples = np.load(foreign)["samples"]
    for labels, match in (
        ([0, 1] * 4 + [0], "has 0 pictures"),
        ([0, 1, 5] * 3, "whole numbers below 3"),
    ):
        np.savez(tmp_path / "bad.npz", samples=samples, labels=labels)
        asked = replace(config, **SD, initial=str(tmp_path / "bad.npz"))
        refused(DataError, match, tmp_path, asked, digits, ledger)
