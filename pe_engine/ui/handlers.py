"""What the page's fields and buttons do; each answers with a sentence, never with a trace."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import HTTPException

from pe_engine.build import EXAMPLE
from pe_engine.config import RunConfig
from pe_engine.data import PrivateDataset, open_dataset
from pe_engine.errors import DataError, PEError
from pe_engine.jobs import JobManager
from pe_engine.ui.run_routes import find_run
from pe_engine.ui.settings import budget_sentence, read_config
from pe_engine.ui.uploads import Uploads


class Handlers:
    """The handlers of one server, over its uploads and its queue of runs."""

    def __init__(self, uploads: Uploads, manager: JobManager) -> None:
        self.uploads = uploads
        self.manager = manager

    # The data ---------------------------------------------------------------------------------

    def describe_source(
        self, source: Mapping[str, Any] | None, rule: str
    ) -> tuple[str, dict[str, Any], str]:
        """The private images as HTML, whether to ask about class names, and the problem as HTML."""
        if not source or not source.get("kind"):
            return "", gr.update(visible=False), ""
        try:
            dataset = self._dataset(source, rule)
        except PEError as error:
            return "", gr.update(visible=False), problem_html(error)
        ask = source["kind"] == "upload" and any(len(name) > 1 for name in dataset.class_names)
        return summary_html(dataset), gr.update(visible=ask), ""

    def _path(self, source: Mapping[str, Any] | None) -> Path:
        kind = (source or {}).get("kind")
        if kind == "example":
            return EXAMPLE
        if kind == "upload":
            return self.uploads.path(str(source.get("token")))
        raise DataError("There are no private images yet. Drop some, or try the example.")

    def _dataset(self, source: Mapping[str, Any] | None, rule: str) -> PrivateDataset:
        return open_dataset(self._path(source), rule)

    # The budget -------------------------------------------------------------------------------

    async def budget(self, fields: Mapping[str, Any]) -> str:
        """What the budget means, as HTML; or what is wrong with it."""
        try:
            sentence = await asyncio.to_thread(budget_sentence, fields)
        except PEError as error:
            return f'<p class="meaning wrong" role="alert">{escape(str(error))}</p>'
        return f'<p class="meaning">{escape(sentence)}</p>'

    # The run ----------------------------------------------------------------------------------

    def start(
        self,
        source: Mapping[str, Any] | None,
        fields: Mapping[str, Any],
        options: Sequence[tuple[str, str]],
    ) -> tuple[str, Any, Any, str]:
        """Queue a run.

        Returns:
            the run's id ("" if refused), the drop zone's value, the summary of the private images
            and the problem, both as HTML.
        """
        try:
            path = self._path(source)
            class_names = open_dataset(path, fields["classes"]).class_names
            config = read_config(fields, options, class_names)
            uploaded = source["kind"] == "upload"
            run = self.manager.submit(config, path, delete_source=uploaded)
        except PEError as error:
            return "", gr.skip(), gr.skip(), problem_html(error)
        if not uploaded:
            return run.run_id, gr.skip(), gr.skip(), ""
        used = {"kind": "", "note": "The run took these images; drop them again for another run."}
        return run.run_id, used, "", ""

    def config_of(self, run_id: str) -> RunConfig | None:
        """The settings of a run; None where there is no such run."""
        try:
            return find_run(self.manager, run_id).snapshot.config
        except HTTPException:
            return None

    def stop(self, run_id: str) -> str:
        """Ask the run to stop; returns the problem, if any."""
        return _problem_of(lambda: self.manager.stop(run_id))

    def resume(self, run_id: str) -> str:
        """Let a stopped run go on; returns the problem, if any."""
        return _problem_of(lambda: self.manager.resume(run_id))

    def delete(self, run_id: str) -> str:
        """Delete the run; returns the problem, if any."""
        return _problem_of(lambda: self.manager.delete(run_id))


def summary_html(dataset: PrivateDataset) -> str:
    """What was found in the private images, and a fold with what was skipped and why.

    For the owner only: reasons are counted, file names are not shown.
    """
    parts = [f'<p class="found">{escape(dataset.describe())}</p>']
    if dataset.skipped:
        reasons = Counter(skipped.reason for skipped in dataset.skipped)
        items = "".join(f"<li>{n:,} × {escape(reason)}</li>" for reason, n in reasons.most_common())
        parts.append(
            f"<details><summary>{len(dataset.skipped):,} files are skipped</summary>"
            f"<ul>{items}</ul></details>"
        )
    return "".join(parts)


def problem_html(error: Exception) -> str:
    """An error's sentence as an alert."""
    return f'<p class="problem" role="alert">{escape(str(error))}</p>'


def _problem_of(action) -> str:
    try:
        action()
    except PEError as error:
        return problem_html(error)
    except HTTPException as error:
        return f'<p class="problem" role="alert">{escape(str(error.detail))}</p>'
    return ""
