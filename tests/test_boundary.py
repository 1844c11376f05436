"""What leaves a run leaves through the boundary, and only what was judged public."""

import ast
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pe_engine import boundary
from pe_engine.boundary import GenerationRecord, Outgoing, outgoing, shown, watched
from pe_engine.config import RunConfig
from pe_engine.events import Phase
from pe_engine.population import Population
from pe_engine.snapshot import Snapshot, Status

PACKAGE = Path(boundary.__file__).parent
SECRETS = ("ward-seven", "anna", "bert", "room-12", "/srv/patients", "9.875", "17 files", "asleep")


@pytest.fixture
def snapshot():
    """A run at work, with something secret in every place that has room for it."""
    config = RunConfig(
        dataset_name="ward-seven",
        epsilon_cap=9.875,
        initial="/srv/patients/out",
        classes="folder",
        class_names=("anna", "bert"),
        class_map={"anna-room-12": "anna"},
        class_prompts={"anna": ("asleep",)},
        generator="stable_diffusion",
        generator_options={"model": "/srv/patients/model"},
    )
    return Snapshot(
        version=88,
        run_id="0" * 32,
        status=Status.RUNNING,
        queue_position=0,
        config=config,
        class_names=("anna", "bert"),
        public_names=False,
        noise_multiplier=2.0,
        epsilon_planned=1.0,
        epsilon_spent=0.5,
        generation=1,
        phase=None,
        phase_fraction=0.0,
        seconds_left=None,
        seconds_elapsed=1.0,
        generations=(),
        notices=("No candidate of class 1 had more noisy votes.",),
        owner_notices=("17 files could not be used as images; left out.",),
        error="",
        zip_ready=False,
    )


def test_every_setting_was_judged_public_or_private():
    known = {field.name for field in fields(RunConfig)}
    assert set(boundary.PUBLIC_SETTINGS) | boundary.PRIVATE_SETTINGS == known
    assert not set(boundary.PUBLIC_SETTINGS) & boundary.PRIVATE_SETTINGS


def test_a_viewer_is_shown_no_secret_and_the_owner_all(snapshot):
    everything = repr(snapshot)
    assert all(secret in everything for secret in SECRETS)
    assert shown(snapshot, owner=True) == snapshot
    seen = shown(snapshot, owner=False)
    assert not [secret for secret in SECRETS if secret in repr(seen)]
    assert seen.class_names == ("0", "1")
    assert seen.notices == snapshot.notices
    assert seen.config.epsilon == snapshot.config.epsilon


def test_a_viewer_cannot_count_the_batches_that_were_read(snapshot):
    later = replace(snapshot, version=99)
    assert shown(snapshot, owner=False) == shown(later, owner=False)


@pytest.mark.parametrize("done, left", [(0.1, 9.0), (0.9, 1.0)])
def test_how_far_the_private_images_are_read_is_shown_to_nobody_else(snapshot, done, left):
    reading = replace(snapshot, phase=Phase.PRIVATE, phase_fraction=done, seconds_left=left)
    seen = shown(reading, owner=False)
    assert (seen.phase_fraction, seen.seconds_left) == (0.0, None)
    assert shown(reading, owner=True) == reading


def test_public_class_names_are_shown_to_everybody(snapshot):
    public = shown(replace(snapshot, public_names=True), owner=False)
    assert public.class_names == ("anna", "bert")
    assert public.config.class_prompts == {"anna": ("asleep",)}
    assert shown(replace(snapshot, class_names=("",)), owner=False).class_names == ("",)


def leaving(snapshot, public_names) -> Outgoing:
    images = Population(np.zeros((2, 8, 8, 3), np.uint8), np.arange(2), np.full(2, -1))
    record = GenerationRecord(0, None, None, None, 0.0)
    return outgoing(
        snapshot.config,
        ("anna", "bert"),
        public_names,
        images,
        [record],
        2.0,
        epsilon_planned=1.0,
        committed=0,
    )


def test_a_generator_of_ones_own_is_shown_without_its_folder(snapshot):
    path = PACKAGE.parent / "assets" / "examples" / "stripes.py"
    own = replace(snapshot.config, generator=f"{path}:Stripes", generator_options={})
    seen = shown(replace(snapshot, config=own), owner=False)
    assert seen.config.generator == "stripes.py:Stripes"


def test_an_export_knows_no_secret(snapshot):
    assert not [secret for secret in SECRETS[:-1] if secret in repr(leaving(snapshot, False))]
    assert leaving(snapshot, False).settings["class_prompts"] == {"0": ("asleep",)}
    assert leaving(snapshot, True).settings["class_prompts"] == {"anna": ("asleep",)}
    assert leaving(snapshot, True).classes == ("anna", "bert")


# Nothing goes around it -------------------------------------------------------------------------


def tree_of(name: str) -> ast.Module:
    return ast.parse((PACKAGE / name).read_text(encoding="utf-8"))


# These may know a whole run, of which they use what it says may leave.
ABOUT_RUNS = ("saving.py", "command.py")
WRITERS = [
    *("export.py", "report.py", "manifest.py", "plots.py", "statement.py"),
    *(f"takeout/{path.name}" for path in (PACKAGE / "takeout").glob("*.py")),
]


@pytest.mark.parametrize("name", [n for n in WRITERS if not n.endswith(ABOUT_RUNS)])
def test_what_writes_a_release_is_given_nothing_but_what_may_leave(name):
    modules = {
        node.module.removeprefix("pe_engine.")
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("pe_engine.")
    }
    writing = {"boundary", "manifest", "report", "plots", "images", "population", "storage"}
    modules = {module for module in modules if not module.startswith("takeout.")}
    assert modules <= writing | {"files", "privacy.accounting", "statement", "errors"}, name


@pytest.mark.parametrize("path", sorted((PACKAGE / "ui").glob("*.py")), ids=lambda p: p.stem)
def test_the_page_sees_a_run_only_as_the_boundary_shows_it(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    through = {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("shown", "watched")
    }
    around = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "snapshot" and id(node) not in through
    ]
    assert not around, f"{path.name} reads a snapshot past the boundary in lines {around}"


def test_who_watches_the_run_of_another_is_not_told_its_error(snapshot):
    """Errors are for the owner: they name data sets, caps, classes and folders."""
    failed = replace(
        snapshot,
        status=Status.FAILED,
        error="The data set 'ward-seven' may spend ε = 9.875, and no image of 'anna' was found.",
    )
    told = repr(watched(failed))
    assert not [secret for secret in SECRETS if secret in told]
    assert watched(failed).error and not watched(snapshot).error
    assert watched(snapshot) == shown(snapshot, owner=False)
