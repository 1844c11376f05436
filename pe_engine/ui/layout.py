"""The page: what stands where, and which handler each event calls."""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from pe_engine.ui import choosing, option_fields
from pe_engine.ui import fields as form_fields
from pe_engine.ui.data_events import data_card, wire_data
from pe_engine.ui.fields import BUDGET_FIELDS, OWNERS, Form
from pe_engine.ui.handlers import Handlers
from pe_engine.ui.identity import who_asks
from pe_engine.ui.live import NO_RUN
from pe_engine.ui.parts import markup, starter
from pe_engine.ui.settings import shown_fields
from pe_engine.ui.viewers import Viewers

STAGE_EVENTS = ("attach_run", "leave_run", "stop_run", "resume_run", "delete_run", "like_run")
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
TELL_STARTED = "(id) => document.dispatchEvent(new CustomEvent('run-started', { detail: id }))"
LOGOUT = '<form id="logout" method="post" action="/logout"><button>Log out</button></form>'
THEME_SWITCH = '<button type="button" id="theme-switch"'
HEADER = """
<header class="top">
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><circle cx="9" cy="9" r="5"/>
    <circle cx="23" cy="9" r="5"/><circle cx="9" cy="23" r="5"/>
    <circle cx="23" cy="23" r="5" class="on"/></svg>
  <div><h1>Private Evolution Studio</h1>
  <p>Synthetic images that look like yours, with a measured promise of privacy.</p></div>
  <button type="button" id="runs-button" aria-haspopup="dialog">Runs<span></span></button>
  <button type="button" id="help-button" aria-label="Keys of this page"
    aria-haspopup="dialog">?</button>
  <button type="button" id="theme-switch" aria-label="Switch between light and dark">
    <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="8.5"/>
    <path d="M12 3.5a8.5 8.5 0 0 1 0 17Z"/></svg></button>
</header>
"""


def build_page(handlers: Handlers, viewers: Viewers, login: bool = False) -> gr.Blocks:
    """The one page, wired to ``handlers`` and ``viewers``; with ``login`` it has a way out."""
    form = Form(owner=handlers.owner)
    place = "this computer" if handlers.owner else "the server"
    with gr.Blocks(title="Private Evolution Studio", analytics_enabled=False) as page:
        header = HEADER.replace(THEME_SWITCH, LOGOUT + THEME_SWITCH) if login else HEADER
        notices = "".join(f"<p>{escape(said)}</p>" for said in handlers.house.notices)
        if notices:
            header += f'<div class="house" role="note">{notices}</div>'
        gr.HTML(header, elem_id="header", apply_default_css=False)
        with gr.Row(elem_id="studio"):
            with gr.Column(elem_id="setup"):
                card, preset, meanings, problem, run_button = _setup(form, place)
            with gr.Column(elem_id="stage"):
                live = _script_html(
                    NO_RUN, "live", markup("stage", place), starter("stage", STAGE_EVENTS)
                )
        wire_data(handlers.images, form, card, problem)
        started = gr.Textbox(visible="hidden")
        _wire_choices(handlers, form, meanings[:2])
        _wire_spent(handlers, form, started, meanings[2])
        told = [card.source, card.summary, form.fields["public_class_names"], problem]
        _wire_start(handlers, form, told, run_button, started)
        _wire_live(handlers, viewers, page, live, told)
        _wire_fill(form, preset)
        _wire_restore(handlers, page, form, preset, meanings[:2])
        _wire_like(handlers, live, form, [preset, problem])
    return page


def _setup(form: Form, place: str) -> tuple[Any, ...]:
    with gr.Column(elem_classes="card"):
        card = data_card(form, place)
    with gr.Column(elem_classes="card"):
        gr.HTML("<h2>What to make</h2>", apply_default_css=False)
        preset = choosing.preset_field(form)
        choosing.generator_field(form, place)
        option_fields.first_fields(form)
        choosing.prompts_field(form)
    with gr.Column(elem_classes="card"):
        gr.HTML("<h2>Privacy budget</h2>", apply_default_css=False)
        scale = form_fields.budget_fields(form)
        meaning = gr.HTML(
            '<p class="meaning">&nbsp;</p>', elem_id="meaning", apply_default_css=False
        )
        spent = gr.HTML(elem_id="spent", apply_default_css=False)
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        option_fields.option_fields(form)
        form_fields.advanced_fields(form)
    with gr.Column(elem_id="run-bar"):
        problem = gr.HTML(elem_id="problem", apply_default_css=False)
        run_button = gr.Button("Run", variant="primary", elem_id="run-button", size="lg")
    return card, preset, [meaning, scale, spent], problem, run_button


def _script_html(value: Any, elem_id: str, template: str, script: str) -> gr.HTML:
    return gr.HTML(
        value,
        html_template=template,
        js_on_load=script,
        apply_default_css=False,
        elem_id=elem_id,
    )


def _wire_choices(handlers: Handlers, form: Form, meanings: list[Component]) -> None:
    """What the budget means, and which options are asked for."""
    asked = _asked(form)
    generator = form.fields["generator"]

    async def budget(request: gr.Request, *values: Any) -> tuple[str, dict[str, str]]:
        return await handlers.budget(who_asks(request), dict(zip(asked, values, strict=True)))

    gr.on(
        [field.change for field in asked.values()],
        budget,
        [*asked.values()],
        meanings,
        trigger_mode="always_last",
        concurrency_limit=4,
        **QUIET,
    )
    generator.switched(
        lambda chosen: [gr.update(visible=name == chosen) for name, _ in form.groups],
        generator,
        [group for _, group in form.groups],
        trigger_mode="always_last",
        **QUIET,
    )


def _wire_spent(handlers: Handlers, form: Form, started: gr.Textbox, spent: gr.HTML) -> None:
    """What the data set has spent: apart, since to add up many runs takes seconds."""
    asked = {name: form.fields[name] for name in (*BUDGET_FIELDS, "dataset_name")}

    def spent_so_far(request: gr.Request, *values: Any) -> str:
        return handlers.spent(who_asks(request), dict(zip(asked, values, strict=True)))

    # a run that has started holds budget of its data set
    changes = [field.change for field in (*asked.values(), started)]
    gr.on(
        changes,
        spent_so_far,
        [*asked.values()],
        spent,
        trigger_mode="always_last",
        concurrency_limit=2,
        **QUIET,
    )


def _wire_start(
    handlers: Handlers,
    form: Form,
    told: list[Component],
    run_button: gr.Button,
    started: gr.Textbox,
) -> None:
    source = told[0]

    def start(values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return handlers.start(who_asks(request), values[source], *form.read(values))

    run_button.click(start, {source, *form.components()}, [started, *told], **QUIET).then(
        None, started, js=TELL_STARTED
    )


def _wire_live(
    handlers: Handlers, viewers: Viewers, page: gr.Blocks, live: gr.HTML, told: list[Component]
) -> None:
    source, *_, problem = told
    stream = {"concurrency_limit": None, "trigger_mode": "multiple", **QUIET}

    async def attach_by_address(request: gr.Request):
        run_id = request.query_params.get("run")
        if not run_id:
            yield NO_RUN
            return
        async for view in viewers.attach(who_asks(request), request.session_hash, run_id):
            yield view

    async def attach(request: gr.Request, event: gr.EventData):
        async for view in viewers.attach(who_asks(request), request.session_hash, _run_id(event)):
            yield view

    def leave(request: gr.Request) -> dict[str, Any]:
        return viewers.leave(who_asks(request), request.session_hash)

    def resume(value: Any, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        return handlers.resume(who_asks(request), _run_id(event), value)

    def stop(event: gr.EventData, request: gr.Request) -> str:
        return handlers.stop(who_asks(request), _run_id(event))

    def delete(event: gr.EventData, request: gr.Request) -> str:
        return handlers.delete(who_asks(request), _run_id(event))

    page.load(attach_by_address, None, live, **stream)
    live.attach_run(attach, None, live, **stream)
    live.leave_run(leave, None, live, **stream)
    live.stop_run(stop, None, problem, **stream)
    live.resume_run(resume, source, told, **stream)
    live.delete_run(delete, None, problem, **stream)


def _asked(form: Form) -> dict[str, Any]:
    """What the meaning of the budget depends on, by name."""
    return {name: form.fields[name] for name in BUDGET_FIELDS} | {"estimate": form.estimate}


def _wire_fill(form: Form, preset: gr.HTML) -> None:
    """The fields as in a preset, when one is chosen."""

    def fill(name: str) -> list[Any]:
        return form.update(form_fields.preset_config(name), OWNERS)

    preset.picked(fill, preset, form.components(), trigger_mode="always_last", **QUIET)


def _wire_restore(
    handlers: Handlers, page: gr.Blocks, form: Form, preset: gr.HTML, meanings: list[Component]
) -> None:
    """The fields as in the run that the address names, and what their budget means: in one answer,
    so that the two never differ."""
    components, asked = form.components(), _asked(form)

    async def restore(request: gr.Request, *values: Any) -> list[Any]:
        who, run_id = who_asks(request), request.query_params.get("run", "")
        settings = await asyncio.to_thread(handlers.settings_of, who, run_id)
        fields = dict(zip(asked, values, strict=True))
        if settings is None:
            filled = [gr.skip()] * (1 + len(components))
        else:
            config, unsaid = settings
            said = shown_fields(config)
            fields |= {name: said[name] for name in BUDGET_FIELDS if name not in unsaid}
            filled = [choosing.OTHERWISE, *form.update(config, unsaid)]
        return [*filled, *await handlers.budget(who, fields)]

    page.load(
        restore,
        [*asked.values()],
        [preset, *components, *meanings],
        concurrency_limit=4,
        **QUIET,
    )


def _wire_like(handlers: Handlers, live: gr.HTML, form: Form, around: list[Component]) -> None:
    """The fields as in a run that the viewer points at; ``around``: the preset and the problem."""
    components = form.components()

    def like(event: gr.EventData, request: gr.Request) -> list[Any]:
        wish = event._data if isinstance(event._data, dict) else {}
        config, unsaid, said = handlers.settings_for(who_asks(request), wish)
        if config is None:
            return [gr.skip(), said, *[gr.skip()] * len(components)]
        return [choosing.OTHERWISE, said, *form.update(config, unsaid)]

    live.like_run(like, None, [*around, *components], **QUIET)


def _run_id(event: gr.EventData) -> str:
    told = event._data
    return str(told.get("run_id", "")) if isinstance(told, dict) else ""
