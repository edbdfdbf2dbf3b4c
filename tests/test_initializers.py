"""Initializers: shapes, statistics, seeds, configs. Random numbers: distributions, seeds, state. Regularizers and constraints:
formulas.
"""
import math

import numpy as np
import pytest

from graphnet import constraints, initializers, random, regularizers
from graphnet.dims import Dim
from graphnet.graph import Spec
from graphnet.ops.random import RandomFactors, words
from graphnet.tracing import placeholder, trace_function

NAMES = ["Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal", "LecunUniform",
         "Ones",
         "Orthogonal",
         "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros"]


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


@pytest.mark.parametrize("name", NAMES)
def test_names_configs_and_shapes(name):
    for identifier in (name, snake(name), getattr(initializers, name), {"class_name": name, "config": {}}):
        made = initializers.get(identifier)
        assert type(made).__name__ == name
    for dtype in ("float32", "float64"):
        value = made((6, 4), dtype)
        assert value.shape == (6, 4) and value.dtype == dtype
    config = initializers.serialize(made)
    assert set(config) == {"module", "class_name", "config", "registered_name"} and config["module"] == "keras.initializers"
    assert initializers.deserialize(config).get_config() == made.get_config()


@pytest.mark.parametrize("name", ["GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"])
@pytest.mark.parametrize("shape", [(300, 200), (5, 5, 20, 40)])
def test_variance(name, shape):
    field = math.prod(shape[:-2])
    inputs, outputs = shape[-2] * field, shape[-1] * field
    expected = {"Glorot": 2 / (inputs + outputs), "He": 2 / inputs,
                "Lecun": 1 / inputs}[name.removesuffix("Normal").removesuffix("Uniform")]
    value = getattr(initializers, name)(seed=3)(shape).astype("float64")
    assert abs(value.var() / expected - 1) < 0.03 and abs(value.mean()) < 4 * math.sqrt(expected / value.size)


def test_seeds():
    make = initializers.GlorotUniform(seed=7)
    np.testing.assert_array_equal(make((3, 4)), make((3, 4)))
    np.testing.assert_array_equal(make((3, 4)), initializers.GlorotUniform(seed=7)((3, 4)))
    assert (make((3, 4)) != initializers.GlorotUniform(seed=8)((3, 4))).any()
    unseeded = initializers.GlorotUniform()
    np.testing.assert_array_equal(unseeded((3, 4)), unseeded((3, 4)))
    assert (unseeded((3, 4)) != initializers.GlorotUniform()((3, 4))).any()
    anew = initializers.GlorotUniform(seed=random.SeedGenerator(7))
    assert (anew((3, 4)) != anew((3, 4))).any()


def test_a_seed_generator_in_a_config():
    made = initializers.RandomNormal(seed=random.SeedGenerator(5, name="source"))
    again = initializers.deserialize(initializers.serialize(made))
    np.testing.assert_array_equal(made((3,)), again((3,)))


def test_orthogonal_columns_or_rows():
    for shape in ((6, 4), (4, 6), (3, 2, 5)):
        q = initializers.Orthogonal(2.0, seed=1)(shape, "float64").reshape(-1, shape[-1]) / 2
        product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
        np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_other_identifiers():
    assert initializers.get(None) is None
    assert initializers.get(3.0)((2,)).tolist() == [3.0, 3.0]
    assert initializers.get(lambda shape, dtype: np.ones(shape, dtype))((2,), "int32").tolist() == [1, 1]
    with pytest.raises(ValueError, match="glorot_uniform"):
        initializers.get("glorot")
    with pytest.raises(ValueError, match="two extents"):
        initializers.Identity()((2, 2, 2))


# ---- random numbers

def test_moments_of_distributions():
    n = 200_000
    for draw, mean, variance in ((random.uniform((n,), -1, 3, seed=1), 1, 16 / 12), (random.normal((n,), 2, 3, seed=2), 2, 9),
                                 (random.gamma((n,), 2.0, seed=3), 2, 2), (random.beta((n,), 2.0, 3.0, seed=4), 0.4, 0.04),
                                 (random.beta((n,), 0.01, 0.01, seed=8), 0.5, 0.25 / 1.02),
                                 (random.binomial((n,), 10, 0.3, seed=5), 3, 2.1), (random.randint((n,), -2, 3, seed=6), 0, 2),
                                 (random.truncated_normal((n,), seed=7), 0, 0.7737413)):
        values = np.asarray(draw, "float64")
        assert abs(values.mean() - mean) < 5 * math.sqrt(variance / n)
        assert abs(values.var() / variance - 1) < 0.03


def test_quantiles_of_normal_numbers():
    x = np.sort(random.normal((200_000,), seed=11).astype("float64"))
    expected = 0.5 * (1 + np.vectorize(math.erf)(x[::1000] / math.sqrt(2)))
    assert np.abs(expected - np.arange(0, 1, 1 / 200)).max() < 0.005


def test_an_element_depends_on_seed_and_place_only():
    for shape in ((7,), (1000,), (3, 5)):
        n = math.prod(shape)
        np.testing.assert_array_equal(random.uniform(shape, seed=5).reshape(-1)[:7],
                                      random.uniform((1000,), seed=5)[:min(n, 7)])
    assert (words(np.array([1, 0]), 4) != words(np.array([1, 1]), 4)).all()


def test_dropout_keeps_its_share_and_the_mean():
    x = np.ones((1000, 100), "float32")
    y = random.dropout(x, 0.3, seed=1)
    assert abs((y == 0).mean() - 0.3) < 0.01 and abs(y.mean() - 1) < 0.01
    rows = random.dropout(x, 0.5, noise_shape=(None, 1), seed=1)
    assert (rows == rows[:, :1]).all()
    with pytest.raises(ValueError, match="rate"):
        random.dropout(x, 1.0)


def test_categorical_and_shuffle():
    drawn = random.categorical(np.log([[0.2, 0.8]]), 20_000, seed=1)
    assert drawn.shape == (1, 20_000) and abs(drawn.mean() - 0.8) < 0.02
    rows = random.shuffle(np.arange(50).reshape(50, 1), seed=1)
    assert sorted(rows[:, 0]) == list(range(50)) and rows[:, 0].tolist() != list(range(50))


def test_a_graph_advances_its_seed_generator():
    """Two draws in one call differ, and the state that the graph leaves behind counts both."""
    source = random.SeedGenerator(5)
    x = placeholder(Spec((Dim.unknown("n"), 3)))
    graph, _ = trace_function(lambda v: random.dropout(random.dropout(v, 0.5, seed=source), 0.5, seed=source), [x])
    graph.verify()
    assert list(graph.updates) == [source.state] and source.state.value.tolist() == [5, 0]
    draws = [node for node in graph.nodes if isinstance(node.op, RandomFactors)]
    assert len(draws) == 2 and draws[0].inputs[0].key != draws[1].inputs[0].key


def test_seed_generators_count():
    source = random.SeedGenerator(5)
    first = [random.uniform((3,), seed=source) for _ in range(3)]
    assert source.state.value.tolist() == [5, 3]
    again = random.SeedGenerator.from_config(source.get_config())
    for value in first:
        np.testing.assert_array_equal(value, random.uniform((3,), seed=again))
    random.set_global_seed(9)
    a = random.normal((3,))
    random.set_global_seed(9)
    np.testing.assert_array_equal(a, random.normal((3,)))
    with pytest.raises(ValueError, match="whole number"):
        random.SeedGenerator("x")


# ---- regularizers and constraints

def test_regularizers():
    x = np.random.default_rng(0).standard_normal((4, 3))
    l1, l2 = np.abs(x).sum(), np.square(x).sum()
    for made, expected in ((regularizers.L1(0.3), 0.3 * l1), (regularizers.L2(0.2), 0.2 * l2),
                           (regularizers.L1L2(0.3, 0.2), 0.3 * l1 + 0.2 * l2),
                           (regularizers.L1L2(), 0.0)):
        np.testing.assert_allclose(made(x), expected, rtol=1e-12)
        again = regularizers.deserialize(regularizers.serialize(made))
        assert type(again) is type(made) and again.get_config() == made.get_config()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = np.abs(unit @ unit.T)[np.triu_indices(4, 1)]
    np.testing.assert_allclose(regularizers.OrthogonalRegularizer(0.5)(x), 0.5 * cosines.mean(), rtol=1e-6)
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.0, "l2": 0.0} and regularizers.get(None) is None
    with pytest.raises(ValueError, match="l2"):
        regularizers.L2(-1.0)


def test_constraints():
    w = np.random.default_rng(0).standard_normal((5, 4)) * 2
    norms = np.linalg.norm(w, axis=0)
    np.testing.assert_allclose(np.linalg.norm(constraints.MaxNorm(1.5)(w), axis=0), np.minimum(norms, 1.5), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(constraints.UnitNorm(1)(w), axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(constraints.NonNeg()(w), np.maximum(w, 0))
    held = constraints.MinMaxNorm(1.0, 2.0, 0.5)(w)
    np.testing.assert_allclose(np.linalg.norm(held, axis=0), (np.clip(norms, 1, 2) + norms) / 2, rtol=1e-6)
    for made in (constraints.MaxNorm(3, 1), constraints.NonNeg(), constraints.UnitNorm(1), constraints.MinMaxNorm(1.0, 2.0)):
        again = constraints.deserialize(constraints.serialize(made))
        assert type(again) is type(made) and again.get_config() == made.get_config()
    assert type(constraints.get("non_neg")) is constraints.NonNeg
