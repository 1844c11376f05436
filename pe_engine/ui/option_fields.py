"""The fields for the options of each generator; only the chosen one's are visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from pe_engine.components import generator_options
from pe_engine.generators.options import Option
from pe_engine.ui.fields import Form
from pe_engine.ui.public_models import shown_generators
from pe_engine.ui.settings import shown_options

PAIR = "variation_"  # the same option for variations


def first_fields(form: Form) -> None:
    """Beside the cards: what a generator cannot do without."""
    for generator in shown_generators(form.owner):
        options = [option for option in generator_options(generator) if option.first]
        if options:
            _group(form, generator, [("", options)])


def option_fields(form: Form) -> None:
    """Among the advanced settings: the other options, which have defaults that do."""
    for generator in shown_generators(form.owner):
        options = [option for option in generator_options(generator) if not option.first]
        if options:
            _group(form, generator, option_groups(options))


def _group(form: Form, generator: str, groups: Sequence[tuple[str, list[Option]]]) -> None:
    shown = shown_options(generator, form.initial)
    made = form.options.setdefault(generator, {})
    visible = generator == form.initial.generator
    with gr.Group(visible=visible, elem_classes="options") as group:
        for heading, options in groups:
            if heading:
                gr.HTML(heading, apply_default_css=False)
            made |= {option.name: _option(option, shown[option.name]) for option in options}
    form.groups.append((generator, group))


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


def _option(option: Option, shown: Any) -> Component:
    label = option.title
    if option.kind is bool:
        return gr.Checkbox(shown, label=label, info=option.help)
    if option.choices:
        choices = ["auto"] * (option.default is None) + [*option.choices]
        return gr.Dropdown(choices, value=shown, label=label, info=option.help, filterable=False)
    wide = "wide" if _is_text(option) else None
    return gr.Textbox(shown, label=label, info=option.help, max_lines=1, elem_classes=wide)
