"""The page's input fields, by their ``RunConfig`` name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component

from pe_engine.components import has_gpu
from pe_engine.config import (
    ADJACENCIES,
    CLASS_RULES,
    DEVICES,
    METRICS,
    PERSON_RULES,
    SEARCHES,
    SELECTIONS,
    RunConfig,
)
from pe_engine.embedders import EMBEDDERS
from pe_engine.presets import PRESETS, first
from pe_engine.ui.parts import markup, starter
from pe_engine.ui.settings import shown_fields, shown_options

BUDGET_FIELDS = (
    "epsilon",
    "delta",
    "iterations",
    "neighbours",
    "adjacency",
    "threshold",
    "initial",
    "persons",
    "person_votes",
    "num_samples",
)
NAMING_FIELDS = ("classes", "class_names", "class_map", "persons")
"""What decides whose and of which class the private images are."""
OWNERS = frozenset(
    {
        *("dataset_name", "public_class_names", "class_names", "persons", "person_votes"),
        *("class_map", "epsilon_cap", "keep_features", "device", "seed"),
    }
)
"""Settings that no preset touches: said of the images or guard them, or the machine's."""


@dataclass
class Form:
    """Components made so far: settings by ``RunConfig`` name, and each generator's options.

    Attributes:
        initial: what the fields say at first.
        owner: they are for the owner of this computer, not for visitors of a server.
        groups: what is visible for one generator only, after its name.
        estimate: of how many private images there are; no setting of a run.
    """

    initial: RunConfig = field(default_factory=lambda: preset_config(first(has_gpu())))
    owner: bool = True
    fields: dict[str, Component] = field(default_factory=dict)
    options: dict[str, dict[str, Component]] = field(default_factory=dict)
    groups: list[tuple[str, gr.Group]] = field(default_factory=list)
    estimate: Component | None = None

    def components(self) -> list[Component]:
        """All fields, in a fixed order."""
        return [*self.fields.values(), *(c for o in self.options.values() for c in o.values())]

    def update(self, config: RunConfig, unsaid: Collection[str] = ()) -> list[Any]:
        """A new value for each of ``components()``, as in ``config``; ``unsaid`` do not change,
        nor do the options of other generators."""
        shown = shown_fields(config) | dict.fromkeys(unsaid, gr.skip())
        chosen = shown_options(config.generator, config)
        options = [
            chosen[name] if generator == config.generator else gr.skip()
            for generator, components in self.options.items()
            for name in components
        ]
        return [*(shown[name] for name in self.fields), *options]

    def read(self, values: dict[Component, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Settings by name, and the chosen generator's options as (name, text)."""
        fields = {name: values[c] for name, c in self.fields.items()}
        chosen = self.options.get(fields["generator"], {})
        return fields, [(name, str(values[c])) for name, c in chosen.items()]


def preset_config(name: str) -> RunConfig:
    """The settings of a preset, with nothing said of the data."""
    return RunConfig(dataset_name="preset", **PRESETS[name].settings)


def name_field(form: Form) -> None:
    form.fields["dataset_name"] = gr.Textbox(
        label="Data set name",
        placeholder="for example: ward photographs",
        info="The privacy budget is kept under this name. Use the same name for the same images.",
        max_lines=1,
    )


def public_names_field(form: Form) -> None:
    """Hidden until there are class names that could tell who is pictured."""
    form.fields["public_class_names"] = gr.Checkbox(
        False,
        label="The class names may be public",
        info="Then they reach the generator and the zip. If a name says who is pictured, leave "
        "this off and write a prompt for each class.",
        visible=False,
        elem_id="public-names",
    )


def class_map_field(form: Form) -> None:
    """Written by the table of classes in the summary, as JSON; a person never sees it."""
    form.fields["class_map"] = gr.Textbox(
        shown_fields(form.initial)["class_map"], visible="hidden", elem_id="class-map"
    )


def budget_fields(form: Form) -> gr.HTML:
    """The number fields, and the scale of ε, which is returned."""
    with gr.Row(elem_classes="pair"):
        _text(form, "epsilon", "ε (epsilon)", "smaller is more private")
        _text(form, "delta", "δ (delta)", "below 1 / your images")
    scale = gr.HTML(
        {"epsilon": shown_fields(form.initial)["epsilon"]},
        html_template=markup("budget"),
        js_on_load=starter("budget", ()),
        apply_default_css=False,
    )
    with gr.Row(elem_classes="pair"):
        _text(form, "iterations", "Iterations", "how often they vote")
        _text(form, "num_samples", "Samples", "synthetic images to make")
    form.estimate = gr.Textbox(
        "",
        label="About how many private images?",
        info="What is publicly known; persons, if persons are protected. Nothing reads it from "
        "your images, whose number is private, and it is not kept.",
        max_lines=1,
    )
    return scale


def advanced_fields(form: Form) -> None:
    gr.HTML("<h3>Evolution</h3>", apply_default_css=False)
    _text(form, "lookahead", "Look-ahead", "variations looked at per candidate; 0 for none")
    _text(form, "threshold", "Threshold H", "votes, or auto")
    _text(form, "degrees", "Variation degrees", "one per iteration, from 0 to 1, or auto")
    _choice(form, "selection", "Selection", SELECTIONS, "how votes become parents")
    _tick(form, "keep_selected", "A selected image goes on itself, once")
    _tick(form, "fresh_children", "Vary the parents anew", "Not by their look-ahead variations.")
    _text(form, "seed", "Seed", "of everything but the noise")
    form.fields["initial"] = gr.Textbox(
        form.initial.initial,
        label="Start from",
        info="a run's folder (:3 for its generation 3) or a samples.npz; empty: drawn anew"
        if form.owner  # a visitor's path is not opened
        else "filled in when you go on from one of your runs; empty: drawn anew",
        max_lines=1,
        elem_classes="wide",
    )
    gr.HTML("<h3>Voting</h3>", apply_default_css=False)
    _choice(form, "embedder", "Embedder", tuple(EMBEDDERS), "what the distance is measured on")
    _choice(form, "metric", "Metric", METRICS, "l2, inner product or cosine")
    _text(form, "neighbours", "Neighbours", "how many candidates each image votes for")
    _choice(form, "search", "Search", SEARCHES, "the library that finds the closest")
    _text(form, "image_size", "Image size", "pixels, height and width, or auto")
    _choice(form, "device", "Device", DEVICES, "where the work is done")
    gr.HTML("<h3>Privacy</h3>", apply_default_css=False)
    _choice(form, "adjacency", "Adjacency", ADJACENCIES, "what the difference of one means")
    _text(form, "epsilon_cap", "Cap on ε", "for all runs on this data set; empty for none")
    _choice(form, "classes", "Class of an image", CLASS_RULES, "by folder, by name up to _ , none")
    _text(form, "class_names", "Classes", "commas between; others are left out; empty: as found")
    _choice(form, "persons", "Images of one person", PERSON_RULES, "by a folder, by name up to _")
    _text(form, "person_votes", "Votes of a person", "candidates, for all their images together")
    _tick(
        form,
        "keep_features",
        "Keep features until the run is done",
        "On disk, readable by this account only: lets a stopped run resume without its upload.",
    )


def _text(form: Form, name: str, label: str, info: str) -> None:
    shown = shown_fields(form.initial)[name]
    form.fields[name] = gr.Textbox(shown, label=label, info=info, max_lines=1, **_marks(name))


def _choice(form: Form, name: str, label: str, choices: tuple[str, ...], info: str) -> None:
    form.fields[name] = gr.Dropdown(
        list(choices),
        value=getattr(form.initial, name),
        label=label,
        info=info,
        filterable=False,
        **_marks(name),
    )


def _tick(form: Form, name: str, label: str, info: str | None = None) -> None:
    form.fields[name] = gr.Checkbox(
        getattr(form.initial, name), label=label, info=info, **_marks(name)
    )


def _marks(name: str) -> dict[str, Any]:
    """How the page's scripts find a field, and tell which ones a preset fills in."""
    preset = None if name in OWNERS else "of-preset"
    return {"elem_id": f"field-{name.replace('_', '-')}", "elem_classes": preset}
