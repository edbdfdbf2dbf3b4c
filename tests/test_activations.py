"""Activations against their formulas in float64, at ordinary and extreme values; and what their names mean."""
import math

import numpy as np
import pytest

from graphnet import activations, ops
from graphnet.graph import Spec
from graphnet.ops.elementwise import Clip
from graphnet.registry import custom_object_scope, register_keras_serializable
from graphnet.tracing import placeholder, trace_function

X = np.concatenate([np.linspace(-9, 9, 181), [-1e4, -100.0, 100.0, 1e4, 0.0, -0.0, 1e-8]])
erf = np.vectorize(math.erf)


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def softplus(x):
    return np.logaddexp(x, 0)


FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "celu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x / 2 * (1 + erf(x / math.sqrt(2))),
    "silu": lambda x: x * sigmoid(x),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "exponential": np.exp,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "log_sigmoid": lambda x: -softplus(-x),
    "linear": lambda x: x,
}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formula(name):
    with np.errstate(over="ignore"):
        expected = FORMULAS[name](X)
        narrow = expected.astype("float32")
    np.testing.assert_allclose(activations.get(name)(X), expected, rtol=1e-10, atol=1e-12)
    got = activations.get(name)(X.astype("float32"))
    assert got.dtype == "float32"
    tolerance = 2e-3 if name == "squareplus" else 2e-6  # its two terms cancel far below 0, in Keras too
    np.testing.assert_allclose(got, narrow, rtol=4e-6, atol=tolerance)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_nan_stays_nan(name):
    if name in ("hard_shrink", "soft_shrink"):
        pytest.skip("thresholds compare, and no comparison with NaN holds")
    assert np.isnan(activations.get(name)(np.array([np.nan], "float32"))).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_along_an_axis(name, axis):
    x = np.random.default_rng(0).standard_normal((3, 4, 5)) * 3
    y = activations.get(name)(x, axis)
    p = np.exp(y) if name == "log_softmax" else y
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis), 1.0, rtol=1e-12)
    if name != "sparsemax":
        np.testing.assert_allclose(p, np.exp(x) / np.exp(x).sum(axis, keepdims=True), rtol=1e-12)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    rng = np.random.default_rng(0)
    for x in rng.standard_normal((20, 5)):
        y = ops.sparsemax(x)
        others = rng.dirichlet(np.ones(5) * 0.3, 200)
        assert (np.sum((x - y) ** 2) <= np.sum((x - others) ** 2, 1) + 1e-12).all()


def test_softmax_over_several_axes():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_allclose(ops.softmax(x, (0, 2)), np.exp(x) / np.exp(x).sum((0, 2), keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("slope, top, threshold", [(0.0, None, 0.0), (0.1, None, 0.0), (0.0, 6.0, 0.0), (0.0, 4.0, 1.0),
                                                   (0.3, 4.0, 1.0)])
def test_relu_with_arguments(slope, top, threshold):
    x = np.linspace(-5, 9, 57)
    expected = np.where(x > threshold, np.minimum(x, np.inf if top is None else top), slope * (x - threshold))
    np.testing.assert_allclose(activations.relu(x, slope, top, threshold), expected, atol=1e-12)


def test_relu_is_one_clip():
    x = placeholder(Spec((3,)))
    for name, op in (("relu", Clip(0.0, math.inf)), ("relu6", Clip(0.0, 6.0))):
        graph, _ = trace_function(activations.get(name), [x])
        assert [n.op for n in graph.nodes if n.inputs] == [op]


@pytest.mark.parametrize("name", [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize")])
def test_names_go_there_and_back(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.deserialize(activations.serialize(function)) is function
    config = {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
    assert activations.get(config) is function


def test_other_identifiers():
    assert activations.get(None) is activations.linear
    assert activations.get(abs) is abs
    with pytest.raises(ValueError, match="relu"):
        activations.get("rellu")


def test_custom_functions():
    @register_keras_serializable("test_activations")
    def triple(x):
        return 3 * x
    config = activations.serialize(triple)
    assert config["config"] == "test_activations>triple"
    assert activations.deserialize(config) is triple and activations.get("triple") is triple
    with custom_object_scope({"quadruple": abs}):
        assert activations.get("quadruple") is abs
