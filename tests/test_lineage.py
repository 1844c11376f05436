"""Families: ancestors, siblings and children by parents alone."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pe_engine.errors import RunError
from pe_engine.family_tree import COLUMNS, Line, family_picture
from pe_engine.lineage import ancestors, children, family, siblings

PARENTS = [[-1] * 4, [2, 0, 2, 3], [1, 1, 2, 0, 1], [4, 4, 3, 0, 2]]


def parents_of(generation):
    return np.array(PARENTS[generation])


def test_ancestors_lead_back_to_generation_0():
    assert ancestors(parents_of, 3, 0) == ((2, 4), (1, 1), (0, 0))
    assert ancestors(parents_of, 0, 3) == ()
    for i in range(5):
        line = ((3, i), *ancestors(parents_of, 3, i))
        assert [t for t, _ in line] == [3, 2, 1, 0]
        for (t, child), (_, parent) in pairwise(line):
            assert PARENTS[t][child] == parent


def test_a_family_is_what_its_members_say_of_each_other():
    for t in range(4):
        for i in range(len(PARENTS[t])):
            ours = family(parents_of, t, i, newest=3)
            assert i not in ours.siblings
            for sibling in ours.siblings:
                assert i in siblings(parents_of(t), sibling)
            for child in ours.children:
                assert ancestors(parents_of, t + 1, child)[0] == (t, i)
            if t < 3:
                born = sum(len(children(parents_of(t + 1), k)) for k in range(len(PARENTS[t])))
                assert born == len(PARENTS[t + 1])


def test_an_image_without_a_parent_has_no_siblings_and_the_newest_no_children():
    assert family(parents_of, 0, 2, newest=3).siblings.tolist() == []
    assert family(parents_of, 0, 2, newest=3).children.tolist() == [0, 2]
    assert family(parents_of, 3, 2, newest=3).children.tolist() == []


def test_only_the_line_of_descent_is_read():
    asked = []

    def counting(generation):
        asked.append(generation)
        return parents_of(generation)

    family(counting, 2, 0, newest=3)
    assert sorted(set(asked)) == [1, 2, 3] and len(asked) == 4


def test_a_damaged_parent_is_a_sentence():
    damaged = [np.array([-1]), np.array([0]), np.array([9])]
    with pytest.raises(RunError, match="none of number 9"):
        ancestors(damaged.__getitem__, 2, 0)


def test_the_picture_has_a_line_for_each_generation_and_wraps():
    grey = np.full((8, 8, 1), 7, np.uint8)
    colour = np.full((200, 200, 3), [250, 10, 20], np.uint8)
    short = family_picture([Line("Generation 0", [grey], 0)])
    picture = Image.open(io.BytesIO(short))
    assert (7, 7, 7) in {colour for _, colour in picture.getcolors(10_000)}
    tall = [Line("Generation 0", [grey], 0), Line("Generation 1", [colour] * (COLUMNS + 1), 0)]
    both = Image.open(io.BytesIO(family_picture(tall)))
    assert both.height > 2 * picture.height and both.width > picture.width
    assert (250, 10, 20) in {colour for _, colour in both.getcolors(10_000)}
