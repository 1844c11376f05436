"""From the nearest candidates of each private image to counts of votes, and what one unit moves.

Images on their own: an image adds 1 to exactly k counts, those of its k nearest candidates. One
image more or less moves k counts by 1.

Persons: all images of one person together add 1 to at most c counts, over all classes. Which ones
is decided by that person's images alone, so a person more or less moves at most c counts by 1, and
nobody else's: L2 at most √c, and counts stay whole numbers. What is protected is the person. One
image more or less of a person can come first and take up to c of their votes, while as many others
go: it moves up to 2c counts by 1.
"""

from __future__ import annotations

import hashlib

import numpy as np


def count_by_image(choices: np.ndarray, candidates: int) -> np.ndarray:
    """int64 ``(N,)``: how many images voted for each candidate.

    Args:
        choices: int64 ``(M, k)``, the k distinct candidates nearest to each image, or -1.
        candidates: N.
    """
    return np.bincount(choices[choices >= 0], minlength=candidates)


def count_by_person(
    choices: np.ndarray, persons: np.ndarray, turns: np.ndarray, most: int, candidates: int
) -> np.ndarray:
    """int64 ``(N,)``: how many persons voted for each candidate.

    A person's images take their turns, and name their nearest candidates from the nearest on, until
    ``most`` distinct ones are named.

    Args:
        choices: int64 ``(M, k)``, candidates from the nearest on, or -1 for no vote.
        persons: int64 ``(M,)``.
        turns: uint64 ``(M, 2)``, from ``draw_turns``.
        most: c >= 1.
        candidates: N.
    """
    order = np.lexsort((turns[:, 1], turns[:, 0], persons))
    named = choices[order]
    voted = named >= 0
    whose = np.broadcast_to(persons[order][:, None], named.shape)[voted]
    _, first = np.unique(whose * candidates + named[voted], return_index=True)
    first.sort()  # the distinct (person, candidate) pairs, person by person, in order of naming
    owner, chosen = whose[first], named[voted][first]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    place = np.arange(len(owner)) - np.repeat(starts, np.diff(starts, append=len(owner)))
    return np.bincount(chosen[place < most], minlength=candidates)


def draw_turns(features: np.ndarray, class_ids: np.ndarray, generation: int) -> np.ndarray:
    """uint64 ``(M, 2)``, by which a person's images take turns: smallest first.

    A hash of the image's own features and class and of the generation. So over the generations each
    image of a person has its say, and neither the order of files nor anybody else's image decides;
    images with equal turns name the same candidates.

    Args:
        features: float32 ``(M, D)``.
        class_ids: int64 ``(M,)``.
    """
    when = generation.to_bytes(16, "little")
    turns = bytearray()
    for row, class_id in zip(np.ascontiguousarray(features), class_ids.tolist(), strict=True):
        where = class_id.to_bytes(16, "little")
        turns += hashlib.blake2b(row, digest_size=16, salt=when, person=where).digest()
    return np.frombuffer(turns, np.uint64).reshape(-1, 2)
