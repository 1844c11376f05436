import pytest

from pe_engine.bench.plan import SEED_DEGREES, BenchPlan
from pe_engine.errors import ConfigError


def test_sd15_is_measured_on_the_seeds_cat_schedule():
    plan = BenchPlan(shape="sd15")
    assert plan.degree_schedule == SEED_DEGREES
    assert len(SEED_DEGREES) == 17
    # 50 steps make int(50 d) UNet calls at degree d; one more with the seed's scheduler
    assert sum(int(50 * d + 1e-9) + 1 for d in SEED_DEGREES) / 17 == pytest.approx(36.65, abs=0.1)
    assert plan.text == "A photo of ragdoll cat"


def test_other_shapes_are_measured_on_the_degrees_of_a_run():
    assert BenchPlan(shape="tiny").degree_schedule[0] == 1
    assert BenchPlan(degrees=(0.3, 0.6, 0.9)).middle_degree == 0.6


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"generator": "paint"}, "generator 'paint'"),
        ({"shape": "sd9"}, "shape 'sd9'"),
        ({"embedder": "nose"}, "embedder 'nose'"),
        ({"size": 4}, "image size is 4"),
        ({"samples": 0}, "number of samples is 0"),
        ({"lookahead": 0}, "look-ahead is 0"),
        ({"voters": 0}, "number of voters is 0"),
        ({"repeats": 0}, "number of repeats is 0"),
        ({"degrees": (1.5,)}, "variation degree is 1.5"),
        ({"measure": ("speed",)}, "work to measure 'speed'"),
        ({"device": "tpu"}, "device 'tpu'"),
        ({"shape": "tiny", "options": {"model": "x"}}, "Give one of them"),
        ({"generator": "text_render", "shape": "tiny"}, "--shape is for the generator"),
        ({"generator": "text_render", "baseline": True}, "--baseline is for the generator"),
        ({"generator": "text_render", "ablation": True}, "--ablation is for the generator"),
    ],
)
def test_says_what_is_wrong(wrong, said):
    with pytest.raises(ConfigError, match=said):
        BenchPlan(**wrong)
