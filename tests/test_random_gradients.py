"""Gradients of small random graphs, with an unknown batch, in float64 against central differences: first and second ones; and
compiled in float32. Then what happens at ties, kinks and zeros, and that gradients are few ops.
"""
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphnet import ops
from graphnet.autodiff import backward, gradients
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.graph import Spec
from graphnet.ops.scaling import Normalize
from graphnet.tracing import placeholder, trace_function

WIDTH = 3
UNARY = {
    "tanh": ops.tanh, "sigmoid": ops.sigmoid, "sin": ops.sin, "square": ops.square, "softplus": ops.softplus, "gelu": ops.gelu,
    "relu": ops.relu, "abs": ops.abs, "silu": ops.silu, "exp": lambda x: ops.exp(ops.tanh(x)), "negative": ops.negative,
    "log": lambda x: ops.log(ops.square(x) + 1.0), "clip": lambda x: ops.clip(x, -0.5, 0.5),
    "rsqrt": lambda x: ops.rsqrt(x * x + 1.0), "power": lambda x: (x * x + 1.0) ** 1.5,
}
ROWWISE = {
    "softmax": ops.softmax, "log_softmax": ops.log_softmax, "normalize": lambda x: Normalize((1,), 1e-2)(x),
    "cumsum": lambda x: ops.cumsum(x, 1), "sort": lambda x: ops.sort(x, 1),
    "transpose": lambda x: ops.transpose(ops.transpose(x)),
    "reshape": lambda x: ops.reshape(ops.reshape(x, (-1,)), (-1, WIDTH)), "slice": lambda x: x[:, ::-1],
    "concatenate": lambda x: ops.concatenate([x[:, 1:], x[:, :1]], 1),
    "sum": lambda x: ops.sum(x, 1, True), "mean": lambda x: ops.mean(x, 0), "max": lambda x: ops.max(x, 0, True),
    "min": lambda x: ops.min(x, 1, True), "var": lambda x: ops.var(x, 0), "prod": lambda x: ops.prod(ops.sin(x), 1, True),
    "logsumexp": lambda x: ops.logsumexp(x, 1, True), "mean_all": ops.mean,
}
BINARY = {
    "add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "maximum": ops.maximum, "minimum": ops.minimum,
    "divide": lambda x, y: x / (y * y + 1.0), "where": lambda x, y: ops.where(x > y, x * y, y),
    "arctan2": lambda x, y: ops.arctan2(x, y * y + 1.0), "logaddexp": ops.logaddexp,
}
STEPS = st.tuples(st.sampled_from([*UNARY, *ROWWISE, *BINARY, "matmul", "matmul"]), st.integers(0, 9), st.integers(0, 9))


def network(steps):
    """A function of (x, b, s, w): values that broadcast to x's shape are picked by number, w multiplies rows."""
    def function(x, b, s, w):
        values, one = [x, b, s], ops.ones_like(x)
        for name, i, j in steps:
            u, v = values[-1 - i % len(values)], values[-1 - j % len(values)]
            if name in UNARY:
                values.append(UNARY[name](u))
            elif name in BINARY:
                values.append(BINARY[name](u, v))
            else:  # a row for each example
                rows = u if u.ndim == 2 and u.shape[1] == WIDTH and u.shape[0] != 1 else u * one
                values.append(ops.matmul(rows, w) if name == "matmul" else ROWWISE[name](rows))
        return ops.mean(ops.square(ops.sin(values[-1] * one) + ops.tanh(values[-2])))
    return function


def traced(function, dtype):
    n = Dim.unknown("batch")
    graph, _ = trace_function(function, [placeholder(Spec(s, dtype)) for s in ((n, WIDTH), (WIDTH,), (), (WIDTH, WIDTH))])
    return graph.verify()


def slope(graph, xs, vs, step):
    """The central difference of the graph's first output along vs."""
    ahead, behind = (evaluate(graph, [x + sign * step * v for x, v in zip(xs, vs, strict=True)])[0][0] for sign in (1, -1))
    return float(ahead - behind) / (2 * step)


def check(graph, xs, vs):
    expected, wider = slope(graph, xs, vs, 1e-6), slope(graph, xs, vs, 3e-6)
    assume(abs(expected - wider) < 1e-6 * (1 + abs(expected)))  # else a kink lies between
    outputs = evaluate(gradients(graph, graph.outputs[0], graph.inputs).verify(), xs)[0]
    found = sum(float(np.sum(g * v)) for g, v in zip(outputs[1:], vs, strict=True))
    assert [g.shape for g in outputs[1:]] == [x.shape for x in xs]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    return outputs[1:]


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.integers(2, 5), st.integers(0, 2**31))
def test_gradients_of_random_graphs(steps, batch, seed):
    rng = np.random.default_rng(seed)
    shapes = ((batch, WIDTH), (WIDTH,), (), (WIDTH, WIDTH))
    xs, vs, us = ([rng.uniform(-1, 1, s) for s in shapes] for _ in range(3))
    function = network(steps)
    graph = traced(function, "float64")
    expected = check(graph, xs, vs)

    def along(*inputs):
        """The slope along us: its gradients are second derivatives."""
        y = function(*inputs)
        found = backward([y], [ops.ones_like(y)], inputs)
        return sum((ops.sum(g * u) for g, u in zip(found, us, strict=True) if g is not None), ops.sum(inputs[2]) * 0.0)
    check(traced(along, "float64"), xs, vs)

    single = traced(function, "float32")
    compiled = Executable(gradients(single, single.outputs[0], single.inputs))([x.astype("float32") for x in xs])
    for a, b in zip(compiled[1:], expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * max(1.0, float(np.max(np.abs(b)))))


# ---- ties, kinks, zeros

def gradient(function, *xs):
    """The gradients of the sum of function(*xs), in numpy."""
    inputs = [placeholder(Spec(x.shape, x.dtype.name)) for x in xs]
    graph, _ = trace_function(lambda *tensors: ops.sum(function(*tensors)), inputs)
    return evaluate(gradients(graph, graph.outputs[0], graph.inputs), xs)[0][1:]


INF = float("inf")
CONVENTIONS = {  # JAX's: the function, where, the gradient there
    "relu": (ops.relu, [-1.0, 0.0, 2.0], [0, 0, 1]),
    "abs": (ops.abs, [-1.0, 0.0, 2.0], [-1, 1, 1]),
    "elu": (ops.elu, [0.0, 2.0], [1, 1]),
    "celu": (ops.celu, [0.0, 2.0], [1, 1]),
    "softplus": (ops.softplus, [-1e4, 0.0, 1e4], [0, 0.5, 1]),
    "leaky_relu": (lambda x: ops.leaky_relu(x, 0.25), [-1.0, 0.0, 2.0], [0.25, 1, 1]),
    "maximum of equals": (lambda x: ops.maximum(x, 1.0), [0.0, 1.0, 2.0], [0, 0.5, 1]),
    "minimum of equals": (lambda x: ops.minimum(x, 1.0), [0.0, 1.0, 2.0], [1, 0.5, 0]),
    "max of equals": (ops.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
    "min of equals": (ops.min, [1.0, 1.0, 3.0], [0.5, 0.5, 0]),
    "fmax beside NaN": (lambda x: ops.fmax(x, float("nan")), [1.0], [1]),
    "maximum above -inf": (lambda x: ops.maximum(x, -INF), [-1.0, 2.0], [1, 1]),
    "product with a zero": (ops.prod, [2.0, 0.0, 3.0], [0, 6, 0]),
    "product with two zeros": (ops.prod, [2.0, 0.0, 0.0], [0, 0, 0]),
    "running product over a zero": (ops.cumprod, [2.0, 0.0, 3.0, 0.0], [1, 2 + 6, 0, 0]),
    "power at 0": (lambda x: x ** 2.0, [0.0, 3.0], [0, 6]),
    "power 0": (lambda x: x ** 0.0, [0.0, 3.0], [0, 0]),
    "hypot at the origin": (lambda x: ops.hypot(x, 0.0), [0.0, 3.0], [0, 1]),
    "divide_no_nan": (lambda x: ops.divide_no_nan(1.0, x), [0.0, 2.0], [0, -0.25]),
    "sinc": (ops.sinc, [0.0, 1.0], [0, -1]),
    "floor": (ops.floor, [0.3, 1.7], [0, 0]),
    "stop_gradient": (lambda x: x * ops.stop_gradient(x), [3.0], [3]),
    "through integers": (lambda x: x * ops.cast(ops.cast(x, "int32"), "float64"), [3.5], [3]),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention(name):
    function, x, expected = CONVENTIONS[name]
    np.testing.assert_allclose(gradient(function, np.array(x))[0], expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("rows", [1, 4])
def test_an_extent_that_may_be_one_or_many(rows):
    """n meets m: which of them is broadcast is known when the graph runs."""
    n, m = Dim.unknown("n"), Dim.unknown("m")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, 3)), rng.standard_normal((4, 3))
    graph, _ = trace_function(lambda x, y: ops.sum(x * y), [placeholder(Spec((e, 3), "float64")) for e in (n, m)])
    _, to_x, to_y = evaluate(gradients(graph, graph.outputs[0], graph.inputs).verify(), [x, y])[0]
    np.testing.assert_allclose(to_x, y.sum(0, keepdims=True) if rows == 1 else y)
    np.testing.assert_allclose(to_y, np.broadcast_to(x, y.shape))


@pytest.mark.parametrize("x", [0.0, 1e-3, 5.0, 50.0, 300.0])
def test_bessel_function_of_order_one(x):
    """The derivative of numpy's function of order 0, whose fourth-order difference is right to 1e-9 or so."""
    h = 1e-2 * max(1.0, x) ** 0.5 * 0.1
    d = (8 * (np.i0(x + h) - np.i0(x - h)) - (np.i0(x + 2 * h) - np.i0(x - 2 * h))) / (12 * h)
    np.testing.assert_allclose(gradient(ops.i0, np.array([x]))[0], d, rtol=1e-8, atol=1e-10)


# ---- few ops

def new_ops(function, *shapes):
    """Names of the ops that the gradient adds, without constants and the views that spread the cotangent of the sum."""
    n = Dim.unknown("batch")
    inputs = [placeholder(Spec(tuple([n if s is None else s for s in shape]))) for shape in shapes]
    graph, _ = trace_function(lambda *xs: ops.sum(function(*xs)), inputs)
    found = gradients(graph, graph.outputs[0], graph.inputs).nodes
    return [node.op.name for node in found if node.inputs and node.specs[0].shape and node not in graph.nodes
            and node.op.name not in ("reshape", "broadcast_to")]


@pytest.mark.parametrize("function, most", [
    (ops.relu, 2), (ops.tanh, 3), (ops.sigmoid, 3), (ops.exp, 1), (ops.square, 2), (ops.softmax, 1), (ops.log_softmax, 4),
    (Normalize((1,), 1e-3), 1)], ids=["relu", "tanh", "sigmoid", "exp", "square", "softmax", "log_softmax", "normalize"])
def test_gradients_are_few_ops(function, most):
    assert len(new_ops(function, (None, 8))) <= most, new_ops(function, (None, 8))


def test_a_product_of_rows_and_a_matrix_goes_back_as_two_products():
    found = new_ops(ops.matmul, (None, 5, 8), (8, 4))
    assert found.count("mat_mul") == 2 and "sum" not in found and "transpose" not in found
