"""What the page's fields and buttons do; each answers with a sentence, never with a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from pe_engine.boundary import shown
from pe_engine.config import RunConfig
from pe_engine.data import PrivateDataset
from pe_engine.errors import ConfigError
from pe_engine.jobs import JobManager
from pe_engine.runner import Run
from pe_engine.starting import settled
from pe_engine.ui.budget import Budget, budget_html, budget_sentence, read_budget, spoken
from pe_engine.ui.costs import check_disk, check_work
from pe_engine.ui.house import House
from pe_engine.ui.identity import Identity
from pe_engine.ui.private_images import PrivateImages, no_question, read_source
from pe_engine.ui.public_models import NotPublic, check_public
from pe_engine.ui.run_routes import find_run
from pe_engine.ui.sentences import PROBLEMS, field_mark, note_html, problem_html, sentence_of
from pe_engine.ui.settings import number, option_titles, read_config
from pe_engine.ui.spent import spent_sentence
from pe_engine.ui.starts import names_own_run, settings_after, settings_like, start_path
from pe_engine.ui.uploads import Uploads
from pe_engine.ui.who_routes import NO_KEY

UNCHANGED = (gr.skip(), gr.skip(), gr.skip())
FILLED_IN = "The fields say what that run was given. Change what you like, then press Run."
DROP_AGAIN = "The fields are filled in to go on. Drop the same images again, then press Run."


class Handlers:
    """The handlers of one server, over its uploads and its queue of runs.

    Each is told ``who`` asks: a run or an upload that is another's is answered as one that there is
    not.

    Args:
        house: the rules of this server; its owner may know the private images of a run.
    """

    def __init__(self, uploads: Uploads, manager: JobManager, house: House) -> None:
        self.uploads = uploads
        self.manager = manager
        self.house = house
        self.owner = house.owner
        self.images = PrivateImages(uploads, house.limits)

    # The budget -------------------------------------------------------------------------------

    async def budget(self, who: Identity, fields: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """What the budget means, as HTML, or what is wrong with it; and ε and the meaning in
        words, for the scale."""
        epsilon = str(fields["epsilon"] or "")
        try:
            meant = await asyncio.to_thread(self.budget_of, who, fields)
            told, said = await asyncio.to_thread(lambda: (budget_html(meant), spoken(meant)))
        except PROBLEMS as problem:
            wrong = sentence_of(problem)
            at = field_mark(wrong)
            told, said = f'<p class="meaning wrong" role="alert"{at}>{escape(wrong)}</p>', ""
        return told, {"epsilon": epsilon, "said": said}

    def budget_told(self, who: Identity, fields: Mapping[str, Any]) -> str:
        """The same as a sentence; raises as ``budget_of``."""
        return budget_sentence(self.budget_of(who, fields))

    def budget_of(self, who: Identity, fields: Mapping[str, Any]) -> Budget:
        """The budget that the fields describe.

        Raises:
            PEError, OSError, HTTPException: it cannot be used.
        """
        start = fields["initial"] or ""
        if not who.may_open_paths and not names_own_run(start):
            start = ""  # a visitor's path is not opened
        return read_budget({**fields, "initial": start_path(self.manager, who, start)})

    def spent(self, who: Identity, fields: Mapping[str, Any]) -> str:
        """What earlier runs on the data set that the fields name have spent, as HTML; "" of none,
        of a ledger that is not who asks', and where the fields make no sense yet."""
        name = (fields["dataset_name"] or "").strip()
        ledger = self.manager.own_ledger(who.owner, who.may_open_paths)
        if not name or ledger is None:
            return ""
        try:
            said = spent_sentence(ledger, name, self.budget_of(who, fields))
        except PROBLEMS:  # the panel above says which
            return ""
        return f'<p role="status">{escape(said)}</p>' if said else ""

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
            return "", *UNCHANGED, problem_html(problem, option_titles(fields["generator"]))
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
        dataset = self.images.dataset(who, source, fields)
        config = read_config(fields, options, dataset.class_names)
        _check_prompts(config, dataset)
        if self.house.keeps_features:
            config = replace(config, keep_features=True)
        if names_own_run(config.initial):
            self._check_allowed(who, replace(config, initial=""))
            config = replace(config, initial=start_path(self.manager, who, config.initial))
        else:
            self._check_allowed(who, config)
        self._check_costs(config)
        uploaded = source["kind"] == "upload"
        path = self.images.path(who, source)
        return self.manager.submit(config, path, delete_source=uploaded, owner=who.owner)

    def _check_allowed(self, who: Identity, config: RunConfig) -> None:
        if not who.may_open_paths:
            _check_public(who, config)

    def _check_costs(self, config: RunConfig) -> None:
        config = settled(config)
        check_work(config, self.house.caps)
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
            self.manager.resume(run_id, self.images.path(who, source), delete_source=uploaded)
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
        note = "The run took these images; drop them again for another run."
        used = {"kind": "", "token": source["token"], "note": note}
        return used, "", no_question()


def _check_prompts(config: RunConfig, dataset: PrivateDataset) -> None:
    """Raises ConfigError where the prompt of a class that was renamed or left out would be one for
    all classes: it would tell a name that is not to leave."""
    for name in set(dataset.found) - set(dataset.class_names):
        if name and any(prompt.startswith(f"{name}:") for prompt in config.prompts):
            raise ConfigError(
                f"There is a prompt for the class {name!r}, which is renamed or left out, so that "
                "the prompt would be for all classes. Write it for a class that is left in, or "
                "delete it."
            )


def _check_public(who: Identity, config: RunConfig) -> None:
    try:
        check_public(config)
    except NotPublic as error:
        raise ConfigError(f"{error} {NO_KEY}" if who.local else str(error)) from error
