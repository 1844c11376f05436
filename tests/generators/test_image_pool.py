"""The public pool: draws, variations, classes, features in a file, pools that change or fail."""

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.components import checked_options, fitting_size
from pe_engine.embedders.pixels import Pixels
from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import image_pool
from pe_engine.generators.image_pool import ImagePool, neighbours
from pe_engine.generators.pool_search import ANY, PoolSearch
from pe_engine.starting import start_run
from tests.conftest import png
from tests.generators.test_pool_search import similarities

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


def test_names_need_not_be_public_where_they_change_nothing():
    assert ImagePool.uses_names(ImagePool.Options())
    assert not ImagePool.uses_names(ImagePool.Options(use_classes=False))


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


def kept_features(pool, folder, opened):
    """A generator whose features of the pool lie in the folder of a run."""
    generator = opened(pool)
    generator.keep_in(folder)
    drawn(generator, 3)
    return generator


def test_features_are_computed_once(folder, opened, tmp_path, monkeypatch):
    kept = tmp_path / "run" / "generator"
    asked = []
    embed = Pixels.embed
    monkeypatch.setattr(Pixels, "embed", lambda *a: asked.append(len(a[1])) or embed(*a))
    kept_features(folder, kept, opened)
    assert asked == [COUNT]
    kept_features(folder, kept, opened)
    assert asked == [COUNT]
    assert sorted(path.name for path in kept.iterdir()) == [
        "digests.npy",
        "features.npy",
        "pool.json",
        "readable.npy",
    ]

    (kept / "pool.json").unlink()  # as if stopped before it was written
    (folder / "099.png").write_bytes(png(pictures()[0]))
    kept_features(folder, kept, opened)
    assert asked == [COUNT, COUNT + 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda pool: (pool / "a" / "000.png").unlink(),
        lambda pool: (pool / "a" / "0000.png").write_bytes(png(pictures()[0])),
        lambda pool: (pool / "a" / "001.png").rename(pool / "a" / "999.png"),
        lambda pool: (pool / "a" / "002.png").write_bytes(png(pictures()[0][:4])),
        lambda pool: (pool / "0").mkdir(),  # a class, and so the other ones get other numbers
    ],
)
def test_a_pool_that_changed_is_not_the_one_that_the_run_began_with(
    change, folder, opened, tmp_path
):
    pool = tmp_path / "classes"
    shutil.copytree(folder, pool / "a")
    shutil.copytree(folder, pool / "b")
    shutil.copytree(pool, tmp_path / "before")
    kept = tmp_path / "kept"
    begun = kept_features(pool, kept, opened)
    change(pool)
    with pytest.raises(GeneratorError, match="not the one that this run began with"):
        kept_features(pool, kept, opened)
    assert opened(pool).provenance != begun.provenance
    shutil.rmtree(pool)
    (tmp_path / "before").rename(pool)
    assert kept_features(pool, kept, opened).provenance == begun.provenance


def test_features_of_another_embedder_are_not_taken(folder, opened, tmp_path, monkeypatch):
    kept_features(folder, tmp_path / "kept", opened)
    monkeypatch.setattr("pe_engine.generators.pool_features.THUMBNAIL", 4)
    with pytest.raises(GeneratorError, match="'pixels 8', which are now of 'pixels 4'"):
        kept_features(folder, tmp_path / "kept", opened)


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


def test_features_that_were_not_finished_are_not_taken(folder, opened, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    other = tmp_path / "other"
    other.mkdir()
    for i, pixels in enumerate(pictures(seed=1)):
        (other / f"{i:03d}.png").write_bytes(png(pixels))
    with monkeypatch.context() as broken:
        broken.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            kept_features(other, kept, opened)
    assert (kept / "features.npy").is_file()
    state = {"place": np.arange(COUNT), "pool_class": np.full(COUNT, ANY)}
    right, again = (
        generator.vary(state, 1.0, np.random.default_rng(0))["place"]
        for generator in (opened(folder), kept_features(folder, kept, opened))
    )
    np.testing.assert_array_equal(again, right)


def test_only_rendered_pictures_are_decoded_later(folder, opened):
    generator = opened(folder)
    state = drawn(generator, 4)
    for place in set(range(COUNT)) - set(state["place"]):
        (folder / f"{place:03d}.png").unlink()
    (folder / f"{state['place'][0]:03d}.png").rename(folder / "away.png")
    with pytest.raises(GeneratorError, match="Put the pool back"):
        generator.render(state)
    (folder / "away.png").rename(folder / f"{state['place'][0]:03d}.png")
    images = generator.render(state)
    for place in set(state["place"]):
        (folder / f"{place:03d}.png").unlink()
    np.testing.assert_array_equal(generator.render(state), images)  # from memory


def test_memory_for_decoded_pictures_is_bounded(folder, opened, monkeypatch):
    monkeypatch.setattr(image_pool, "SEEN_BYTES", 3 * 3 * SIZE**2)
    generator = opened(folder)
    state = drawn(generator, 9)
    images = generator.render(state)
    np.testing.assert_array_equal(generator.render(state), images)
    assert len(generator._seen) == 3


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


def test_any_size_will_do(folder):
    assert fitting_size("image_pool", {"pool": str(folder)}, None) == 64
    assert fitting_size("image_pool", {"pool": str(folder)}, 28) == 28


def test_options_that_cannot_be_used():
    with pytest.raises(ConfigError, match="in its option pool"):
        fitting_size("image_pool", {}, None)
    with pytest.raises(ConfigError, match="must be one of"):
        checked_options("image_pool", {"metric": "cos_sim"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no", "There is no such folder"),
        ("empty", "There is no image"),
        ("text", "There is no image"),
        ("text.zip", "This is neither"),
    ],
)
def test_a_pool_that_cannot_be_used_is_said_before_anything_starts(
    name, said, tmp_path, opened, config, digits, ledger
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "read.md").write_text("no image")
    (tmp_path / "text.zip").write_text("no zip")
    pool = str(tmp_path / name)
    sentence = rf"The pool cannot be used\. {said}"
    settings = replace(config, generator="image_pool", generator_options={"pool": pool})
    with pytest.raises(GeneratorError, match=sentence):
        start_run(tmp_path / "out", settings, digits, ledger)
    assert not (tmp_path / "out").exists()
    with pytest.raises(GeneratorError, match=sentence):
        opened(pool)


def test_a_pool_of_which_no_image_can_be_read(tmp_path, opened):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    assert fitting_size("image_pool", {"pool": str(tmp_path)}, None) == 64  # decodes none
    with pytest.raises(GeneratorError, match="None of the 1 images of the pool"):
        drawn(opened(tmp_path), 1)
