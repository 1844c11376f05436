"""The list of runs over HTTP: what it tells, titles, the queue, deletion, and other's runs."""

import json
import os
import shutil

import pytest
from visitors import local_app, local_client, shared_app, shared_client

from pe_engine.header import new_run_id
from pe_engine.jobs import JobManager
from pe_engine.storage import RunFolder
from pe_engine.titles import LONGEST_TITLE, read_title, write_title
from pe_engine.ui import watch_routes
from pe_engine.ui.history_routes import DAMAGED, PAGE
from pe_engine.ui.identity import identity

ANN = identity("account", "ann").owner


@pytest.fixture(scope="module")
def made(tmp_path_factory, digits):
    """A home with one finished run of nobody's, and its id."""
    from pe_engine.config import RunConfig

    home = tmp_path_factory.mktemp("home")
    manager = JobManager(home)
    config = RunConfig(
        dataset_name="digits", iterations=1, num_samples=(30,), lookahead=0, epsilon=5.0
    )
    run = manager.submit(config, digits)
    assert run.wait(60).error == ""
    manager.close()
    return home, run.run_id


@pytest.fixture
def copies(made, tmp_path):
    """A home of this test's own, and a way to get more of that run, made so many seconds later."""
    home = tmp_path / "home"
    shutil.copytree(made[0], home)
    first = home / "runs" / made[1]

    def copy(later):
        run_id = new_run_id()
        folder = shutil.copytree(first, first.with_name(run_id))
        header = folder / "run.json"
        header.write_text(header.read_text().replace(made[1], run_id))
        os.utime(header, (first.stat().st_mtime + later,) * 2)
        return run_id

    return home, made[1], copy


@pytest.fixture
def browser(copies):
    with local_client(local_app(copies[0])) as client:
        yield client


def test_runs_are_listed_newest_first_with_what_they_are(browser, copies):
    _, first, copy = copies
    newest, middle = copy(20), copy(10)
    told = browser.get("/runs").json()
    assert told["total"] == 3
    assert [run["run_id"] for run in told["runs"]] == [newest, middle, first]
    run = told["runs"][0]
    facts = ("dataset", "generator", "samples", "epsilon", "generation", "title", "status", "zip")
    assert [run[name] for name in facts] == [
        *("digits", "text render", 30, 5.0, 1, "", "done", True),
    ]
    assert run["line"].startswith("Done: 1 generation")
    image = browser.get(f"/runs/{newest}/thumbnail/1.png")
    assert image.headers["content-type"] == "image/png"
    assert browser.get(f"/runs/{newest}/thumbnail/9.png").status_code == 404


def test_the_list_comes_in_pages(browser, copies):
    _, first, copy = copies
    made = [first, *(copy(later) for later in range(1, PAGE + 2))]
    pages = [browser.get("/runs", params={"skip": skip}).json() for skip in (0, PAGE, 2 * PAGE)]
    assert [len(page["runs"]) for page in pages] == [PAGE, 2, 0]
    assert {page["total"] for page in pages} == {PAGE + 2}
    ids = [run["run_id"] for page in pages for run in page["runs"]]
    assert ids == made[::-1]
    assert browser.get("/runs?most=0").json() == {"total": PAGE + 2, "runs": []}
    assert len(browser.get("/runs?most=-4&skip=-3").json()["runs"]) == 0


def test_a_title_is_kept_in_one_line_and_bounded(browser, copies):
    home, run_id, _ = copies

    def put(title):
        return browser.put(f"/runs/{run_id}/title", content=json.dumps({"title": title}))

    assert put("  ward\n seven ").json() == {"title": "ward seven"}
    assert browser.get("/runs").json()["runs"][0]["title"] == "ward seven"
    assert put("x" * LONGEST_TITLE).is_success
    too_long = put("x" * (LONGEST_TITLE + 1))
    assert too_long.status_code == 409 and "80 is the most" in too_long.json()["detail"]
    assert put("a\u202eb").status_code == 409
    for bad in (b"", b"{", b"[]", b"{}", b'{"title": 5}', b'{"title": "\\ud800"}', b"x" * 5000):
        assert browser.put(f"/runs/{run_id}/title", content=bad).status_code == 400, bad
    assert read_title(home / "runs" / run_id) == "x" * LONGEST_TITLE
    assert put("").is_success and read_title(home / "runs" / run_id) == ""
    assert (home / "runs" / run_id / "title.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"{}", b"null", b"\xff"])
def test_a_damaged_title_is_none(tmp_path, damaged):
    write_title(tmp_path, "a title")
    assert read_title(tmp_path) == "a title"
    (tmp_path / "title.json").write_bytes(damaged)
    assert read_title(tmp_path) == ""


def test_deleting_one_and_all(browser, copies):
    home, first, copy = copies
    second, third = copy(1), copy(2)
    (home / "runs" / third / "run.json").write_text("{")
    told = browser.get("/runs").json()["runs"]
    assert (told[0]["status"], told[0]["line"]) == ("damaged", DAMAGED)
    assert browser.delete(f"/runs/{second}").is_success
    assert browser.delete(f"/runs/{second}").status_code == 404
    assert browser.delete("/runs").json() == {"deleted": 1, "left": 1}
    assert [folder.name for folder in (home / "runs").iterdir()] == [third]
    assert not (home / "runs" / first).exists()


def test_a_command_line_and_a_cost_are_told_to_the_owner_of_a_run(browser, copies):
    _, run_id, _ = copies
    line = browser.get(f"/runs/{run_id}/command.json").json()["command"]
    assert line.startswith("python -m pe_engine run DATA --output OUT --dataset-name=digits")
    wish = {"generation": 1, "iterations": 2, "epsilon": 5}
    cost = browser.get(f"/runs/{run_id}/cost.json", params=wish).json()
    assert cost["before"] == pytest.approx(5, rel=1e-3)
    assert 6 < cost["together"] < 10
    assert "for each image" in cost["sentence"]
    for name, value in (("generation", 2), ("generation", -1), ("iterations", 0), ("epsilon", 0)):
        refused = browser.get(f"/runs/{run_id}/cost.json", params=wish | {name: value})
        assert refused.status_code == 409, name
    assert browser.post(f"/runs/{run_id}/finish").status_code == 409


def test_a_visitor_is_not_told_private_settings(copies):
    home, run_id, _ = copies
    (home / "runs" / run_id / "owner.json").write_text(json.dumps({"owner": ANN}))
    app = shared_app(home)
    with shared_client(app) as ann:
        told = ann.get("/runs").json()
        assert told["total"] == 1 and told["runs"][0]["dataset"] == "private images"
        assert "digits" not in ann.get(f"/runs/{run_id}/command.json").text
        bob = shared_client(app, "bob")
        assert bob.get("/runs").json() == {"total": 0, "runs": []}
        assert bob.delete(f"/runs/{run_id}").status_code == 404
        assert bob.delete("/runs").json() == {"deleted": 0, "left": 0}
        assert ann.get("/runs").json()["total"] == 1


def test_a_full_disk_is_said_when_a_run_is_shared(browser, copies, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "/home/me/runs")

    monkeypatch.setattr(watch_routes, "link_to", full)
    answer = browser.post(f"/runs/{copies[1]}/link")
    assert answer.status_code == 507 and "No space left" in answer.json()["detail"]
    assert "/home/me" not in answer.text


def test_a_list_of_pictures_reads_no_whole_generation(copies, monkeypatch):
    def read(*_):
        raise AssertionError("it would be kept in memory")

    monkeypatch.setattr(RunFolder, "read_population", read)
    with local_client(local_app(copies[0])) as browser:
        assert browser.get(f"/runs/{copies[1]}/thumbnail/1.png").is_success
        assert browser.get(f"/runs/{copies[1]}/takeout.json").json()["side"] == 28
