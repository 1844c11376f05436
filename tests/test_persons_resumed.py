"""Whoever an image belonged to when a run began, it belongs to when the run goes on."""

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pe_engine.build import continue_run
from pe_engine.config import RunConfig
from pe_engine.errors import OtherImagesError
from pe_engine.privacy.ledger import Ledger
from pe_engine.starting import start_run
from pe_engine.storage import RunFolder
from tests.conftest import png

NAMES = ["x/anna/1.png", "x/anna/2.png", "y/anna/3.png", "y/ben/1.png", "y/ben/2.png"]
CONFIG = RunConfig(
    dataset_name="d",
    num_samples=(12,),
    iterations=2,
    lookahead=0,
    classes="folder",
    class_names=("x", "y"),
    persons="folder",
)


@pytest.fixture
def images(tmp_path):
    """A folder; ben's second picture is the same file as anna's first."""
    rng = np.random.default_rng(0)
    files = [png(rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)) for _ in NAMES]
    for name, data in zip(NAMES, [*files[:4], files[0]], strict=True):
        target = tmp_path / "images" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return tmp_path / "images"


def stopped(images, ledger, out, config=CONFIG):
    """A run that has released the votes on one generation."""
    start_run(out, config, images, ledger)
    folder = RunFolder(out)
    events = continue_run(folder, ledger)
    while folder.last_generation() < 1:
        next(events)
    events.close()
    return folder


def moved(root, before, after):
    (root / after).parent.mkdir(parents=True, exist_ok=True)
    (root / before).rename(root / after)


OTHER_PERSONS = {
    "one of two folders renamed": [("x/anna", "x/anne")],
    "two merged": [("y/ben/1.png", "y/anna/4.png"), ("y/ben/2.png", "y/anna/5.png")],
    "one split": [("y/ben/2.png", "y/cy/2.png")],
    "one image given away": [("y/ben/1.png", "y/anna/4.png")],
}


@pytest.mark.parametrize("what", OTHER_PERSONS)
def test_images_of_other_persons_do_not_go_on(images, ledger, tmp_path, what):
    folder = stopped(images, ledger, tmp_path / "out")
    for before, after in OTHER_PERSONS[what]:
        moved(images, before, after)
    with pytest.raises(OtherImagesError, match="belong to other persons"):
        list(continue_run(folder, ledger))
    assert ledger.noisy_votes(folder.read_header()["run_id"], 2) is None
    assert folder.needs_images


def as_zip(images):
    path = images.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name in reversed(NAMES):
            archive.write(images / name, f"wrapping/{name}")
    return path


def elsewhere(images):
    return images.rename(images.with_name("moved"))


def renamed(images):
    """Other names for the same persons; their images come in another order, too."""
    for before, after in (("x/anna", "x/zoe"), ("y/anna", "y/zoe"), ("y/ben/1.png", "y/ben/9.png")):
        moved(images, before, after)
    return images


def copied(images):
    shutil.copytree(images, images.with_name("copy"))
    shutil.rmtree(images)
    return images.with_name("copy")


@pytest.mark.parametrize("change", [as_zip, elsewhere, renamed, copied])
def test_the_same_persons_go_on(images, ledger, tmp_path, change):
    folder = stopped(images, ledger, tmp_path / "out")
    folder.adopt_source(change(images), upload=False)
    list(continue_run(folder, ledger))
    assert folder.zip_path.exists()


def test_without_persons_names_do_not_matter(images, ledger, tmp_path):
    folder = stopped(images, ledger, tmp_path / "out", replace(CONFIG, persons="none"))
    moved(images, "x/anna", "x/anne")
    list(continue_run(folder, ledger))
    assert folder.zip_path.exists()


def test_what_is_kept_of_persons_is_told_by_nobody_without_the_key(ledger, tmp_path):
    files = [bytes([i]) * 32 for i in (1, 2, 3, 3)]
    one = ledger.persons_fingerprint(files, [0, 0, 1, 2])
    assert one == ledger.persons_fingerprint(files[::-1], [7, 5, 9, 9])
    assert one != ledger.persons_fingerprint(files, [0, 1, 0, 2])
    assert one != ledger.persons_fingerprint(files, [0, 0, 1, 1])
    other = Ledger(tmp_path / "other")
    assert one != other.persons_fingerprint(files, [0, 0, 1, 2])


# Starting from an earlier run --------------------------------------------------------------------


def goes_on(images, ledger, tmp_path, **changes):
    config = replace(CONFIG, initial=str(tmp_path / "first"), **changes)
    start_run(tmp_path / "next", config, images, ledger)
    list(continue_run(RunFolder(tmp_path / "next"), ledger))


def test_a_run_goes_on_from_one_of_the_same_persons(images, ledger, tmp_path):
    start_run(tmp_path / "first", CONFIG, images, ledger)
    list(continue_run(RunFolder(tmp_path / "first"), ledger))
    renamed(images)
    goes_on(images, ledger, tmp_path)
    (entry,) = ledger.datasets()
    assert entry.generations == 4
    assert entry.epsilon(1e-5, unit="person") < np.inf


@pytest.mark.parametrize("what", OTHER_PERSONS)
def test_no_run_goes_on_from_one_of_other_persons(images, ledger, tmp_path, what):
    start_run(tmp_path / "first", CONFIG, images, ledger)
    list(continue_run(RunFolder(tmp_path / "first"), ledger))
    for before, after in OTHER_PERSONS[what]:
        moved(images, before, after)
    with pytest.raises(OtherImagesError, match="The run to start from was made for"):
        goes_on(images, ledger, tmp_path)
    assert ledger.datasets()[0].generations == 2


def test_no_run_goes_on_from_one_of_another_ledger(images, ledger, tmp_path):
    first = Ledger(tmp_path / "elsewhere")
    start_run(tmp_path / "first", CONFIG, images, first)
    list(continue_run(RunFolder(tmp_path / "first"), first))
    with pytest.raises(OtherImagesError, match="with another ledger"):
        goes_on(images, ledger, tmp_path)
    assert ledger.spent("d") == []
    goes_on_without = replace(CONFIG, persons="none", initial=str(tmp_path / "first"))
    start_run(tmp_path / "of images", goes_on_without, images, ledger)
    list(continue_run(RunFolder(tmp_path / "of images"), ledger))
