"""Which class an image belongs to, from where it lies or what it is called."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pe_engine.errors import ConfigError, DataError

_HOW_ELSE = "Or choose another rule for the classes."


@dataclass(frozen=True)
class Labels:
    """The classes of some images.

    Attributes:
        rule: "folder", "prefix" or "none".
        of_images: one class name for each image; None for an image that has no class and cannot
            be used under this rule.
        class_names: the declared ones as they are; else those found, sorted, numbers by value, with
            rule "folder" also folders without an image.
        found: of each class, by the name it has in the images, how many images there are; also of
            those that are left out.
        left_out: the places of the images whose class is left out.
    """

    rule: str
    of_images: list[str | None]
    class_names: tuple[str, ...]
    found: Mapping[str, int] = field(default_factory=dict)
    left_out: frozenset[int] = frozenset()


def label(
    names: Sequence[str],
    folders: Collection[str],
    rule: str,
    declared: Sequence[str] = (),
    class_map: Mapping[str, str] | None = None,
) -> Labels:
    """Name the class of each image.

    "folder" is the top folder, after folders that merely wrap everything have been taken off.
    "prefix" is the file name up to the first "_". "auto" takes the folders when there are two or
    more and most images lie in them; else the prefix when every image has one and there are two
    or more, with two images each on average; else no classes.

    With declared classes an image's own path alone decides: "folder" is the outermost folder with a
    declared name, and an image of another class has none. Without, one image can change what
    classes there are, so that those found count as declared by whoever chose the images.

    A class that ``class_map`` names is called otherwise, is one with another, or is left out: each
    image as its own class says, whatever other images there are. Declared are the names after it.

    Args:
        names: paths of the images, parts joined by "/", at least one.
        folders: paths of all folders, also of those without images.
        rule: "auto", "folder", "prefix" or "none"; "folder" or "prefix" with declared classes.
        declared: the names of the classes; none for those that are found.
        class_map: what classes are called by the name they have in the images; "" leaves one out.
            One that there is not is no error.

    Raises:
        ConfigError: another rule.
        DataError: a rule that was asked for does not fit, or every class is left out.
    """
    changes = class_map or {}
    if declared:
        found = _by_declaration(names, rule, names_in_images(declared, changes))
    else:
        found = _found(names, folders, rule)
    return _renamed(found, changes, tuple(declared))


def names_in_images(declared: Sequence[str], class_map: Mapping[str, str]) -> tuple[str, ...]:
    """What declared classes may be called in the images; none where none are declared."""
    if not declared:
        return ()
    renamed = {composed(name) for name in class_map}
    kept = [name for name in declared if composed(name) not in renamed]
    return (*kept, *class_map)


def _renamed(found: Labels, class_map: Mapping[str, str], declared: tuple[str, ...]) -> Labels:
    """The classes by the names that they are to have."""
    counts = Counter(found.of_images)
    found = replace(found, found={name: counts[name] for name in found.class_names})
    if not class_map or found.rule == "none":
        return found
    new_names = {composed(old): new for old, new in class_map.items()}
    called = {name: new_names.get(composed(name), name) for name in found.class_names}
    class_names = declared or _sorted({name for name in called.values() if name})
    if not class_names:
        raise DataError("Every class is left out. Leave at least one of them in.")
    # a new name that is none of the declared ones is no class either
    kept = {old: new for old, new in called.items() if new in class_names}
    of_images = [kept.get(name) for name in found.of_images]
    if not any(of_images):
        raise DataError("None of the classes that are left in has an image. Leave others in.")
    pairs = enumerate(zip(found.of_images, of_images, strict=True))
    left_out = frozenset(i for i, (old, new) in pairs if new is None and old is not None)
    return replace(found, of_images=of_images, class_names=class_names, left_out=left_out)


def _found(names: Sequence[str], folders: Collection[str], rule: str) -> Labels:
    """The classes by the names that they have in the images."""
    if rule == "auto":
        return _automatic(names, folders)
    if rule == "folder":
        return _by_folder(names, folders)
    if rule == "prefix":
        return _by_prefix(names)
    if rule == "none":
        return _unlabelled(names)
    raise ConfigError(
        f"The rule for classes {rule!r} is not known. Choose auto, folder, prefix or none."
    )


def class_folder(folders: Sequence[str], declared: Collection[str]) -> int | None:
    """How many of the folders that lead to an image end with that of its class.

    The class's is the outermost one with a declared name (given as ``composed``), or the first
    where none are declared. None where there is none.
    """
    if not declared:
        return 1 if folders else None
    return next((i for i, name in enumerate(folders, 1) if composed(name) in declared), None)


def _automatic(names: Sequence[str], folders: Collection[str]) -> Labels:
    tops = _top_folders(names, folders, keep_last=False)
    inside = sum(top is not None for top in tops.of_images)
    if len(tops.class_names) >= 2 and 2 * inside >= len(names):
        return tops
    prefixes = [_prefix(name) for name in names]
    different = len(set(prefixes))
    if all(prefixes) and 2 <= different <= len(names) / 2:
        return _by_prefix(names)
    return _unlabelled(names)


def _by_folder(names: Sequence[str], folders: Collection[str]) -> Labels:
    tops = _top_folders(names, folders, keep_last=True)
    if not any(tops.of_images):
        raise DataError(
            f"None of the {len(names):,} images lies in a sub-folder, so folders cannot name the "
            f"classes. Put the images of each class into a folder of their own. {_HOW_ELSE}"
        )
    return tops


def _by_prefix(names: Sequence[str]) -> Labels:
    prefixes = [_prefix(name) for name in names]
    missing = prefixes.count(None)
    if missing:
        raise DataError(
            f"{missing:,} of the {len(names):,} images have no class before a '_' in their file "
            f"name. Rename them, for example to cat_001.png. {_HOW_ELSE}"
        )
    return Labels("prefix", prefixes, _sorted(set(prefixes)))


def _by_declaration(names: Sequence[str], rule: str, declared: Sequence[str]) -> Labels:
    if rule not in ("folder", "prefix"):
        raise ConfigError(
            f"Classes are declared, but the rule for classes is {rule!r}. Choose folder or prefix."
        )
    known = {composed(name): name for name in declared}
    of_images = []
    for name in names:
        parts = name.split("/")[:-1] if rule == "folder" else [_prefix(name) or ""]
        end = class_folder(parts, known)
        of_images.append(None if end is None else known[composed(parts[end - 1])])
    if not any(of_images):
        raise DataError(
            f"None of the {len(names):,} images belongs to one of the {len(known)} declared "
            f"classes. Check how they are spelt. {_HOW_ELSE}"
        )
    return Labels(rule, of_images, tuple(declared))


def composed(name: str) -> str:
    """A name as it is typed: some systems store ü as u and two dots."""
    return unicodedata.normalize("NFC", name)


def _unlabelled(names: Sequence[str]) -> Labels:
    return Labels("none", [""] * len(names), ("",))


def _prefix(name: str) -> str | None:
    prefix, found, _ = name.rpartition("/")[2].partition("_")
    return prefix if found and prefix else None


def _top_folders(names: Sequence[str], folders: Collection[str], keep_last: bool) -> Labels:
    """Classes by top folder, wrapping folders taken off.

    keep_last: where one folder holds all images and no further folder, it is a class and not a
        wrapping.
    """
    tails, inner = list(names), set(folders)
    while True:
        tops = {path.partition("/")[0] for path in inner}
        if len(tops) != 1 or not all("/" in tail for tail in tails):
            break
        below = {path.partition("/")[2] for path in inner} - {""}
        if keep_last and not below:
            break
        tails = [tail.partition("/")[2] for tail in tails]
        inner = below
    of_images = [tail.partition("/")[0] if "/" in tail else None for tail in tails]
    return Labels("folder", of_images, _sorted(tops))


def _sorted(names: Collection[str]) -> tuple[str, ...]:
    """Sorted with numbers by value: "2" before "10"."""

    def key(name: str) -> tuple:
        parts = re.split("([0-9]+)", name)
        # A number by its length, then its digits: int() refuses more than 4,300 of them.
        numbers = [(len(part.lstrip("0")), part.lstrip("0")) for part in parts[1::2]]
        return [*zip(parts[::2], [*numbers, (0, "")], strict=True)], name

    return tuple(sorted(names, key=key))
