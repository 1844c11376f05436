"""1,000 files changed at random: a sentence about each, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hostile import fuzz
from tests.hostile.changing import CHANGES
from tests.hostile.making import noisy


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_thousand_files():
    tally = fuzz.Tally()
    with tally.watching():
        assert [*fuzz.fuzz(1000, 1, tally)][-1] == 1000
    assert not tally.crashes
    assert sum(tally.outcomes.values()) == 1000
    became = {outcome for _, outcome in tally.outcomes}
    assert {"accepted", "skipped", "refused"} <= became  # it goes deep enough to change something
    assert not any("ended" in outcome for outcome in became)
    # libraries of two processes more included
    assert tally.peak - tally.before < 2 * 2**30


def test_a_crash_is_told(monkeypatch):
    """Else it would find nothing."""

    def broken(source):
        raise KeyError("hole")

    monkeypatch.setattr(fuzz, "tried", broken)
    tally = fuzz.Tally()
    list(fuzz.fuzz(20, 0, tally))
    assert sum("hole" in crash for crash in tally.crashes) == 3  # the images, and two zips
    assert sum(n for (_, outcome), n in tally.outcomes.items() if outcome == "crashed") == 18


def test_a_seed_gives_the_same_files_again():
    for change in CHANGES:
        one, other = (bytearray(noisy("PNG")) for _ in range(2))
        change(one, np.random.default_rng(5))
        change(other, np.random.default_rng(5))
        assert one == other
        assert one != noisy("PNG")
