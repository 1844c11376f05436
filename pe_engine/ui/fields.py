"""The page's input fields, by their ``RunConfig`` name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component

from pe_engine.components import Option, generator_options, load_class
from pe_engine.config import (
    ADJACENCIES,
    CLASS_RULES,
    DEVICES,
    METRICS,
    SEARCHES,
    SELECTIONS,
    RunConfig,
)
from pe_engine.embedders import EMBEDDERS
from pe_engine.generators import GENERATORS
from pe_engine.ui.settings import shown_fields

DEFAULTS = RunConfig(dataset_name="defaults")
BUDGET_FIELDS = ("epsilon", "delta", "iterations", "neighbours", "adjacency", "threshold")


@dataclass
class Form:
    """Components made so far: settings by ``RunConfig`` name, and each generator's options."""

    fields: dict[str, Component] = field(default_factory=dict)
    options: dict[str, dict[str, Component]] = field(default_factory=dict)
    groups: dict[str, gr.Group] = field(default_factory=dict)

    def components(self) -> list[Component]:
        """All fields, in a fixed order."""
        return [*self.fields.values(), *(c for o in self.options.values() for c in o.values())]

    def update(self, config: RunConfig, unsaid: Collection[str] = ()) -> list[Any]:
        """A new value for each of ``components()``, as in ``config``; ``unsaid`` do not change."""
        shown = shown_fields(config) | dict.fromkeys(unsaid, gr.skip())
        chosen = {config.generator: config.generator_options}
        options = [
            chosen.get(generator, {}).get(name, gr.skip())
            for generator, components in self.options.items()
            for name in components
        ]
        return [*(shown[name] for name in self.fields), *options]

    def read(self, values: dict[Component, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Settings by name, and the chosen generator's options as (name, text)."""
        fields = {name: values[c] for name, c in self.fields.items()}
        chosen = self.options.get(fields["generator"], {})
        return fields, [(name, str(values[c])) for name, c in chosen.items()]


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
    )


def generator_fields(form: Form) -> None:
    form.fields["generator"] = gr.Dropdown(
        [(name.replace("_", " ").capitalize(), name) for name in GENERATORS],
        value=DEFAULTS.generator,
        label="Generator",
        info=summary(DEFAULTS.generator),
        filterable=False,
    )
    form.fields["prompts"] = gr.Textbox(
        label="Prompts (optional)",
        lines=2,
        max_lines=8,
        placeholder="One a line. Start a line with a class name and a colon to bind it.",
    )


def budget_fields(form: Form) -> None:
    with gr.Row(elem_classes="pair"):
        form.fields["epsilon"] = gr.Textbox(
            str(DEFAULTS.epsilon), label="ε (epsilon)", max_lines=1, info="smaller is more private"
        )
        form.fields["delta"] = gr.Textbox(
            "1e-5", label="δ (delta)", max_lines=1, info="below 1 / your images"
        )
    with gr.Row(elem_classes="pair"):
        form.fields["iterations"] = gr.Textbox(
            str(DEFAULTS.iterations), label="Iterations", max_lines=1, info="how often they vote"
        )
        form.fields["num_samples"] = gr.Textbox(
            str(DEFAULTS.num_samples[0]),
            label="Samples",
            max_lines=1,
            info="synthetic images to make",
        )


def advanced_fields(form: Form) -> None:
    gr.HTML("<h3>Evolution</h3>", apply_default_css=False)
    _text(form, "lookahead", "Look-ahead", "variations looked at per candidate; 0 for none")
    _text(form, "threshold", "Threshold H", "votes, or auto", "auto")
    _text(form, "degrees", "Variation degrees", "one per iteration, from 0 to 1, or auto", "auto")
    _choice(form, "selection", "Selection", SELECTIONS, "how votes become parents")
    _tick(form, "keep_selected", "A selected image goes on itself, once")
    _tick(form, "fresh_children", "Vary the parents anew", "Not by their look-ahead variations.")
    _text(form, "seed", "Seed", "of everything but the noise")
    gr.HTML("<h3>Voting</h3>", apply_default_css=False)
    _choice(form, "embedder", "Embedder", tuple(EMBEDDERS), "what the distance is measured on")
    _choice(form, "metric", "Metric", METRICS, "l2, inner product or cosine")
    _text(form, "neighbours", "Neighbours", "how many candidates each image votes for")
    _choice(form, "search", "Search", SEARCHES, "the library that finds the closest")
    _text(form, "image_size", "Image size", "pixels, height and width, or auto", "auto")
    _choice(form, "device", "Device", DEVICES, "where the work is done")
    gr.HTML("<h3>Privacy</h3>", apply_default_css=False)
    _choice(form, "adjacency", "Adjacency", ADJACENCIES, "what one image's difference means")
    _text(form, "epsilon_cap", "Cap on ε", "for all runs on this data set; empty for none", "")
    _choice(form, "classes", "Class of an image", CLASS_RULES, "by folder, by name up to _ , none")
    _tick(
        form,
        "keep_features",
        "Keep features until the run ends",
        "Lets a stopped run resume without the images; readable by you only, deleted at the end.",
    )


def option_fields(form: Form) -> None:
    """The options of every generator; only the chosen one's are visible."""
    for generator in GENERATORS:
        options = generator_options(generator)
        visible = generator == DEFAULTS.generator
        with gr.Group(visible=visible, elem_classes="options") as group:
            if options:
                gr.HTML("<h3>Generator</h3>", apply_default_css=False)
            form.options[generator] = {option.name: _option(option) for option in options}
        form.groups[generator] = group


def summary(generator: str) -> str:
    """The generator's line about itself."""
    return load_class(GENERATORS, generator).summary


def _option(option: Option) -> Component:
    label = option.name.replace("_", " ").capitalize()
    shown = "auto" if option.default is None else option.default
    if option.kind is bool:
        return gr.Checkbox(shown, label=label, info=option.help)
    if option.choices:
        return gr.Dropdown(
            list(option.choices), value=shown, label=label, info=option.help, filterable=False
        )
    return gr.Textbox(str(shown), label=label, info=option.help, max_lines=1)


def _text(form: Form, name: str, label: str, info: str, value: str | None = None) -> None:
    shown = str(getattr(DEFAULTS, name)) if value is None else value
    form.fields[name] = gr.Textbox(shown, label=label, info=info, max_lines=1)


def _choice(form: Form, name: str, label: str, choices: tuple[str, ...], info: str) -> None:
    form.fields[name] = gr.Dropdown(
        list(choices), value=getattr(DEFAULTS, name), label=label, info=info, filterable=False
    )


def _tick(form: Form, name: str, label: str, info: str | None = None) -> None:
    form.fields[name] = gr.Checkbox(getattr(DEFAULTS, name), label=label, info=info)
