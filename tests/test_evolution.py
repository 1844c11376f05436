"""The loop, on real images with the real generator: what it says, and that it can be repeated."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.build import continue_run
from pe_engine.embedders.pixels import Pixels
from pe_engine.errors import ConfigError, GeneratorError, RunError
from pe_engine.events import GenerationReady, Notice, Phase, Progress, VotesReleased
from pe_engine.evolution import shares
from pe_engine.generators.text_render import TextRender
from pe_engine.header import Header
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import share_votes


def run(out, config, source, ledger, until=None):
    """All events of a new run; with ``until`` it is closed after the first event that fits."""
    start_run(out, config, source, ledger)
    return go_on(out, ledger, until)


def go_on(out, ledger, until=None):
    events = continue_run(RunFolder(out), ledger)
    seen = []
    for event in events:
        seen.append(event)
        if until is not None and until(event):
            events.close()
            return seen
    return seen


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def spent(ledger, name="digits"):
    return sum(charge.generations for charge in ledger.spent(name))


def test_a_run_says_every_generation_and_charges_each_once(tmp_path, config, digits, ledger):
    events = run(tmp_path / "out", config, digits, ledger)
    ready = of(GenerationReady, events)
    assert [e.generation for e in ready] == [0, 1, 2, 3]
    votes = of(VotesReleased, events)
    assert [e.generation for e in votes] == [1, 2, 3]
    assert all(e.noisy_votes.shape == (30,) and e.noisy_votes.dtype == np.int64 for e in votes)
    assert votes[-1].epsilon_spent <= config.epsilon
    assert spent(ledger) == 3
    for e in ready:
        assert np.bincount(e.population.class_ids).tolist() == [10, 10, 10]
    assert (ready[0].population.parents == -1).all()
    assert (tmp_path / "out" / "synthetic.zip").is_file()


def test_children_descend_from_candidates_that_passed_the_threshold(
    tmp_path, config, digits, ledger
):
    events = run(tmp_path / "out", config, digits, ledger)
    generations = of(GenerationReady, events)
    for before, votes, after in zip(
        generations, of(VotesReleased, events), generations[1:], strict=False
    ):
        parents = after.population.parents
        np.testing.assert_array_equal(
            before.population.class_ids[parents], after.population.class_ids
        )
        for c in range(3):
            ours = after.population.class_ids == c
            candidates = before.population.class_ids == c
            if (votes.noisy_votes[candidates] > votes.threshold).any():
                assert (votes.noisy_votes[parents[ours]] > votes.threshold).all()


@pytest.mark.parametrize(
    "stop_at",
    [
        lambda e: isinstance(e, GenerationReady) and e.generation == 0,
        lambda e: isinstance(e, Progress) and e.phase is Phase.PRIVATE,
        lambda e: isinstance(e, Progress) and e.phase is Phase.LOOKAHEAD and e.generation == 2,
        lambda e: isinstance(e, VotesReleased) and e.generation == 2,
        lambda e: isinstance(e, Progress) and e.phase is Phase.VARY and e.generation == 3,
        lambda e: isinstance(e, Progress) and e.phase is Phase.EXPORT,
    ],
    ids=["generation 0", "reading", "looking ahead", "votes", "varying", "export"],
)
def test_a_stopped_run_goes_on_with_the_same_votes(tmp_path, config, digits, ledger, stop_at):
    out = tmp_path / "out"
    before = run(out, config, digits, ledger, until=stop_at)
    assert not (out / "synthetic.zip").exists()
    after = go_on(out, ledger)
    assert (out / "synthetic.zip").is_file()
    assert spent(ledger) == 3
    first = {e.generation: e.noisy_votes for e in of(VotesReleased, before)}
    again = {e.generation: e for e in of(VotesReleased, after)}
    for generation in first.keys() & again.keys():
        assert again[generation].reused
        np.testing.assert_array_equal(again[generation].noisy_votes, first[generation])


def test_images_are_decided_by_seed_and_votes(tmp_path, config, digits, ledger, monkeypatch):
    first = of(GenerationReady, run(tmp_path / "a", config, digits, ledger))
    share_votes(tmp_path / "a", monkeypatch)
    again = of(GenerationReady, run(tmp_path / "b", config, digits, ledger))
    other = of(GenerationReady, run(tmp_path / "c", replace(config, seed=1), digits, ledger))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.population.images, two.population.images)
        np.testing.assert_array_equal(one.population.parents, two.population.parents)
    assert (first[0].population.images != other[0].population.images).any()


@pytest.fixture
def small_batches(monkeypatch):
    """A generator that is asked for 7 images at once."""
    init = TextRender.__init__

    def smaller(self, *args, **options):
        init(self, *args, **options)
        self.batch_size = 7

    monkeypatch.setattr(TextRender, "__init__", smaller)


def test_every_batch_has_a_random_stream_of_its_own(
    tmp_path, config, digits, ledger, small_batches
):
    events = run(tmp_path / "out", replace(config, fresh_children=True), digits, ledger)
    for ready in of(GenerationReady, events):
        drawn = ready.population.state["params"]
        assert len(np.unique(drawn[:, 0])) == 30


def test_voted_children_become_members_and_only_the_rest_is_made(
    tmp_path, config, digits, ledger, monkeypatch
):
    made = []
    vary = TextRender.vary

    def watching(self, state, degree, rng):
        children = vary(self, state, degree, rng)
        made.append(children["params"])
        return children

    monkeypatch.setattr(TextRender, "vary", watching)
    config = replace(config, iterations=1, lookahead=2, threshold=0.0)
    generations = of(GenerationReady, run(tmp_path / "out", config, digits, ledger))
    looked_ahead, *new = made
    assert len(looked_ahead) == 60
    last = generations[-1].population
    expected = sum(max(0, count - 2) for count in np.bincount(last.parents))
    assert sum(map(len, new)) == expected
    assert 0 < expected < 30
    for parent in np.unique(last.parents):
        ours = last.state["params"][last.parents == parent]
        np.testing.assert_array_equal(ours[:2], looked_ahead[2 * parent :][:2][: len(ours)])


def test_fresh_children_are_all_made_anew(tmp_path, config, digits, ledger, monkeypatch):
    made = []
    vary = TextRender.vary
    monkeypatch.setattr(
        TextRender, "vary", lambda *args: made.append(len(args[1]["text"])) or vary(*args)
    )
    config = replace(config, iterations=1, lookahead=2, fresh_children=True)
    run(tmp_path / "out", config, digits, ledger)
    assert made == [60, 30]


def test_a_run_stopped_after_its_votes_ends_with_the_same_images(
    tmp_path, config, digits, ledger, monkeypatch, small_batches
):
    """The children that were voted on are forgotten with the process, and made again."""
    whole = of(GenerationReady, run(tmp_path / "a", config, digits, ledger))
    share_votes(tmp_path / "a", monkeypatch)
    again = of(GenerationReady, run(tmp_path / "b", config, digits, ledger))
    for one, two in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one.population.images, two.population.images)


def test_schedules_of_samples_and_keep_selected(tmp_path, config, digits, ledger):
    config = replace(config, num_samples=(60, 30, 9, 31), keep_selected=True, threshold=0.0)
    generations = of(GenerationReady, run(tmp_path / "out", config, digits, ledger))
    assert [len(e.population) for e in generations] == [60, 30, 9, 31]
    before, after = generations[0].population, generations[1].population
    for parent in np.unique(after.parents):
        children = after.images[after.parents == parent]
        same = (children == before.images[parent]).all(axis=(1, 2, 3))
        assert same[0]  # the parent itself comes first, then its variations
        assert not same[1:].all() or len(same) == 1


def test_no_vote_over_the_threshold_is_said_and_drawn_uniformly(tmp_path, config, digits, ledger):
    events = run(tmp_path / "out", replace(config, threshold=1e6), digits, ledger)
    notices = [e.message for e in of(Notice, events)]
    assert len(notices) == 9
    assert "No candidate of class 0" in notices[0]
    assert "drawn uniformly" in notices[0]
    last = of(GenerationReady, events)[-1].population
    assert (np.diff(np.sort(last.parents)) == 1).all()


def test_evolution_moves_towards_the_private_images(tmp_path, digits, config, ledger):
    """Private images that are all one digit pull an unlabelled mixture towards it."""
    config = replace(
        config,
        classes="none",
        prompts=("0", "1", "7"),
        num_samples=(90,),
        epsilon=100.0,
        iterations=3,
    )
    zeros = tmp_path / "zeros.zip"
    with zipfile.ZipFile(digits) as source, zipfile.ZipFile(zeros, "w") as target:
        for name in source.namelist():
            if name.startswith("0_"):
                target.writestr(name, source.read(name))
    generations = of(GenerationReady, run(tmp_path / "out", config, zeros, ledger))
    share = [np.mean(e.population.state["text"] == "0") for e in generations]
    assert share[0] == pytest.approx(1 / 3)
    assert share[-1] > 0.9


def test_class_names_need_consent_unless_they_are_single_characters(
    tmp_path, config, digits, ledger
):
    named = tmp_path / "named.zip"
    with zipfile.ZipFile(digits) as source, zipfile.ZipFile(named, "w") as target:
        for i, name in enumerate(source.namelist()):
            target.writestr(f"{'ann' if i % 2 else 'bob'}/{i}.png", source.read(name))
    config = replace(config, num_samples=(8,), iterations=1)
    with pytest.raises(ConfigError, match="2 class names would be given to the generator"):
        start_run(tmp_path / "a", config, named, ledger)
    assert not (tmp_path / "a").exists()
    start_run(tmp_path / "b", replace(config, public_class_names=True), named, ledger)
    start_run(tmp_path / "c", replace(config, prompts=("x",)), named, ledger)
    with pytest.raises(ConfigError, match="class 'cat', but no such class"):
        start_run(tmp_path / "d", replace(config, class_prompts={"cat": ["x"]}), named, ledger)


def test_too_few_samples_for_the_classes(tmp_path, config, digits, ledger):
    with pytest.raises(ConfigError, match="Ask for at least 6 samples"):
        start_run(tmp_path / "a", replace(config, num_samples=(5,), neighbours=2), digits, ledger)


def test_shares_are_equal_or_differ_by_one():
    assert shares(10, 3) == [4, 3, 3]
    assert shares(2, 3) == [1, 1, 0]


def test_a_run_belongs_to_its_ledger(tmp_path, config, digits, ledger):
    """With another ledger its votes would be drawn, and paid for, a second time."""
    out = tmp_path / "out"
    run(out, config, digits, ledger, until=lambda e: isinstance(e, VotesReleased))
    other = Ledger(tmp_path / "other home")
    with pytest.raises(RunError, match="another ledger"):
        go_on(out, other)
    assert other.datasets() == []
    go_on(out, ledger)
    assert spent(ledger) == 3


def test_a_ledger_put_back_from_an_old_copy_is_noticed(tmp_path, config, digits, ledger, home):
    out = tmp_path / "out"
    before = (home / "ledger.sqlite").read_bytes()
    until = lambda e: isinstance(e, GenerationReady) and e.generation == 1  # noqa: E731
    run(out, config, digits, ledger, until)
    (home / "ledger.sqlite").write_bytes(before)
    with pytest.raises(RunError, match="another ledger"):
        go_on(out, Ledger(home))


def test_votes_that_were_shown_are_missed_before_their_generation_is_made(
    tmp_path, config, digits, ledger, home
):
    out = tmp_path / "out"
    start_run(out, config, digits, ledger)
    before = (home / "ledger.sqlite").read_bytes()
    go_on(out, ledger, until=lambda e: isinstance(e, VotesReleased))
    assert RunFolder(out).last_generation() == 0
    (home / "ledger.sqlite").write_bytes(before)
    with pytest.raises(RunError, match="another ledger"):
        go_on(out, Ledger(home))
    assert spent(Ledger(home)) == 0


def test_votes_committed_right_before_a_crash_are_noted_once_they_are_shown(
    tmp_path, config, digits, ledger, home, monkeypatch
):
    out = tmp_path / "out"
    start_run(out, config, digits, ledger)
    before = (home / "ledger.sqlite").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "note_committed", _crash)
        with pytest.raises(KeyboardInterrupt):
            go_on(out, ledger)
    assert (spent(ledger), RunFolder(out).last_committed()) == (1, 0)
    (shown,) = of(VotesReleased, go_on(out, ledger, lambda e: isinstance(e, VotesReleased)))
    run_id = Header.from_json(RunFolder(out).read_header()).run_id
    np.testing.assert_array_equal(shown.noisy_votes, ledger.noisy_votes(run_id, 1))
    assert RunFolder(out).last_committed() == 1
    after = (home / "ledger.sqlite").read_bytes()
    (home / "ledger.sqlite").write_bytes(before)
    with pytest.raises(RunError, match="another ledger"):
        go_on(out, Ledger(home))
    (home / "ledger.sqlite").write_bytes(after)
    go_on(out, Ledger(home))
    assert spent(ledger) == 3


def _crash(self, generation):
    raise KeyboardInterrupt


def test_a_stop_or_an_error_gives_the_reservation_back(tmp_path, config, digits, ledger):
    run(tmp_path / "a", config, digits, ledger, until=lambda e: isinstance(e, VotesReleased))
    assert ledger.datasets()[0].reserved == 0
    with pytest.raises(ConfigError, match="sees no GPU"):
        start_run(tmp_path / "b", replace(config, device="cuda"), digits, ledger)
    assert not (tmp_path / "b").exists()
    assert ledger.datasets()[0].reserved == 0


def test_samples_that_would_not_fit_in_memory(tmp_path, config, digits, ledger):
    huge = replace(config, num_samples=(1_000_000,), image_size=512)
    with pytest.raises(ConfigError, match="GiB is the most"):
        start_run(tmp_path / "a", huge, digits, ledger)


def test_candidates_that_are_no_numbers_are_refused_before_anything_is_spent(
    tmp_path, config, digits, ledger, monkeypatch
):
    """Among candidates that are not finite one private image could vote twice for the same."""
    embed = Pixels.embed

    def spoiled(self, images):
        features = embed(self, images)
        return features if len(images) == 60 else np.full_like(features, np.nan)

    monkeypatch.setattr(Pixels, "embed", spoiled)  # the 60 private images are left as they are
    with pytest.raises(GeneratorError, match="no numbers at all"):
        run(tmp_path / "out", replace(config, num_samples=(9,)), digits, ledger)
    assert spent(ledger) == 0
