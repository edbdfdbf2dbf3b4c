"""fold_normalization: normalizations and other factors move into the kernels before them, where nothing else sees these."""
import numpy as np
import pytest
from test_passes import ROWS, computed, traced, values

from graphnet import ops
from graphnet.dims import Dim
from graphnet.graph import Variable
from graphnet.ops import convolution as c
from graphnet.ops.contraction import MatMul
from graphnet.passes import fold_normalization


def normalized(contraction, shape, channels, kernel, bias):
    """(contraction + bias) * scale + shift, as batch normalization at inference has it."""
    rng = np.random.default_rng(1)
    w, *rest = [Variable(rng.normal(size=s), dtype="float64") for s in (kernel, (channels,), (channels,), (channels,))]

    def function(x):
        y = contraction(x, w)
        return (y + rest[0] if bias else y) * rest[1] + rest[2]
    graph = traced(function, (shape, "float64"))
    return graph, rng.normal(size=[2 if isinstance(s, Dim) else s for s in shape]), [w, *rest]


N = Dim.unknown("n")
CONTRACTIONS = {
    "conv": (c.Conv((1, 1), "same", (1, 1)), (N, 5, 4, 3), 6, (3, 3, 3, 6)),
    "conv_of_groups": (c.Conv((1,), "valid", (2,), 2), (N, 9, 4), 6, (3, 2, 6)),
    "depthwise": (c.DepthwiseConv((1, 1), "same", (1, 1)), (N, 5, 4, 3), 6, (3, 3, 3, 2)),
    "conv_transpose": (c.ConvTranspose((2, 2), "same"), (N, 5, 4, 3), 6, (3, 3, 6, 3)),
    "dense": (MatMul(), (N, 3), 6, (3, 6)),
    "dense_of_rows": (MatMul(), (N, 4, 3), 6, (3, 6)),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CONTRACTIONS)
def test_batch_normalization_moves_into_the_kernel(name, bias):
    graph, x, variables = normalized(*CONTRACTIONS[name], bias)
    after = fold_normalization(graph).verify()
    assert computed(after) == [CONTRACTIONS[name][0].name, "add"]
    for _ in range(2):
        np.testing.assert_allclose(values(after, x)[0], values(graph, x)[0], rtol=1e-9, atol=1e-12)
        for v in variables:
            v.assign(v.numpy() * 1.5 + 0.25)


def test_a_factor_stays_where_the_product_is_read_elsewhere_too():
    w, b, s = Variable(np.ones((4, 4)), dtype="float32"), np.full(4, 2, "float32"), np.full(4, 3, "float32")

    def product_is_read(x):
        y = ops.matmul(x, w)
        return [y, (y + b) * s]

    def sum_is_read(x):
        y = ops.matmul(x, w) + b
        return [y, y * s]

    def factored_is_read(x):
        y = ops.matmul(x, w) * s
        return [y, (y + b) * s]
    for function, left in ((product_is_read, ["mat_mul", "add", "multiply"]), (sum_is_read, ["mat_mul", "add", "multiply"]),
                           (factored_is_read, ["mat_mul", "add", "multiply"])):
        after = fold_normalization(traced(function, ROWS)).verify()
        assert computed(after) == left, function.__name__


@pytest.mark.parametrize("changed", ["kernel", "bias", "scale"])
def test_what_the_graph_itself_changes_moves_into_no_kernel(changed):
    rng = np.random.default_rng(0)
    v = {name: Variable(rng.normal(size=size), dtype="float64") for name, size in (("kernel", (4, 5)), ("bias", 5), ("scale", 5))}

    def function(x):
        y = (x @ v["kernel"] + v["bias"]) * v["scale"]
        v[changed].assign(-v[changed])
        return y
    graph = traced(function, ((3, 4), "float64"))
    assert computed(fold_normalization(graph).verify()) == computed(graph) == ["mat_mul", "add", "multiply", "negative"]


def test_two_normalizations_move_into_one_kernel():
    w, b, s = (Variable(np.random.default_rng(0).normal(size=size), dtype="float64") for size in ((4, 5), 5, 5))
    graph = traced(lambda x: ((x @ w) * s + b) * s + b, ((3, 4), "float64"))
    after = fold_normalization(graph).verify()
    assert computed(after) == ["mat_mul", "add"]
    x = np.random.default_rng(1).normal(size=(3, 4))
    np.testing.assert_allclose(values(after, x)[0], values(graph, x)[0], rtol=1e-9)


@pytest.mark.parametrize("function", [
    lambda x, w: (x @ w) * np.ones((3, 1), "float32"),  # by row
    lambda x, w: (x @ w) * np.ones((2, 1, 4), "float32"),  # a further axis
    lambda x, w: (x @ w) * x,  # not fixed
    lambda x, w: ops.matmul(w, ops.transpose(x)) * np.ones(3, "float32"),  # the kernel is not fixed
])
def test_other_factors_stay(function):
    w = Variable(np.ones((4, 4)), dtype="float32")
    graph = traced(lambda x: function(x, w), ROWS)
    assert computed(fold_normalization(graph)) == computed(graph)
