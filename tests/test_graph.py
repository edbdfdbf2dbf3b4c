"""The symbolic graph: calls as nodes, names, sharing, networkx, errors that teach."""
import networkx as nx
import numpy as np
import pytest

import graphnet
from graphnet import layers, ops
from graphnet.errors import DataError, GraphError, ShapeError


def test_a_call_is_a_node_not_a_layer():
    dense = layers.Dense(3, name="d")
    x = graphnet.Input((3,), name="x")
    model = graphnet.Model(x, dense(dense(x)))
    assert list(nx.topological_sort(model.graph)) == ["x", "d", "d:1"]
    assert [layer.name for layer in model.layers] == ["x", "d"]
    assert nx.is_frozen(model.graph)


def test_two_operands_that_are_one_tensor_are_two_edges():
    x = graphnet.Input((3,), name="x")
    model = graphnet.Model(x, layers.Add(name="sum")([x, x]))
    assert sorted(model.graph.edges(keys=True)) == [("x", "sum", 0), ("x", "sum", 1)]


def test_a_layer_called_twice_has_no_single_output():
    dense = layers.Dense(3, name="twice")
    x = graphnet.Input((3,))
    kept = [dense(x), dense(x)]
    with pytest.raises(AttributeError, match=r"called 2 times.*test_graph\.py"):
        _ = dense.output
    del kept[1]
    assert dense.output.shape == (None, 3)


def test_operators_and_indexing_build_nodes():
    x = graphnet.Input((5, 4), name="x")
    model = graphnet.Model(x, ops.stack([x[:, 2] + 1.0, x[:, -1] * 2.0], axis=1))
    data = np.random.default_rng(0).random((3, 5, 4), dtype="float32")
    np.testing.assert_allclose(model(data), np.stack([data[:, 2] + 1, data[:, -1] * 2], 1), rtol=1e-6)


@pytest.mark.parametrize("use, words", [
    (lambda t: bool(t > 0), ["where", "test_graph.py"]),
    (lambda t: float(t), ["ops", "test_graph.py"]),
    (lambda t: np.asarray(t), ["numpy", "test_graph.py"]),
    (lambda t: list(t), ["iterate", "test_graph.py"]),
])
def test_a_symbolic_tensor_refuses_to_be_a_value(use, words):
    with pytest.raises(TypeError) as caught:
        use(graphnet.Input((3,)) * 1.0)
    for word in words:
        assert word in str(caught.value)


def test_a_disconnected_model_names_the_input_and_the_way():
    a, b = graphnet.Input((4,), name="a"), graphnet.Input((4,), name="b")
    y = layers.Dense(2, name="last")(layers.add([a, b]))
    with pytest.raises(GraphError, match=r"(?s)'b'.*test_graph\.py.*b -> add\S* -> last"):
        graphnet.Model(a, y)


def test_a_shape_error_names_layer_dimensions_and_lines():
    dense = layers.Dense(2, name="classifier")
    dense(graphnet.Input((784,)))
    with pytest.raises(ShapeError, match=r"(?s)classifier.*784.*100.*test_graph\.py"):
        dense(graphnet.Input((100,)))


def test_a_layer_passed_as_a_tensor_is_told_apart():
    with pytest.raises(TypeError, match="layer object"):
        layers.Dense(2)(layers.Dense(3))


def test_long_chains_do_not_recurse():
    x = inputs = graphnet.Input((2,))
    for _ in range(3000):
        x = x + 1.0
    model = graphnet.Model(inputs, x)
    np.testing.assert_allclose(model(np.zeros((1, 2), "float32")), np.full((1, 2), 3000.0))


@pytest.fixture(scope="module")
def two_inputs():
    a, b = graphnet.Input((4,), name="a"), graphnet.Input((3,), dtype="int32", name="b")
    return graphnet.Model([a, b], layers.concatenate([a, ops.cast(b, "float32")]), name="pair")


@pytest.mark.parametrize("data, words", [
    ([np.ones((2, 4)), np.ones((2, 2), "int32")], ["'b'", "axis 1"]),
    ([np.ones((2, 4))], ["2 inputs"]),
    ({"a": np.ones((2, 4)), "c": np.ones((2, 3))}, ["'b'"]),
    ([np.ones((2, 4)), np.full((2, 3), np.nan)], ["'b'", "NaN"]),
    ([np.ones((2, 4)), np.array([["x"] * 3] * 2)], ["'b'", "dtype"]),
    ([np.ones((2, 4, 1)), np.ones((2, 3), "int32")], ["'a'", "ndim"]),
])
def test_wrong_data_is_refused_before_anything_runs(two_inputs, data, words):
    with pytest.raises(DataError) as caught:
        two_inputs(data)
    for word in words:
        assert word in str(caught.value)


def test_indices_out_of_range_name_the_layer_and_the_position():
    ids = graphnet.Input((None,), dtype="int32")
    model = graphnet.Model(ids, layers.Embedding(10, 4, name="words")(ids))
    data = np.array([[1, 2, 3], [4, 10, 6]], "int32")
    with pytest.raises(IndexError, match=r"words.*"):
        model(data)
    assert model(data % 10).shape == (2, 3, 4)


def test_dropped_graphs_are_freed_at_once():
    import gc
    import weakref
    gc.disable()
    try:
        x = graphnet.Input((2,))
        y = layers.Dense(3)(x)
        node = weakref.ref(y.node)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_a_layer_that_leaves_its_name_out_of_its_configuration_is_rebuilt():
    class Bare(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def call(self, inputs):
            return inputs * self.units

        def get_config(self):
            return {"units": self.units}

    x = graphnet.Input((4,))
    model = graphnet.Model(x, Bare(3)(x))
    again = graphnet.Model.from_config(model.get_config(), custom_objects={"Bare": Bare})
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
