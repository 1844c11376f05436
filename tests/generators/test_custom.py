"""Generators that users write."""

import os
import zipfile
from dataclasses import replace

import pytest

from pe_engine.build import continue_run
from pe_engine.cli import main
from pe_engine.components import generator_class
from pe_engine.errors import ConfigError
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
