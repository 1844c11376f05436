"""Stored generations in small parts: one image, who descends from whom, votes to sort by."""

from dataclasses import replace

import numpy as np
import pytest

from pe_engine.arrays import BadArrayError, read_row
from pe_engine.build import continue_run
from pe_engine.errors import RunError
from pe_engine.events import GenerationReady, Progress, VotesReleased
from pe_engine.generations import Generations
from pe_engine.generators.text_render import TextRender
from pe_engine.header import Header
from pe_engine.population import Population
from pe_engine.population_files import read_image, read_links, write_population
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder


@pytest.fixture
def colours(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 6, 6, 3), np.uint8)
    parents = np.array([0, 0, 2, -1, 1])
    made = Population(images, np.array([0, 0, 1, 1, 1]), parents, {"x": rng.random((5, 2))})
    write_population(tmp_path / "0000.npz", made)
    return tmp_path / "0000.npz", made


def test_one_image_and_the_links_are_read_alone(colours, monkeypatch):
    path, made = colours
    links = read_links(path)
    np.testing.assert_array_equal(links.parents, made.parents)
    np.testing.assert_array_equal(links.class_ids, made.class_ids)
    monkeypatch.setattr("pe_engine.arrays._array", None)  # reads an array whole
    for i, image in enumerate(made.images):
        np.testing.assert_array_equal(read_image(path, i), image)


def test_a_row_is_found_however_the_array_is_stored(tmp_path):
    array = np.arange(60, dtype=np.float32).reshape(5, 3, 4)
    np.savez(tmp_path / "rows.npz", a=array)
    np.savez_compressed(tmp_path / "packed.npz", a=array)
    np.savez(tmp_path / "columns.npz", a=np.asfortranarray(array))
    for name in ("rows", "packed", "columns"):
        for row in range(5):
            np.testing.assert_array_equal(read_row(tmp_path / f"{name}.npz", "a", row), array[row])
        for missing in (("a", 5), ("a", -1), ("b", 0)):
            with pytest.raises(BadArrayError):
                read_row(tmp_path / f"{name}.npz", *missing)


def test_a_damaged_or_missing_generation_is_a_sentence(colours, tmp_path):
    path, _ = colours
    with pytest.raises(RunError, match="damaged"):
        read_image(path, 5)
    path.write_bytes(path.read_bytes()[:300])
    for what in (path, tmp_path / "0001.npz"):
        with pytest.raises(RunError, match="damaged"):
            read_links(what)
        with pytest.raises(RunError, match="damaged"):
            read_image(what, 0)


@pytest.fixture
def finished(tmp_path, config, digits, ledger):
    """A finished run's events, its generations and its threshold."""
    start_run(tmp_path / "out", config, digits, ledger)
    events = list(continue_run(RunFolder(tmp_path / "out"), ledger))
    header = Header.from_json(RunFolder(tmp_path / "out").read_header())
    stored = Generations(RunFolder(tmp_path / "out"), ledger, header.run_id)
    return events, stored, header.budget.threshold


def test_votes_on_an_image_are_out_with_the_next_generation(finished):
    events, stored, _ = finished
    votes = {e.generation: e.noisy_votes for e in events if isinstance(e, VotesReleased)}
    parents = {e.generation: e.population.parents for e in events if isinstance(e, GenerationReady)}
    for newest in range(4):
        for g in range(newest):
            basis, known = stored.known_votes(g, newest)
            assert basis == "own"
            np.testing.assert_array_equal(known, votes[g + 1])
        basis, known = stored.known_votes(newest, newest)
        if newest == 0:
            assert (basis, known) == ("none", None)
        else:
            assert basis == "parents"
            np.testing.assert_array_equal(known, votes[newest][parents[newest]])


def test_without_the_ledger_there_are_no_votes_to_sort_by(finished, monkeypatch):
    _, stored, threshold = finished

    def away(*_):
        raise RunError("The ledger cannot be used.")

    for instead in (away, lambda *_: None, lambda *_: np.zeros(7, np.int64)):
        monkeypatch.setattr(stored._ledger, "noisy_votes", instead)
        assert stored.known_votes(0, 3) == ("none", None)
        assert (
            Generations(stored._store, stored._ledger, stored._run_id).effective_parents(
                1, threshold, "proportional"
            )
            is None
        )


def test_effective_parents_are_summed_over_the_classes(finished):
    events, stored, threshold = finished
    for event in events:
        if not isinstance(event, VotesReleased):
            continue
        expected = 0.0
        for ours in np.split(event.noisy_votes, 3):  # 10 images of each class
            left = np.maximum(ours - threshold, 0)
            left = left if left.any() else np.ones(10)
            expected += left.sum() ** 2 / (left**2).sum()
        number = stored.effective_parents(event.generation, threshold, "proportional")
        assert number == pytest.approx(expected)
        assert 3 <= number <= 30


@pytest.mark.parametrize("lookahead, fresh", [(0, False), (2, False), (2, True)])
def test_what_a_run_says_it_made_is_what_its_generator_made(
    tmp_path, config, digits, ledger, monkeypatch, lookahead, fresh
):
    asked = []
    draw, vary = TextRender.random, TextRender.vary

    def counting(method):
        def counted(self, given, *arguments):
            made = method(self, given, *arguments)
            asked.append(len(next(iter(made.values()))))
            return made

        return counted

    monkeypatch.setattr(TextRender, "random", counting(draw))
    monkeypatch.setattr(TextRender, "vary", counting(vary))
    changed = replace(config, lookahead=lookahead, fresh_children=fresh)
    start_run(tmp_path / "out", changed, digits, ledger)
    told = [e for e in continue_run(RunFolder(tmp_path / "out"), ledger) if isinstance(e, Progress)]
    assert sum(event.made for event in told) == sum(asked)
    assert {e.phase.name for e in told if e.images is not None} == {
        "RANDOM",
        "VARY",
        *(["LOOKAHEAD"] if lookahead else []),
    }
