"""A simulator first, then a diffusion model from its pictures."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine import initial
from pe_engine.build import continue_run
from pe_engine.components import checked_options, parse_option_text
from pe_engine.errors import ConfigError
from pe_engine.events import GenerationReady, Phase, Progress
from pe_engine.generators.composite import Composite
from pe_engine.generators.stable_diffusion import StableDiffusion
from pe_engine.starting import settled, start_run
from pe_engine.storage import RunFolder
from tests.conftest import share_votes

QUICK = {"simulated": 1, "model_options": "steps=2; guidance=1", "simulator_options": "fonts=print"}


@pytest.fixture
def composite(config):
    return replace(config, generator="composite", generator_options=QUICK, num_samples=(12,))


def events_of(out, ledger, until=None):
    seen = []
    steps = continue_run(RunFolder(out), ledger)
    for event in steps:
        seen.append(event)
        if until and until(event):
            steps.close()
            break
    return seen


def test_the_model_takes_over_from_the_simulators_pictures(tmp_path, composite, digits, ledger):
    start_run(tmp_path / "out", composite, digits, ledger)
    events = events_of(tmp_path / "out", ledger)
    entered = {e.generation for e in events if isinstance(e, Progress) and e.phase is Phase.ENTER}
    assert entered == {2}
    states = [e.population.state for e in events if isinstance(e, GenerationReady)]
    assert ["latents" in state for state in states] == [False, False, True, True]
    assert ["font" in state for state in states] == [True, True, False, False]
    assert zipfile.ZipFile(tmp_path / "out" / "synthetic.zip").testzip() is None


def test_states_of_a_composite_are_not_taken_for_those_of_any_stage(
    tmp_path, composite, digits, ledger
):
    start_run(tmp_path / "out", composite, digits, ledger)
    events_of(tmp_path / "out", ledger, lambda event: isinstance(event, GenerationReady))
    asked = settled(replace(composite, initial=f"{tmp_path / 'out'}:0"))
    assert not initial.read(asked, tuple("012")).complete
    with pytest.raises(ConfigError, match="cannot go on from given pictures"):
        start_run(tmp_path / "next", asked, digits, ledger)


def test_what_was_asked_for_is_remembered_until_the_model_needs_it(
    tmp_path, composite, digits, ledger
):
    asked = replace(composite, class_prompts={"0": ("Q", "R")}, iterations=2)
    start_run(tmp_path / "out", asked, digits, ledger)
    _, varied, last = (
        e.population for e in events_of(tmp_path / "out", ledger) if isinstance(e, GenerationReady)
    )
    np.testing.assert_array_equal(
        last.state["prompt"][:4], varied.state["asked_prompt"][last.parents[:4]]
    )
    assert set(last.state["prompt"][:4]) <= {"Q", "R"}
    assert set(last.state["prompt"][4:8]) == {"a handwritten digit one"}


def test_pictures_are_handed_over_unharmed():
    generator = Composite(32, "cpu", simulated=0)
    rng = np.random.default_rng(0)
    state = generator.random(list("0123"), [""] * 4, rng)
    images = generator.render(state)
    entered = generator.enter({**state, "pixels": images}, rng)
    assert isinstance(generator.stage(1), StableDiffusion)
    decoded = generator.stage(1).render(entered).permute(0, 2, 3, 1).float().numpy() * 255
    assert np.abs(decoded - images).mean() < 12


def test_a_stop_at_the_handover_changes_nothing(tmp_path, composite, digits, ledger, monkeypatch):
    def entering(event):
        return isinstance(event, Progress) and event.phase is Phase.ENTER

    for name in ("whole", "stopped"):
        start_run(tmp_path / name, composite, digits, ledger)
    events_of(tmp_path / "stopped", ledger, entering)
    events_of(tmp_path / "stopped", ledger)
    share_votes(tmp_path / "stopped", monkeypatch)
    events_of(tmp_path / "whole", ledger)
    for t in range(4):
        one, other = (RunFolder(tmp_path / n).read_population(t) for n in ("whole", "stopped"))
        np.testing.assert_array_equal(one.images, other.images)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model_options": "steps"}, "name=value"),
        ({"model_options": "stops=3"}, "stable_diffusion has no option 'stops'"),
        ({"simulator_options": "rotation=900"}, "rotation is 900,"),
        ({"simulator": "composite"}, "must be one of"),
        ({"model_options": "steps=8, guidance=2"}, "name=value; name=value"),
    ],
)
def test_options_of_either_are_checked_at_once(options, match):
    with pytest.raises(ConfigError, match=match):
        checked_options("composite", options)


def test_option_texts_keep_commas_and_spaces():
    text = "negative_prompt=blurry, grey ; steps=3;"
    assert parse_option_text("stable_diffusion", text) == {
        "negative_prompt": "blurry, grey",
        "steps": 3,
    }


def test_the_size_must_suit_both():
    options = checked_options("composite", {})
    assert Composite.fitting_size(options, None) == 32
    with pytest.raises(ConfigError, match="steps of 8"):
        Composite.fitting_size(options, 30)


def test_degrees_of_a_part_are_not_silently_forgotten():
    text = "model_path=x.pt; variation_degree_schedule=5,9"
    with pytest.raises(ConfigError, match="the run's degrees hold for both"):
        checked_options("composite", {"model": "improved_diffusion", "model_options": text})


def test_an_option_of_a_part_is_asked_for_where_it_can_be_typed():
    options = checked_options("composite", {"simulator": "image_pool"})
    with pytest.raises(ConfigError, match=r"option pool\. \(Inside .* typed in simulator_options"):
        Composite.fitting_size(options, None)
