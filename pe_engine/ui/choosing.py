"""What is chosen by cards, chips and boxes of our own: preset, generator, prompts."""

from __future__ import annotations

import gradio as gr

from pe_engine.components import has_gpu
from pe_engine.presets import PRESETS, first
from pe_engine.ui.cards import generator_cards, preset_chips, suggestions
from pe_engine.ui.fields import Form, preset_config
from pe_engine.ui.parts import markup, starter
from pe_engine.ui.public_models import is_public, shown_generators
from pe_engine.ui.settings import shown_fields

OTHERWISE = ""  # a preset's value where the fields say something else


def preset_field(form: Form) -> gr.HTML:
    """Not a setting itself: choosing one fills in the others."""
    names = shown_presets(form.owner)
    return gr.HTML(
        first(has_gpu()),
        label="Preset",
        html_template=preset_chips(names),
        js_on_load=starter("cards", ["picked"]),
        apply_default_css=False,
        elem_id="preset",
        choices=[*names, OTHERWISE],
    )


def shown_presets(owner: bool) -> list[str]:
    """The presets that may be used."""
    return [name for name in PRESETS if owner or is_public(preset_config(name))]


def generator_field(form: Form, place: str) -> None:
    """The generators as cards; ``place`` is where the server runs, in words."""
    names = shown_generators(form.owner)
    form.fields["generator"] = gr.HTML(
        form.initial.generator,
        label="Generator",
        html_template=generator_cards(names, place),
        js_on_load=starter("cards", ["switched"]),
        apply_default_css=False,
        elem_id="generator",
        choices=names,
    )


def prompts_field(form: Form) -> None:
    """Prompts for all classes, and for each class that ``class_names`` tells the page."""
    form.fields["prompts"] = gr.HTML(
        shown_fields(form.initial)["prompts"],
        label="Prompts",
        html_template=markup("prompts"),
        js_on_load=starter("prompts", ["typed"]),
        apply_default_css=False,
        elem_id="prompts",
        takes="text",
        generator=form.initial.generator,
        suggestions=suggestions(shown_generators(form.owner)),
        classes=[],
        guarded=False,
    )
