"""extract: names, globs, paths into nested and shared models, calls of shared layers; only what is needed is computed."""
import networkx as nx
import numpy as np
import pytest

import graphnet as gn
from graphnet import layers, ops

RNG = np.random.default_rng(0)
X, Y = RNG.random((2, 8), "float32"), RNG.random((2, 8), "float32")


@pytest.fixture(autouse=True)
def names_from_the_start():
    """Ops are named by number: other tests' ops do not count."""
    gn.utils.clear_session()


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def encoder(name="encoder"):
    x = gn.Input((8,), name="code_in")
    y = layers.Dense(8, activation="relu", name="dense_a")(x)
    return gn.Model(x, layers.Dense(4, name="dense_b")(y), name=name)


def deep():
    """A nested model in a nested model, called twice; an outer layer has the name of an inner one."""
    inner = encoder()
    x = gn.Input((8,), name="x")
    middle = gn.Model(x, ops.tanh(inner(layers.Dense(8, name="before")(x))), name="middle")
    a, b = gn.Input((8,), name="a"), gn.Input((8,), name="b")
    joined = layers.concatenate([middle(a), middle(b)], name="joined")
    return gn.Model([a, b], layers.Dense(3, name="dense_a")(joined), name="deep"), middle, inner


def test_names_globs_and_orders():
    x = gn.Input((8,), name="x")
    y = x
    for i in range(3):
        y = layers.Dense(8, name=f"block{i}_dense")(y)
        y = layers.ReLU(name=f"block{i}_relu")(y)
    model = gn.Model(x, y)
    values = dict(zip([n for n in model.graph], gn.Model(x, [layer.output for layer in model.layers])(X), strict=True))
    close(model.extract("block1_dense")(X), values["block1_dense"])
    for patterns, names in [(("block?_relu",), [f"block{i}_relu" for i in range(3)]),
                            (("block2_dense", "block0_dense"), ["block2_dense", "block0_dense"]),
                            (("*[01]_dense", "x"), ["block0_dense", "block1_dense", "x"])]:
        got = model.extract(*patterns)(X)
        assert len(got) == len(names)
        for g, name in zip(got, names, strict=True):
            close(g, values[name])


def test_only_what_is_needed_is_computed():
    model, _, _ = deep()
    features = model.extract("middle/before")
    assert list(features.graph) == ["a", "middle/before"] and features.graph.has_edge("a", "middle/before")
    assert len(features.executable()[0].graph.nodes) < 5
    assert [layer.name for layer in features.layers] == ["a", "b", "before"] and features.inputs == model.inputs


def test_paths_into_nested_models():
    model, middle, inner = deep()
    before = middle.get_layer("before")
    got = model.extract("middle/encoder/dense_a", "middle:1/encoder/dense_a", "middle/encoder", "middle:1", "dense_a",
                        "middle/encoder/code_in")([X, Y])
    close(got[0], inner.extract("dense_a")(before(X)))
    close(got[1], inner.extract("dense_a")(before(Y)))
    close(got[2], inner(before(X)))
    close(got[3], middle(Y))
    close(got[4], model([X, Y]))
    close(got[5], before(X))
    assert [t.shape for t in gn.tree.flatten(model.extract("middle*/encoder/dense_?").outputs)] == [(None, 8), (None, 4)] * 2


def test_graphs_of_features_name_their_calls_by_path():
    model, _, _ = deep()
    features = model.extract("middle/encoder/dense_b", "dense_a")
    graph = features.graph
    assert (
        "middle/encoder/dense_a" in graph
        and "dense_a" in graph
        and graph.nodes["middle/encoder/dense_a"]["layer"] == "middle/encoder/dense_a"
    )
    assert nx.has_path(graph, "a", "middle/encoder/dense_b") and not nx.has_path(graph, "b", "middle/encoder/dense_b")
    assert (
        gn.utils.model_to_dot(features).source.count('dense_a" [') + gn.utils.model_to_dot(features).source.count("dense_a [")
        == 2
    )
    close(features.extract("middle/encoder/dense_a")([X, Y]), model.extract("middle/encoder/dense_a")([X, Y]))


def test_weights_are_shared():
    model, _, inner = deep()
    features = model.extract("middle/encoder/dense_a")
    before = features([X, Y])
    inner.get_layer("dense_a").bias.assign(np.full(8, 5.0))
    assert np.abs(features([X, Y]) - before).max() > 1
    assert set(map(id, features.weights)) <= set(map(id, model.weights))


def test_layers_do_not_count_extraction_among_their_calls():
    model, _, inner = deep()
    layer = inner.get_layer("dense_a")
    features = model.extract("middle/encoder/dense_a", "middle:1/encoder/*")
    assert features and len(layer.calls) == 1 and tuple(layer.output.shape) == (None, 8)


def test_calls_of_a_shared_layer():
    twin, x, y = layers.Dense(4, name="twin"), gn.Input((8,)), gn.Input((8,))
    model = gn.Model([x, y], layers.add([twin(x), twin(y)]))
    for names, want in [(("twin",), [X]), (("twin:0",), [X]), (("twin:1",), [Y]), (("twin*",), [X, Y]),
                        (("twin:1", "twin"), [Y, X])]:
        got = model.extract(*names)([X, Y])
        for g, data in zip(got if len(want) > 1 else [got], want, strict=True):
            close(g, twin(data))


def test_several_outputs_dicts_and_sequential():
    x = gn.Input((5, 8), name="x")
    y, h, c = layers.LSTM(3, return_sequences=True, return_state=True, name="lstm")(x)
    tail = gn.Sequential([gn.Input((5, 3)), layers.Dense(2, name="d"), layers.Flatten(name="f")], name="tail")
    a = gn.Input((10,))
    two = gn.Model({"in": a}, {"b": layers.Dense(1, name="b")(a), "a": layers.Dense(2, name="a")(a)}, name="two")
    model = gn.Model(x, [two({"in": tail(y)})["b"], h, c])
    data = RNG.random((2, 5, 8), "float32")
    assert [v.shape for v in model.extract("lstm")(data)] == [(2, 5, 3), (2, 3), (2, 3)]
    assert [v.shape for v in model.extract("two")(data)] == [(2, 2), (2, 1)]
    assert model.extract("two/a")(data).shape == (2, 2) and model.extract("tail/d")(data).shape == (2, 5, 2)
    close(tail.extract("d")(np.ones((1, 5, 3), "float32")), tail.layers[0](np.ones((1, 5, 3), "float32")))


def test_masks_come_along():
    x = gn.Input((None,), dtype="int32")
    body = gn.Input((None, 4))
    inner = gn.Model(body, layers.LSTM(3, name="second")(layers.LSTM(4, return_sequences=True, name="first")(body)),
                     name="inner")
    model = gn.Model(x, layers.Dense(2)(inner(layers.Embedding(9, 4, mask_zero=True)(x))))
    words = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]], "int32")
    short = model.extract("inner/second")
    close(short(words), model.extract("inner")(words))
    close(short(words[:1, :3]), short(words[:1]))


def test_ops_inside_nested_models():
    x = gn.Input((None, 4), name="x")
    inner = gn.Model(x, ops.reshape(ops.mean(x * 2, axis=1), (-1, 2, 2)), name="inner")
    y = gn.Input((None, 4), name="y")
    model = gn.Model(y, inner(y) + 1)
    data = RNG.random((3, 5, 4), "float32")
    close(model.extract("inner/mean")(data), 2 * data.mean(1))
    assert "inner/mean" in model.extract("inner/mean").graph


@pytest.mark.parametrize("names, error, said", [
    ((), ValueError, "received none"), ((3,), TypeError, "received 3"),
    (("middle/befor",), ValueError, "Did you mean middle/before"),
    (("nothing",), ValueError, r"nothing in model 'deep' is called 'nothing'.*There are: a, middle"),
    (("middle:7",), ValueError, "middle:1"),
    (("*/*/*/*",), ValueError, "nothing in model")])
def test_what_fits_nothing(names, error, said):
    with pytest.raises(error, match=said):
        deep()[0].extract(*names)


def test_only_named_parts_of_nested_models_are_replayed(monkeypatch):
    model, middle, inner = deep()
    replayed = []
    original = gn.Functional._replay
    monkeypatch.setattr(gn.Functional, "_replay", lambda self, node, *rest: replayed.append(node.op.name)
                        or original(self, node, *rest))
    model.extract("dense_a", "middle")
    assert not replayed
    model.extract("middle/encoder/dense_a")
    assert replayed == ["before", "dense_a"]
