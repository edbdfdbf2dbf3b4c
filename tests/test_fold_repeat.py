"""fold_repeat: what it computes against float64, when it acts, and that a variable's change reaches the summed kernel."""
import itertools

import numpy as np
import pytest

import graphnet
from graphnet import layers
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.dims import Dim
from graphnet.graph import Leaf, Spec, Variable
from graphnet.ops.convolution import Conv, ConvTranspose
from graphnet.ops.layout import Repeat
from graphnet.passes.fold_repeat import MANY, fold_repeat
from graphnet.tracing import placeholder, trace_function

BATCH, HEIGHT = Dim.unknown("n"), Dim.unknown("h")


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def traced(op, kernel, factors, shape, dtype="float64"):
    """The op behind an image, or another number of axes, repeated so many times along each."""
    def function(x):
        for axis, factor in enumerate(factors, 1):
            x = Repeat(factor, axis)(x)
        return op(x, kernel)
    return trace_function(function, [placeholder(Spec(shape, dtype), "x")])[0]


def computed(graph):
    return [node.op.name for node in graph.nodes if not isinstance(node.op, Leaf)]


PADS = ("valid", "same", ((1, 0), (0, 1)))


@pytest.mark.parametrize("factors, size", list(itertools.product([(2, 2), (3, 3), (4, 2), (3, 1)], [(3, 3), (2, 2), (5, 4)])))
def test_it_means_the_same(factors, size):
    """To float64's precision, for extents that are known when it runs, and after the variable has changed."""
    for op in (*(Conv((1, 1), pads) for pads in PADS), ConvTranspose((1, 1), "valid"), ConvTranspose((1, 1), "same")):
        w = Variable(random(*size, 3, 3), dtype="float64")
        graph = traced(op, w, factors, (BATCH, HEIGHT, 5, 3))
        after, x = fold_repeat(graph).verify(), random(2, 7, 5, 3, seed=1).astype("float64")
        assert computed(after) == ["conv_grad_input"]
        for _ in range(2):
            np.testing.assert_allclose(evaluate(after, [x])[0][0], evaluate(graph, [x])[0][0], rtol=1e-12, atol=1e-12)
            w.assign(w.numpy() * 1.5 - 0.25)


@pytest.mark.parametrize("rank", [1, 3])
def test_other_numbers_of_axes(rank):
    w, x = random(*[3] * rank, 2, 4).astype("float64"), random(2, *[4] * rank, 2, seed=1).astype("float64")
    graph = traced(Conv((1,) * rank, "same", (1,) * rank), w, (2,) * rank, (BATCH, *[4] * rank, 2))
    after = fold_repeat(graph).verify()
    assert computed(after) == ["conv_grad_input"]
    np.testing.assert_allclose(evaluate(after, [x])[0][0], evaluate(graph, [x])[0][0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op, factors, kernel", [
    (Conv((2, 2)), (2, 2), (3, 3, 4, 4)),  # each output reads another place of its pixels
    (Conv((1, 1), "valid", (2, 2)), (2, 2), (3, 3, 4, 4)),  # dilated
    (Conv((1, 1), "valid", (1, 1), 2), (2, 2), (3, 3, 2, 4)),  # of groups
    (Conv((1, 1)), (2, 2), (1, 1, 4, 4)),  # nothing is saved
    (Conv((1, 1), ((3, 0), (0, 0))), (2, 2), (3, 3, 4, 4)),  # a window lies outside altogether
])
def test_others_stay(op, factors, kernel):
    graph = traced(op, Variable(np.ones(kernel), dtype="float64"), factors, (BATCH, 6, 6, 4))
    assert computed(fold_repeat(graph)) == computed(graph)


def test_many_channels_stay_where_winograd_saves_more():
    side = int(MANY ** 0.5)
    for factors, left in (((2, 2), ["repeat", "repeat", "conv"]), ((3, 3), ["conv_grad_input"])):
        graph = traced(Conv(), np.ones((3, 3, side, side), "float32"), factors, (BATCH, 6, 6, side), "float32")
        assert computed(fold_repeat(graph)) == left


def test_enlarged_images_that_others_read_stay():
    w = Variable(np.ones((3, 3, 4, 4)), dtype="float32")

    def function(x):
        x = Repeat(3, 2)(Repeat(3, 1)(x))
        return [Conv()(x, w), x]
    graph = trace_function(function, [placeholder(Spec((2, 6, 6, 4), "float32"), "x")])[0]
    assert computed(fold_repeat(graph)) == computed(graph)


def decoder():
    """Enlarged images before a convolution with normalization behind it, and before transposed ones."""
    small = graphnet.Input((None, 5, 6))
    x = layers.Conv2D(9, 3, padding="same", use_bias=False)(layers.UpSampling2D(2)(small))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return graphnet.Model(small, layers.Conv2DTranspose(7, 3, activation="tanh")(layers.UpSampling2D((3, 2))(x)))


def test_a_decoder():
    """Through the kernels, for two sizes of images."""
    model = decoder()
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, v.shape) if "variance" in v.name else rng.normal(0, 0.2, v.shape) for v in model.weights])
    for height in (4, 7):
        x = random(3, height, 5, 6)
        wanted = evaluate(model.executable()[0].graph, [x.astype("float64")])[0][0]
        assert np.abs(model(x) - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_training_and_inference_in_turns():
    """A step enlarges its images, as their gradients need them; what inference has summed follows the weights."""
    model, twin, x = decoder(), decoder(), random(4, 4, 5, 6)
    twin.set_weights(model.get_weights())
    y = 0.1 * random(*model(x).shape)
    for each in (model, twin):
        each.compile("sgd", "mse")
    for _ in range(2):
        loss = model.train_on_batch(x, y)
        with graphnet.settings(disable=frozenset({"fold_repeat"})):
            np.testing.assert_allclose(loss, twin.train_on_batch(x, y), rtol=1e-5)
            wanted = twin(x)
        np.testing.assert_allclose(model(x), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
