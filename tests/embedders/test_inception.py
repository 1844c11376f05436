"""FID's Inception: its layout against the published one, its blocks against plain ones."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pe_engine.embedders import inception, weights
from pe_engine.embedders.inception import INPUTS, Inception
from pe_engine.embedders.inception_layers import fold, parameter_shapes, pool_features
from pe_engine.embedders.network import NetworkEmbedder
from pe_engine.errors import GeneratorError

# Facts of torchvision's inception_v3 without its auxiliary head, with 1,008 classes, and of the
# published file.
PARAMETERS = 23_850_960
FILE_BYTES = 95_628_359
BRANCHES = {  # name:height x width
    "A": "1x1:1x1 5x5_1:1x1 5x5_2:5x5 3x3dbl_1:1x1 3x3dbl_2:3x3 3x3dbl_3:3x3 _pool:1x1",
    "B": "3x3:3x3 3x3dbl_1:1x1 3x3dbl_2:3x3 3x3dbl_3:3x3",
    "C": "1x1:1x1 7x7_1:1x1 7x7_2:1x7 7x7_3:7x1 7x7dbl_1:1x1 7x7dbl_2:7x1 7x7dbl_3:1x7 "
    "7x7dbl_4:7x1 7x7dbl_5:1x7 _pool:1x1",
    "D": "3x3_1:1x1 3x3_2:3x3 7x7x3_1:1x1 7x7x3_2:1x7 7x7x3_3:7x1 7x7x3_4:3x3",
    "E": "1x1:1x1 3x3_1:1x1 3x3_2a:1x3 3x3_2b:3x1 3x3dbl_1:1x1 3x3dbl_2:3x3 3x3dbl_3a:1x3 "
    "3x3dbl_3b:3x1 _pool:1x1",
}
BLOCKS = dict(zip(("5b", "5c", "5d"), "AAA", strict=True))
BLOCKS |= dict(zip(("6a", "6b", "6c", "6d", "6e"), "BCCCC", strict=True))
BLOCKS |= dict(zip(("7a", "7b", "7c"), "DEE", strict=True))
STEM = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]


@pytest.fixture(scope="module")
def state():
    """Random parameters that keep the size of what flows through."""
    torch.manual_seed(0)
    made = {}
    for name, shape in parameter_shapes().items():
        if name.endswith("conv.weight"):
            made[name] = torch.randn(shape) * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith(("bn.weight", "running_var")):
            made[name] = torch.rand(shape) + 0.5
        else:
            made[name] = torch.randn(shape) * 0.1
    return made


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 3, 299, 299, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def features(state, pictures):
    with torch.inference_mode():
        return pool_features(pictures, fold(state))


def test_names_and_kernels_are_those_of_the_published_file():
    kernels = {name: name.rpartition("_")[2] for name in STEM} | {
        f"Mixed_{block}.branch{branch.partition(':')[0]}": branch.partition(":")[2]
        for block, kind in BLOCKS.items()
        for branch in BRANCHES[kind].split()
    }
    terms = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    expected = {f"{conv}.{term}" for conv in kernels for term in terms}
    shapes = parameter_shapes()
    assert set(shapes) == expected | {"fc.weight", "fc.bias"}
    ours = {name: "{}x{}".format(*shapes[f"{name}.conv.weight"][2:]) for name in kernels}
    assert ours == kernels


def test_sizes_are_those_of_the_published_file():
    sizes = {name: math.prod(shape) for name, shape in parameter_shapes().items()}
    assert sum(n for name, n in sizes.items() if "running" not in name) == PARAMETERS
    rest = FILE_BYTES - 4 * sum(sizes.values())  # names, counters and the file's frame
    assert 0 < rest < 100_000


class Reference:
    """The same network in straight lines, its normalisations not folded."""

    def __init__(self, state):
        self.state = state

    def conv(self, x, name, stride=1, padding=0):
        s = self.state
        x = F.conv2d(x, s[f"{name}.conv.weight"], stride=stride, padding=padding)
        terms = [s[f"{name}.bn.{t}"] for t in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(x, *terms, eps=1e-3))

    def chain(self, x, *names):
        """Convolutions that keep the size."""
        for name in names:
            height, width = self.state[f"{name}.conv.weight"].shape[2:]
            x = self.conv(x, name, padding=(height // 2, width // 2))
        return x

    def average(self, x):
        """The mean of what a 3 x 3 window covers of the picture, as sums over counts."""
        ones = torch.ones(1, 1, *x.shape[2:])
        window = torch.ones(1, 1, 3, 3)
        sums = F.conv2d(x.flatten(0, 1)[:, None], window, padding=1).view_as(x)
        return sums / F.conv2d(ones, window, padding=1)

    def maximum(self, x):
        around = F.pad(x, (1, 1, 1, 1), value=float("-inf"))
        return around.unfold(2, 3, 1).unfold(3, 3, 1).amax(dim=(4, 5))

    def a(self, x, n):
        five = self.chain(x, f"{n}5x5_1", f"{n}5x5_2")
        double = self.chain(x, f"{n}3x3dbl_1", f"{n}3x3dbl_2", f"{n}3x3dbl_3")
        pooled = self.chain(self.average(x), f"{n}_pool")
        return torch.cat([self.chain(x, f"{n}1x1"), five, double, pooled], 1)

    def b(self, x, n):
        double = self.chain(x, f"{n}3x3dbl_1", f"{n}3x3dbl_2")
        double = self.conv(double, f"{n}3x3dbl_3", stride=2)
        return torch.cat([self.conv(x, f"{n}3x3", stride=2), double, F.max_pool2d(x, 3, 2)], 1)

    def c(self, x, n):
        seven = self.chain(x, *(f"{n}7x7_{i}" for i in (1, 2, 3)))
        double = self.chain(x, *(f"{n}7x7dbl_{i}" for i in (1, 2, 3, 4, 5)))
        pooled = self.chain(self.average(x), f"{n}_pool")
        return torch.cat([self.chain(x, f"{n}1x1"), seven, double, pooled], 1)

    def d(self, x, n):
        three = self.conv(self.chain(x, f"{n}3x3_1"), f"{n}3x3_2", stride=2)
        seven = self.chain(x, *(f"{n}7x7x3_{i}" for i in (1, 2, 3)))
        seven = self.conv(seven, f"{n}7x7x3_4", stride=2)
        return torch.cat([three, seven, F.max_pool2d(x, 3, 2)], 1)

    def e(self, x, n, pool):
        three = self.chain(x, f"{n}3x3_1")
        double = self.chain(x, f"{n}3x3dbl_1", f"{n}3x3dbl_2")
        ends = [self.chain(three, f"{n}3x3_2{side}") for side in "ab"]
        ends += [self.chain(double, f"{n}3x3dbl_3{side}") for side in "ab"]
        pooled = self.chain(pool(x), f"{n}_pool")
        return torch.cat([self.chain(x, f"{n}1x1"), *ends, pooled], 1)

    def features(self, x):
        x = self.conv(self.conv(x, STEM[0], stride=2), STEM[1])
        x = F.max_pool2d(self.chain(x, STEM[2]), 3, 2)
        x = F.max_pool2d(self.conv(self.chain(x, STEM[3]), STEM[4]), 3, 2)
        for block, kind in BLOCKS.items():
            name = f"Mixed_{block}.branch"
            if kind == "E":
                x = self.e(x, name, self.maximum if block == "7c" else self.average)
            else:
                x = getattr(self, kind.lower())(x, name)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


def test_whole_network_equals_the_reference(state, pictures, features):
    with torch.inference_mode():
        expected = Reference(state).features(pictures)
    assert features.shape == (2, 2048)
    assert features.std() > 0.1
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def test_a_row_depends_neither_on_the_other_nor_on_its_place(state, pictures, features):
    with torch.inference_mode():
        swapped = pool_features(pictures.flip(0), fold(state)).flip(0)
    assert torch.equal(swapped, features)


def test_embeds_images(state, pictures, features):
    folded = fold(state)
    embedder = NetworkEmbedder(lambda x: pool_features(x, folded), 2048, INPUTS, "cpu", 2)
    floats = (pictures[:1] + 1) / 2
    np.testing.assert_allclose(embedder.embed(floats)[0], features[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_other_layouts_are_refused(state, change):
    other = dict(state)
    name = "Mixed_7c.branch3x3_2a.conv.weight"
    if change == "missing":
        del other[name]
    elif change == "more":
        other["AuxLogits.conv0.conv.weight"] = torch.zeros(1)
    else:
        other[name] = other[name].transpose(2, 3)
    with pytest.raises(ValueError, match="differ from FID's Inception"):
        fold(other)
    fold(state | {"Mixed_7c.branch1x1.bn.num_batches_tracked": torch.tensor(3)})


@pytest.fixture
def planted(state, tmp_path, monkeypatch):
    """A file of random parameters in place of the published one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    known = replace(
        weights.WEIGHTS["inception"], sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    monkeypatch.setitem(weights.WEIGHTS, "inception", known)
    return path


def test_is_built_from_the_cached_file(planted, state):
    embedder = Inception(64, "cpu", grey=False)
    assert embedder.dimension == 2048
    read = inception.read_weights()
    assert all(torch.equal(read[name], array) for name, array in state.items())


def test_a_changed_file_is_never_unpickled(planted, monkeypatch):
    content = bytearray(planted.read_bytes())
    content[len(content) // 2] ^= 1
    planted.write_bytes(content)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(GeneratorError, match="damaged"):
        Inception(64, "cpu", grey=False)
