"""Which handler each event of the drop zone and of the summary of the images calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from pe_engine.ui import fields as form_fields
from pe_engine.ui.fields import NAMING_FIELDS, Form
from pe_engine.ui.identity import who_asks
from pe_engine.ui.parts import markup, starter
from pe_engine.ui.private_images import PrivateImages

EVENTS = ("source_changed", "source_emptied", "classes_declared")
QUIET = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}

TELL_DESCRIBED = """(summary, problem) => document.dispatchEvent(
    new CustomEvent("source-described", { detail: { summary, problem } }))"""


@dataclass(frozen=True)
class DataCard:
    """The drop zone, the summary of what is in it, and what a look into the files tells."""

    source: gr.HTML
    summary: gr.HTML
    census: gr.HTML


def data_card(form: Form, place: str) -> DataCard:
    """The card of the private images; ``place`` is where they are kept, in words."""
    gr.HTML("<h2>Your private images</h2>", apply_default_css=False)
    source = gr.HTML(
        {"kind": ""},
        html_template=markup("drop", place),
        js_on_load=starter("drop", EVENTS),
        apply_default_css=False,
        elem_id="source",
    )
    summary = gr.HTML(elem_id="summary", apply_default_css=False)
    census = gr.HTML(elem_id="census", apply_default_css=False)
    form_fields.class_map_field(form)
    form_fields.public_names_field(form)
    form_fields.name_field(form)
    return DataCard(source, summary, census)


def wire_data(images: PrivateImages, form: Form, card: DataCard, problem: gr.HTML) -> None:
    """Describe the images when they, or what names them, change."""
    fields, source = form.fields, card.source
    question = fields["public_class_names"]
    naming = [fields[name] for name in NAMING_FIELDS]
    told: list[Component] = [card.summary, question, fields["class_map"], problem]

    # At once, so that no run starts with what was said of other images or names.
    for changed in (source.source_changed, fields["class_map"].change):
        changed(None, None, question, js="() => false")
    for changed in (source.source_changed, source.source_emptied):
        changed(None, None, card.census, js="() => ''")

    # One handler for both: a run started at once must not miss the name.
    def describe_and_name(request: gr.Request, value: Any, *naming: Any) -> tuple[Any, ...]:
        told = describe(request, value, *naming)
        if not told[0]:  # no images, as behind a wrong path: they name no data set
            return *told, gr.skip()
        return *told, value.get("name", "")

    def describe(request: gr.Request, value: Any, *naming: Any) -> tuple[Any, ...]:
        return images.describe(who_asks(request), value, _said(naming))

    def name_classes(request: gr.Request, value: Any, *naming: Any) -> tuple[Any, ...]:
        return images.name_classes(who_asks(request), value, _said(naming))

    def declare_classes(request: gr.Request, value: Any, *naming: Any) -> tuple[Any, ...]:
        return images.declare_classes(who_asks(request), value, _said(naming))

    def take_census(request: gr.Request, value: Any) -> str:
        return images.census(who_asks(request), value)

    given = [source, *naming]
    described = source.source_changed(
        describe_and_name, given, [*told, fields["dataset_name"]], **QUIET
    )
    described.then(None, [card.summary, problem], js=TELL_DESCRIBED)
    source.source_changed(take_census, source, card.census, concurrency_limit=2, **QUIET)
    said_otherwise = [
        *(fields[name].input for name in ("classes", "persons")),
        fields["class_names"].blur,  # and not at every letter
    ]
    gr.on(said_otherwise, describe, given, told, **QUIET)
    fields["class_map"].change(name_classes, given, [question, problem], **QUIET)
    declared = [fields["class_names"], fields["classes"], *told]
    source.classes_declared(declare_classes, given, declared, **QUIET)

    def classes(request: gr.Request, value: Any, *naming: Any) -> dict[str, Any]:
        return images.classes(who_asks(request), value, _said(naming))

    source.source_changed(classes, given, fields["prompts"], **QUIET)
    renamed = [fields["class_map"].change, *said_otherwise]
    gr.on(renamed, classes, given, fields["prompts"], api_name="classes_renamed", **QUIET)


def _said(naming: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(NAMING_FIELDS, naming, strict=True))
