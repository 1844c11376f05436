"""Which images are one person's: told by each path alone, and rather too few persons than many."""

import random
import zipfile

import numpy as np
import pytest
from conftest import png

from pe_engine.data import open_dataset
from pe_engine.errors import ConfigError, DataError
from pe_engine.persons import tell_persons


def together(names, rule, classes="none", folders=()):
    """The names in groups, one for each person, and what is left of them for the classes."""
    told = tell_persons(names, folders, rule, classes)
    groups = {}
    for name, person in zip(names, told.ids.tolist(), strict=True):
        groups.setdefault(person, []).append(name)
    return sorted(groups.values()), told.names


def test_without_a_rule_every_image_stands_for_itself():
    groups, left = together(["a/1.png", "a/2.png"], "none")
    assert groups == [["a/1.png"], ["a/2.png"]]
    assert left == ["a/1.png", "a/2.png"]


def test_the_innermost_folder_is_the_person_and_is_taken_off():
    names = ["cat/anna/1.png", "cat/anna/2.png", "cat/ben/1.png", "loose.png", "other.png"]
    groups, left = together(names, "folder")
    assert groups == [names[:2], [names[2]], ["loose.png"], ["other.png"]]
    assert left == ["cat/1.png", "cat/2.png", "cat/1.png", "loose.png", "other.png"]


def test_one_name_in_two_classes_is_one_person():
    names = ["cat/anna/1.png", "dog/anna/1.png", "dog/Anna/2.png", "dog/ben/1.png"]
    assert together(names, "folder")[0] == [names[:3], names[3:]]


@pytest.mark.parametrize(
    "one, other", [("Zoë", "Zoe\u0308"), ("ＡＢ", "ab"), ("Straße", "STRASSE")]
)
def test_names_that_a_file_system_takes_for_one_are_one_person(one, other):
    names = [f"{one}/1.png", f"{other}/2.png"]
    assert together(names, "folder")[0] == [names]


def test_a_single_folder_is_a_person_and_no_wrapping():
    names = ["anna/1.png", "anna/2.png"]
    assert together(names, "folder")[0] == [names]
    names = ["ward/anna/1.png", "ward/2.png", "ward/3.png"]  # in doubt one person, not two
    assert together(names, "folder")[0] == [names[1:], names[:1]]


@pytest.mark.parametrize(
    ("classes", "names", "groups"),
    [
        ("none", ["anna_1.png", "anna_2.png", "ben.png", "carl.png"], [[0, 1], [2], [3]]),
        (
            "folder",
            ["cat/anna_1.png", "dog/anna_2.png", "dog/_x.png", "dog/_y.png"],
            [[0, 1], [2], [3]],
        ),
        (
            "prefix",
            ["cat_anna_1.png", "dog_anna_2.png", "cat_ben_1.png", "cat_7.png", "dog_7.png"],
            [[0, 1], [2], [3], [4]],
        ),
    ],
)
def test_the_file_name_up_to_the_line_is_the_person(classes, names, groups):
    assert together(names, "prefix", classes)[0] == sorted([names[i] for i in g] for g in groups)


@pytest.mark.parametrize("rule, classes", [("prefix", "auto"), ("name", "none")])
def test_rules_that_say_nothing_clear_are_refused(rule, classes):
    with pytest.raises(ConfigError, match="rule for persons"):
        tell_persons(["a_1.png"], (), rule, classes)


def test_no_image_changes_whose_another_one_is():
    rng = random.Random(0)
    folders = ["", "anna/", "ben/", "ward/", "ward/anna/", "cat/anna/", "cat/Ben/"]
    names = list({f"{rng.choice(folders)}{rng.choice('ab')}_{i}_x.png" for i in range(60)})
    for rule, classes in (("folder", "auto"), ("prefix", "none"), ("prefix", "prefix")):
        whole = tell_persons(names, folders, rule, classes)
        for place in range(len(names)):
            less = names[:place] + names[place + 1 :]
            rest = tell_persons(less, folders, rule, classes)
            ids, left = np.delete(whole.ids, place), np.delete(whole.names, place)
            assert rest.names == left.tolist()
            same = ids[:, None] == ids
            np.testing.assert_array_equal(rest.ids[:, None] == rest.ids, same)


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
def test_a_folder_and_a_zip_are_the_same_wrapped_or_not(tmp_path, wrapping):
    names = ["cat/anna/1.png", "cat/anna/2.png", "cat/ben/1.png", "dog/anna/3.png", "empty/"]
    names = [wrapping + name for name in names]
    folder = open_dataset(folder_of(tmp_path / "f", names), "folder", persons="folder")
    packed = open_dataset(zip_of(tmp_path / "f.zip", names), "folder", persons="folder")
    assert found(folder) == found(packed)
    class_names, classes, persons, said = found(folder)
    assert class_names == ("cat", "dog", "empty")
    assert classes == ["cat", "cat", "cat", "dog"]
    assert persons == [0, 0, 1, 0]
    assert said == "4 images of 2 persons in 3 classes, named by their folder."


def test_folders_of_persons_name_no_classes(tmp_path):
    names = ["anna/1.png", "anna/2.png", "ben/1.png"]
    source = folder_of(tmp_path / "f", names)
    assert found(open_dataset(source, persons="folder"))[:3] == (("",), [""] * 3, [0, 0, 1])
    with pytest.raises(DataError, match="sub-folder"):
        open_dataset(source, "folder", persons="folder")
    named = ["anna/cat_1.png", "anna/dog_2.png", "ben/cat_1.png"]
    by_name = open_dataset(folder_of(tmp_path / "g", named), "prefix", persons="folder")
    assert found(by_name)[:3] == (("cat", "dog"), ["cat", "dog", "cat"], [0, 0, 1])


def test_an_image_in_the_folder_of_a_class_hides_no_class(tmp_path):
    names = ["cat/x.png", "cat/anna/1.png", "dog/ben/1.png"]
    dataset = open_dataset(folder_of(tmp_path / "f", names), "folder", persons="folder")
    assert found(dataset)[:2] == (("cat", "dog"), ["cat", "dog"])
    assert len(dataset.skipped) == 1  # x is of the person "cat" and of no class


def test_a_batch_says_whose_its_images_are(tmp_path):
    names = ["anna/1.png", "ben/1.png", "ben/2.png", "carl/1.png"]
    source = folder_of(tmp_path / "f", names)
    (source / "ben" / "1.png").write_bytes(b"broken")
    batches = list(open_dataset(source, "none", persons="folder").batches(8, 2))
    assert [i for batch in batches for i in batch.person_ids.tolist()] == [0, 1, 2]
    assert "of 3 persons" in open_dataset(source, "none", persons="folder").describe()
    assert "person" not in open_dataset(source, "none").describe()
