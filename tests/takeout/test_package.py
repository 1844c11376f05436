"""A release as it was chosen: kinds of files, sizes, generations, and what says of them."""

import hashlib
import io
import json
import re
import zipfile
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from pe_engine import manifest
from pe_engine.errors import ConfigError
from pe_engine.takeout import package
from pe_engine.takeout.card import card
from pe_engine.takeout.choice import Choice
from pe_engine.takeout.package import number_of_files, write_folder, zip_pieces
from pe_engine.takeout.pictures import encoded
from tests.test_export import SECRET_CLASSES, SECRET_DATASET, config, finished, population

SMOOTH = np.add.outer(np.arange(128), np.arange(128))[..., None].repeat(3, -1).astype(np.uint8)


def unpacked(run, **choice):
    """name -> content of the zip, in its order"""
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_pieces(run, Choice(**choice))))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def pictures(files):
    return {
        n: Image.open(io.BytesIO(files[n])) for n in files if n.endswith(("png", "jpg", "webp"))
    }


def rows(files):
    return [json.loads(line) for line in files["images/metadata.jsonl"].splitlines()]


@pytest.mark.parametrize(
    ("format_", "ending", "kind"),
    [("png", "png", "PNG"), ("jpeg", "jpg", "JPEG"), ("webp", "webp", "WEBP")],
)
def test_each_format_holds_the_images_and_the_hashes_hold(format_, ending, kind):
    run = finished()
    files = unpacked(run, format=format_, quality=100, size=32)
    shown = pictures(files)
    assert list(shown) == [f"images/{i // 6}/{i:06d}.{ending}" for i in range(12)]
    for i, image in enumerate(shown.values()):
        wanted = run.population.images[i % 6 * 2 + i // 6].repeat(4, 0).repeat(4, 1)
        assert image.format == kind and image.size == (32, 32)
        difference = np.abs(np.asarray(image.convert("RGB")).astype(int) - wanted)
        assert difference.max() <= (12 if format_ == "jpeg" else 0)
    told = json.loads(files.pop("manifest.json"))
    assert set(told["files"]) == set(files)
    for name, entry in told["files"].items():
        assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest()
    assert (told["samples"]["format"], told["samples"]["width"]) == (format_, 32)


def test_quality_decides_how_large_a_file_is():
    for format_ in ("jpeg", "webp"):
        sizes = [len(encoded(SMOOTH, Choice(format=format_, quality=q))) for q in (10, 60, 95)]
        assert sizes == sorted(set(sizes))


def test_tiny_pixels_become_squares_and_all_else_is_smooth():
    step = np.zeros((8, 8, 3), np.uint8)
    step[:, 4:] = 255
    coarse = Image.open(io.BytesIO(encoded(step, Choice(size=50))))
    assert set(np.unique(np.asarray(coarse))) == {0, 255}
    small = Image.open(io.BytesIO(encoded(step, Choice(size=15)))).resize((8, 8))
    assert small.size == (8, 8)
    lines = np.zeros((128, 128, 3), np.uint8)
    lines[:, ::2] = 255
    halved = np.asarray(Image.open(io.BytesIO(encoded(lines, Choice(size=64)))))
    assert halved.min() > 100 and halved.max() < 156  # nearest would give only 0 or only 255


def test_grey_images_stay_grey_in_every_size():
    grey = np.full((8, 8, 1), 7, np.uint8)
    for format_ in ("png", "jpeg"):
        image = Image.open(io.BytesIO(encoded(grey, Choice(format=format_, size=20))))
        assert image.mode == "L" and image.size == (20, 20)


def test_a_flat_layout_has_one_folder():
    files = unpacked(finished(), layout="flat")
    assert list(pictures(files)) == [f"images/{i:06d}.png" for i in range(12)]
    assert {
        entry["folder"] for entry in json.loads(files["manifest.json"])["samples"]["classes"]
    } == {""}


@pytest.mark.parametrize("layout", ["classes", "flat"])
def test_metadata_names_every_image_with_its_label(layout):
    files = unpacked(finished(public_names=True), layout=layout)
    named = [f"images/{row['file_name']}" for row in rows(files)]
    assert named == list(pictures(files))
    assert [row["label"] for row in rows(files)] == [0] * 6 + [1] * 6
    assert [row["label_name"] for row in rows(files)] == [
        n for n in SECRET_CLASSES for _ in range(6)
    ]
    assert {row["generation"] for row in rows(files)} == {2}


def test_names_that_are_not_public_are_in_no_file():
    files = unpacked(finished())
    assert set(rows(files)[0]) == {"file_name", "label", "generation"}
    for content in chain(files, (c.decode("utf-8", "replace") for c in files.values())):
        assert not [s for s in (SECRET_DATASET, *SECRET_CLASSES, "9.875") if s in content]


def test_without_classes_there_are_no_labels():
    run = finished(class_names=("",), public_names=True, population=population(classes=1))
    assert set(rows(unpacked(run))[0]) == {"file_name", "generation"}


def test_an_earlier_generation_costs_what_the_whole_plan_does():
    run = finished(chosen=1)
    files = unpacked(run)
    told = json.loads(files["manifest.json"])
    assert told["privacy"]["epsilon"] == 0.8  # not 0.4, what generation 1 alone had spent
    assert told["samples"]["generation"] == 1 and rows(files)[0]["generation"] == 1
    for name in ("README.md", "report.html"):
        assert "generation 1 of 2; ε is that of all generations" in files[name].decode()


def test_the_same_choice_gives_the_same_bytes():
    for format_ in ("jpeg", "webp"):
        one, two = (b"".join(zip_pieces(finished(), Choice(format=format_))) for _ in range(2))
        assert one == two


def test_the_zip_is_made_while_it_is_sent(monkeypatch):
    """No more than a piece and one image wait at a time, however many images there are."""
    made = []
    monkeypatch.setattr(
        package,
        "image_files",
        lambda *_: ((f"images/{i}.png", made.append(i) or bytes(9000)) for i in range(100)),
    )
    pieces = zip_pieces(finished(), Choice())
    first = next(pieces)
    assert len(first) >= package.PIECE and len(made) == 8
    rest = list(pieces)
    images = [first, *rest[: 100 // 8 - 1]]  # the report comes after them, in one piece
    assert max(map(len, images)) < package.PIECE + 2 * 9000
    assert sum(map(len, images)) > 95 * 9000


def test_a_folder_holds_the_same_as_the_zip(tmp_path):
    choice = Choice(format="webp", layout="flat")
    counted = list(write_folder(finished(), choice, tmp_path))
    assert counted == list(range(1, number_of_files(finished()) + 1))
    found = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*.*")}
    assert found == unpacked(finished(), format="webp", layout="flat")


@pytest.mark.parametrize(
    "choice",
    [
        {"format": "gif"},
        {"layout": "deep"},
        {"quality": 0},
        {"quality": 101},
        {"size": 7},
        {"size": 4000},
        {"generation": -1},
    ],
)
def test_choices_out_of_range_are_refused(choice):
    with pytest.raises(ConfigError, match=r"\. (Choose|Change)"):
        Choice(**choice)


# The dataset card: https://huggingface.co/docs/hub/datasets-cards ------------------------------


def front_matter(text):
    import yaml

    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])


def test_the_card_is_one_that_the_hub_reads():
    from huggingface_hub import DatasetCard

    text = card(manifest.describe(finished()))
    meta = front_matter(text)
    assert meta["license"] == "unknown"
    assert {"synthetic", "differential-privacy"} <= set(meta["tags"])
    assert meta["task_categories"] == ["image-classification"]
    assert meta["size_categories"] == ["n<1K"]
    assert meta["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "images/**"}]}
    ]
    assert DatasetCard(text).data.to_dict()["tags"] == meta["tags"]


def test_the_card_says_what_the_report_says():
    files = unpacked(finished(config=config(adjacency="replace", delta=1e-6)))
    told, page = files["README.md"].decode(), files["report.html"].decode()
    for words in (
        "one of the private images had been replaced by any other image",
        "at most 2.226 times as likely",
        "plus 1e-6",
        "A person with several images.",
        "The ε of everything made from the same private images adds up.",
    ):
        assert words in told and words in page


def test_folders_that_imagefolder_would_take_for_parts_of_a_set_are_renamed():
    names = ("train", "Test-tube", "x dev 2", "val", "trainer", "evaluate")
    folders = [entry["folder"] for entry in manifest.class_table(names)]
    assert folders == ["class-0", "class-1", "class-2", "class-3", "trainer", "evaluate"]
