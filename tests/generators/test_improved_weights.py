"""Files of weights: the published format, and a sentence for all that may be wrong with one."""

import hashlib
from pathlib import Path

import pytest
import torch

from pe_engine.errors import ConfigError, GeneratorError
from pe_engine.generators import improved_weights
from pe_engine.generators.improved_options import Options
from pe_engine.generators.improved_unet import UNet

TINY = Options(model_image_size=32, num_channels=32, num_res_blocks=1)


def hollow(options=TINY):
    """Zeros of every name and shape, one number long in memory and in a file."""
    with torch.device("meta"):
        outline = UNet(options.shape()).state_dict()
    return {name: torch.zeros(()).expand(tensor.shape) for name, tensor in outline.items()}


def saved(path, content, **how):
    torch.save(content, path, **how)
    return path


def refused(path, sentence):
    with pytest.raises(GeneratorError, match=sentence) as caught:
        improved_weights.load(path, TINY.shape())
    return str(caught.value)


def test_weights_of_the_published_model_load_strictly(tmp_path):
    path = saved(tmp_path / "imagenet64_cond_270M_250K.pt", hollow(Options()))
    assert path.stat().st_size < 2**20
    network, sha256 = improved_weights.load(path, Options().shape())
    parameters = dict(network.named_parameters())
    assert sum(weight.numel() for weight in parameters.values()) == 273_049_350
    assert {weight.dtype for weight in parameters.values()} == {torch.float32}
    assert not any(weight.is_meta or weight.requires_grad for weight in parameters.values())
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("new", [True, False])
def test_both_formats_of_pytorch_are_read(tmp_path, new):
    """The zip is the default since PyTorch 1.6; what was published in 2021 may be older."""
    path = saved(tmp_path / "m.pt", hollow(), _use_new_zipfile_serialization=new)
    network, _ = improved_weights.load(path, TINY.shape())
    assert not network.out[2].weight.any()


def test_weights_in_half_precision_become_float32(tmp_path):
    weights = {name: tensor.half() for name, tensor in hollow().items()}
    network, _ = improved_weights.load(saved(tmp_path / "m.pt", weights), TINY.shape())
    assert network.out[2].weight.dtype == torch.float32


def test_a_missing_name_is_said(tmp_path):
    weights = hollow()
    del weights["input_blocks.3.0.in_layers.0.weight"]
    said = refused(
        saved(tmp_path / "m.pt", weights), r"m\.pt has no input_blocks\.3\.0\.in_layers\.0\.weight"
    )
    assert "a model of 1.8 M parameters" in said
    assert "num_channels" in said


def test_an_unexpected_name_is_said(tmp_path):
    weights = {**hollow(), "out.3.bias": torch.zeros(1)}
    refused(saved(tmp_path / "m.pt", weights), r"has an unexpected out\.3\.bias")


def test_one_wrong_name_is_said(tmp_path):
    weights = hollow()
    weights["label_embedding.weight"] = weights.pop("label_emb.weight")
    refused(saved(tmp_path / "m.pt", weights), r"has no label_emb\.weight")


def test_a_wrong_shape_is_said(tmp_path):
    weights = {**hollow(), "out.2.bias": torch.zeros(3)}
    refused(saved(tmp_path / "m.pt", weights), r"has out\.2\.bias of shape 3, which should be 6")


@pytest.mark.parametrize("wrong", [torch.zeros(6, dtype=torch.int64), "six", [0.0] * 6])
def test_what_are_no_floats_is_said(tmp_path, wrong):
    weights = {**hollow(), "out.2.bias": wrong}
    refused(saved(tmp_path / "m.pt", weights), r"something else than floats as out\.2\.bias")


def test_what_is_no_state_dict_is_said(tmp_path):
    refused(saved(tmp_path / "m.pt", torch.zeros(3)), "holds a Tensor, but no state dict")


class Code:
    """Would make a file if it were run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_is_not_run(tmp_path):
    path = saved(tmp_path / "m.pt", {"out.2.bias": Code(tmp_path / "run")})
    refused(path, "may hold code, which is not run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n"])
def test_a_file_of_another_kind_is_said(tmp_path, content):
    path = tmp_path / "m.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="none that PyTorch has written"):
        improved_weights.found(str(path))


@pytest.mark.parametrize("new", [True, False])
def test_half_a_file_is_said(tmp_path, new):
    path = saved(tmp_path / "m.pt", hollow(), _use_new_zipfile_serialization=new)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "damaged")


def test_a_path_that_leads_nowhere_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"needs the weights.* https://openaipublic\.blob.*\.pt "):
        improved_weights.found(" ")
    for path in (tmp_path / "none.pt", tmp_path, "~nobody-of-that-name/m.pt", "x" * 5000, "\0"):
        with pytest.raises(ConfigError, match=r"There is no file .* model_path .*openaipublic"):
            improved_weights.found(str(path))
