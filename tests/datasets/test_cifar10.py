"""Every pixel and name of CIFAR-10, and archives that are not it."""

import numpy as np
import pytest

from pe_engine.datasets import cifar10
from pe_engine.errors import DataError
from tests.datasets.conftest import RECORDS, cifar_files, cifar_pixels, packed

FOLDER = "cifar-10-batches-bin"


@pytest.fixture(autouse=True)
def few_records(monkeypatch):
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)


def read(tmp_path, content):
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    return list(cifar10.images(archive))


def test_images_and_names_are_the_published_ones(tmp_path):
    found = {(folder, name): image for folder, name, image in read(tmp_path, packed(cifar_files()))}
    labels, pixels = cifar_pixels()
    assert len(found) == 6 * RECORDS
    for file in range(6):
        for i in range(RECORDS):
            number = i if file == 5 else file * RECORDS + i
            folder = "cifar10_test" if file == 5 else "cifar10_train"
            name = f"{cifar10.CLASSES[labels[file, i]]}_{number:05d}.png"
            assert np.array_equal(found[folder, name], pixels[file, i])


def test_the_published_files_have_their_size():
    assert cifar10.SIDE == 32
    assert len(cifar10.CLASSES) == 10


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test_batch.bin", b""),
        ("test_batch.bin", bytes(RECORDS * 3073 - 1)),
        ("data_batch_3.bin", b"\x0a" + bytes(RECORDS * 3073 - 1)),
    ],
    ids=["empty", "short", "an eleventh class"],
)
def test_other_records_are_refused(tmp_path, name, content):
    with pytest.raises(DataError, match="does not hold 20 records of 3,073 bytes"):
        read(tmp_path, packed({**cifar_files(), f"{FOLDER}/{name}": content}))


def test_a_missing_file_is_refused(tmp_path):
    files = cifar_files()
    del files[f"{FOLDER}/data_batch_4.bin"]
    with pytest.raises(DataError, match=r"has no data_batch_4\.bin"):
        read(tmp_path, packed(files))
