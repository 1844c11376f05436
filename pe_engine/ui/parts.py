"""The page's own parts: markup, style and script of each in assets/parts/NAME.{html,css,js}.

The scripts are ES modules, which the browser loads by name; the markup of a part stands in a frame
where the frame says ``<!-- part: NAME -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

ASSETS = Path(__file__).parent.parent.parent / "assets"
PARTS = ASSETS / "parts"
ADDRESS = "/parts"
_PLACE = re.compile(r"<!-- part: (\w+) -->")


def markup(frame: str, place: str = "this computer") -> str:
    """The HTML of a frame with its parts; ``place`` is where images are kept, in words."""
    text = _read(frame)
    return _PLACE.sub(lambda found: _read(found[1]), text).replace("PLACE", place)


def starter(module: str, events: Iterable[str]) -> str:
    """The script of a ``gr.HTML`` that starts a module, as its ``js_on_load``.

    Args:
        events: what the module triggers; Gradio looks for these names in the script.
    """
    given = f"{{ element, props, trigger, watch, events: {json.dumps([*events])} }}"
    return f'import("{ADDRESS}/{module}.js").then(({{ start }}) => start({given}));'


def style_sheets() -> list[Path]:
    """What Gradio puts into the page, in this order."""
    return [ASSETS / "style.css", *sorted(PARTS.glob("*.css"))]


def head() -> str:
    """Tags that let the browser ask for all modules at once, not one after another, and start the
    one that must be there before Gradio asks for anything."""
    names = sorted(path.name for path in PARTS.glob("*.js"))
    tags = [f'<link rel="modulepreload" href="{ADDRESS}/{name}">' for name in names]
    return "".join([*tags, f'<script type="module" src="{ADDRESS}/stream.js"></script>'])


class Modules(StaticFiles):
    """Serves the modules only, and has browsers ask each time whether one has changed."""

    def __init__(self) -> None:
        super().__init__(directory=PARTS)

    async def get_response(self, path: str, scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def _read(name: str) -> str:
    return (PARTS / f"{name}.html").read_text("utf-8")
