import time

import pytest
import torch
from diffusers import UNet2DConditionModel

from pe_engine.bench.clock import Work, measure, unet_clock
from pe_engine.bench.shapes import UNETS


@pytest.fixture(scope="module")
def unet():
    return UNet2DConditionModel(**UNETS["tiny"]).eval()


def forward(unet, rows):
    with torch.no_grad():
        unet(torch.zeros(rows, 4, 8, 8), 1, torch.zeros(rows, 5, 32))
    return rows


def test_the_share_outside_the_unet_is_what_is_not_a_forward(unet):
    def half_asleep():
        start = time.perf_counter()
        forward(unet, 8)
        time.sleep(3 * (time.perf_counter() - start))  # so three quarters are outside
        return 4

    timing = measure({"x": Work(half_asleep)}, 2, "cpu")["x"]
    assert 0.7 <= timing.outside_unet < 1
    assert timing.unet_rows == 2
    assert timing.items == 4
    assert timing.rate == pytest.approx(4 / timing.seconds)


def test_work_without_a_unet_has_no_share():
    timing = measure({"x": Work(lambda: 1)}, 1, "cpu")["x"]
    assert timing.outside_unet is None
    assert timing.unet_rows == 0


def test_works_take_turns_after_each_was_warmed_up():
    order = []

    def work(name):
        return Work(lambda: order.append(name) or 1, lambda: order.append(f"warm {name}"))

    measure({"a": work("a"), "b": work("b")}, 2, "cpu")
    assert order == ["warm a", "warm b", "a", "b", "a", "b"]


def test_the_median_of_the_repeats_counts(monkeypatch):
    times = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    assert measure({"x": Work(lambda: 1, lambda: None)}, 3, "cpu")["x"].seconds == 2.0


def test_the_clock_leaves_the_unet_as_it_was(unet):
    with pytest.raises(RuntimeError), unet_clock("cpu") as clock:
        forward(unet, 3)
        assert clock.rows == 3
        raise RuntimeError
    assert "__call__" not in vars(UNet2DConditionModel)
    forward(unet, 3)
    assert clock.rows == 3
