"""The main job by name, for programs: what ``gradio_client`` and MCP clients may call.

Each is told ``who`` asks and calls what the page's handlers call. A problem is a ``PEError`` or an
``HTTPException`` with one sentence.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pe_engine.boundary import shown
from pe_engine.errors import ConfigError
from pe_engine.presets import FIRST
from pe_engine.runner import Run
from pe_engine.ui.fields import preset_config
from pe_engine.ui.handlers import Handlers
from pe_engine.ui.history_routes import PAGE, list_runs
from pe_engine.ui.identity import Identity
from pe_engine.ui.live import live_view
from pe_engine.ui.run_routes import find_run
from pe_engine.ui.sentences import PROBLEMS
from pe_engine.ui.settings import shown_fields

MAX_AT_ONCE = 4
"""Calls being answered, of all programs: each takes one of the threads that the page needs, too."""

_UPLOAD = re.compile(r"[0-9a-f]{32}")


class Api:
    """The functions. Their names, arguments and docstrings are what a client is shown.

    ``places``: what each call waits for.
    """

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self.places = asyncio.Semaphore(MAX_AT_ONCE)

    def functions(self) -> list[Callable[..., Any]]:
        """All of them, each with ``who`` as its first argument."""
        return [
            self.start_run,
            self.run_status,
            self.list_runs,
            self.pause_run,
            self.finish_run,
            self.resume_run,
            self.download,
            self.budget,
        ]

    def start_run(
        self,
        who: Identity,
        data: str = "example",
        epsilon: float = 1.0,
        delta: float = 1e-5,
        iterations: int = 5,
        num_samples: int = 100,
        generator: str = "text_render",
        prompts: list[str] = [],  # noqa: B006 -- clients are shown it; never changed
        options: dict[str, str] = {},  # noqa: B006
        dataset_name: str = "",
    ) -> dict[str, Any]:
        """Start to make differentially private synthetic images that look like private ones, and
        spend a budget on it. Returns the run's id at once; ask run_status until it is done.

        Args:
            data: the private images: "example", the token of an upload, or a path on the computer
                of the server if you own it.
            epsilon: the budget ε, greater than 0; smaller is more private.
            delta: the budget δ, below 1 / number of private images.
            iterations: generations T, at least 1.
            num_samples: synthetic images N of each generation.
            generator: what draws the images, such as text_render or stable_diffusion.
            prompts: for the generator; class names are used without any.
            options: of the generator, by name.
            dataset_name: under which the budget of these images is added up.
        """
        base = preset_config(FIRST)
        fields = shown_fields(base) | {
            "epsilon": epsilon,
            "delta": delta,
            "iterations": iterations,
            "num_samples": str(num_samples),
            "generator": generator,
            "prompts": "\n".join(map(str, prompts)),
            "dataset_name": dataset_name or ("handwriting" if data == "example" else "my images"),
        }
        given = [(str(name), str(text)) for name, text in options.items()]
        run = self._handlers.begin(who, _source(data), fields, given)
        return self._view(run)

    def run_status(self, who: Identity, run_id: str) -> dict[str, Any]:
        """How far a run is: its status, a line in words, the generations that are done, ε spent."""
        return self._view(self._find(who, run_id))

    def list_runs(self, who: Identity, skip: int = 0) -> dict[str, Any]:
        """Your runs, the newest first, and how many there are in all; 50 at a time."""
        return list_runs(self._handlers.manager, who, self._handlers.owner, skip, PAGE)

    def pause_run(self, who: Identity, run_id: str) -> dict[str, Any]:
        """Stop a run after its batch. Nothing is lost; resume_run lets it go on."""
        run = self._find(who, run_id)
        self._handlers.manager.stop(run_id)
        return self._view(run)

    def finish_run(self, who: Identity, run_id: str) -> dict[str, Any]:
        """End a run with the generations that it has. Its whole budget counts as spent."""
        run = self._find(who, run_id)
        self._handlers.manager.finish_early(run_id)
        return self._view(run)

    def resume_run(self, who: Identity, run_id: str) -> dict[str, Any]:
        """Let a stopped run go on."""
        run = self._find(who, run_id)
        self._handlers.manager.resume(run_id)
        return self._view(run)

    def download(self, who: Identity, run_id: str) -> str:
        """The address of a finished run's zip on this server; "" while it is not done. Fetch it
        with the same header Authorization."""
        run = self._find(who, run_id)
        return f"/runs/{run_id}/synthetic.zip" if run.zip_path.is_file() else ""

    def budget(
        self, who: Identity, epsilon: float = 1.0, delta: float = 1e-5, iterations: int = 5
    ) -> str:
        """What a budget means in votes of noise, before anything is spent."""
        said = {"epsilon": epsilon, "delta": delta, "iterations": iterations}
        return self._handlers.budget_told(who, shown_fields(preset_config(FIRST)) | said)

    def _find(self, who: Identity, run_id: str) -> Run:
        return find_run(self._handlers.manager, run_id, who)

    def _view(self, run: Run) -> dict[str, Any]:
        report = (run.folder / "report.html").is_file()
        return live_view(shown(run.snapshot, self._handlers.owner), report)


def _source(data: str) -> dict[str, str]:
    if data == "example":
        return {"kind": "example", "token": ""}
    if _UPLOAD.fullmatch(data):
        return {"kind": "upload", "token": data}
    return {"kind": "path", "token": data}


_NUMBERS_ARE_TEXT = ConfigDict(coerce_numbers_to_str=True)


def _checked(name: str, value: Any, kind: TypeAdapter[Any]) -> Any:
    """Raises ConfigError where an argument is of another kind than the function says."""
    try:
        return kind.validate_python(value)
    except ValidationError:
        raise ConfigError(
            f"The argument {name} is of the wrong kind. Look up in the list of endpoints what it "
            "has to be."
        ) from None


def for_requests(
    function: Callable[..., Any],
    kind: type,
    who_of: Callable[[Any], Identity],
    problem: Callable[[Exception], Exception],
    places: asyncio.Semaphore,
) -> Callable[..., Any]:
    """``function`` with a request of that kind in the place of ``who``, run in a thread.

    Args:
        who_of: who is behind a request.
        problem: what is raised in the place of a problem.
        places: one is taken while a call is answered.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters = [p for name, p in signature.parameters.items() if name != "who"]
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
    seen = signature.replace(parameters=[request, *parameters])
    kinds = {p.name: TypeAdapter(p.annotation, config=_NUMBERS_ARE_TEXT) for p in parameters}

    async def called(*args: Any, **given: Any) -> Any:
        bound = seen.bind(*args, **given).arguments
        who = who_of(bound.pop("request"))
        try:
            checked = {name: _checked(name, value, kinds[name]) for name, value in bound.items()}
            async with places:
                return await asyncio.to_thread(function, who, **checked)
        except PROBLEMS as error:
            raise problem(error) from error

    called.__name__, called.__doc__ = function.__name__, inspect.getdoc(function)
    called.__signature__ = seen  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in seen.parameters.values()} | {
        "return": signature.return_annotation
    }
    return called
