"""The two cats, from the zip that Kaggle gives."""

import zipfile

import numpy as np
import pytest

from pe_engine.data import open_dataset
from pe_engine.datasets import cat
from pe_engine.datasets.preparing import prepare
from pe_engine.errors import DataError
from tests.conftest import png


def photograph(i, size=512):
    return (
        np.random.default_rng(i)
        .integers(256, size=(size // 64, size // 64, 3))
        .astype(np.uint8)
        .repeat(64, 0)
        .repeat(64, 1)
    )


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as made:
        for i in (2, 0, 1):
            made.writestr(f"cookie/{i}.png", png(photograph(i)))
            made.writestr(f"doudou/{i}.png", png(photograph(10 + i)))
        made.writestr("readme.txt", "cats")
        made.writestr("__MACOSX/cookie/._0.png", "junk")
    return path


def test_each_cat_gets_a_folder(tmp_path, archive):
    prepare("cat", tmp_path / "cats", archive, say=lambda _: None)
    both = open_dataset(tmp_path / "cats")
    assert (both.rule, both.class_names, len(both)) == ("folder", ("cookie", "doudou"), 6)
    one = open_dataset(tmp_path / "cats" / "doudou", "prefix")
    assert (one.class_names, len(one)) == (("doudou",), 3)
    images = next(one.batches(512)).images
    assert np.array_equal(images, np.stack([photograph(10 + i) for i in range(3)]))


def test_a_zip_without_one_of_them_is_refused(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("cookie/0.png", png(photograph(0)))
    with pytest.raises(DataError, match="no image in a folder 'doudou'"):
        list(cat.images(path))


def test_what_is_no_photograph_is_refused(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("cookie/0.png", "<html>")
    with pytest.raises(DataError, match="is not a PNG"):
        list(cat.images(path))
    path.write_bytes(b"<html>")
    with pytest.raises(DataError, match="zip is damaged"):
        list(cat.images(path))
