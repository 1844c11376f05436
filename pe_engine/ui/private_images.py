"""The private images of whoever asks: what they are, whose, and of which class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from pe_engine.build import EXAMPLE, is_example
from pe_engine.census import take_census
from pe_engine.data import Limits, PrivateDataset, open_dataset
from pe_engine.errors import DataError
from pe_engine.files import typed_path
from pe_engine.ui.identity import Identity
from pe_engine.ui.sentences import PROBLEMS, problem_html
from pe_engine.ui.settings import (
    check_class_map,
    names,
    read_class_map,
    write_class_map,
    write_names,
)
from pe_engine.ui.summary import census_html, fitting_map, summary_html
from pe_engine.ui.uploads import Uploads
from pe_engine.ui.who_routes import NO_KEY

NO_PATHS = "This server opens no folder of its own for visitors. Drop the images instead."


def no_question() -> dict[str, Any]:
    """Hides the question about class names; a new one each time, since Gradio empties it."""
    return gr.update(visible=False, value=False)


class PrivateImages:
    """What the drop zone holds, an upload, the example or a path, for whoever owns it.

    Args:
        limits: on the private images.
    """

    def __init__(self, uploads: Uploads, limits: Limits) -> None:
        self.uploads = uploads
        self.limits = limits

    def describe(
        self, who: Identity, source: Mapping[str, Any] | None, fields: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], str, str]:
        """The private images as HTML, the question about class names, what classes are called, and
        the problem as HTML.

        The answer to the question was about other names, so it is withdrawn.

        Args:
            fields: what ``NAMING_FIELDS`` say.
        """
        source = read_source(source)
        if not source["kind"]:
            return "", no_question(), "", ""
        try:
            dataset = self.dataset(who, source, fields)
            class_map = fitting_map(read_class_map(fields["class_map"]), dataset)
            summary = summary_html(dataset, class_map, is_example(self.path(who, source)))
        except PROBLEMS as problem:
            return "", no_question(), gr.skip(), problem_html(problem)
        return summary, _question(source, dataset), write_class_map(class_map), ""

    def name_classes(
        self, who: Identity, source: Mapping[str, Any] | None, fields: Mapping[str, Any]
    ) -> tuple[dict[str, Any], str]:
        """The question about class names and the problem as HTML, after classes were renamed."""
        source = read_source(source)
        if not source["kind"]:
            return no_question(), ""
        try:
            dataset = self.dataset(who, source, fields)
            check_class_map(fields)
        except PROBLEMS as problem:
            return no_question(), problem_html(problem)
        return _question(source, dataset), ""

    def classes(
        self, who: Identity, source: Mapping[str, Any] | None, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """For the boxes of prompts: the classes, and whether their names wait for a word of the
        owner's before they may be put into prompts. No class where there are no images."""
        source = read_source(source)
        try:
            dataset = self.dataset(who, source, fields)
        except PROBLEMS:
            return gr.update(classes=[], guarded=False)
        return gr.update(classes=[*dataset.class_names], guarded=_asks(source, dataset))

    def declare_classes(
        self, who: Identity, source: Mapping[str, Any] | None, fields: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """Declare the classes that were found; or, if classes are declared, declare none.

        Returns:
            the declared classes and the rule for classes, then as ``describe``.
        """
        try:
            dataset = self.dataset(who, read_source(source), fields)
            class_names = () if dataset.declared else dataset.class_names
            said = {"class_names": write_names(class_names), "classes": dataset.rule}
        except PROBLEMS as problem:
            return *(gr.skip(),) * 5, problem_html(problem)
        return *said.values(), *self.describe(who, source, {**fields, **said})

    def census(self, who: Identity, source: Mapping[str, Any] | None) -> str:
        """Image sizes and copies as HTML; nothing where the images are not here (any more)."""
        source = read_source(source)
        try:
            return census_html(take_census(self.path(who, source), self.limits))
        except PROBLEMS:
            return ""

    def path(self, who: Identity, source: Mapping[str, str]) -> Path:
        """Where the images are.

        Raises:
            DataError: nowhere, or not for who asks.
        """
        if source["kind"] == "example":
            return EXAMPLE
        if source["kind"] == "upload":
            return self.uploads.path(who.owner, source["token"])
        if source["kind"] == "path":
            if not who.may_open_paths:
                raise DataError(NO_KEY if who.local else NO_PATHS)
            if not source["token"].strip():
                raise DataError("Type where the folder or zip is.")
            return typed_path(source["token"].strip())
        raise DataError("There are no private images yet. Drop some, or try the example.")

    def dataset(
        self, who: Identity, source: Mapping[str, str], fields: Mapping[str, Any]
    ) -> PrivateDataset:
        """The images as the fields say whose and of which class they are.

        Raises:
            ConfigError, DataError: there are none, or the fields do not fit them.
        """
        return open_dataset(
            self.path(who, source),
            fields["classes"],
            self.limits,
            class_names=names(fields["class_names"]),
            class_map=read_class_map(fields["class_map"]),
            persons=fields["persons"],
        )


def _question(source: Mapping[str, str], dataset: PrivateDataset) -> dict[str, Any]:
    return gr.update(visible=_asks(source, dataset), value=False)


def _asks(source: Mapping[str, str], dataset: PrivateDataset) -> bool:
    """Whether to ask if the class names may be public: they may say who is pictured."""
    return source["kind"] != "example" and any(len(name) > 1 for name in dataset.class_names)


def read_source(value: Any) -> dict[str, str]:
    """The drop zone's value, which may be anything that a browser can send: kind and token."""
    sent = value if isinstance(value, Mapping) else {}
    return {name: str(sent.get(name) or "") for name in ("kind", "token")}
