"""The page's input fields, by their ``RunConfig`` name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component

from pe_engine.components import Option, generator_class, generator_options, has_gpu
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
from pe_engine.ui.public_models import is_public, shown_generators
from pe_engine.ui.settings import shown_fields

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
PAIR = "variation_"  # the same option for variations


@dataclass
class Form:
    """Components made so far: settings by ``RunConfig`` name, and each generator's options.

    Attributes:
        initial: what the fields say at first.
        owner: they are for the owner of this computer, not for visitors of a server.
    """

    initial: RunConfig = field(default_factory=lambda: preset_config(first(has_gpu())))
    owner: bool = True
    fields: dict[str, Component] = field(default_factory=dict)
    options: dict[str, dict[str, Component]] = field(default_factory=dict)
    groups: dict[str, gr.Group] = field(default_factory=dict)

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


def preset_field(form: Form) -> gr.Dropdown:
    """Not a setting itself: choosing one fills in the others."""
    return gr.Dropdown(
        [(PRESETS[name].title, name) for name in shown_presets(form.owner)],
        value=first(has_gpu()),
        label="Preset",
        info=PRESETS[first(has_gpu())].summary,
        filterable=False,
    )


def shown_presets(owner: bool) -> list[str]:
    """The presets that may be used."""
    return [name for name in PRESETS if owner or is_public(preset_config(name))]


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


def class_map_field(form: Form) -> None:
    """Written by the table of classes in the summary, as JSON; a person never sees it."""
    form.fields["class_map"] = gr.Textbox(
        shown_fields(form.initial)["class_map"], visible="hidden", elem_id="class-map"
    )


def generator_fields(form: Form) -> None:
    form.fields["generator"] = gr.Dropdown(
        [(generator_class(name).title, name) for name in shown_generators(form.owner)],
        value=form.initial.generator,
        label="Generator",
        info=summary(form.initial.generator),
        filterable=False,
    )
    form.fields["prompts"] = gr.Textbox(
        shown_fields(form.initial)["prompts"],
        label="Prompts (optional)",
        lines=2,
        max_lines=8,
        placeholder="One a line. Start a line with a class name and a colon to bind it.",
    )


def budget_fields(form: Form) -> None:
    with gr.Row(elem_classes="pair"):
        _text(form, "epsilon", "ε (epsilon)", "smaller is more private")
        _text(form, "delta", "δ (delta)", "below 1 / your images")
    with gr.Row(elem_classes="pair"):
        _text(form, "iterations", "Iterations", "how often they vote")
        _text(form, "num_samples", "Samples", "synthetic images to make")


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


def option_fields(form: Form) -> None:
    """The options of every generator; only the chosen one's are visible."""
    for generator in shown_generators(form.owner):
        visible = generator == form.initial.generator
        shown = shown_options(generator, form.initial)
        made = form.options[generator] = {}
        with gr.Group(visible=visible, elem_classes="options") as group:
            for heading, options in option_groups(generator_options(generator)):
                gr.HTML(heading, apply_default_css=False)
                made |= {option.name: _option(option, shown[option.name]) for option in options}
        form.groups[generator] = group


def option_groups(options: Sequence[Option]) -> list[tuple[str, list[Option]]]:
    """Options under headings: texts, which get a whole line, then values, then ticks; and those
    that there are once for new images and once for variations, side by side.

    Returns:
        of each group the heading, as HTML, and its options; no empty group.
    """
    texts = [o for o in options if _is_text(o)]
    short = [o for o in options if not _is_text(o)]
    names = {o.name for o in short}
    pairs = {name for name in names if PAIR + name in names}
    twins = [o for o in short if o.name.removeprefix(PAIR) in pairs]
    single = sorted((o for o in short if o not in twins), key=lambda option: option.kind is bool)
    groups = [
        ("<h3>Generator</h3>", texts + single),
        ('<h3 class="twins"><span>New images</span><span>Variations</span></h3>', twins),
    ]
    return [(heading, group) for heading, group in groups if group]


def _is_text(option: Option) -> bool:
    return option.kind is str and not option.choices


def summary(generator: str) -> str:
    """The generator's line about itself."""
    return generator_class(generator).summary


def shown_options(generator: str, config: RunConfig) -> dict[str, Any]:
    """What the fields of a generator's options say; the defaults if ``config`` has another one."""
    given = config.generator_options if generator == config.generator else {}
    values = {o.name: given.get(o.name, o.default) for o in generator_options(generator)}
    return {
        name: value if isinstance(value, bool) else "auto" if value is None else str(value)
        for name, value in values.items()
    }


def _option(option: Option, shown: Any) -> Component:
    label = option.name.replace("_", " ").capitalize()
    if option.kind is bool:
        return gr.Checkbox(shown, label=label, info=option.help)
    if option.choices:
        choices = ["auto"] * (option.default is None) + [*option.choices]
        return gr.Dropdown(choices, value=shown, label=label, info=option.help, filterable=False)
    wide = "wide" if _is_text(option) else None
    return gr.Textbox(shown, label=label, info=option.help, max_lines=1, elem_classes=wide)


def _text(form: Form, name: str, label: str, info: str) -> None:
    shown = shown_fields(form.initial)[name]
    form.fields[name] = gr.Textbox(shown, label=label, info=info, max_lines=1)


def _choice(form: Form, name: str, label: str, choices: tuple[str, ...], info: str) -> None:
    form.fields[name] = gr.Dropdown(
        list(choices), value=getattr(form.initial, name), label=label, info=info, filterable=False
    )


def _tick(form: Form, name: str, label: str, info: str | None = None) -> None:
    form.fields[name] = gr.Checkbox(getattr(form.initial, name), label=label, info=info)
