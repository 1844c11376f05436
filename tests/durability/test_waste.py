"""Wasted calls are told of so that a power cut in the middle takes none back."""

from pe_engine.generators.answers import Waste


def test_a_wasted_call_counts_even_if_what_tells_of_it_was_cut_off(tmp_path):
    Waste(tmp_path, 9).add("one")
    with (tmp_path / "wasted.txt").open("ab") as file:
        file.write(b"\ntw")  # and then the power went
    resumed = Waste(tmp_path, 9)
    resumed.add("three")
    assert len(resumed) == len(Waste(tmp_path, 0)) == 3
