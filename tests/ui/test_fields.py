"""The page's form: every setting that it shows is read back as it was."""

from dataclasses import fields as dataclass_fields
from dataclasses import replace

import gradio as gr
import pytest
from loops import in_event_loop

from pe_engine.components import generator_options, has_gpu
from pe_engine.config import RunConfig
from pe_engine.presets import FIRST, PRESETS
from pe_engine.ui import choosing, option_fields
from pe_engine.ui import fields as form_fields
from pe_engine.ui.fields import Form, preset_config
from pe_engine.ui.settings import read_config

NOT_SHOWN = {"generator_options", "class_prompts"}  # have fields of their own, or lie in one
CHANGED = RunConfig(
    dataset_name="ward",
    generator="text_render",
    generator_options={"ink": "dark", "fonts": "print", "rotation": 0.1, "wobble": 0.07},
    initial="runs/first:3",
    embedder="pixels",
    metric="cosine",
    neighbours=3,
    search="torch",
    epsilon=0.67,
    delta=1.25e-12,
    adjacency="replace",
    epsilon_cap=4.1,
    iterations=2,
    num_samples=(30, 20, 10),
    lookahead=0,
    threshold=2.5,
    selection="rank",
    keep_selected=True,
    fresh_children=True,
    degrees=(1.0, 1 / 3),
    classes="prefix",
    class_names=("cat:wild", "cat"),
    class_map={"kitten": "cat", "misc": ""},
    persons="folder",
    person_votes=4,
    public_class_names=True,
    prompts=("one", "note: two"),
    class_prompts={"cat": ("asleep", "awake: nearly"), "cat:wild": ("x",)},
    image_size=32,
    seed=2**62 + 1,
    device="cpu",
    keep_features=True,
)


def made(preset=FIRST):
    form = form_fields.Form(form_fields.preset_config(preset))
    with gr.Blocks():
        form_fields.name_field(form)
        form_fields.class_map_field(form)
        form_fields.public_names_field(form)
        choosing.preset_field(form)
        choosing.generator_field(form, "this computer")
        option_fields.first_fields(form)
        choosing.prompts_field(form)
        form_fields.budget_fields(form)
        form_fields.advanced_fields(form)
        option_fields.option_fields(form)
    return form


@pytest.fixture(scope="module")
def form():
    return in_event_loop(made)


def read_back(form, config):
    values = [
        component.value if value == gr.skip() else component.postprocess(value)
        for component, value in zip(form.components(), form.update(config), strict=True)
    ]
    shown = dict(zip(form.components(), values, strict=True))
    return read_config(*form.read(shown), ("cat", "cat:wild"))


def test_there_is_a_field_for_every_setting(form):
    assert set(form.fields) == {f.name for f in dataclass_fields(RunConfig)} - NOT_SHOWN


def test_every_setting_differs_from_its_default_and_is_read_back(form):
    default = RunConfig(dataset_name="x")
    only_one = {"generator", "embedder"}  # there is no other one yet that these settings fit
    same = {name for name, value in vars(CHANGED).items() if value == vars(default)[name]}
    assert same <= only_one
    assert read_back(form, CHANGED) == CHANGED


def test_defaults_are_read_back(form):
    default = RunConfig(dataset_name="x")
    shown = read_back(form, default)
    options = {o.name: o.default for o in generator_options(default.generator)}
    assert vars(shown) == vars(default) | {"generator_options": options}


@pytest.mark.parametrize("first", PRESETS)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_the_form_whatever_it_said_before(first, name):
    form = in_event_loop(lambda: made(first))
    asked = form_fields.preset_config(name)
    defaults = {o.name: o.default for o in generator_options(asked.generator)}
    complete = replace(asked, generator_options={**defaults, **asked.generator_options})
    assert read_back(form, asked) == complete
    if first == name:
        said = {component: component.value for component in form.components()}
        said[form.fields["dataset_name"]] = "x"
        assert read_config(*form.read(said), ()) == replace(complete, dataset_name="x")


def test_a_preset_leaves_what_is_the_owners(form):
    updates = form.update(form_fields.preset_config("cats"), form_fields.OWNERS)
    by_name = dict(zip(form.fields, updates, strict=False))
    assert {name for name, value in by_name.items() if value == gr.skip()} == {
        *("dataset_name", "public_class_names", "epsilon_cap", "keep_features"),
        *("device", "seed", "class_names", "class_map", "persons", "person_votes"),
    }


def test_options_for_variations_stand_beside_those_for_new_images():
    (_, first), (_, twins) = option_fields.option_groups(generator_options("stable_diffusion"))
    assert [option.name for option in twins] == [
        prefix + name
        for name in ("steps", "guidance", "scheduler")
        for prefix in ("", "variation_")
    ]
    kinds = [(option.kind is str and not option.choices, option.kind is bool) for option in first]
    assert kinds == sorted(kinds, key=lambda kind: (not kind[0], kind[1]))
    ((_, text),) = option_fields.option_groups(generator_options("text_render"))
    assert [option.name for option in text] == ["ink", "fonts", "rotation", "wobble"]
    assert len(option_fields.option_groups(generator_options("openai_images"))) == 1


def test_what_a_generator_cannot_do_without_stands_beside_its_card(form):
    beside = {}
    for name, group in form.groups:
        labels = [c.label for c in group.children[0].children] if group.children else []
        beside.setdefault(name, labels)  # the first group of a generator
    assert beside["image_pool"] == ["Public images"]
    assert beside["improved_diffusion"] == ["Weights"]
    assert beside["stable_diffusion"] == ["Model"]
    assert "Images that may be charged" in beside["openai_images"]
    shown = [name for name, group in form.groups if group.visible]
    assert shown == ["stable_diffusion"] * 2
    for name, options in form.options.items():  # no raw names on the page
        titles = {o.name: o.title for o in generator_options(name)}
        assert {n: c.label for n, c in options.items()} == titles
        assert not any("_" in title for title in titles.values())


def test_what_stays_unsaid_does_not_change(form):
    updates = form.update(CHANGED, unsaid={"public_class_names", "dataset_name"})
    by_name = dict(zip(form.fields, updates, strict=False))
    assert by_name["public_class_names"] == by_name["dataset_name"] == gr.skip()
    assert by_name["seed"] == str(CHANGED.seed)


def test_the_page_begins_with_what_the_machine_can_do(tmp_path, monkeypatch):
    assert not has_gpu(tmp_path / "none") and has_gpu(tmp_path)
    for there, name in ((True, "photographs"), (False, FIRST)):
        monkeypatch.setattr("pe_engine.ui.fields.has_gpu", lambda there=there: there)
        assert Form().initial == preset_config(name)
