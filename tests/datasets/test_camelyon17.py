"""Which patches of Camelyon17-WILDS go where, under which number."""

import numpy as np
import pytest

from pe_engine.data import open_dataset
from pe_engine.datasets import camelyon17
from pe_engine.datasets.preparing import prepare
from pe_engine.errors import DataError
from tests.conftest import png
from tests.datasets.conftest import packed

# patient, node, x, y, tumor, center, split; center and folder as wilds splits them
PATCHES = [
    ("004", 4, 3328, 21792, 1, 0, 0, "train/1_0"),
    ("004", 4, 3200, 22272, 0, 0, 1, None),
    ("020", 1, 1, 2, 1, 1, 0, "val/1_0"),
    ("020", 1, 1, 3, 0, 1, 1, "val/0_1"),
    ("040", 2, 1, 2, 0, 2, 0, "test/0_0"),
    ("060", 3, 1, 2, 0, 3, 0, "train/0_1"),
    ("099", 0, 1, 2, 1, 4, 0, "train/1_2"),
    ("099", 0, 7, 2, 1, 4, 1, None),
]
COLUMNS = ",patient,node,x_coord,y_coord,tumor,slide,center,split"


def metadata(patches=PATCHES):
    rows = [
        f"{i},{p},{node},{x},{y},{tumor},{i},{center},{split}"
        for i, (p, node, x, y, tumor, center, split, _) in enumerate(patches)
    ]
    return "\n".join([COLUMNS, *rows, ""]).encode()


def pixels(i):
    """uint8 ``(96, 96, 4)``: as the slides' reader gives them, opaque."""
    image = np.random.default_rng(i).integers(256, size=(96, 96, 4), dtype=np.uint8)
    image[..., 3] = 255
    return image


def files():
    return {
        f"./patches/patient_{p}_node_{n}/patch_patient_{p}_node_{n}_x_{x}_y_{y}.png": png(pixels(i))
        for i, (p, n, x, y, *_) in enumerate(PATCHES)
    }


def archive_of(tmp_path, content):
    archive = tmp_path / "camelyon17_v1.0.tar.gz"
    archive.write_bytes(packed(content))
    return archive


@pytest.mark.parametrize("last", [True, False], ids=["metadata last", "metadata first"])
def test_patches_are_split_and_numbered_as_wilds_has_them(tmp_path, last):
    backwards = dict(reversed(files().items()))
    table = {"./metadata.csv": metadata(), "./RELEASE_v1.0.txt": b""}
    archive = archive_of(tmp_path, {**backwards, **table} if last else {**table, **backwards})
    found = {f"{folder}/{name}": image for folder, name, image in camelyon17.images(archive)}
    wanted = {f"camelyon17_{p[-1]}.png": i for i, p in enumerate(PATCHES) if p[-1]}
    assert set(found) == set(wanted)
    for name, i in wanted.items():
        assert np.array_equal(found[name], pixels(i)[..., :3])


def test_it_becomes_folders_and_says_that_nobody_vouches_for_it(tmp_path):
    archive = archive_of(tmp_path, {"metadata.csv": metadata(), **files()})
    lines = []
    prepare("camelyon17", tmp_path / "out", archive, lines.append)
    assert any(line.startswith("No checksum of camelyon17_v1.0.tar.gz is") for line in lines)
    dataset = open_dataset(tmp_path / "out" / "camelyon17_train", "prefix")
    assert dataset.class_names == ("0", "1")
    assert dataset.class_ids.tolist() == [0, 1, 1]


def test_a_lacking_patch_is_refused(tmp_path):
    there = dict(list(files().items())[:-2])
    with pytest.raises(DataError, match="lacks 1 of the patches"):
        list(camelyon17.images(archive_of(tmp_path, {"metadata.csv": metadata(), **there})))


def test_another_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no metadata\.csv"):
        list(camelyon17.images(archive_of(tmp_path, files())))
    for table in (b"", COLUMNS.encode()):
        assert list(camelyon17.images(archive_of(tmp_path, {"metadata.csv": table}))) == []
    for table in (b"a,b\n1,2\n", metadata().replace(b",0\n", b",none\n"), b"\xff\n"):
        with pytest.raises(DataError, match=r"metadata\.csv is not as in"):
            list(camelyon17.images(archive_of(tmp_path, {"metadata.csv": table, **files()})))


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (b"<html>", "is not a PNG"),
        (png(np.zeros((97, 96, 3), np.uint8)), "97 pixels, more than"),
    ],
)
def test_a_file_that_is_no_patch_is_refused(tmp_path, patch, reason):
    bad = {**files(), next(iter(files())): patch}
    with pytest.raises(DataError, match=reason):
        list(camelyon17.images(archive_of(tmp_path, {"metadata.csv": metadata(), **bad})))
