"""From a published archive to a folder of images that is there complete, or not at all.

Beside ``DEST`` there are while it works, and after it was cut off:

    .DEST.part      what has been downloaded so far
    .DEST.archive   the archive, downloaded and checked
    .DEST.new       the images written so far; begun again the next time
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pe_engine.datasets import DATASETS, DataSet
from pe_engine.datasets.downloading import DownloadError, download
from pe_engine.datasets.words import amount
from pe_engine.errors import DataError
from pe_engine.files import part_of, put_in_place, sync_all, sync_folder
from pe_engine.images import png_bytes


def prepare(
    name: str, destination: Path, archive: Path | None = None, say: Callable[[str], None] = print
) -> None:
    """Write the data set's images as ``<class>_<number>.png`` into folders inside a folder.

    Args:
        name: in ``DATASETS``.
        destination: the folder to make; must not hold other files.
        archive: the published archive if it was fetched by hand; None to download it.
        say: told what is going on, a line at a time.

    Raises:
        DataError: with what to do; nothing is left at ``destination``.
    """
    dataset = DATASETS[name]
    target = destination.absolute()
    _check_free(target)
    say(dataset.title)
    with _disk_full_is_said(target):
        given = archive or _fetched(name, target, say)
        if not given.is_file():
            raise DataError(f"There is no file {given}. Check its name, or fetch it again.")
        _check_room(target, dataset.room)
        try:
            _check_sum(dataset, given, say)
            counts = _write(dataset, given, target, say)
        except DataError:
            if archive is None:
                given.unlink()  # so that the next time does not begin with it
            raise
    if archive is None:
        given.unlink()
    for folder, count in sorted(counts.items()):
        say(f"{target / folder}: {count:,} images")
    folder, arguments = dataset.run
    say(
        f"Go on with: python -m pe_engine run {shlex.quote(str(destination / folder))} "
        f"--output OUT {arguments}"
    )


def _check_free(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} holds other files. Choose a folder that does not exist yet.")


# The archive ------------------------------------------------------------------------------------


def _fetched(name: str, target: Path, say: Callable[[str], None]) -> Path:
    """The downloaded archive beside the target, as it came if it was there before."""
    dataset = DATASETS[name]
    archive = target.with_name(f".{target.name}.archive")
    if archive.exists():
        return archive
    if not dataset.url:
        raise DataError(
            f"{dataset.archive} is only given to people who log in. {_by_hand(name, target)}"
        )
    part = part_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    _check_room(target, dataset.room + max(0, dataset.size - have))
    say(f"Downloading {dataset.archive} ({amount(dataset.size)}) from {dataset.url}")
    try:
        download(dataset.url, part, 2 * dataset.size)
    except DownloadError as error:
        again = " Try the same command again: it goes on from there if the server can. Or:"
        raise DataError(
            f"{dataset.archive} cannot be had: {error}.{again if part.exists() else ''} "
            f"{_by_hand(name, target)}"
        ) from error
    put_in_place(part, archive)
    return archive


def _by_hand(name: str, target: Path) -> str:
    dataset = DATASETS[name]
    where = target.with_name(dataset.archive)
    known = [amount(dataset.size)] if dataset.size else []
    known += [f"SHA-256 {dataset.sha256}"] if dataset.sha256 else []
    known += [f"described at {dataset.page}"] if dataset.url else []
    about = f" ({', '.join(known)})" if known else ""
    command = shlex.join(
        ["python", "-m", "pe_engine", "data", name, str(target), "--from", str(where)]
    )
    return (
        f"Fetch it by hand from {dataset.url or dataset.page}{about}, put it at {where} and go on "
        f"with: {command}"
    )


def _check_sum(dataset: DataSet, archive: Path, say: Callable[[str], None]) -> None:
    if not dataset.sha256:
        say(
            f"No checksum of {dataset.archive} is published, so that it cannot be told from "
            "another file of the same layout."
        )
        return
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    if digest.hexdigest() == dataset.sha256:
        say("Its SHA-256 is the published one.")
        return
    raise DataError(
        f"{dataset.archive} has the SHA-256 {digest.hexdigest()} instead of {dataset.sha256}, so "
        "it is damaged or another file; nothing was unpacked. Fetch it again."
    )


# The images -------------------------------------------------------------------------------------


def _write(
    dataset: DataSet, archive: Path, target: Path, say: Callable[[str], None]
) -> Counter[str]:
    """Write all images, then give the folder its name; how many there are in each folder."""
    from tqdm import tqdm

    module, _, function = dataset.reader.partition(":")
    read = getattr(importlib.import_module(module), function)
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    say("Writing the images")
    counts: Counter[str] = Counter()
    try:
        new.mkdir(parents=True)
        for folder, name, pixels in tqdm(
            read(archive), desc="Writing", unit=" images", file=sys.stderr, disable=None
        ):
            if not counts[folder]:
                (new / folder).mkdir()
            (new / folder / name).write_bytes(png_bytes(pixels))
            counts[folder] += 1
        sync_all()
        if target.exists():
            target.rmdir()
        new.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return counts


# Room -------------------------------------------------------------------------------------------


def _check_room(target: Path, needed: int) -> None:
    existing = next(folder for folder in target.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DataError(
            f"{amount(needed)} of disk are needed at {target.parent}, but {amount(free)} are free. "
            "Make room, or choose a folder on another disk."
        )


@contextmanager
def _disk_full_is_said(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"The disk at {target.parent} is full ({os.strerror(error.errno)}). Make room and try "
            "the same command again; what has been downloaded is kept."
        ) from error
