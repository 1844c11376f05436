"""The command line as a person runs it, and kill -9 at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.arguments import build_parser, config_of
from pe_engine.build import continue_run
from pe_engine.cli import main
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.events import VotesReleased
from pe_engine.presets import PRESETS
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import ROOT

QUICK = ["--iterations", "3", "--num-samples", "30", "--lookahead", "2", "--epsilon", "5"]


def command(*arguments):
    return [sys.executable, "-m", "pe_engine", *map(str, arguments)]


def test_run_resume_and_budget(tmp_path, home, digits, capsys):
    out = tmp_path / "out"
    assert main(["run", str(digits), "--output", str(out), *QUICK]) == 0
    said = capsys.readouterr()
    assert "60 images in 3 classes" in said.out
    assert "votes of noise per candidate" in said.out
    assert "Generation 3 of 3: 30 images, ε spent" in said.err
    assert "Done:" in said.out

    samples = np.load(out / "samples.npz", allow_pickle=False)
    assert samples["samples"].shape == (30, 28, 28, 3)
    assert samples["samples"].dtype == np.uint8
    assert samples["labels"].tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert samples["classes"].tolist() == ["0", "1", "2"]
    with zipfile.ZipFile(out / "synthetic.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert len(archive.namelist()) == 30 + 5
    assert manifest["privacy"]["epsilon"] <= 5

    assert main(["resume", str(out)]) == 0
    assert "This run is done" in capsys.readouterr().out
    assert main(["run", str(digits), "--output", str(out), *QUICK]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(["run", str(digits), "--output", str(out), "--resume", *QUICK]) == 0
    assert main(["run", str(digits), "--output", str(out), "--resume"]) == 2
    assert "began with another" in capsys.readouterr().err

    capsys.readouterr()
    assert main(["budget"]) == 0
    table = capsys.readouterr().out
    assert "digits" in table
    assert "none" in table


def test_bad_arguments_and_refused_budget_have_their_exit_codes(tmp_path, home, digits, capsys):
    out = str(tmp_path / "out")
    assert main(["run", str(tmp_path / "nothing"), "--output", out]) == 2
    assert main(["run", str(digits), "--output", out, "--epsilon", "0"]) == 2
    assert "must lie from 0.01 to 100" in capsys.readouterr().err
    assert main(["run", str(digits), "--output", out, "--option", "ink=pink"]) == 2
    assert main(["run", str(digits), "--output", out, "--option", "colour=red"]) == 2
    assert "has no option 'colour'" in capsys.readouterr().err
    assert main(["resume", str(tmp_path)]) == 2
    with pytest.raises(SystemExit) as refused:
        main(["run", str(digits)])
    assert refused.value.code == 2
    assert main(["run", str(digits), "--output", out, *QUICK, "--epsilon-cap", "1"]) == 3
    assert "cap" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_budget_says_which_names_mean_the_same_images(tmp_path, home, digits, capsys):
    for name in ("one", "two"):
        out = str(tmp_path / name)
        assert main(["run", str(digits), "--output", out, "--dataset-name", name, *QUICK]) == 0
    capsys.readouterr()
    assert main(["budget"]) == 0
    table = capsys.readouterr().out
    assert "'one' has the same images as 'two'; what is spent on them counts for all." in table


def test_a_lost_run_gives_its_reservation_back(tmp_path, home, digits, ledger, config, capsys):
    start_run(tmp_path / "out", config, digits, ledger)
    run_id = json.loads((tmp_path / "out" / "run.json").read_text())["run_id"]
    assert main(["budget"]) == 0
    assert f"--release {run_id}" in capsys.readouterr().out
    assert main(["budget", "--release", "x"]) == 2
    assert main(["budget", "--release", run_id]) == 0
    assert run_id not in capsys.readouterr().out


def test_an_unwritable_place_is_said_without_a_trace(tmp_path, home, digits, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["run", str(digits), "--output", str(tmp_path / "file" / "out"), *QUICK]) == 2
    assert "Error:" in capsys.readouterr().err


def test_other_images_do_not_continue_a_run(tmp_path, home, digits, ledger, config, capsys):
    out = tmp_path / "out"
    start_run(out, config, digits, ledger)
    events = continue_run(RunFolder(out), ledger)
    for event in events:
        if isinstance(event, VotesReleased):
            events.close()
    others = tmp_path / "others.zip"
    with zipfile.ZipFile(digits) as source, zipfile.ZipFile(others, "w") as target:
        for name in source.namelist()[1:]:
            target.writestr(name, source.read(name))
    assert main(["resume", str(out), "--data", str(others)]) == 2
    assert "not the images" in capsys.readouterr().err
    assert main(["resume", str(out), "--data", str(digits)]) == 0


def test_prompts_and_schedules_reach_the_run(tmp_path, home, digits, capsys):
    out = tmp_path / "out"
    arguments = ["--prompt", "a", "b", "--prompt", "c", "--class-prompt", "2", "zz", "--iterations",
                 "2", "--degrees", "1,0.5", "--num-samples", "30,20,10", "--threshold", "3",
                 "--option", "rotation=5", "--lookahead", "0"]  # fmt: skip
    assert main(["run", str(digits), "--output", str(out), *arguments]) == 0
    config = json.loads(json.loads((out / "run.json").read_text())["config"])
    assert config["prompts"] == ["a", "b", "c"]
    assert config["class_prompts"] == {"2": ["zz"]}
    assert config["generator_options"] == {"rotation": 5.0}
    first = RunFolder(out).read_population(0)
    texts = [sorted(set(first.state["text"][first.class_ids == c])) for c in range(3)]
    assert texts == [["a", "b", "c"], ["a", "b", "c"], ["zz"]]
    assert [len(RunFolder(out).read_population(t)) for t in (0, 1, 2)] == [30, 20, 10]


def typed(*arguments):
    """The settings that ``run`` understands from these arguments."""
    return config_of(build_parser().parse_args(["run", "cats", "--output", "out", *arguments]))


def test_classes_are_renamed_one_by_one():
    config = typed("--class-map", "1", "one", "--class-map", "x y", "")
    assert config.class_map == {"1": "one", "x y": ""}
    assert typed().class_map == {}
    with pytest.raises(ConfigError, match="names a class twice"):
        typed("--class-map", "1", "one", "--class-map", "1", "two")


def test_a_preset_is_a_run_in_one_command():
    preset = PRESETS["cats"].settings
    assert typed("--preset", "cats") == RunConfig(dataset_name="cats", **preset)
    assert typed() == RunConfig(dataset_name="cats")


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_what_is_typed_replaces_the_preset_in_any_order(last):
    preset, rest = ["--preset", "cats"], [
        "--epsilon", "1", "--prompt", "a dog", "--image-size", "auto", "--iterations", "2",
        "--degrees", "auto", "--threshold", "auto", "--keep-features",
        "--option", "steps=20", "--option", "negative_prompt=blurred",
    ]  # fmt: skip
    config = typed(*rest, *preset) if last else typed(*preset, *rest)
    before = RunConfig(dataset_name="cats", **PRESETS["cats"].settings)
    assert config == replace(
        before,
        epsilon=1.0,
        prompts=("a dog",),
        image_size=None,
        iterations=2,
        degrees=(),
        threshold=None,
        keep_features=True,
        generator_options={**before.generator_options, "steps": 20, "negative_prompt": "blurred"},
    )


def test_a_typed_generator_takes_no_options_of_the_presets():
    config = typed("--preset", "cats", "--generator", "text_render", "--option", "ink=dark")
    assert config.generator_options == {"ink": "dark"}
    assert config.prompts == PRESETS["cats"].settings["prompts"]


def test_what_a_run_typed_anew_would_change_is_compared_with_its_preset(
    tmp_path, home, digits, capsys
):
    run = ["run", str(digits), "--output", str(tmp_path / "out"), *QUICK]
    assert main([*run, "--preset", "text"]) == 0
    assert main([*run, "--preset", "text", "--resume"]) == 0
    capsys.readouterr()
    assert main([*run, "--preset", "cats", "--degrees", "auto", "--generator", "text_render",
                 "--resume"]) == 2  # fmt: skip
    assert "began with another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("instead", "sentence"),
    [
        ([], "The model CompVis/stable-diffusion-v1-4 is not on this computer"),
        (["--generator", "text_render"], "inception"),
    ],
    ids=["model", "weights"],
)
def test_a_preset_without_its_models_ends_in_a_sentence_and_spends_nothing(
    tmp_path, home, digits, ledger, no_network, capsys, instead, sentence
):
    run = ["run", str(digits), "--output", str(tmp_path / "out"), "--preset", "cats", *instead]
    assert main(run) == 2
    said = capsys.readouterr().err.splitlines()
    assert sentence in said[-1] and said[-1].startswith("Error: ")
    assert not any("Traceback" in line for line in said)
    assert [entry.reserved for entry in ledger.datasets()] in ([], [0])
    assert ledger.spent("digits") == []


def test_presets_are_listed(capsys):
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}: " in listed for name in PRESETS)
    assert "--option model=CompVis/stable-diffusion-v1-4" in listed


def test_calculator(capsys):
    assert main(["sigma", "--epsilon", "1", "--iterations", "10"]) == 0
    assert capsys.readouterr().out.strip() == "11.7972"
    assert main(["epsilon", "--sigma", "11.7972", "--iterations", "10"]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(1.0, abs=1e-5)


def test_generators_lists_options(capsys):
    assert main(["generators"]) == 0
    listed = capsys.readouterr().out
    assert "text_render" in listed
    assert "--option ink=light" in listed
    assert "pixels" in listed


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_interrupt_stops_with_130_and_resumes(tmp_path, home, digits):
    out = tmp_path / "out"
    settings = ["--iterations", "200", "--num-samples", "3000", "--lookahead", "8"]
    process = subprocess.Popen(
        command("run", digits, "--output", out, *settings),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / "generations" / "0001.npz").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: python -m pe_engine resume" in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_kill_9_at_any_moment_then_resume(tmp_path, home, digits):
    """Same noisy votes, every generation charged once, whenever the process dies."""
    chance = random.Random(0)
    ledger = Ledger(home)
    whole = None
    for attempt in range(3):
        out, name = tmp_path / f"out{attempt}", f"killed {attempt}"
        run = command("run", digits, "--output", out, "--dataset-name", name, "--resume", *QUICK)
        seen = {}
        for _ in range(4 if whole else 0):
            process = subprocess.Popen(
                run, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(whole * chance.uniform(0.2, 1.0))
            process.kill()
            process.wait()
            for t, votes in committed(ledger, out).items():
                np.testing.assert_array_equal(seen.setdefault(t, votes), votes)
        started = time.monotonic()
        subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
        whole = whole or time.monotonic() - started
        final = committed(ledger, out)
        assert sorted(final) == [1, 2, 3]
        for t, votes in seen.items():
            np.testing.assert_array_equal(final[t], votes)
        # all attempts are on the same images, which the ledger knows by their fingerprint
        assert sum(c.generations for c in ledger.spent(name)) == 3 * (attempt + 1)
        assert (out / "synthetic.zip").is_file()


def committed(ledger, out):
    """generation -> noisy votes of the run in ``out``"""
    if not (out / "run.json").exists():
        return {}
    run_id = json.loads((out / "run.json").read_text())["run_id"]
    votes = {t: ledger.noisy_votes(run_id, t) for t in (1, 2, 3)}
    return {t: v for t, v in votes.items() if v is not None}
