"""The public pool: draws, nearest neighbours, classes, features kept in a file, unusable pools."""

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.build import continue_run
from pe_engine.components import checked_options, fitting_size
from pe_engine.embedders.pixels import Pixels
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.events import Loaded, Phase, Progress
from pe_engine.generators import pool_features
from pe_engine.generators.image_pool import ImagePool, neighbours
from pe_engine.generators.pool_search import ANY, UNREADABLE, PoolSearch
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import png
from tests.generators.runs import evolved

COUNT = 60
SIZE = 8


def pictures(count=COUNT, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A pool of ``COUNT`` pictures without classes, in the order of their names."""
    path = tmp_path / "pool"
    path.mkdir()
    for i, pixels in enumerate(pictures()):
        (path / f"{i:03d}.png").write_bytes(png(pixels))
    return path


@pytest.fixture
def classed(tmp_path):
    """A pool with 30 pictures of a cat, 20 of a dog and 10 of a hen."""
    path = tmp_path / "classed.zip"
    names = ["cat"] * 30 + ["dog"] * 20 + ["hen"] * 10
    with zipfile.ZipFile(path, "w") as archive:
        for i, (name, pixels) in enumerate(zip(names, pictures(), strict=True)):
            archive.writestr(f"{name}_{i:03d}.png", png(pixels))
    return path


@pytest.fixture
def opened():
    """``ImagePool`` at the pictures' size; closed in the end."""
    made = []

    def build(pool, **options):
        made.append(ImagePool(SIZE, "cpu", pool=str(pool), **options))
        return made[-1]

    yield build
    for generator in made:
        generator.close()


def drawn(generator, count, seed=0, names=None):
    return generator.random(names or [""] * count, [""] * count, np.random.default_rng(seed))


def similarities(metric, features):
    """float64 ``(M, M)``, the larger the nearer."""
    x = features.astype(np.float64)
    if metric == "l2":
        return -((x[:, None] - x[None]) ** 2).sum(-1)
    if metric == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


# Draws --------------------------------------------------------------------------------------------


def test_no_picture_is_drawn_twice_while_the_pool_lasts(folder, opened):
    generator = opened(folder)
    places = drawn(generator, COUNT)["place"]
    assert sorted(places) == list(range(COUNT))
    assert list(places) != list(range(COUNT))
    twice = np.bincount(drawn(generator, 2 * COUNT + 5)["place"], minlength=COUNT)
    assert set(twice) == {2, 3}


def test_draws_are_uniform(folder, opened):
    generator = opened(folder)
    rng = np.random.default_rng(0)
    counts = np.zeros(COUNT)
    for _ in range(2000):
        counts += np.bincount(generator.random([""] * 6, [""] * 6, rng)["place"], minlength=COUNT)
    np.testing.assert_allclose(counts, 200, atol=5 * 200**0.5)


def test_pictures_leave_as_they_are(folder, opened):
    generator = opened(folder)
    state = {"place": np.array([5, 3, 5]), "pool_class": np.full(3, ANY)}
    np.testing.assert_array_equal(generator.render(state), pictures()[[5, 3, 5]])


def test_prompts_and_unknown_names_draw_from_the_whole_pool(classed, opened):
    state = opened(classed).random(["cow"] * COUNT, ["a cat"] * COUNT, np.random.default_rng(0))
    assert sorted(state["place"]) == list(range(COUNT))


# Neighbours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_variations_are_the_nearest_whatever_the_metric(folder, opened, metric):
    generator = opened(folder, metric=metric, radius=7.0)
    features = Pixels(SIZE, "cpu", False).embed(pictures()).astype(np.float16)  # as kept
    similarity = similarities(metric, features)
    np.fill_diagonal(similarity, np.inf)  # a parent is its own nearest
    expected = np.argsort(-similarity, axis=1)[:, :7]
    parents = np.repeat(np.arange(COUNT), 200)
    state = {"place": parents, "pool_class": np.full(len(parents), ANY)}
    children = generator.vary(state, 1.0, np.random.default_rng(0))["place"].reshape(COUNT, 200)
    for row, near in zip(children, expected, strict=True):
        assert set(row) == set(near)
    among = (children[:, :, None] == expected[:, None]).sum(axis=(0, 1))
    np.testing.assert_allclose(among, COUNT * 200 / 7, rtol=0.1)  # each with the same chance


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_the_search_agrees_with_brute_force_block_after_block(metric, monkeypatch):
    monkeypatch.setattr("pe_engine.generators.pool_search._MOST_IN_BLOCK", 37)
    rng = np.random.default_rng(0)
    features = rng.normal(1, 1, (500, 20)).astype(np.float32)
    classes = rng.integers(UNREADABLE, 3, 500)
    search = PoolSearch(InMemory(features), classes, metric, "cpu")
    places = np.flatnonzero(classes != UNREADABLE)[:200]
    asked = np.where(np.arange(200) % 2, classes[places], ANY)
    lists = search.neighbours(places, asked, np.full(200, 50))
    similarity = similarities(metric, features)
    np.fill_diagonal(similarity, np.inf)
    for place, wanted, found in zip(places, asked, lists, strict=True):
        fits = classes == wanted if wanted != ANY else classes != UNREADABLE
        fits[place] = True
        order = np.argsort(-np.where(fits, similarity[place], -np.inf))
        np.testing.assert_array_equal(found[:50], order[:50])


class InMemory:
    def __init__(self, features):
        self.features = features
        self.dimension = features.shape[1]
        self.read = 0

    def rows(self, places):
        self.read += 1
        return self.features[places]


def test_what_was_found_is_remembered_within_bounds(monkeypatch):
    features = InMemory(np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    search = PoolSearch(features, np.zeros(100, np.int64), "l2", "cpu")
    some, everything = np.arange(10), np.full(10, ANY)
    first = search.neighbours(some, everything, np.full(10, 8))
    read = features.read
    again = search.neighbours(some[::-1], everything, np.full(10, 5))
    assert features.read == read
    np.testing.assert_array_equal(first[0], again[-1])
    further = search.neighbours(some, everything, np.full(10, 20))
    assert features.read > read
    np.testing.assert_array_equal(further[0][:8], first[0])
    monkeypatch.setattr("pe_engine.generators.pool_search._MOST_KEPT", 100)
    for start in range(0, 100, 10):
        search.neighbours(start + some, everything, np.full(10, 30))
        assert sum(map(len, search._known.values())) == search._kept <= 100


@pytest.mark.parametrize(
    ("radius", "size", "reach"),
    [
        (None, 50, 10),
        (None, 30_000, 300),
        (None, 10**6, 1000),
        (None, 4, 4),
        (0.1, 500, 50),
        (0.5, 10**6, 10_000),
        (20.0, 500, 20),
        (20.0, 5, 5),
        (1e-6, 500, 1),
    ],
)
def test_more_images_are_near_the_higher_the_degree(radius, size, reach):
    counts = [neighbours(degree, radius, size) for degree in np.linspace(0, 1, 101)]
    assert counts[0] == 1
    assert counts[-1] == reach
    assert counts == sorted(counts)


def test_degree_0_keeps_the_parents_and_searches_for_nobody(folder, opened, monkeypatch):
    generator = opened(folder)
    state = drawn(generator, 20)
    monkeypatch.setattr(PoolSearch, "nearest", None)
    children = generator.vary(state, 0.0, np.random.default_rng(1))
    np.testing.assert_array_equal(children["place"], state["place"])


def test_variations_depend_on_the_stream_alone(folder, opened):
    first, second = opened(folder), opened(folder)
    state = drawn(first, 40)
    first.vary(state, 0.3, np.random.default_rng(5))  # so that it remembers some neighbours
    children = [g.vary(state, 1.0, np.random.default_rng(1))["place"] for g in (first, second)]
    np.testing.assert_array_equal(*children)
    alone = {name: array[:1] for name, array in state.items()}
    np.testing.assert_array_equal(
        second.vary(alone, 1.0, np.random.default_rng(1))["place"], children[0][:1]
    )


def test_a_given_picture_becomes_the_nearest_of_the_pool(folder, opened):
    shuffled = np.random.default_rng(1).permutation(COUNT)
    noisy = np.clip(pictures()[shuffled].astype(int) + 3, 0, 255).astype(np.uint8)
    nobody = [""] * COUNT
    adopted = opened(folder).adopt(noisy, nobody, nobody, np.random.default_rng(0))
    np.testing.assert_array_equal(adopted["place"], shuffled)


# Classes ------------------------------------------------------------------------------------------


def test_a_class_is_drawn_from_the_pools_class_of_that_name(classed, opened):
    generator = opened(classed, radius=15.0)
    state = drawn(generator, 20, names=["hen", "dog"] * 10)
    for made in (state, generator.vary(state, 1.0, np.random.default_rng(1))):
        assert sorted(set(made["place"][::2])) == sorted(set(made["place"][::2]) & {*range(50, 60)})
        assert set(made["place"][1::2]) <= {*range(30, 50)}
    assert len(set(state["place"])) == 20
    adopted = generator.adopt(pictures()[:5], ["hen"] * 5, [""] * 5, np.random.default_rng(0))
    assert set(adopted["place"]) <= {*range(50, 60)}


def test_classes_of_the_pool_can_be_left_aside(classed, opened):
    generator = opened(classed, use_classes=False)
    state = drawn(generator, COUNT, names=["hen"] * COUNT)
    assert sorted(state["place"]) == list(range(COUNT))


# Files --------------------------------------------------------------------------------------------


def spoil(folder):
    (folder / "003.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")


def test_files_that_cannot_be_read_are_never_drawn(folder, opened):
    spoil(folder)
    generator = opened(folder, radius=COUNT * 1.0)
    state = drawn(generator, COUNT - 1)
    assert sorted(state["place"]) == [i for i in range(COUNT) if i != 3]
    for seed in range(5):
        children = generator.vary(state, 1.0, np.random.default_rng(seed))
        assert 3 not in children["place"]
    nobody = [""]
    assert generator.adopt(pictures()[3:4], nobody, nobody, np.random.default_rng(0))["place"] != 3


def test_features_are_computed_once_and_anew_for_another_pool_or_embedder(
    folder, opened, tmp_path, monkeypatch
):
    kept = tmp_path / "run" / "generator"
    asked = []
    embed = Pixels.embed
    monkeypatch.setattr(Pixels, "embed", lambda *a: asked.append(len(a[1])) or embed(*a))

    def started():
        generator = opened(folder)
        generator.keep_in(kept)
        drawn(generator, 3)
        return generator

    started()
    assert asked == [COUNT]
    before = (kept / "features.npy").read_bytes()
    started()
    assert asked == [COUNT]
    assert sorted(path.name for path in kept.iterdir()) == [
        "features.npy",
        "pool.json",
        "readable.npy",
    ]

    (folder / "003.png").write_bytes(png(pictures(seed=1)[0][:4]))
    started()
    assert asked == [COUNT, COUNT]
    assert (kept / "features.npy").read_bytes() != before

    monkeypatch.setattr("pe_engine.generators.pool_features.THUMBNAIL", 4)
    started()
    assert asked == [COUNT] * 3

    (kept / "pool.json").unlink()  # as if stopped before it was written
    (folder / "099.png").write_bytes(png(pictures()[0]))
    started()
    assert asked == [*[COUNT] * 3, COUNT + 1]


def test_a_stop_leaves_no_half_features(folder, opened, tmp_path, monkeypatch):
    generator = opened(folder)
    generator.keep_in(tmp_path / "kept")
    with monkeypatch.context() as broken:
        broken.setattr("pe_engine.generators.pool_features._MOST_IN_BATCH", 7)
        broken.setattr(Pixels, "embed", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            drawn(generator, 1)
    assert list((tmp_path / "kept").iterdir()) == []
    assert len(drawn(generator, COUNT)["place"]) == COUNT


def test_features_that_were_not_finished_are_not_taken_for_those_of_the_pool_before(
    folder, opened, tmp_path, monkeypatch
):
    kept = tmp_path / "kept"

    def started(pool):
        generator = opened(pool)
        generator.keep_in(kept)
        return generator, drawn(generator, 10)

    generator, state = started(folder)
    right = generator.vary(state, 1.0, np.random.default_rng(0))["place"]
    other = tmp_path / "other"
    other.mkdir()
    for i, pixels in enumerate(pictures(seed=1)):
        (other / f"{i}.png").write_bytes(png(pixels))
    with monkeypatch.context() as broken:
        broken.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            started(other)
    again = started(folder)[0].vary(state, 1.0, np.random.default_rng(0))["place"]
    np.testing.assert_array_equal(again, right)


def test_only_rendered_pictures_are_decoded_later(folder, opened):
    generator = opened(folder)
    state = drawn(generator, 4)
    for place in set(range(COUNT)) - set(state["place"]):
        (folder / f"{place:03d}.png").unlink()
    assert generator.render(state).shape == (4, SIZE, SIZE, 3)
    (folder / f"{state['place'][0]:03d}.png").unlink()
    with pytest.raises(GeneratorError, match="Put the pool back"):
        generator.render(state)


def test_without_a_folder_features_lie_in_one_that_goes_away(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    generator = ImagePool(SIZE, "cpu", pool=str(folder))
    drawn(generator, 1)
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    generator.close()
    assert list((tmp_path / "temporary").iterdir()) == []
    dropped = ImagePool(SIZE, "cpu", pool=str(folder))
    drawn(dropped, 1)
    del dropped
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_missing_pool_is_said_before_anything_starts(tmp_path):
    for given, said in [
        ({}, "in its option pool"),
        ({"pool": str(tmp_path / "no")}, "There is no"),
    ]:
        with pytest.raises(ConfigError, match=said):
            fitting_size("image_pool", given, None)
    assert fitting_size("image_pool", {"pool": str(tmp_path)}, None) == 64
    assert fitting_size("image_pool", {"pool": str(tmp_path)}, 28) == 28
    with pytest.raises(ConfigError, match="must be one of"):
        checked_options("image_pool", {"metric": "cos_sim"})


def test_pools_that_cannot_be_used(tmp_path, opened):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(GeneratorError, match=r"pool cannot be used\. There is no image"):
        opened(empty)
    text = tmp_path / "text.zip"
    text.write_text("no zip")
    with pytest.raises(GeneratorError, match=r"pool cannot be used\. This is neither"):
        opened(text)
    (empty / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(GeneratorError, match="None of the 1 images of the pool"):
        drawn(opened(empty), 1)


def test_a_run_ends_in_a_verified_zip(tmp_path, config, digits, ledger):
    public = tmp_path / "public.zip"
    shutil.copy(digits, public)
    settings = replace(
        config,
        generator="image_pool",
        generator_options={"pool": str(public), "radius": 5.0},
        image_size=28,
    )
    run = evolved(tmp_path / "out", settings, digits, ledger)
    last = run.population(3)
    assert len(last) == 30
    np.testing.assert_array_equal(last.state["pool_class"], last.class_ids)


def test_the_pool_is_looked_through_in_pieces_between_which_a_run_can_stop(
    tmp_path, config, digits, ledger, monkeypatch
):
    monkeypatch.setattr(pool_features, "_MOST_IN_BATCH", 7)
    public = tmp_path / "public.zip"
    shutil.copy(digits, public)
    settings = replace(
        config, generator="image_pool", generator_options={"pool": str(public)}, image_size=28
    )
    start_run(tmp_path / "out", settings, digits, ledger)
    events = continue_run(RunFolder(tmp_path / "out"), ledger)
    assert next(events) == Loaded()
    assert next(events) == Progress(0, Phase.PREPARE, 7, 60)
    events.close()
    assert not list((tmp_path / "out" / "generator").iterdir())
    again = [*continue_run(RunFolder(tmp_path / "out"), ledger)]
    prepared = [e.done for e in again if isinstance(e, Progress) and e.phase is Phase.PREPARE]
    assert prepared == [*range(7, 60, 7), 60]
    assert (tmp_path / "out" / "synthetic.zip").is_file()
