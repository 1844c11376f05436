"""What the page's events may say, so that nothing else reaches Gradio.

Gradio takes a nested object with the keys ``path`` and ``meta``, in the value of any component, for
a file, and copies the file or loads the address before a handler is asked. And what a component
does not take ends in a trace that repeats what was typed. So an event passes only if each value is
one that the page itself sends for its component.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

FIELDS = ("data", "fn_index", "event_data", "trigger_id")
"""What a page's event is made of; Gradio would take more, such as a token or another format."""

DROPPED = frozenset({"kind", "token", "name", "note"})
"""What the drop zone's value is made of."""

OF_A_FILE = frozenset({"path", "meta", "url", "orig_name"})
MAX_KEYS = 16
MAX_PARTS = 10_000


class NoEvent(Exception):
    """The page sends nothing like it."""


class PageEvents:
    """The events of a page that a handler answers."""

    def __init__(self, page: gr.Blocks) -> None:
        self._functions = {n: f for n, f in page.fns.items() if f.fn is not None}

    def read(self, body: bytes) -> dict[str, Any]:
        """The fields of an event, and ``session_hash``.

        Raises:
            NoEvent: the page has no such event, or sends no such values with it.
        """
        try:
            sent = json.loads(body, parse_constant=_no_constant)
            json.dumps(sent, ensure_ascii=False).encode()  # half a character cannot be written
        except (ValueError, RecursionError) as error:
            raise NoEvent from error
        if not isinstance(sent, dict) or not isinstance(sent.get("session_hash"), str):
            raise NoEvent
        number, data, trigger = (sent.get(n) for n in ("fn_index", "data", "trigger_id"))
        if type(number) is not int or type(trigger) not in (int, type(None)):
            raise NoEvent
        function = self._functions.get(number)
        if function is None or not isinstance(data, list) or len(data) != len(function.inputs):
            raise NoEvent
        if not all(map(_fits, function.inputs, data)) or not _is_flat(sent.get("event_data")):
            raise NoEvent
        known = {name: sent[name] for name in FIELDS if name in sent}
        return {**known, "session_hash": sent["session_hash"]}


def _fits(component: Any, value: Any) -> bool:
    """Whether the page may send ``value`` for a component."""
    import gradio as gr  # not before the server has said where it may write
    from gradio.components.api_component import Api

    if value is None:
        return True
    if isinstance(component, Api):
        return _is_plain(value)
    if isinstance(component, gr.HTML) and "choices" in component.props:
        return isinstance(value, str) and value in component.props["choices"]
    if isinstance(component, gr.HTML) and component.props.get("takes") != "text":
        flat = isinstance(value, Mapping) and DROPPED.issuperset(value)
        return flat and all(isinstance(part, (str, type(None))) for part in value.values())
    if isinstance(component, gr.Checkbox):
        return isinstance(value, bool)
    if isinstance(component, gr.Dropdown):
        return isinstance(value, str) and value in (choice for _, choice in component.choices)
    return isinstance(value, str)


def _is_flat(value: Any) -> bool:
    """Whether what an event tells is one value, or a few by name, none of them a file."""
    if isinstance(value, Mapping):
        few = len(value) <= MAX_KEYS and OF_A_FILE.isdisjoint(value)
        return few and not any(isinstance(part, (dict, list)) for part in value.values())
    return not isinstance(value, list)


def _is_plain(value: Any) -> bool:
    """Whether it is one value, a list of such, or such by name, none of them a file."""
    if isinstance(value, Mapping):
        parts = list(value.values())
        few = len(value) <= MAX_KEYS and OF_A_FILE.isdisjoint(value)
    else:
        parts = value if isinstance(value, list) else []
        few = len(parts) <= MAX_PARTS
    return few and not any(isinstance(part, (dict, list)) for part in parts)


def _no_constant(name: str) -> Any:
    raise ValueError(name)
