"""Which person an image belongs to, from where it lies or what it is called.

Each image is told its person from its own path alone: no image can change whose another one is.
Two persons taken for one are still protected, together; one person taken for two is not. So names
that differ in case or in how they are encoded are one, a name is one person in whatever class it
turns up, and no folder counts as a mere wrapping.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pe_engine.errors import ConfigError


@dataclass(frozen=True)
class Persons:
    """The persons of some images.

    Attributes:
        ids: int64 ``(M,)``, the same number for images of the same person.
        names, folders: the paths that are left to name the classes.
    """

    ids: np.ndarray
    names: list[str]
    folders: set[str]


def tell_persons(
    names: Sequence[str], folders: Collection[str], rule: str, classes: str = "auto"
) -> Persons:
    """Whose each image is.

    "none": every image stands for itself. "folder": the innermost folder it lies in, which is then
    taken off the path, so that ``cat/anna/1.png`` is ``cat/1.png`` of anna. "prefix": the file name
    up to the first "_", behind the one that ends the class where file names name that, too:
    ``cat_anna_1.png``. An image without a folder, or without such a "_", is a person of its own.

    Args:
        names: paths of the images, parts joined by "/", no two alike.
        folders: paths of all folders, also of those without images.
        rule: "none", "folder" or "prefix".
        classes: the rule that names the classes; with "prefix" not "auto".

    Raises:
        ConfigError: another rule, or two that do not go together.
    """
    if rule == "none":
        return Persons(np.arange(len(names)), list(names), set(folders))
    if rule == "folder":
        owners = [name.rpartition("/")[0].rpartition("/")[2] for name in names]
        left = [_without_innermost(name) for name in names]
        persons_folders = {name.rpartition("/")[0] for name in names}
        needed = {above for name in left for above in _folders_above(name)}
        return Persons(_ids(names, owners), left, set(folders) - persons_folders | needed)
    if rule == "prefix" and classes != "auto":
        owners = [_prefix(name, classes == "prefix") for name in names]
        return Persons(_ids(names, owners), list(names), set(folders))
    raise ConfigError(
        f"The rule for persons {rule!r} is not known, or does not go with the rule for classes "
        f"{classes!r}. Choose none or folder; or prefix, and folder, prefix or none for classes."
    )


def _ids(names: Sequence[str], owners: Sequence[str]) -> np.ndarray:
    # no folder and no part of a file name has a "/", so that no person is called like a path
    keys = [_same(owner) or f"/{name}" for name, owner in zip(names, owners, strict=True)]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def _same(name: str) -> str:
    """The same text for names that a file system or an archiver may take for one another."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def _without_innermost(name: str) -> str:
    folder, _, file = name.rpartition("/")
    above = folder.rpartition("/")[0]
    return f"{above}/{file}" if above else file


def _folders_above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _prefix(name: str, behind_class: bool) -> str:
    file = name.rpartition("/")[2]
    if behind_class:
        file = file.partition("_")[2]
    prefix, found, _ = file.partition("_")
    return prefix if found else ""
