"""Which person an image belongs to, from where it lies or what it is called.

Each image is told its person from its own path alone: no image can change whose another one is.
Two persons taken for one are still protected, together; one person taken for two is not. So names
that differ in case or in how they are encoded are one, a name is one person in whatever class it
turns up, no folder counts as a mere wrapping, and where a path leaves a choice nothing is guessed:
the owner is asked.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pe_engine.class_rules import class_folder, composed
from pe_engine.errors import ConfigError, DataError

FOLDER, OUTER, INNER = "folder", "outer-folder", "inner-folder"

MOST_SHOWN = 40  # characters of a name


@dataclass(frozen=True)
class Persons:
    """The persons of some images.

    Attributes:
        ids: int64 ``(M,)``, the same number for images of the same person.
        owners: what each image's person is called, M; "" where every image stands for itself.
        names, folders: the paths that are left to name the classes.
    """

    ids: np.ndarray
    owners: list[str]
    names: list[str]
    folders: set[str]


def tell_persons(
    names: Sequence[str],
    folders: Collection[str],
    rule: str,
    classes: str = "auto",
    declared: Sequence[str] = (),
) -> Persons:
    """Whose each image is.

    "none": every image stands for itself.

    "folder": the one folder that it lies in below the class's, or the only one where no folder
    names the classes. "outer-folder" and "inner-folder" choose where there are several: the first
    one, so that ``anna/2021/1.png`` is anna's, or the last one, so that ``2021/anna/1.png`` is.
    The class's is the outermost folder with a declared name; if none are declared, the first one.

    "prefix": the file name up to the first "_", or all of it before the ending, behind the "_" that
    ends the class where file names name that, too: ``cat_anna_1.png``.

    Args:
        names: paths of the images, parts joined by "/", no two alike.
        folders: paths of all folders, also of those without images.
        rule: "none", "folder", "outer-folder", "inner-folder" or "prefix".
        classes: the rule that names the classes; not "auto" unless the rule is "none".
        declared: the names of the classes; none for those that are found.

    Raises:
        ConfigError: another rule, or two that do not go together.
        DataError: an image lies where its person is not clear.
    """
    if rule == "none":
        return Persons(np.arange(len(names)), [""] * len(names), list(names), set(folders))
    if classes != "auto" and rule == "prefix":
        owners = [_prefix(name, classes == "prefix") for name in names]
        _check_named(owners, "have nothing before the first '_'", "Rename them")
        return Persons(_ids(names, owners), owners, list(names), set(folders))
    if classes != "auto" and rule in (FOLDER, OUTER, INNER):
        return _by_folder(names, folders, rule, classes, declared)
    raise ConfigError(
        f"The rule for persons {rule!r} is not known, or does not go with the rule for classes "
        f"{classes!r}. Choose none; or folder, outer-folder, inner-folder or prefix, and folder, "
        "prefix or none for classes."
    )


def describe_persons(ids: np.ndarray, owners: Sequence[str]) -> str:
    """For the owner: how many there are, and the one with most images, who shows best whether the
    rule is right."""
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    most = int(np.argmax(counts))
    name = owners[first[most]]
    shown = name if len(name) <= MOST_SHOWN else f"{name[:MOST_SHOWN]}..."
    persons = f"{len(counts):,} person{'s' * (len(counts) != 1)}"
    return f"{persons} ({shown!r} is one, with {counts[most]:,} of them)"


def _by_folder(
    names: Sequence[str],
    folders: Collection[str],
    rule: str,
    classes: str,
    declared: Sequence[str],
) -> Persons:
    paths = [name.split("/")[:-1] for name in names]
    known = {composed(name) for name in declared}
    starts = [class_folder(path, known) if classes == "folder" else 0 for path in paths]
    # an image that lies in no class's folder is left out, whosever it is
    used = [start is not None for start in starts]
    starts = [start or 0 for start in starts]
    if rule == FOLDER:
        _check_single([path[s:] for path, s, u in zip(paths, starts, used, strict=True) if u])
    if rule == INNER:
        _check_no_folder_within({"/".join(path) for path, u in zip(paths, used, strict=True) if u})
        starts = [max(s, len(path) - 1) for path, s in zip(paths, starts, strict=True)]
    owners = ["".join(path[s : s + 1]) for path, s in zip(paths, starts, strict=True)]
    where = " below that of their class" if classes == "folder" else ""
    _check_named(
        [owner for owner, u in zip(owners, used, strict=True) if u],
        f"lie in no folder of a person{where}",
        "Put all images of each person into a folder of their own",
    )
    above = [path[:s] for path, s in zip(paths, starts, strict=True)]
    left = ["/".join([*path, _file(name)]) for path, name in zip(above, names, strict=True)]
    of_persons = {"/".join([*path, owner]) for path, owner in zip(above, owners, strict=True)}
    needed = {"/".join(path[: i + 1]) for path in above for i in range(len(path))}
    others = {folder for folder in folders if of_persons.isdisjoint(_with_those_above(folder))}
    return Persons(_ids(names, owners), owners, left, others | needed)


def _check_single(below: Sequence[Sequence[str]]) -> None:
    """Raises DataError where an image lies in several folders that may be a person's."""
    several = sum(len(path) > 1 for path in below)
    if several:
        raise DataError(
            f"{several:,} of the {len(below):,} images lie in folders within folders, so that it "
            "is not clear which one is a person's. Set persons to outer-folder if it is the first "
            "one (below the class's, if folders name the classes), or to inner-folder if it is "
            "the last one."
        )


def _check_no_folder_within(holding: Collection[str]) -> None:
    """Raises DataError where one of these folders lies in another: they may be one person's."""
    within = sum(
        any(above in holding for above in _with_those_above(folder)[:-1]) for folder in holding
    )
    if within:
        raise DataError(
            f"{within:,} folders of persons lie in a folder that has images itself, so that one "
            "person might count as several. Set persons to outer-folder if the first folder is "
            "the person's, or move the images."
        )


def _check_named(owners: Sequence[str], what: str, how: str) -> None:
    """Raises DataError where an image names no person: it may be of one who is named elsewhere."""
    missing = sum(not _same(owner) for owner in owners)
    if missing:
        raise DataError(
            f"{missing:,} of the {len(owners):,} images {what}, so that nobody knows whose they "
            f"are. {how}, or choose another rule for the persons."
        )


def _ids(names: Sequence[str], owners: Sequence[str]) -> np.ndarray:
    # an image that is left out is its own: no person is called like a path
    keys = [_same(owner) or f"/{name}" for name, owner in zip(names, owners, strict=True)]
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def _same(name: str) -> str:
    """The same text for names that a file system or an archiver may take for one another."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def _file(name: str) -> str:
    return name.rpartition("/")[2]


def _with_those_above(folder: str) -> list[str]:
    """The folders that lead to this one, the outermost first, and this one."""
    parts = folder.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _prefix(name: str, behind_class: bool) -> str:
    file = _file(name)
    if behind_class:
        file = file.partition("_")[2]
    prefix, found, _ = file.partition("_")
    return prefix if found else file.rpartition(".")[0]
