"""Features by name: layers, globs, paths into nested models, calls of shared layers; only what they need is computed."""
import numpy as np
import pytest

import graphnet
from graphnet import layers


@pytest.fixture(scope="module")
def nested():
    """A model with an encoder called twice, and a shared layer."""
    x = graphnet.Input((6,), name="x")
    encoder = graphnet.Model(x, layers.Dense(3, name="last")(layers.Dense(4, activation="relu", name="first")(x)), name="encoder")
    a, b = graphnet.Input((6,), name="a"), graphnet.Input((6,), name="b")
    shared = layers.Dense(3, activation="tanh", name="shared")
    joined = layers.Subtract(name="difference")([shared(encoder(a)), shared(encoder(b))])
    return graphnet.Model([a, b], layers.Dense(1, name="head")(joined), name="pair"), encoder, shared


@pytest.fixture(scope="module")
def data():
    return list(np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32"))


def test_names_and_lists(nested, data):
    model, _, _ = nested
    one = model.extract("difference")(data)
    assert one.shape == (5, 3)
    both = model.extract("difference", "head")(data)
    np.testing.assert_array_equal(both[0], one)
    np.testing.assert_allclose(both[1], model(data), rtol=1e-6)


def test_calls_of_shared_layers(nested, data):
    model, encoder, shared = nested
    first, second = model.extract("shared", "shared:1")(data)
    np.testing.assert_allclose(first, shared(encoder(data[0])), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, shared(encoder(data[1])), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.extract("shared:0")(data), first)


def test_paths_into_nested_models(nested, data):
    model, encoder, _ = nested
    inner = encoder.get_layer("first")
    np.testing.assert_allclose(model.extract("encoder/first")(data), inner(data[0]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.extract("encoder:1/first")(data), inner(data[1]), rtol=1e-5, atol=1e-6)


def test_globs_and_what_they_compute(data):
    x = graphnet.Input((6,), name="x")
    y = x
    for k in range(5):
        y = layers.Dense(6, name=f"block{k}")(y)
    model = graphnet.Model(x, y)
    features = model.extract("block[12]")
    assert [f.shape for f in features(data[0])] == [(5, 6), (5, 6)]
    assert set(features.graph.nodes) == {"x", "block0", "block1", "block2"}


def test_unknown_names_list_near_ones(nested):
    model, _, _ = nested
    with pytest.raises(ValueError, match=r"differense.*difference"):
        model.extract("differense")
    with pytest.raises(ValueError, match="none"):
        model.extract()
    with pytest.raises(TypeError, match="names"):
        model.extract(3)
