"""The command ``bench``, on a tiny Stable Diffusion with random weights."""

import json

import pytest

from pe_engine.bench.plan import WORKS
from pe_engine.cli import main

SMALL = ["--degrees", "0.5", "--samples", "4", "--lookahead", "2", "--voters", "50"]
QUICK = ["--repeats", "1", "--device", "cpu", *SMALL]
TINY = ["--shape", "tiny", "--steps", "2", "--option", "batch_size=3", *QUICK]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What was printed, and the JSON."""
    path = tmp_path_factory.mktemp("bench") / "figures.json"
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", lambda text="", **_: printed.append(text))
        assert main(["bench", *TINY, "--baseline", "--ablation", "--json", str(path)]) == 0
    return "\n".join(printed), json.loads(path.read_text(encoding="utf-8"))


def timings(values):
    return [values[side] for side in ("ours", "seed", "on", "off") if side in values]


def test_every_figure_is_there_and_positive(measured):
    _, figures = measured
    assert [work["work"] for work in figures["works"]] == list(WORKS)
    assert figures["peak_memory_bytes"] > 2**20
    for values in (*figures["works"], *figures["ablation"]):
        assert (
            {"ours", "seed", "ratio"} <= set(values)
            or values.get("work") == "votes"
            or ({"on", "off", "ratio"} <= set(values))
        )
        for timing in timings(values):
            assert timing["per_second"] > 0
            assert timing["seconds"] > 0
            share = timing["outside_unet"]
            assert share is None or 0 <= share <= 1


def test_only_what_runs_the_unet_has_a_share(measured):
    shares = {work["work"]: work["ours"]["outside_unet"] for work in measured[1]["works"]}
    assert {name for name, share in shares.items() if share is None} == {"features", "votes"}


def test_both_sides_do_the_same_number_of_unet_evaluations(measured):
    works = {work["work"]: work for work in measured[1]["works"]}
    for name in ("random", "variations"):
        sides = [works[name][side]["unet_rows_per_item"] for side in ("ours", "seed")]
        assert sides[0] == sides[1], name
    generation = works["generation"]
    # the seed makes 4 x 2 children and 4 members; of ours at least 2 of the 4 are such children
    sides = [generation[side]["unet_rows_per_item"] for side in ("ours", "seed")]
    assert 8 / 12 * sides[1] <= sides[0] <= 10 / 12 * sides[1]


def test_tells_the_machine_and_the_settings(measured):
    _, figures = measured
    assert {"device", "processor", "torch", "diffusers"} <= set(figures["machine"])
    assert figures["settings"]["model"] == "tiny"
    assert figures["settings"]["size"] == 64
    assert figures["settings"]["degrees"] == [0.5]


def test_prints_a_row_for_everything(measured):
    printed, figures = measured
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert set(WORKS) < set(rows)
    assert {item["item"] for item in figures["ablation"]} < set(rows)
    assert {"peak memory", "device", "torch"} < set(rows)


def test_measures_generators_without_a_unet(capsys):
    assert main(["bench", "--generator", "text_render", *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "| generation |" in printed
    assert "seed's way | ratio" in printed


def test_measures_what_is_asked_for_only(capsys):
    assert main(["bench", "--generator", "text_render", *QUICK, "--measure", "votes"]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line]
    assert set(rows) & set(WORKS) == {"votes"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--shape", "tiny", "--option", "model=here"], "Give one of them"),
        (["--generator", "text_render", "--baseline"], "--baseline is for the generator"),
        (["--measure", "speed"], "work to measure 'speed'"),
        (["--generator", "text_render", "--steps", "3"], "no option 'steps'"),
        (["--repeats", "0"], "number of repeats is 0"),
    ],
)
def test_one_sentence_says_what_is_wrong(wrong, said, capsys):
    assert main(["bench", *wrong]) == 2
    assert said in capsys.readouterr().err


def test_leaves_no_files_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    main(["bench", "--generator", "text_render", *QUICK])
    assert not list(tmp_path.iterdir())
