"""Which images are one person's: told by each path alone, and rather too few persons than many."""

import random
import zipfile

import numpy as np
import pytest

from pe_engine.data import open_dataset
from pe_engine.errors import ConfigError, DataError
from pe_engine.persons import describe_persons, tell_persons
from tests.conftest import png


def together(names, rule, classes="none", declared=(), folders=()):
    """The names in groups, one for each person, and what is left of them for the classes."""
    told = tell_persons(names, folders, rule, classes, declared)
    groups = {}
    for name, person in zip(names, told.ids.tolist(), strict=True):
        groups.setdefault(person, []).append(name)
    return sorted(groups.values()), told.names


def test_without_a_rule_every_image_stands_for_itself():
    groups, left = together(["a/1.png", "a/2.png"], "none", "auto")
    assert groups == [["a/1.png"], ["a/2.png"]]
    assert left == ["a/1.png", "a/2.png"]


ANNA_AND_BEN = [("anna", "1.png"), ("anna", "2.png"), ("ben", "1.png")]
LAYOUTS = {
    # where a person's images lie: the rules that tell the persons, with classes by folder or none
    "{}/1/{}": {"outer-folder": ("none",)},
    "{}/{}": dict.fromkeys(("folder", "outer-folder", "inner-folder"), ("none",)),
    "cat/{}/{}": {
        "folder": ("folder", "cat"),
        "outer-folder": ("folder", "cat"),
        "inner-folder": ("folder", "cat", "none"),
    },
    "export/cat/{}/{}": {
        "folder": ("cat",),
        "outer-folder": ("cat",),
        "inner-folder": ("folder", "cat", "none"),
    },
    "cat/{}/2021/{}": {"outer-folder": ("folder", "cat")},
    "2021/{}/{}": {"folder": ("folder",), "outer-folder": ("folder",), "inner-folder": ("none",)},
    "{}/cat/{}": {"outer-folder": ("none",)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rule", ["folder", "outer-folder", "inner-folder"])
@pytest.mark.parametrize("by", ["none", "folder", "cat"])
def test_a_rule_tells_persons_apart_takes_them_for_one_or_is_refused(layout, rule, by):
    """But never splits one: "cat" stands for classes by folder, of which cat is declared. Only who
    says that years are persons, by inner-folder or as what lies below classes, gets years."""
    names = [layout.format(*place) for place in ANNA_AND_BEN]
    classes, declared = ("folder", ("cat",)) if by == "cat" else (by, ())
    try:
        groups, left = together(names, rule, classes, declared)
    except DataError as error:
        assert by not in LAYOUTS[layout].get(rule, ())
        assert "anna" not in str(error)
        return
    if by in LAYOUTS[layout].get(rule, ()):
        assert groups == [names[:2], names[2:]]
        assert not any("anna" in name or "ben" in name for name in left)
    else:
        assert any(set(names[:2]) <= set(group) for group in groups) or by == "cat"


def test_the_folder_of_a_person_is_taken_off():
    names = ["cat/anna/1.png", "cat/anna/2.png", "cat/ben/1.png"]
    for rule in ("folder", "outer-folder", "inner-folder"):
        assert together(names, rule, "folder")[1] == ["cat/1.png", "cat/2.png", "cat/1.png"]
    assert together(["ward/" + n for n in names], "folder", "folder", ("cat",))[1][0] == (
        "ward/cat/1.png"
    )


def test_one_name_in_two_classes_is_one_person():
    names = ["cat/anna/1.png", "dog/anna/1.png", "dog/Anna/2.png", "dog/ben/1.png"]
    for rule in ("folder", "outer-folder", "inner-folder"):
        assert together(names, rule, "folder")[0] == [names[:3], names[3:]]


@pytest.mark.parametrize(
    "one, other", [("Zoë", "Zoe\u0308"), ("ＡＢ", "ab"), ("Straße", "STRASSE")]
)
def test_names_that_a_file_system_takes_for_one_are_one_person(one, other):
    names = [f"{one}/1.png", f"{other}/2.png"]
    assert together(names, "folder")[0] == [names]


def test_a_single_folder_is_a_person_and_no_wrapping():
    names = ["anna/1.png", "anna/2.png"]
    assert together(names, "folder")[0] == [names]


@pytest.mark.parametrize(
    ("rule", "classes", "names", "said"),
    [
        ("folder", "none", ["anna/1.png", "anna/2021/2.png"], "1 of the 2 .* within folders"),
        ("folder", "none", ["anna/1.png", "2.png"], "1 of the 2 images lie in no folder"),
        ("outer-folder", "none", ["1.png", "2.png"], "2 of the 2 images lie in no folder"),
        ("inner-folder", "none", ["anna/1.png", "2.png"], "might count as several|in no folder"),
        ("inner-folder", "none", ["anna/1.png", "anna/2021/2.png"], "might count as several"),
        ("inner-folder", "none", ["b/anna/1.png", "b/anna/x/y/2.png"], "might count as several"),
        ("folder", "folder", ["cat/anna/1.png", "cat/2.png"], "in no folder.* below that of their"),
        ("folder", "none", [" /1.png"], "in no folder"),
        ("prefix", "none", ["anna_1.png", "_1.png"], "1 of the 2 images have nothing before"),
        ("prefix", "none", [".png"], "have nothing before"),
    ],
)
def test_nothing_is_guessed(rule, classes, names, said):
    with pytest.raises(DataError, match=said) as error:
        together(names, rule, classes)
    assert "anna" not in str(error.value)


def test_images_of_no_class_are_nobodys_concern():
    names = ["1.png", "cat/anna/1.png"]  # the first one is left out
    assert together(names, "folder", "folder")[1] == ["1.png", "cat/1.png"]
    names = ["dog/1.png", "dog/anna/x/1.png", "cat/anna/1.png"]
    for rule in ("folder", "outer-folder", "inner-folder"):
        left = together(names, rule, "folder", ("cat",))[1]
        assert [name.startswith("cat/") for name in left] == [False, False, True]


@pytest.mark.parametrize(
    ("classes", "names", "groups"),
    [
        ("none", ["anna_1.png", "anna_2.png", "anna.png", "ben.png"], [[0, 1, 2], [3]]),
        (
            "folder",
            ["cat/anna_1.png", "dog/anna_2.png", "dog/x.png", "cat/x.png"],
            [[0, 1], [2, 3]],
        ),
        (
            "prefix",
            ["cat_anna_1.png", "dog_anna_2.png", "cat_ben_1.png", "cat_7.png", "dog_7.png"],
            [[0, 1], [2], [3, 4]],
        ),
    ],
)
def test_the_file_name_up_to_the_line_is_the_person(classes, names, groups):
    assert together(names, "prefix", classes)[0] == sorted([names[i] for i in g] for g in groups)


@pytest.mark.parametrize(
    "rule, classes",
    [("prefix", "auto"), ("folder", "auto"), ("outer-folder", "auto"), ("x", "none")],
)
def test_rules_that_say_nothing_clear_are_refused(rule, classes):
    with pytest.raises(ConfigError, match="rule for persons"):
        tell_persons(["a/a_1.png"], (), rule, classes)


def test_no_image_changes_whose_another_one_is():
    rng = random.Random(0)
    folders = ["ward/anna/", "ward/ben/", "x/ward/", "cat/anna/", "cat/Ben/", "cat/ward/"]
    names = list({f"{rng.choice(folders)}{rng.choice('ab')}_{i}_x.png" for i in range(60)})
    for rule, classes in (
        *((rule, "folder") for rule in ("folder", "outer-folder", "inner-folder")),
        *((rule, "none") for rule in ("outer-folder", "inner-folder", "prefix")),
        ("prefix", "prefix"),
    ):
        whole = tell_persons(names, folders, rule, classes)
        for place in range(len(names)):
            less = names[:place] + names[place + 1 :]
            rest = tell_persons(less, folders, rule, classes)
            ids, left = np.delete(whole.ids, place), np.delete(whole.names, place)
            assert rest.names == left.tolist()
            same = ids[:, None] == ids
            np.testing.assert_array_equal(rest.ids[:, None] == rest.ids, same)


def test_the_owner_is_told_the_person_with_most_images():
    ids = np.array([0, 1, 1])
    assert describe_persons(ids, ["ben", "anna", "anna"]) == (
        "2 persons ('anna' is one, with 2 of them)"
    )
    assert describe_persons(ids[:1], ["x" * 200]).startswith(f"1 person ('{'x' * 40}...' is")


# In a data set --------------------------------------------------------------------------------

PICTURE = png(np.zeros((8, 8, 3), np.uint8))


def folder_of(path, names):
    for name in names:
        target = path / name
        if name.endswith("/"):
            target.mkdir(parents=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(PICTURE)
    return path


def zip_of(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"" if name.endswith("/") else PICTURE)
    return path


def found(dataset):
    classes = [dataset.class_names[i] for i in dataset.class_ids]
    return dataset.class_names, classes, dataset.person_ids.tolist(), dataset.describe()


@pytest.mark.parametrize("wrapping", ["", "photos/", "my/photos/"])
@pytest.mark.parametrize("rule", ["inner-folder", "folder", "outer-folder"])
def test_a_folder_and_a_zip_are_the_same_wrapped_or_not(tmp_path, wrapping, rule):
    names = ["cat/anna/1.png", "cat/anna/2.png", "cat/ben/1.png", "dog/anna/3.png", "empty/"]
    names = [wrapping + name for name in names]
    declared = () if rule == "inner-folder" else ("cat", "dog", "empty")
    how = {"classes": "folder", "class_names": declared, "persons": rule}
    folder = open_dataset(folder_of(tmp_path / "f", names), **how)
    packed = open_dataset(zip_of(tmp_path / "f.zip", names), **how)
    assert found(folder) == found(packed)
    class_names, classes, persons, said = found(folder)
    assert class_names == ("cat", "dog", "empty")
    assert classes == ["cat", "cat", "cat", "dog"]
    assert persons == [0, 0, 1, 0]
    assert said == (
        "4 images of 2 persons ('anna' is one, with 3 of them) in 3 classes, named by their folder."
    )


def test_folders_of_persons_name_no_classes(tmp_path):
    names = ["anna/1.png", "anna/2.png", "ben/1.png"]
    source = folder_of(tmp_path / "f", names)
    assert found(open_dataset(source, "none", persons="folder"))[:3] == (
        ("",),
        [""] * 3,
        [0, 0, 1],
    )
    with pytest.raises(DataError, match="in no folder of a person below that of their class"):
        open_dataset(source, "folder", persons="folder")
    named = ["anna/cat_1.png", "anna/dog_2.png", "ben/cat_1.png"]
    by_name = open_dataset(folder_of(tmp_path / "g", named), "prefix", persons="folder")
    assert found(by_name)[:3] == (("cat", "dog"), ["cat", "dog", "cat"], [0, 0, 1])


@pytest.mark.parametrize("rule", ["folder", "outer-folder"])
def test_folders_below_a_persons_name_no_classes(tmp_path, rule):
    names = ["cat/anna/1.png", "dog/ben/1.png", "cat/anna/empty/", "cat/zed/empty/", "owl/"]
    dataset = open_dataset(folder_of(tmp_path / "f", names), "folder", persons=rule)
    assert found(dataset)[:3] == (("cat", "dog", "owl"), ["cat", "dog"], [0, 1])


def test_a_batch_says_whose_its_images_are(tmp_path):
    names = ["anna/1.png", "ben/1.png", "ben/2.png", "carl/1.png"]
    source = folder_of(tmp_path / "f", names)
    (source / "ben" / "1.png").write_bytes(b"broken")
    batches = list(open_dataset(source, "none", persons="folder").batches(8, 2))
    assert [i for batch in batches for i in batch.person_ids.tolist()] == [0, 1, 2]
    assert "of 3 persons" in open_dataset(source, "none", persons="folder").describe()
    assert "person" not in open_dataset(source, "none").describe()
