"""The data sets of the method's first experiments: where each is published, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A published archive of images.

    Attributes:
        title: what is in it, in a line.
        reader: "module:function"; the function takes the archive's path and yields each image as
            ``(folder, file name, uint8 (H, W, 3))``.
        archive: file name of the archive.
        url: where a program may fetch it; empty where only a person may.
        page: where a person does.
        size: bytes of the archive, about.
        sha256: hexadecimal hash of the archive; empty where none is known.
        room: bytes that the images take up on disk, about.
        run: folder inside ``DEST`` and arguments of ``run`` that go well with it.
    """

    title: str
    reader: str
    archive: str
    url: str
    page: str
    size: int
    sha256: str
    room: int
    run: tuple[str, str]


DATASETS: Mapping[str, DataSet] = {
    # Size and SHA-256 as TensorFlow Datasets lists them (url_checksums/cifar10.txt); the page gives
    # the MD5 c32a1d4ab5d03f1284b67883e8d87530.
    "cifar10": DataSet(
        title="CIFAR-10: 60,000 photographs of 32 x 32 pixels in 10 classes",
        reader="pe_engine.datasets.cifar10:images",
        archive="cifar-10-binary.tar.gz",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        size=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        room=300_000_000,
        run=("cifar10_train", "--preset cifar10_conditional"),
    ),
    # Version 1.0 of p-lambda/wilds (wilds/datasets/camelyon17_dataset.py), which gives an address
    # and an approximate size, but no hash.
    "camelyon17": DataSet(
        title="Camelyon17-WILDS 1.0: patches of 96 x 96 pixels from slides of lymph nodes, "
        "1 with tumor and 0 without",
        reader="pe_engine.datasets.camelyon17:images",
        archive="camelyon17_v1.0.tar.gz",
        url="https://worksheets.codalab.org/rest/bundles/0xe45e15f39fb54e9d9e919556af67aabe"
        "/contents/blob/",
        page="https://wilds.stanford.edu/downloads",
        size=10_658_709_504,
        sha256="",
        room=12_000_000_000,
        run=("camelyon17_train", "--preset camelyon17_conditional"),
    ),
    # Kaggle gives it to people who are logged in.
    "cat": DataSet(
        title="Cat Cookie and Cat Doudou: photographs of two cats, 512 x 512 pixels",
        reader="pe_engine.datasets.cat:images",
        archive="cat-cookie-doudou.zip",
        url="",
        page="https://www.kaggle.com/datasets/fjxmlzn/cat-cookie-doudou",
        size=0,
        sha256="",
        room=200_000_000,
        run=("cookie", "--preset cats"),
    ),
}
"""By the name that the command ``data`` knows it under."""
