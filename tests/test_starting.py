"""What is checked and agreed to before a run begins."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine import cli
from pe_engine.build import continue_run
from pe_engine.components import settled_options, shown_options
from pe_engine.errors import ConfigError, RunError
from pe_engine.header import Header
from pe_engine.starting import cost, settled, start_run
from pe_engine.storage import RunFolder
from tests.paid import Paid

PAID = "tests.paid:Paid"
RUN = ["--generator", PAID, "--iterations", "1", "--num-samples", "6", "--lookahead", "2"]


@pytest.fixture
def paid(config):
    return replace(config, generator=PAID, num_samples=(30, 20, 10, 40), lookahead=2)


def refused(match, tmp_path, config, source, ledger):
    with pytest.raises(ConfigError, match=match):
        start_run(tmp_path / "out", config, source, ledger)
    assert not (tmp_path / "out").exists()


def test_cost_counts_new_images_children_looked_at_and_children_made(paid):
    # 30 new ones; L = 2 of 30, 20 and 10 candidates; 20, 10 and 40 members of the generations
    assert cost(paid).calls == 30 + 2 * (30 + 20 + 10) + 20 + 10 + 40
    assert cost(replace(paid, generator="text_render")) is None


def test_given_pictures_are_not_paid_for(paid):
    assert cost(replace(paid, initial="somewhere")).calls == cost(paid).calls - 30


def test_nothing_starts_before_the_cost_is_agreed_to(tmp_path, paid, digits, ledger):
    said = (
        r"asks squares.example for up to 220 images: \$4.40 by the price of an image. What is sent "
        r"along and answers that cannot be used may cost more. Set the option most_calls .* to 220"
    )
    refused(said, tmp_path, paid, digits, ledger)
    refused(said, tmp_path, replace(paid, generator_options={"most_calls": 219}), digits, ledger)
    agreed = replace(paid, generator_options={"most_calls": 220})
    assert len(start_run(tmp_path / "out", agreed, digits, ledger)) == 60


def test_the_command_line_tells_the_cost_and_asks(tmp_path, digits, home, capsys, monkeypatch):
    command = ["run", str(digits), "--output", str(tmp_path / "out"), *RUN]
    assert cli.main(command) == 2
    told = capsys.readouterr()
    assert "up to 24 images: $0.48" in told.out
    assert "Say --yes" in told.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, code in (("n", 2), ("", 2), ("y", 0)):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert cli.main(command) == code
    assert (tmp_path / "out" / "synthetic.zip").is_file()


def test_the_command_line_takes_yes_beforehand(tmp_path, digits, home):
    assert cli.main(["run", str(digits), "--output", str(tmp_path / "out"), "--yes", *RUN]) == 0


def test_pictures_of_unknown_origin_are_sent_to_no_service(tmp_path, paid, digits, ledger):
    np.savez(tmp_path / "unknown.npz", samples=np.zeros((30, 8, 8, 3), np.uint8))
    asked = replace(
        paid, generator_options={"most_calls": 999}, initial=str(tmp_path / "unknown.npz")
    )
    refused("nobody knows whether they are private", tmp_path, asked, digits, ledger)


def test_degrees_in_the_generators_own_unit_become_the_runs(paid):
    options = {"halves": True}
    assert settled(replace(paid, generator_options=options)).degrees == (0.5, 0.5, 0.5)
    again = settled(settled(replace(paid, generator_options=options)))
    assert again.degrees == (0.5, 0.5, 0.5)
    with pytest.raises(ConfigError, match="degrees are given twice"):
        settled(replace(paid, generator_options=options, degrees=(1, 1, 1)))
    with pytest.raises(ConfigError, match="name 3 variation degrees, but there are 2"):
        settled(replace(paid, generator_options=options, iterations=2, num_samples=(30,)))


def test_paths_are_found_from_any_folder_later(tmp_path, paid, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuned").mkdir()
    chosen = settled(replace(paid, generator_options={"pool": "pictures"}))
    assert chosen.generator_options["pool"] == str(tmp_path / "pictures")
    assert settled_options("stable_diffusion", {"model": "tuned", "variation_model": "a/b"}) == {
        "model": str(tmp_path / "tuned"),
        "variation_model": "a/b",  # on the hub, as no folder is called so
    }


def test_names_need_not_be_public_for_a_generator_that_does_not_use_them(
    tmp_path, config, digits, ledger
):
    with zipfile.ZipFile(digits) as old, zipfile.ZipFile(tmp_path / "named.zip", "w") as new:
        for name in old.namelist():
            new.writestr(f"person-{name}", old.read(name))
    both = r"class names would be given.*Tick .*may be public.*--public-class-names"
    refused(both, tmp_path, config, tmp_path / "named.zip", ledger)
    faces = replace(config, generator="avatar", image_size=16)
    start_run(tmp_path / "out", faces, tmp_path / "named.zip", ledger)


@pytest.mark.parametrize("pool", ["{folder}/private", "{folder}", "{folder}/private/cats"])
def test_the_generator_is_not_given_the_private_images(tmp_path, paid, ledger, digits, pool):
    cats = tmp_path / "private" / "cats"
    cats.mkdir(parents=True)
    (cats / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    options = {"most_calls": 1000, "pool": pool.format(folder=tmp_path)}
    asked = replace(paid, generator_options=options, prompts=("a",), classes="none")
    refused("would read the private images", tmp_path, asked, tmp_path / "private", ledger)
    (tmp_path / "public").mkdir()
    elsewhere = replace(asked, generator_options=options | {"pool": str(tmp_path / "public")})
    start_run(tmp_path / "out", elsewhere, tmp_path / "private", ledger)


def test_paths_inside_a_composite_are_kept_whole_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"simulator": "image_pool", "simulator_options": "radius=5; pool=pictures"}
    chosen = settled_options("composite", options)
    assert chosen["simulator_options"] == f"radius=5.0; pool={tmp_path / 'pictures'}"
    assert settled_options("composite", chosen) == chosen


def test_what_a_manifest_shows_of_addresses_and_paths():
    shown = shown_options("openai_images", {"base_url": "https://inner.example:81/v1"})
    assert shown == {"base_url": "inner.example"}
    assert shown_options("image_pool", {"pool": "alice/pool"}) == {"pool": "pool"}


def test_prompts_that_cannot_be_drawn_are_refused_before_the_start(
    tmp_path, config, digits, ledger
):
    (tmp_path / "weights.pt").write_bytes(b"PK")
    options = {"model_path": str(tmp_path / "weights.pt")}
    asked = replace(config, generator="improved_diffusion", generator_options=options)
    refused(
        "only knows ImageNet's classes",
        tmp_path,
        replace(asked, class_prompts={"1": ("207", "a cat")}),
        digits,
        ledger,
    )


def test_children_that_are_remembered_as_pixels_count_as_memory(tmp_path, config, digits, ledger):
    class Remembering(Paid):
        varies_pixels = True

    large = {"image_size": 1024, "num_samples": (300,), "lookahead": 8}
    options = {"most_calls": 10**6}
    asked = replace(config, generator=PAID, generator_options=options, **large)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.paid.Paid", Remembering)
        refused("look-ahead variations need 7.9 GiB", tmp_path, asked, digits, ledger)
        start_run(tmp_path / "fresh", replace(asked, fresh_children=True), digits, ledger)
    start_run(tmp_path / "states", asked, digits, ledger)


def test_files_that_were_exchanged_since_the_start_are_refused(tmp_path, config, digits, ledger):
    class Weighted(Paid):
        provenance = {"SHA-256 of model_path": "first"}  # noqa: RUF012

        def keep_in(self, folder):
            folder.mkdir(exist_ok=True)
            (folder / "computed").write_bytes(b"x")

    asked = replace(config, generator=PAID, generator_options={"most_calls": 1000})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.paid.Paid", Weighted)
        start_run(tmp_path / "out", asked, digits, ledger)
        folder = RunFolder(tmp_path / "out")
        next(continue_run(folder, ledger))
        patch.setattr(Weighted, "provenance", {"SHA-256 of model_path": "second"})
        with pytest.raises(RunError, match="the SHA-256 of model_path was first"):
            next(continue_run(folder, ledger))
        patch.setattr(Weighted, "provenance", {"SHA-256 of model_path": "first"})
        assert [*continue_run(folder, ledger)]
        assert not folder.generator_path.exists()
        patch.setattr(Weighted, "keeps_for_good", True)
        start_run(tmp_path / "kept", asked, digits, ledger)
        assert [*continue_run(RunFolder(tmp_path / "kept"), ledger)]
        assert (tmp_path / "kept" / "generator" / "computed").exists()

        # a run that goes on from another one's states needs the files that made them
        start_run(tmp_path / "next", replace(asked, initial=str(folder.path)), digits, ledger)
        patch.setattr(Weighted, "provenance", {"SHA-256 of model_path": "second"})
        with pytest.raises(RunError, match="the SHA-256 of model_path was first"):
            next(continue_run(RunFolder(tmp_path / "next"), ledger))


def test_a_run_that_was_begun_before_there_were_other_starts_is_read(
    tmp_path, config, digits, ledger
):
    start_run(tmp_path / "out", config, digits, ledger)
    stored = RunFolder(tmp_path / "out").read_header()
    for name in ("inherited", "start_is_known"):
        del stored[name]
    header = Header.from_json(stored)
    assert header.inherited == ()
    assert header.start == "generator"


def test_a_limit_on_calls_holds_whatever_else_is_said(tmp_path, digits, home, capsys):
    command = ["run", str(digits), "--output", str(tmp_path / "out"), *RUN, "--yes"]
    assert cli.main([*command, "--option", "most_calls=10"]) == 2
    assert "You agreed to 10 calls" in capsys.readouterr().err


def test_a_resumed_run_calls_the_classes_the_same(tmp_path, config, digits, ledger):
    changed = replace(config, class_map={"0": "round", "2": ""}, prompts=("A",))
    dataset = start_run(tmp_path / "out", changed, digits, ledger)
    assert dataset.class_names == ("1", "round")
    assert dict(dataset.found) == {"0": 20, "1": 20, "2": 20}
    assert {s.reason for s in dataset.skipped} == {"belongs to a class that is left out"}
    folder = RunFolder(tmp_path / "out")
    assert Header.from_json(folder.read_header()).config.class_map == {"0": "round", "2": ""}
    notices = [
        event.message for event in continue_run(folder, ledger) if hasattr(event, "message")
    ]  # the images are found anew
    assert "20 files could not be used as images; left out." in notices
    released = np.load(tmp_path / "out" / "samples.npz", allow_pickle=False)
    assert released["classes"].tolist() == ["0", "1"]  # "round" may be private


def test_a_class_that_there_is_not_is_not_renamed(tmp_path, config, digits, ledger):
    for change in ({"7": "seven"}, {"0": "x", "O": ""}):
        asked = replace(config, class_map=change)
        refused("no such class was found", tmp_path, asked, digits, ledger)
    declared = {"classes": "prefix", "class_names": ("0", "1"), "class_map": {"7": "1"}}
    assert len(start_run(tmp_path / "out", replace(config, **declared), digits, ledger)) == 40
