"""What the page's fields and buttons do; each answers with a sentence, never with a trace."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from pe_engine.boundary import shown
from pe_engine.build import EXAMPLE
from pe_engine.config import RunConfig
from pe_engine.data import Limits, PrivateDataset, open_dataset
from pe_engine.errors import ConfigError, DataError
from pe_engine.jobs import JobManager
from pe_engine.runner import Run
from pe_engine.starting import settled
from pe_engine.ui.costs import check_disk, check_work
from pe_engine.ui.identity import Identity
from pe_engine.ui.public_models import NotPublic, check_public
from pe_engine.ui.run_routes import find_run
from pe_engine.ui.sentences import PROBLEMS, note_html, problem_html, sentence_of
from pe_engine.ui.settings import budget_sentence, names, number, read_class_map, read_config
from pe_engine.ui.starts import names_own_run, settings_after, settings_like, start_path
from pe_engine.ui.uploads import Uploads
from pe_engine.ui.who_routes import NO_KEY

NO_QUESTION = gr.update(visible=False, value=False)
UNCHANGED = (gr.skip(), gr.skip(), gr.skip())
FILLED_IN = "The fields say what that run was given. Change what you like, then press Run."
DROP_AGAIN = "The fields are filled in to go on. Drop the same images again, then press Run."


class Handlers:
    """The handlers of one server, over its uploads and its queue of runs.

    Each is told ``who`` asks: a run or an upload that is another's is answered as one that there is
    not.

    Args:
        owner: whoever looks at a run may know its private images.
        limits: on the private images.
    """

    def __init__(self, uploads: Uploads, manager: JobManager, owner: bool, limits: Limits) -> None:
        self.uploads = uploads
        self.manager = manager
        self.owner = owner
        self.limits = limits

    # The data ---------------------------------------------------------------------------------

    def describe_source(
        self, who: Identity, source: Mapping[str, Any] | None, fields: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], str]:
        """The private images as HTML, the question about class names, and the problem as HTML.

        The answer to the question was about other names, so it is withdrawn.

        Args:
            fields: what ``NAMING_FIELDS`` say.
        """
        source = read_source(source)
        if not source["kind"]:
            return "", NO_QUESTION, ""
        try:
            dataset = self._dataset(who, source, fields)
        except PROBLEMS as problem:
            return "", NO_QUESTION, problem_html(problem)
        ask = source["kind"] == "upload" and any(len(name) > 1 for name in dataset.class_names)
        return summary_html(dataset), gr.update(visible=ask, value=False), ""

    def _path(self, who: Identity, source: Mapping[str, str]) -> Path:
        if source["kind"] == "example":
            return EXAMPLE
        if source["kind"] == "upload":
            return self.uploads.path(who.owner, source["token"])
        raise DataError("There are no private images yet. Drop some, or try the example.")

    def _dataset(
        self, who: Identity, source: Mapping[str, str], fields: Mapping[str, Any]
    ) -> PrivateDataset:
        return open_dataset(
            self._path(who, source),
            fields["classes"],
            self.limits,
            class_names=names(fields["class_names"]),
            class_map=read_class_map(fields["class_map"]),
            persons=fields["persons"],
        )

    # The budget -------------------------------------------------------------------------------

    async def budget(self, who: Identity, fields: Mapping[str, Any]) -> str:
        """What the budget means, as HTML; or what is wrong with it."""
        try:
            sentence = await asyncio.to_thread(self.budget_told, who, fields)
        except PROBLEMS as problem:
            said = escape(sentence_of(problem))
            return f'<p class="meaning wrong" role="alert">{said}</p>'
        return f'<p class="meaning">{escape(sentence)}</p>'

    def budget_told(self, who: Identity, fields: Mapping[str, Any]) -> str:
        """The same as a sentence.

        Raises:
            PEError, OSError, HTTPException: it cannot be used.
        """
        start = fields["initial"] or ""
        if not who.may_open_paths and not names_own_run(start):
            start = ""  # a visitor's path is not opened
        return budget_sentence({**fields, "initial": start_path(self.manager, who, start)})

    # The run ----------------------------------------------------------------------------------

    def start(
        self,
        who: Identity,
        source: Mapping[str, Any] | None,
        fields: Mapping[str, Any],
        options: Sequence[tuple[str, str]],
    ) -> tuple[Any, ...]:
        """Queue a run; an upload is the run's from then on.

        Returns:
            the run's id ("" if refused), the drop zone's value, the summary of the private images,
            the question about class names, and the problem as HTML.
        """
        source = read_source(source)
        try:
            run = self.begin(who, source, fields, options)
        except PROBLEMS as problem:
            return "", *UNCHANGED, problem_html(problem)
        return run.run_id, *self._after(who, source), ""

    def begin(
        self,
        who: Identity,
        source: Mapping[str, str],
        fields: Mapping[str, Any],
        options: Sequence[tuple[str, str]],
    ) -> Run:
        """Queue a run.

        Args:
            source: as ``read_source`` gives it.

        Raises:
            PEError, OSError, HTTPException: it is refused; nothing was made.
        """
        class_names = self._dataset(who, source, fields).class_names
        config = read_config(fields, options, class_names)
        if names_own_run(config.initial):
            self._check_allowed(who, replace(config, initial=""))
            config = replace(config, initial=start_path(self.manager, who, config.initial))
        else:
            self._check_allowed(who, config)
        self._check_costs(config)
        uploaded = source["kind"] == "upload"
        path = self._path(who, source)
        return self.manager.submit(config, path, delete_source=uploaded, owner=who.owner)

    def _check_allowed(self, who: Identity, config: RunConfig) -> None:
        if not who.may_open_paths:
            _check_public(who, config)

    def _check_costs(self, config: RunConfig) -> None:
        config = settled(config)
        if not self.owner:
            check_work(config)
        check_disk(config, self.uploads.folder)

    def settings_of(self, who: Identity, run_id: str) -> tuple[RunConfig, frozenset[str]] | None:
        """A run's settings as a viewer may see them, and the names of those that stay unsaid.

        None where there is no such run. That class names may be public is said anew for every
        data set.
        """
        try:
            return settings_like(find_run(self.manager, run_id, who), self.owner)
        except PROBLEMS:
            return None

    def settings_for(
        self, who: Identity, wish: Mapping[str, Any]
    ) -> tuple[RunConfig | None, Collection[str], str]:
        """Settings for a new run like the one that is wished for: as the run ``run_id`` has them,
        or to go on from its ``generation`` for so many ``iterations`` at so much ``epsilon``.

        Returns:
            the settings, None where there are none; the names of those that stay as they are; and
            what to do next, or the problem, as HTML.
        """
        try:
            run = find_run(self.manager, str(wish.get("run_id", "")), who)
            if "generation" not in wish:
                return *settings_like(run, self.owner), note_html(FILLED_IN)
            generation = number("generation", wish["generation"], int)
            iterations = number("generations", wish.get("iterations"), int)
            epsilon = number("ε (epsilon)", wish.get("epsilon"), float)
            settings = settings_after(run, self.owner, generation, iterations, epsilon)
            return *settings, note_html(DROP_AGAIN)
        except PROBLEMS as problem:
            return None, (), problem_html(problem)

    def stop(self, who: Identity, run_id: str) -> str:
        """Ask the run to stop; returns the problem, if any."""
        return self._act(who, run_id, self.manager.stop)

    def resume(
        self, who: Identity, run_id: str, source: Mapping[str, Any] | None
    ) -> tuple[Any, ...]:
        """Let a stopped run go on, with the images in the drop zone where it needs them again.

        Returns:
            the drop zone's value, the summary of the private images, the question about class
            names, and the problem as HTML.
        """
        source = read_source(source)
        try:
            run = find_run(self.manager, run_id, who)
            snapshot = shown(run.snapshot, self.owner)
            check_disk(snapshot.config, self.uploads.folder)
            if not snapshot.needs_images or not source["kind"]:
                self.manager.resume(run_id)
                return *UNCHANGED, ""
            uploaded = source["kind"] == "upload"
            self.manager.resume(run_id, self._path(who, source), delete_source=uploaded)
        except PROBLEMS as problem:
            return *UNCHANGED, problem_html(problem)
        return *self._after(who, source), ""

    def delete(self, who: Identity, run_id: str) -> str:
        """Delete the run; returns the problem, if any."""
        return self._act(who, run_id, self.manager.delete)

    def _act(self, who: Identity, run_id: str, action: Callable[[str], object]) -> str:
        try:
            find_run(self.manager, run_id, who)
            action(run_id)
        except PROBLEMS as problem:
            return problem_html(problem)
        return ""

    def _after(self, who: Identity, source: Mapping[str, str]) -> tuple[Any, ...]:
        """The drop zone's value, the summary and the question once a run has these images."""
        if source["kind"] != "upload":
            return UNCHANGED
        self.uploads.remove(who.owner, source["token"])  # the folder: the zip is with the run
        used = {"kind": "", "note": "The run took these images; drop them again for another run."}
        return used, "", NO_QUESTION


def _check_public(who: Identity, config: RunConfig) -> None:
    try:
        check_public(config)
    except NotPublic as error:
        raise ConfigError(f"{error} {NO_KEY}" if who.local else str(error)) from error


def summary_html(dataset: PrivateDataset) -> str:
    """What was found in the private images, and a fold with what was skipped and why.

    For the owner only: reasons are counted, file names are not shown.
    """
    parts = [f'<p class="found">{escape(dataset.describe())}</p>']
    if said := dataset.found_classes_notice():
        parts.append(f'<p class="drop-note">{escape(said)}</p>')
    if dataset.skipped:
        reasons = Counter(skipped.reason for skipped in dataset.skipped)
        items = "".join(f"<li>{n:,} × {escape(reason)}</li>" for reason, n in reasons.most_common())
        parts.append(
            f"<details><summary>{len(dataset.skipped):,} files are skipped</summary>"
            f"<ul>{items}</ul></details>"
        )
    return "".join(parts)


def read_source(value: Any) -> dict[str, str]:
    """The drop zone's value, which may be anything that a browser can send: kind and token."""
    sent = value if isinstance(value, Mapping) else {}
    return {name: str(sent.get(name) or "") for name in ("kind", "token")}
