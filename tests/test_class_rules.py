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
