"""A charge is of something that was spent: none can give anything back."""

import math

import pytest

from pe_engine.errors import ConfigError
from pe_engine.privacy.charges import Charge

SOUND = {"noise_multiplier": 5.0, "neighbours": 1, "generations": 3, "unit": "image"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("noise_multiplier", v) for v in (0, -1.0, 0.049, 1e8, math.nan, math.inf, "5", None)),
        *(("neighbours", v) for v in (0, -1, 101, 1.0, True, "1")),
        *(("generations", v) for v in (-1, 201, 3.0, math.inf, "3")),
        *(("unit", v) for v in ("town", "", None, [])),
    ],
)
def test_what_costs_nothing_or_less_is_no_charge(name, value):
    with pytest.raises(ConfigError):
        Charge(**(SOUND | {name: value}))


def test_the_ends_of_each_range_are_charges():
    Charge(0.05, 1, 0, "image")
    Charge(1e7, 100, 200, "person")
