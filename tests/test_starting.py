"""What is checked and agreed to before a run begins."""

import zipfile
from dataclasses import replace

import pytest

from pe_engine import cli
from pe_engine.components import settled_options
from pe_engine.errors import ConfigError
from pe_engine.starting import cost, settled, start_run

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
    refused("class names would be given", tmp_path, config, tmp_path / "named.zip", ledger)
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
