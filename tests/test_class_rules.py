"""Declared classes: each image on its own, so that none can change the rule or the set of names."""

import numpy as np
import pytest

from pe_engine.class_rules import label
from pe_engine.errors import ConfigError, DataError

NAMES = ["all/cat/1.png", "all/dog/2.png", "all/fox/3.png", "4.png", "all/cat/dog/5.png"]


def test_the_outermost_folder_with_a_declared_name_is_the_class():
    labels = label(NAMES, ("all", "all/cat", "zebra"), "folder", ("dog", "cat", "owl"))
    assert labels.class_names == ("dog", "cat", "owl")  # as declared, with or without images
    assert labels.of_images == ["cat", "dog", None, None, "cat"]


def test_the_file_name_may_be_the_class():
    names = ["x/cat_1.png", "dog_2_a.png", "fox_3.png", "cat.png"]
    labels = label(names, ("x",), "prefix", ("cat", "dog"))
    assert labels.of_images == ["cat", "dog", None, None]


def test_a_name_typed_is_the_name_that_the_system_stored():
    stored, typed = "Mu\u0308cke", "M\u00fccke"
    assert label([f"{stored}/1.png"], (), "folder", (typed,)).of_images == [typed]


@pytest.mark.parametrize(
    "new", ["owl/9.png", "9.png", "other/cat/9.png", "cat_9.png", "a/b/c/9.png", "all/9.png"]
)
@pytest.mark.parametrize("rule", ["folder", "prefix"])
def test_no_image_changes_the_class_of_another(rule, new):
    names = [*NAMES, "cat_6.png", "owl_7.png"]
    before = label(names, (), rule, ("cat", "dog"))
    folders = {new.rpartition("/")[0]} - {""}
    after = label([new, *names], folders, rule, ("cat", "dog"))
    assert after.of_images[1:] == before.of_images
    assert after.class_names == before.class_names


@pytest.mark.parametrize("rule", ["auto", "none"])
def test_declared_classes_need_a_rule(rule):
    with pytest.raises(ConfigError, match="Classes are declared"):
        label(NAMES, (), rule, ("cat",))


def test_declared_classes_that_nobody_belongs_to_are_misspelt():
    with pytest.raises(DataError, match=r"None of the 5 images.*spelt"):
        label(NAMES, (), "folder", ("Cats", "Dogs"))


def test_found_classes_are_what_the_images_make_them():
    # why classes can be declared: one image beside the folder changes those of all the others
    assert label(NAMES[:3], (), "auto").class_names == ("",)
    inside = ("all", "all/cat", "all/dog", "all/fox")
    assert label(NAMES[:3], inside, "folder").class_names == ("cat", "dog", "fox")
    assert label(NAMES[:4], inside, "folder").class_names == ("all",)
    assert np.all(np.array(label(NAMES[:3], inside, "folder", ("cat", "dog")).of_images) != "fox")


MAP = {"cat": "pet", "dog": "pet", "fox": ""}


def test_found_classes_are_renamed_merged_and_left_out():
    names = [*NAMES[:3], "all/owl/6.png", "7.png"]
    inside = ("all", "all/cat", "all/dog", "all/fox", "all/owl")
    labels = label(names[:4], inside, "folder", class_map=MAP | {"zebra": "x"})
    assert labels.of_images == ["pet", "pet", None, "owl"]
    assert labels.class_names == ("owl", "pet")
    assert labels.found == {"cat": 1, "dog": 1, "fox": 1, "owl": 1}
    assert labels.left_out == {2}


def test_declared_classes_are_the_names_after_the_map():
    labels = label(NAMES, (), "folder", ("pet", "fowl"), MAP | {"all": "fowl"})
    assert labels.of_images == ["fowl", "fowl", "fowl", None, "fowl"]  # the outermost folder
    labels = label([*NAMES, "fowl/9.png"], (), "folder", ("pet", "fowl"), MAP)
    assert labels.of_images == ["pet", "pet", None, None, "pet", "fowl"]
    assert labels.class_names == ("pet", "fowl")
    assert labels.found == {"pet": 0, "fowl": 1, "cat": 2, "dog": 1, "fox": 1}
    assert labels.left_out == {2}
    swapped = label(NAMES[:2], (), "folder", ("cat", "dog"), {"cat": "dog", "dog": "cat"})
    assert swapped.of_images == ["dog", "cat"]


def test_a_class_is_renamed_however_its_name_is_stored():
    stored, typed = "Mu\u0308cke", "M\u00fccke"
    labels = label([f"{stored}/1.png", "b/2.png"], (stored, "b"), "folder", (), {typed: "a"})
    assert labels.of_images == ["a", "b"]


@pytest.mark.parametrize("new", ["owl/9.png", "9.png", "fox/9.png", "cat/9.png", "cat_9.png"])
@pytest.mark.parametrize("rule", ["folder", "prefix"])
def test_no_image_changes_what_anothers_class_is_called(rule, new):
    names = [*NAMES, "cat_6.png", "owl_7.png", "fox_8.png"]
    before = label(names, (), rule, ("pet", "owl"), MAP)
    after = label([new, *names], {new.rpartition("/")[0]} - {""}, rule, ("pet", "owl"), MAP)
    assert after.of_images[1:] == before.of_images
    assert after.class_names == before.class_names


def test_what_there_is_not_is_not_renamed():
    assert label(["1.png"], (), "auto", (), {"cat": ""}).class_names == ("",)
    assert label(["1.png"], (), "auto", (), {"cat": ""}).of_images == [""]


@pytest.mark.parametrize("left", [{"cat": "", "dog": "", "fox": ""}, {"cat": "", "dog": ""}])
def test_some_images_must_be_left(left):
    with pytest.raises(DataError, match="eave"):
        label(["cat/1.png", "dog/1.png"], ("cat", "dog", "fox"), "folder", class_map=left)
