"""Generators that users write."""

import os
import zipfile
from dataclasses import replace

import pytest

from pe_engine.build import continue_run
from pe_engine.cli import main
from pe_engine.components import checked_options, generator_class
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import ROOT

EXAMPLE = ROOT / "assets" / "examples" / "stripes.py"


def test_the_worked_example_is_short_and_runs_from_its_file(tmp_path, config, digits, ledger):
    assert len(EXAMPLE.read_text("utf-8").splitlines()) <= 30
    name = f"{os.path.relpath(EXAMPLE)}:Stripes"
    start_run(tmp_path / "out", replace(config, generator=name), digits, ledger)
    assert [*continue_run(RunFolder(tmp_path / "out"), ledger)]
    release = zipfile.ZipFile(tmp_path / "out" / "synthetic.zip")
    manifest = release.read("manifest.json").decode()
    assert '"generator": "stripes.py:Stripes"' in manifest
    assert str(ROOT) not in manifest


def test_a_run_finds_its_generator_from_any_folder(tmp_path, config, digits, ledger, monkeypatch):
    monkeypatch.chdir(EXAMPLE.parent)
    start_run(tmp_path / "out", replace(config, generator="stripes.py:Stripes"), digits, ledger)
    monkeypatch.chdir(tmp_path)
    assert [*continue_run(RunFolder(tmp_path / "out"), ledger)]


def test_a_class_is_loaded_once():
    assert generator_class(f"{EXAMPLE}:Stripes") is generator_class(f"{EXAMPLE}:Stripes")


def test_a_module_may_be_named():
    name = "pe_engine.generators.text_render:TextRender"
    assert generator_class(name) is generator_class("text_render")


INCOMPLETE = """
from pe_engine.generators.base import Generator
class Half(Generator):
    grey = True
"""


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nowhere.py:X", "no file nowhere.py"),
        (f"{EXAMPLE}:Spots", "has no class 'Spots'"),
        ("os:path", "is no generator"),
        ("no_such_module:X", "no Python module 'no_such_module'"),
        ("{folder}/half.py:Half", "lacks random, render, vary, summary"),
    ],
)
def test_what_is_no_generator(tmp_path, name, match):
    (tmp_path / "half.py").write_text(INCOMPLETE)
    with pytest.raises(ConfigError, match=match):
        generator_class(name.format(folder=tmp_path))


def test_the_command_line_describes_it(capsys):
    assert main(["generators", f"{EXAMPLE}:Stripes"]) == 0
    assert "draws stripes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "match"),
    [(":X", "no name of a Python module"), ("..:X", "no name"), ("nosuch", "not known. Choose")],
)
def test_names_that_mean_nothing(name, match):
    with pytest.raises(ConfigError, match=match):
        generator_class(name)


def test_a_file_that_cannot_be_loaded_is_tried_anew_once_mended(tmp_path):
    file = tmp_path / "late.py"
    file.write_text("import no_such_thing_at_all\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="cannot be loaded: No module named"):
            generator_class(f"{file}:Half")
    file.write_text(INCOMPLETE)
    with pytest.raises(ConfigError, match="lacks"):
        generator_class(f"{file}:Half")


BOUNDED = """
from dataclasses import dataclass
from pe_engine.generators.base import Generator
from pe_engine.generators.options import option
@dataclass(frozen=True)
class Options:
    curve: float = option(0.5, "how bent", low=0, high=1)
class Bent(Generator):
    summary = "bends"
    Options = Options
    def random(self, class_names, prompts, rng): ...
    def vary(self, state, degree, rng): ...
    def render(self, state, preview=False): ...
"""


def test_bounds_hold_without_a_check_of_ones_own(tmp_path):
    (tmp_path / "bent.py").write_text(BOUNDED)
    with pytest.raises(ConfigError, match=r"curve is 5, but must lie from 0 to 1"):
        checked_options(f"{tmp_path / 'bent.py'}:Bent", {"curve": 5.0})


WRONG = {
    "random": ("rng.random(1)", "params has 1 rows for"),
    "vary": ("state['params'][:-1]", "params has .* rows for"),
    "render": ("np.zeros((len(state['params']), 10, 64, 3), np.uint8)", r"10, 64, 3\) where uint8"),
    "kind": ("np.zeros((len(state['params']), 64, 64, 3))", "rendered float64"),
}
MISTAKEN = """
import numpy as np
from pe_engine.generators.base import Generator
class Mistaken(Generator):
    summary = "makes a mistake"
    def random(self, class_names, prompts, rng):
        return {{"params": {random}}}
    def vary(self, state, degree, rng):
        return {{"params": {vary}}}
    def render(self, state, preview=False):
        return {render}
"""


@pytest.mark.parametrize("which", WRONG)
def test_mistakes_of_ones_own_are_sentences(which, tmp_path, config, digits, ledger):
    right = {
        "random": "rng.random(len(prompts))",
        "vary": "state['params']",
        "render": "np.zeros((len(state['params']), 64, 64, 3), np.uint8)",
    }
    code, match = WRONG[which]
    parts = right | {"render" if which == "kind" else which: code}
    (tmp_path / f"{which}.py").write_text(MISTAKEN.format(**parts))
    asked = replace(config, generator=f"{tmp_path / which}.py:Mistaken")
    start_run(tmp_path / "out", asked, digits, ledger)
    with pytest.raises(GeneratorError, match=match):
        list(continue_run(RunFolder(tmp_path / "out"), ledger))
    assert ledger.spent("digits") == []  # it is noticed before anyone votes
