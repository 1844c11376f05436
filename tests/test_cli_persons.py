"""Several images of a person on the command line: what it says, and what the ledger is charged."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.build import continue_run, plan_budget
from pe_engine.cli import main
from pe_engine.config import RunConfig
from pe_engine.errors import ConfigError
from pe_engine.initial import Past, past
from pe_engine.privacy.accounting import epsilon_spent, noise_multiplier
from pe_engine.privacy.ledger import Charge, Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import png

RUN = ["--num-samples", "12", "--iterations", "2", "--lookahead", "1", "--epsilon", "3"]
PERSONS = ["--classes", "folder", "--persons", "folder", "--person-votes", "2"]


@pytest.fixture
def ward(tmp_path):
    """Pictures of anna in two classes, of ben in one; one of a class that nobody declares."""
    path = tmp_path / "ward.zip"
    names = ["x/anna/1.png", "x/anna/2.png", "y/anna/3.png", "y/ben/1.png", "z/cy/1.png"]
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, png(rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)))
    return path


def run(ward, out, *more):
    return main(["run", str(ward), "--output", str(out), *RUN, *more])


def test_a_run_for_persons_says_so_and_is_charged_so(home, ward, tmp_path, capsys):
    assert run(ward, tmp_path / "out", *PERSONS, "--class-names", "y,x") == 0
    told = capsys.readouterr()
    assert "4 images of 2 persons ('anna' is one, with 3 of them) in 2 classes" in told.out
    assert "for each person after 2 generations" in told.out
    assert "found in the images" not in told.out
    sigma = noise_multiplier(3.0, 1e-5, 2, 2)
    assert Ledger(home).spent("ward") == [Charge(sigma, 2, 2, "person")]
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
    assert (settings["persons"], settings["person_votes"]) == ("folder", 2)
    everything = b"".join(
        path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert b"anna" not in everything and b"ben/" not in everything


def test_the_owner_is_told_what_found_classes_do_not_protect(home, ward, tmp_path, capsys):
    assert run(ward, tmp_path / "out", "--classes", "folder") == 0
    assert "they were found in the images" in capsys.readouterr().out
    assert run(ward, tmp_path / "none", "--classes", "none", "--prompt", "a") == 0
    assert "they were found in the images" not in capsys.readouterr().out


def test_the_budget_of_each_person_is_shown_where_a_run_knew_persons(home, ward, tmp_path, capsys):
    run(ward, tmp_path / "a", "--classes", "folder")
    capsys.readouterr()
    main(["budget"])
    assert "person" not in capsys.readouterr().out
    run(ward, tmp_path / "b", *PERSONS, "--dataset-name", "other", "--epsilon-cap", "9")
    capsys.readouterr()
    main(["budget"])
    table = capsys.readouterr().out
    assert "ε add/remove of a person" in table and "9 of a person" in table
    assert "no bound" in table  # the same images voted on their own in the first run


def test_sigma_and_epsilon_of_persons(capsys):
    budget = ["--iterations", "3", "--neighbours", "5"]
    assert main(["sigma", "--epsilon", "1", *budget, "--person-votes", "2"]) == 0
    assert float(capsys.readouterr().out) == noise_multiplier(1.0, 1e-5, 3, 2)
    assert main(["epsilon", "--sigma", "9", *budget, "--person-votes", "2"]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(epsilon_spent(9.0, 1e-5, 3, 2), 1e-5)


# Starting from an earlier run -------------------------------------------------------------------


def test_what_an_earlier_run_cost_is_counted_in_the_units_of_the_new_one():
    images = RunConfig(dataset_name="d", iterations=2)
    persons = replace(images, classes="none", persons="folder", person_votes=3)
    charge = Charge(20.0, 2, 4, "person")
    past = Past((charge,), True, "folder", "a")
    assert plan_budget(images, past).inherited == epsilon_spent(20.0, 1e-5, 4, 4)
    assert plan_budget(persons, past).inherited == epsilon_spent(20.0, 1e-5, 4, 2)
    with pytest.raises(ConfigError, match="nothing bounds what one person did"):
        plan_budget(persons, replace(past, charges=(charge, replace(charge, unit="image"))))
    with pytest.raises(ConfigError, match=r"by the rule folder, but .* told them by prefix"):
        plan_budget(persons, replace(past, persons="prefix"))
    with pytest.raises(ConfigError, match="a release does not tell for which persons"):
        plan_budget(persons, replace(past, run_id=""))


def test_an_earlier_run_or_its_release_says_in_which_unit_it_was_charged(
    home, ward, tmp_path, capsys
):
    run(ward, tmp_path / "out", *PERSONS)
    (tmp_path / "copy").mkdir()
    for name in ("samples.npz", "manifest.json"):
        (tmp_path / "copy" / name).write_bytes((tmp_path / "out" / name).read_bytes())
    own = Charge(noise_multiplier(3.0, 1e-5, 2, 2), 2, 2, "person")
    run_id = RunFolder(tmp_path / "out").read_header()["run_id"]
    for start in ("out", "out/samples.npz"):
        assert past(str(tmp_path / start)) == Past((own,), True, "folder", run_id)
    assert past(str(tmp_path / "copy/samples.npz")) == Past((own,), True, "folder", "")

    more = ["--initial", str(tmp_path / "out"), "--classes", "folder", "--dataset-name", "next"]
    assert run(ward, tmp_path / "next", *more) == 0
    assert past(str(tmp_path / "next")).charges[0] == own
    assert past(str(tmp_path / "next" / "samples.npz")).charges[0] == own
    back = ["--initial", str(tmp_path / "next")]
    capsys.readouterr()
    assert run(ward, tmp_path / "last", *PERSONS, *back) == 2
    assert "every image voted on its own" in capsys.readouterr().err
    assert not (tmp_path / "last").exists()


# Votes in a run ---------------------------------------------------------------------------------


def test_too_few_samples_for_a_persons_votes_are_refused(ledger, ward, tmp_path):
    config = RunConfig(
        dataset_name="d", num_samples=(9,), classes="folder", persons="folder", person_votes=10
    )
    with pytest.raises(ConfigError, match="vote for 10 candidates, but there are only 9"):
        start_run(tmp_path / "out", config, ward, ledger)
    assert ledger.datasets() == []


@pytest.mark.parametrize("keep", [False, True])
def test_the_images_of_a_person_vote_together_after_a_resume_too(
    ledger, ward, tmp_path, monkeypatch, keep
):
    """The clean counts, seen where noise is added: at most two votes of each of two persons."""
    clean = []

    def seen(counts, _):
        clean.append(counts)
        return counts

    monkeypatch.setattr("pe_engine.release.discrete_gaussian", seen)
    config = RunConfig(
        dataset_name="d",
        num_samples=(12,),
        iterations=3,
        lookahead=0,
        classes="folder",
        class_names=("x", "y"),
        persons="folder",
        person_votes=2,
        neighbours=3,
        keep_features=keep,
    )
    start_run(tmp_path / "out", config, ward, ledger)
    folder = RunFolder(tmp_path / "out")
    events = continue_run(folder, ledger)
    while folder.last_generation() < 1:
        next(events)
    events.close()
    stored = tmp_path / "out" / "private" / "features.npz"
    assert stored.exists() == keep
    if keep:
        with np.load(stored) as file:
            assert file["person_ids"].tolist() == [0, 0, 0, 1]
    list(continue_run(folder, ledger))
    assert [counts.sum() for counts in clean] == [4, 4, 4]
    assert all(counts.max() <= 2 for counts in clean)
