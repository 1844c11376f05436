"""One private image more, anywhere among the others, changes no other's features and no other's
choice: not in the last bit, on no device.

On a machine with a GPU: python -m pytest tests/test_one_image_more.py -k cuda
"""

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from pe_engine.embedders.inception_layers import FEATURES, fold, parameter_shapes, pool_features
from pe_engine.embedders.network import Inputs, NetworkEmbedder
from pe_engine.embedders.pixels import Pixels
from pe_engine.voting import QUERY_BATCH, nearest_candidates

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
)
DEVICES = ["cpu", CUDA]
HALVES = ((0.5,) * 3, (0.5,) * 3)
BATCH = 8


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    """How many threads a library may use."""
    import faiss

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(request.param)
    faiss.omp_set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


def convolutional(device):
    """As small as can be, with an edge of every kernel."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        *(torch.nn.Conv2d(3, 17, 3), torch.nn.GELU(), torch.nn.Conv2d(17, 33, 3, 2)),
        *(torch.nn.Flatten(), torch.nn.Linear(33 * 15 * 15, 70)),
    ).to(device)
    return NetworkEmbedder(network.eval(), 70, Inputs(33, *HALVES), device, BATCH)


def transformer(device):
    """The network of CLIP with fewer layers: 50 tokens of 768 numbers."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(num_hidden_layers=1, patch_size=32, image_size=224)
    model = CLIPVisionModelWithProjection(config).to(device).eval()
    inputs = Inputs(224, *HALVES)
    return NetworkEmbedder(lambda x: model(x).image_embeds, 512, inputs, device, BATCH)


def inception(device):
    """The network of FID with random weights."""
    drawn = torch.Generator().manual_seed(0)
    state = {n: torch.rand(shape, generator=drawn) for n, shape in parameter_shapes().items()}
    for name, values in state.items():
        if name.endswith("conv.weight"):
            values.sub_(0.5).mul_((12 / values[0].numel()) ** 0.5)
    weights = {n: (k.to(device), b.to(device)) for n, (k, b) in fold(state).items()}
    network = lambda x: pool_features(x, weights)  # noqa: E731
    return NetworkEmbedder(network, FEATURES, Inputs(299, *HALVES), device, 4)


def pixels(device):
    return Pixels(28, device, False)


def grey_pixels(device):
    return Pixels(28, device, True)


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28, 3)).astype(np.uint8)


# Features -------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("make", "images"),
    [(pixels, 40), (grey_pixels, 40), (convolutional, 40), (transformer, 19), (inception, 3)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_other_image_gets_other_features(make, images, device, threads):
    embedder = make(device)
    others, more = pictures(images), pictures(1, seed=1)
    before = embedder.embed(others)
    assert before.std() > 0
    batch = getattr(embedder, "_batch_size", BATCH)
    for place in {0, min(batch - 1, images), images}:
        after = embedder.embed(np.insert(others, place, more, axis=0))
        np.testing.assert_array_equal(np.delete(after, place, axis=0), before)


# Choices --------------------------------------------------------------------------------------


def end_of(pauses):
    while True:
        try:
            next(pauses)
        except StopIteration as end:
            return end.value


def chosen(private, rows, candidates, metric, search, device, k=2):
    how = {"neighbours": k, "metric": metric, "search": search, "device": device}
    return end_of(nearest_candidates(private, rows, candidates, **how))


def near_ties(dimension=97, images=QUERY_BATCH + 40, candidates=60):
    """Images and candidates in pairs that differ in the last bits of float32 alone."""
    rng = np.random.default_rng(2)
    points = rng.normal(size=(candidates // 2, dimension)).astype(np.float32)
    twins = points.copy()
    twins[:, ::7] = np.nextafter(twins[:, ::7], np.inf, dtype=np.float32)
    private = points[rng.integers(0, len(points), images)]
    private = private + rng.normal(size=private.shape).astype(np.float32) * np.float32(1e-3)
    return private, np.concatenate([points, twins])[rng.permutation(candidates)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("search", ["faiss", "torch"])
@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_no_other_image_chooses_otherwise(metric, search, device, threads):
    private, candidates = near_ties()
    rng = np.random.default_rng(3)
    rows = np.arange(len(private))
    before = chosen(private, rows, candidates, metric, search, device)
    # huge, tiny, not finite, or one that is there already
    others = [rng.normal(size=97) * 1e15, np.full(97, 1e-30), np.full(97, np.nan), private[5]]
    for place, other in zip((0, 7, QUERY_BATCH - 1, len(private)), others, strict=True):
        longer = np.insert(private, place, other.astype(np.float32), axis=0)
        after = chosen(longer, np.arange(len(longer)), candidates, metric, search, device)
        np.testing.assert_array_equal(np.delete(after, place, axis=0), before)
    order = rng.permutation(len(private))
    np.testing.assert_array_equal(
        chosen(private, order, candidates, metric, search, device), before[order]
    )
    alone = chosen(private, rows[-1:], candidates, metric, search, device)
    np.testing.assert_array_equal(alone, before[-1:])


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_libraries_and_threads_choose_alike(metric):
    import faiss

    private, candidates = near_ties()
    found = []
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        faiss.omp_set_num_threads(count)
        for search in ("faiss", "torch"):
            rows = np.arange(len(private))
            found.append(chosen(private, rows, candidates, metric, search, "cpu"))
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("device", DEVICES)
def test_products_keep_their_bits_whatever_else_asked_for(device):
    private, candidates = near_ties()
    rows = np.arange(len(private))
    before = chosen(private, rows, candidates, "l2", "torch", device)
    embedder, some = transformer(device), pictures(3)
    features = embedder.embed(some)
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        again = chosen(private, rows, candidates, "l2", "torch", device)
        np.testing.assert_array_equal(embedder.embed(some), features)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)
    np.testing.assert_array_equal(again, before)
