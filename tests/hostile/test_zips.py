"""Each hostile zip, and what it must not take in memory."""

from __future__ import annotations

import tracemalloc
import zipfile

import pytest

from pe_engine.data import Limits, open_dataset
from pe_engine.errors import DataError
from tests.hostile.making import image, packed
from tests.hostile.trying import tried
from tests.hostile.zip_cases import CASES
from tests.hostile.zip_making import patched


@pytest.mark.usefixtures("one_pool")
@pytest.mark.parametrize("what", CASES)
def test_zip(place, what):
    case = CASES[what]
    case.make(place / "zip")
    outcome = tried(place / "zip", limits=case.limits)
    assert [path.name for path in place.iterdir()] == ["zip"]
    if case.refused:
        assert outcome.refused.startswith(case.refused)
        assert "odd" not in outcome.refused
        return
    assert not outcome.refused
    assert len(outcome.images) == (1 if case.skipped else 2)
    assert [case.skipped in reason for reason in outcome.skipped.values()] == (
        [True] if case.skipped else []
    )


@pytest.mark.parametrize(
    "what",
    [
        "a file of 200 MB said to be 50 kB",
        "a zip with 30 MB of zeros in its list",
        "a zip of folders whose names fill the memory",
        "a zip with files that overlap",
        "zips inside zips, 20 deep",
    ],
)
def test_bomb_takes_no_memory(place, what):
    case = CASES[what]
    case.make(place / "zip")
    tracemalloc.start()
    tried(place / "zip", limits=case.limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_second_member_of_the_same_name_is_skipped(place):
    with zipfile.ZipFile(place / "z", "w") as archive:
        archive.writestr("a.png", image(1))
        archive.writestr("./a.png", image(2))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", image(3))
        archive.writestr("b.png", image(1))
    assert (tried(place / "z").images == 1).all()
    assert [one.reason for one in open_dataset(place / "z").skipped] == [
        "has the same name as an earlier file in the zip"
    ] * 2


@pytest.mark.parametrize("becomes", ["gone", "other"])
def test_zip_that_changes_after_listing(place, becomes):
    data = open_dataset(packed(place / "z", {"a.png": image(), "b.png": image(5)}))
    (place / "z").unlink()
    if becomes == "gone":
        with pytest.raises(DataError, match="changed or gone"):
            next(data.batches(8))
    else:
        packed(place / "z", {"x": b"x" * 1000})
        with pytest.raises(DataError, match="None of the files"):
            list(data.batches(8))


def test_zip_whose_list_grows_after_listing_is_not_read(place):
    path = packed(place / "z", {"a.png": image()})
    data = open_dataset(path, limits=Limits(members=1000))
    CASES["a zip with 30 MB of zeros in its list"].make(path)
    with pytest.raises(DataError, match="more than 1,000 files"):
        list(data.batches(8))


def test_members_that_merely_touch_are_no_overlap(place):
    """A zip without compression is as long as its members and their headers."""
    files = {f"{i}.png": image(i) for i in range(50)}
    assert len(tried(packed(place / "z", files, 0)).images) == 50


def test_overlap_is_seen_where_only_one_shares_another(place):
    path = packed(place / "z", {"a.png": image(size=(40, 40)), "b.png": image(size=(40, 40))}, 0)

    def swallow(data: bytearray, local: int, entry: int) -> None:
        data[entry + 20 : entry + 28] = (2 * len(data)).to_bytes(4, "little") * 2

    with pytest.raises(DataError, match="overlap"):
        open_dataset(patched(path, swallow))
