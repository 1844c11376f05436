"""Each hostile file beside a sound one, in a folder and in a zip."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from tests.hostile.image_case import ACCEPTED, SLOW
from tests.hostile.image_cases import CASES, WHOLE
from tests.hostile.making import folder, image, packed
from tests.hostile.trying import tried

QUICK = [name for name, case in CASES.items() if case.outcome != SLOW]


@pytest.mark.usefixtures("one_pool")
@pytest.mark.parametrize("what", QUICK)
def test_file(place, what):
    case = CASES[what]
    source = folder(place / "source", {"good.png": image(7), case.name: case.make()})
    before = sorted(place.rglob("*"))
    outcome = tried(source)
    assert sorted(place.rglob("*")) == before
    assert not outcome.refused
    assert (outcome.images[0] == 7).all()  # "good.png" comes first
    assert len(outcome.images) == 1 + (case.outcome == ACCEPTED)
    assert [case.outcome in reason for reason in outcome.skipped.values()] == (
        [] if case.outcome == ACCEPTED else [True]
    )


def test_files_in_one_zip(place):
    """All of them, each behind a sound one; so none spoils the process that it is decoded in."""
    files = {}
    for i, what in enumerate(QUICK):
        files[f"{i:03d}/a.png"] = image(i)
        files[f"{i:03d}/{CASES[what].name}"] = CASES[what].make()
    outcome = tried(packed(place / "zip", files, zipfile.ZIP_STORED))
    assert [path.name for path in place.iterdir()] == ["zip"]
    accepted = [CASES[what].outcome == ACCEPTED for what in QUICK]
    assert len(outcome.images) == len(QUICK) + sum(accepted)
    assert set(range(len(QUICK))) <= set(outcome.images[:, 0, 0, 0].tolist())
    for i, what in enumerate(QUICK):
        said = outcome.skipped.get(f"{i:03d}/{CASES[what].name}", ACCEPTED)
        assert CASES[what].outcome in said, what


@pytest.mark.parametrize("what", [name for name in CASES if name not in QUICK])
def test_file_that_takes_too_long(place, impatient, what):
    """It costs itself, and not the file behind it in the same process."""
    case = CASES[what]
    files = {"good.png": image(7), case.name: case.make(), "then.jpg": image(9, "JPEG", (300, 300))}
    outcome = tried(folder(place, files))
    assert list(outcome.skipped) == [case.name]
    assert case.outcome in outcome.skipped[case.name]
    assert outcome.images[:, 0, 0, 0].tolist() == [7, 9]


@pytest.mark.parametrize("file_format", WHOLE)
def test_what_the_cut_files_are_cut_from_is_sound(place, file_format):
    outcome = tried(folder(place, {"a": WHOLE[file_format]()}))
    assert len(outcome.images) == 1


def test_what_is_no_number_is_black_and_never_leaves_the_range(place):
    names = ("a TIFF that is not a number", "a TIFF of infinite light")
    for name in names:
        outcome = tried(folder(place / name, {"a.tif": CASES[name].make()}))
        assert (outcome.images == 0).all()
        assert outcome.images.dtype == np.uint8


def test_there_are_enough_cases():
    assert len(CASES) >= 80
