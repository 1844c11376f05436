"""``python -m pe_engine export``, on a run of this test's own."""

import json
import zipfile

import pytest

from pe_engine.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits):
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PE_HOME", str(home))
        settings = ["--iterations", "2", "--num-samples", "30", "--epsilon", "5"]
        assert main(["run", str(digits), "--output", str(out), *settings]) == 0
        yield out


def export(run, *arguments):
    return main(["export", str(run), *map(str, arguments)])


def test_an_earlier_generation_as_a_folder(run, tmp_path, capsys):
    out = tmp_path / "new" / "set"
    chosen = ("--generation", 1, "--format", "webp", "--size", 64, "--layout", "flat")
    assert export(run, *chosen, "--to", out) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert len(list(out.glob("images/*.webp"))) == 30
    told = json.loads((out / "manifest.json").read_text("utf-8"))
    final = json.loads((run / "manifest.json").read_text("utf-8"))
    assert told["samples"]["generation"] == 1
    assert told["privacy"] == final["privacy"]  # whichever generation it is


def test_files_by_their_endings(run, tmp_path):
    for name, begins in (("a.pdf", b"%PDF"), ("a.gif", b"GIF89a"), ("a.webp", b"RIFF")):
        assert export(run, "--to", tmp_path / name) == 0
        assert (tmp_path / name).read_bytes().startswith(begins)
    assert export(run, "--to", tmp_path / "a.zip") == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as ours, zipfile.ZipFile(run / "synthetic.zip") as its:
        for name in its.namelist():
            if name.endswith((".png", ".jsonl", ".md")):
                assert ours.read(name) == its.read(name)


def test_what_cannot_be_is_refused(run, tmp_path, capsys):
    for arguments, words in (
        (("--to", tmp_path), "there already"),
        (("--generation", 9, "--to", tmp_path / "x"), "Generation 9 is not finished"),
        (("--size", 4, "--to", tmp_path / "x"), "from 8 to 2048"),
    ):
        assert export(run, *arguments) == 2
        assert words in capsys.readouterr().err
    assert main(["export", str(tmp_path), "--to", str(tmp_path / "x")]) == 2
    assert list(tmp_path.iterdir()) == []
