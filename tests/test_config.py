"""Models as plain data: random graphs through their configuration, Keras's own recorded JSON, and configurations of every era,
written by hand.
"""

import json

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphnet as gn
from graphnet import layers, ops
from graphnet.errors import FileFormatError, UnsupportedError

RNG = np.random.default_rng(0)


def same_nodes(a, b):
    return {k: v for k, v in a.items() if k not in ("graph", "source")} == {k: v for k, v in b.items() if k not in ("graph", "source")}


def check_same(model, again, data):
    """Equal graphs, node for node, and equal results with equal weights."""
    assert nx.is_isomorphic(model.graph, again.graph, same_nodes, lambda a, b: a == b)
    assert list(model.graph) == list(again.graph) and model.graph.graph == again.graph.graph
    assert [v.shape for v in model.weights] == [v.shape for v in again.weights]
    again.set_weights(model.get_weights())
    for got, want in zip(gn.tree.flatten(again.predict(data, verbose=0)), gn.tree.flatten(model.predict(data, verbose=0)),
                         strict=True):
        np.testing.assert_array_equal(got, want)


def round_trips(model, data):
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    check_same(model, again, data)
    check_same(model, gn.models.model_from_json(model.to_json()), data)
    assert again.get_config() == model.get_config()


def random_model(draw, depth=2):
    """Random graphs of layers on vectors of 4: shared layers, nested and shared models, ops, several inputs and outputs."""
    counts = st.integers(1, 3)
    tensors = [gn.Input((4,), name=f"in{depth}_{i}") for i in range(draw(counts))]
    inputs = list(tensors)
    pool = []
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["dense", "shared", "add", "concat", "op", "nested", "slice", "dict"]))
        x, y = (tensors[draw(st.integers(0, len(tensors) - 1))] for _ in range(2))
        if kind == "dense":
            pool.append(layers.Dense(4, activation=draw(st.sampled_from([None, "relu", "tanh"]))))
            tensors.append(pool[-1](x))
        elif kind == "shared" and pool:
            tensors.append(pool[draw(st.integers(0, len(pool) - 1))](x))
        elif kind == "add":
            tensors.append(layers.add([x, y]))
        elif kind == "concat":
            tensors.append(layers.Dense(4)(ops.concatenate([x, y], axis=-1)))
        elif kind == "op":
            tensors.append(
                draw(
                    st.sampled_from(
                        [
                            lambda x, y: x * 2 + y,
                            lambda x, y: ops.maximum(x, 0.5),
                            lambda x, y: ops.where(x > y, x, 1.0),
                            lambda x, y: ops.mean(x, axis=1, keepdims=True) - y,
                            lambda x, y: ops.softmax(x, axis=-1),
                        ]
                    )
                )(x, y)
            )
        elif kind == "slice":
            tensors.append(ops.stack([x[:, 0], y[:, -1], x[:, 1], ops.max(y, axis=-1)], axis=1))
        elif kind == "nested" and depth:
            inner = random_model(draw, depth - 1)
            # used outside of it too
            pool += [d for d in inner.layers if isinstance(d, layers.Dense) and d.kernel.shape == (4, 4)][:1]
            for _ in range(draw(st.integers(1, 2))):
                tensors += gn.tree.flatten(inner([tensors[draw(st.integers(0, len(tensors) - 1))] for _ in inner.inputs]))
        elif kind == "dict":
            a, b = gn.Input((4,)), gn.Input((4,))
            inner = gn.Model({"one": a, "two": b}, {"out": layers.Dense(4)(layers.subtract([a, b]))})
            tensors.append(inner({"two": x, "one": y})["out"])
    outputs = [tensors[i] for i in draw(st.lists(st.integers(0, len(tensors) - 1), min_size=1, max_size=3, unique=True))]
    used = gn.models.Functional(inputs, outputs)
    reached = {t.node for node in used._nodes for t in node.inputs} | {t.node for t in outputs}
    return gn.Model([t for t in inputs if t.node in reached] or inputs, outputs)


@given(st.data())
def test_random_models_through_their_configuration(data):
    model = random_model(data.draw)
    round_trips(model, [RNG.random((3, 4), "float32") for _ in model.inputs])


@pytest.mark.parametrize(
    "name", ["autoencoder", "autoencoder_nested", "bidirectional_gru", "conv1d_net", "ensemble", "shared_embedding",
             "ticket_triage", "toy_resnet"]
)
def test_recorded_json(shared, name):
    folder = shared / "models" / "keras_reference"
    model = gn.models.load_model(folder / f"{name}.keras")
    data = [np.ones([3, *(s or 7 for s in t.shape[1:])], t.dtype) for t in model.inputs]
    check_same(model, gn.models.model_from_json((folder / f"{name}.config.json").read_text()), data)
    round_trips(model, data)


def test_layers_shared_between_nested_models_stay_shared():
    shared = layers.Dense(4, name="shared")
    x = gn.Input((4,))
    parts = [gn.Sequential([gn.Input((4,)), shared, layers.Dense(4, name=f"own_{i}")], name=f"part_{i}") for i in range(2)]
    model = gn.Model(x, shared(parts[0](x) + parts[1](x)))
    again = gn.models.model_from_json(model.to_json())
    assert len(again.weights) == len(model.weights) == 6
    assert again.get_layer("part_0/shared" if again.get_layer("part_0").layers[0].name == "shared" else "shared") is again.get_layer("shared")
    round_trips(model, np.ones((2, 4), "float32"))


def test_a_model_that_begins_inside_another_graph():
    x = gn.Input((3,))
    middle = layers.Dense(4, name="middle")(x)
    tail = gn.Model(middle, layers.Dense(2)(ops.tanh(middle)))
    again = gn.models.model_from_json(tail.to_json())
    again.set_weights(tail.get_layer(index=-1).get_weights())
    data = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(again(data), tail(data))


def test_clones():
    for build in (lambda: gn.Sequential([gn.Input((4,)), layers.Dense(3), layers.Dropout(0.5)]),):
        model = build()
        copy = gn.models.clone_model(model)
        check_same(model, copy, np.ones((2, 4), "float32"))
        assert not {id(v) for v in model.weights} & {id(v) for v in copy.weights}


class Doubling(layers.Layer):
    def __init__(self, by=2.0, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.by, self.inner = by, inner or layers.Dense(4)

    def call(self, x):
        return self.inner(x) * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by, "inner": gn.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": gn.saving.deserialize_keras_object(config["inner"])})


def test_layers_of_the_user():
    x = gn.Input((4,))
    model = gn.Model(x, Doubling(3.0)(x))
    with pytest.raises(UnsupportedError, match=r"'Doubling'.*custom_objects=.*register_keras_serializable"):
        gn.models.model_from_json(model.to_json())
    check_same(model, gn.models.model_from_json(model.to_json(), custom_objects={"Doubling": Doubling}),
               np.ones((2, 4), "float32"))
    with gn.saving.custom_object_scope({"Doubling": Doubling}):
        check_same(model, gn.Model.from_config(model.get_config()), np.ones((2, 4), "float32"))


def test_a_registered_name_does_not_take_the_place_of_keras_own():
    @gn.saving.register_keras_serializable("tests_of_names")
    class Dense(layers.Layer):
        def call(self, x):
            return x

    try:
        x = gn.Input((4,))
        model = gn.models.model_from_json(gn.Model(x, layers.Dense(2)(Dense(name="mine")(x))).to_json())
        assert [type(layer) for layer in model.layers[1:]] == [Dense, layers.Dense]
    finally:
        gn.saving.get_custom_objects().pop("tests_of_names>Dense")


def test_functions_and_lambdas():
    def steep(x):
        return ops.tanh(3 * x)

    x = gn.Input((4,))
    model = gn.Model(x, layers.Dense(2, activation=steep)(x))
    check_same(model, gn.models.model_from_json(model.to_json(), custom_objects={"steep": steep}), np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="lambda"):
        gn.Model(x, layers.Dense(2, activation=lambda x: x)(x)).to_json()


# ---- Keras 1 and 2


def legacy(layers_, inputs, outputs, class_name="Model"):
    """A model's configuration as Keras 2 wrote it: {name: (class, arguments, inbound nodes)}."""
    listed = [
        {"class_name": kind, "config": {"name": name, **arguments}, "name": name, "inbound_nodes": inbound}
        for name, (kind, arguments, inbound) in layers_.items()
    ]
    return json.dumps({"class_name": class_name, "config": {"name": "m", "layers": listed, "input_layers": inputs,
                                                            "output_layers": outputs}})


def an_input(*shape, dtype="float32"):
    return "InputLayer", {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False}, []


def run_legacy(*args, data, **kwargs):
    model = gn.models.model_from_json(legacy(*args, **kwargs))
    out = model.predict(data, verbose=0)
    return model, out[0] if isinstance(out, list) and len(out) == 1 else out


@pytest.mark.parametrize("class_name", ["Model", "Functional", "Container"])
def test_a_graph_of_keras_2(class_name):
    model, out = run_legacy(
        {
            "x": an_input(5, 5, 2),
            "conv": (
                "Conv2D",
                {
                    "trainable": True,
                    "filters": 2,
                    "kernel_size": [3, 3],
                    "strides": [1, 1],
                    "padding": "same",
                    "data_format": "channels_last",
                    "dilation_rate": [1, 1],
                    "activation": "relu",
                    "use_bias": True,
                    "kernel_regularizer": None,
                    "kernel_initializer": {
                        "class_name": "VarianceScaling",
                        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": None, "dtype": "float32"},
                    },
                },
                [[["x", 0, 0, {}]]],
            ),
            "norm": (
                "BatchNormalizationV1",
                {"axis": [3], "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True, "dtype": "float32"},
                [[["conv", 0, 0, {}]]],
            ),
            "sum": ("Add", {"trainable": True, "dtype": "float32"}, [[["norm", 0, 0, {}], ["x", 0, 0, {}]]]),
            "flat": ("Flatten", {"data_format": "channels_last"}, [[["sum", 0, 0, {}]]]),
        },
        [["x", 0, 0]],
        [["flat", 0, 0]],
        class_name,
        data=np.ones((1, 5, 5, 2), "float32"),
    )
    assert out.shape == (1, 50) and model.get_layer("norm").axis in (3, -1)


def nested_config(first):
    """A nested model called twice; old files count its calls from 0, later ones from 1."""
    inner = json.loads(
        legacy({"i": an_input(4), "d": ("Dense", {"units": 4, "kernel_initializer": "ones"}, [[["i", 0, 0, {}]]])},
               [["i", 0, 0]], [["d", 0, 0]])
    )["config"]
    return (
        {"x": an_input(4), "sub": ("Model", inner, [[["x", 0, 0, {}]], [["sub", first, 0, {}]]])},
        [["x", 0, 0]],
        [["sub", first + 1, 0], ["sub", first, 0]],
    )


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_a_nested_models_calls(first):
    _, (second, once) = run_legacy(*nested_config(first), data=np.ones((1, 4), "float32"))
    assert once.tolist() == [[4.0] * 4] and second.tolist() == [[16.0] * 4]


def test_sequential_of_keras_1():
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Convolution2D",
                "config": {
                    "name": "c",
                    "nb_filter": 3,
                    "nb_row": 2,
                    "nb_col": 3,
                    "border_mode": "valid",
                    "subsample": [1, 1],
                    "dim_ordering": "tf",
                    "init": "glorot_uniform",
                    "activation": "relu",
                    "bias": True,
                    "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01},
                    "batch_input_shape": [None, 6, 6, 1],
                    "input_dtype": "float32",
                    "trainable": True,
                    "b_constraint": None,
                },
            },
            {
                "class_name": "MaxPooling2D",
                "config": {"name": "p", "pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid", "dim_ordering": "tf"},
            },
            {"class_name": "Dropout", "config": {"name": "o", "p": 0.5}},
            {"class_name": "Flatten", "config": {"name": "f"}},
            {
                "class_name": "Dense",
                "config": {"name": "d", "output_dim": 4, "init": "uniform", "activation": "linear", "input_dim": None,
                           "bias": False},
            },
        ],
    }
    model = gn.models.model_from_json(json.dumps(config))
    assert model.output_shape == (None, 4) and model.get_layer("o").rate == 0.5 and [v.shape for v in model.weights] == [(2, 3, 1, 3), (3,), (12, 4)]
    assert model.get_layer("c").kernel_regularizer is not None


def test_wrappers_of_keras_2():
    cell = {
        "class_name": "LSTM",
        "config": {
            "name": "lstm",
            "units": 3,
            "return_sequences": True,
            "implementation": 2,
            "time_major": False,
            "unroll": False,
            "recurrent_activation": "sigmoid",
            "unit_forget_bias": True,
        },
    }
    model, out = run_legacy(
        {
            "x": an_input(None, 4),
            "mask": ("Masking", {"mask_value": 0.0}, [[["x", 0, 0, {}]]]),
            "both": ("Bidirectional", {"layer": cell, "merge_mode": "concat", "trainable": True, "dtype": "float32"},
                     [[["mask", 0, 0, {}]]]),
            "each": (
                "TimeDistributed",
                {"layer": {"class_name": "Dense", "config": {"name": "dense", "units": 2}}, "trainable": True},
                [[["both", 0, 0, {}]]],
            ),
        },
        [["x", 0, 0]],
        [["each", 0, 0]],
        data=np.ones((2, 5, 4), "float32"),
    )
    assert out.shape == (2, 5, 2) and len(model.weights) == 8
    cell["config"]["time_major"] = True
    with pytest.raises(UnsupportedError, match="time_major=True"):
        run_legacy({"x": an_input(5, 4), "r": (cell["class_name"], cell["config"], [[["x", 0, 0, {}]]])}, [["x", 0, 0]],
                   [["r", 0, 0]], data=None)


def test_states_stood_behind_the_input():
    model, out = run_legacy(
        {
            "x": an_input(5, 4),
            "h": an_input(3),
            "c": an_input(3),
            "lstm": ("LSTM", {"units": 3}, [[["x", 0, 0, {}], ["h", 0, 0, {}], ["c", 0, 0, {}]]]),
        },
        [["x", 0, 0], ["h", 0, 0], ["c", 0, 0]],
        [["lstm", 0, 0]],
        data=[np.ones((2, 5, 4), "float32"), np.ones((2, 3), "float32"), np.ones((2, 3), "float32")],
    )
    assert out.shape == (2, 3) and len(model.graph.in_edges("lstm")) == 3


X = RNG.random((2, 3, 4)).astype("float32") - 0.5
Y = RNG.random((2, 3, 4)).astype("float32")
LAMBDAS = [  # TensorFlow's function, operands, keyword arguments, what numpy says
    ("math.add", ["x"], {"y": 1.5}, X + 1.5),
    ("__operators__.add", ["x"], {"y": ["y", 0, 0]}, X + Y),
    ("math.subtract", [2.0], {"y": ["x", 0, 0]}, 2 - X),
    ("math.truediv", ["x"], {"y": ["y", 0, 0]}, X / Y),
    ("math.multiply", ["x"], {"y": 3}, X * 3),
    ("nn.relu", ["x"], {}, np.maximum(X, 0)),
    ("concat", [["x", "y"]], {"axis": -1}, np.concatenate([X, Y], -1)),
    ("stack", [["x", "y"]], {"axis": 1}, np.stack([X, Y], 1)),
    ("reshape", ["x"], {"shape": [-1, 12]}, X.reshape(-1, 12)),
    ("transpose", ["x"], {"perm": [0, 2, 1]}, X.transpose(0, 2, 1)),
    ("math.reduce_mean", ["x"], {"axis": [1, 2], "keepdims": True}, X.mean((1, 2), keepdims=True)),
    ("math.reduce_sum", ["x"], {"axis": -1, "keepdims": False}, X.sum(-1)),
    ("expand_dims", ["x"], {"axis": 1}, X[:, None]),
    ("clip_by_value", ["x"], {"clip_value_min": -0.1, "clip_value_max": 0.2}, np.clip(X, -0.1, 0.2)),
    (
        "__operators__.getitem",
        ["x"],
        {"slice_spec": [{"start": None, "stop": None, "step": None}, {"start": 0, "stop": 2, "step": None}, -1]},
        X[:, 0:2, -1],
    ),
    ("linalg.matmul", ["x"], {"b": ["z", 0, 0], "transpose_a": False}, X @ Y.transpose(0, 2, 1)),
    ("cast", ["x"], {"dtype": "int32"}, X.astype("int32")),
    ("nn.softmax", ["x"], {"axis": -1, "name": None}, np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
    ("math.maximum", ["x"], {"y": ["y", 0, 0]}, np.maximum(X, Y)),
    ("compat.v1.transpose", ["x"], {"perm": [1, 0, 2]}, X.transpose(1, 0, 2)),
    ("where", [], {"condition": None}, None),
]


@pytest.mark.parametrize("function, operands, kwargs, want", LAMBDAS[:-1], ids=lambda v: v if isinstance(v, str) else "")
def test_functions_of_tensorflow(function, operands, kwargs, want):
    def reference(name):
        return [name, 0, 0, kwargs] if isinstance(name, str) else ["_CONSTANT_VALUE", -1, name, kwargs]

    inbound = [[reference(n) for n in operands[0]]] if isinstance(operands[0], list) else [reference(operands[0])]
    kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
    parts = {
        "x": an_input(3, 4),
        "y": an_input(3, 4),
        "z": ("Permute", {"dims": [2, 1]}, [[["y", 0, 0, {}]]]),
        f"tf.{function}": (kind, {"trainable": True, "dtype": "float32", "function": function}, inbound),
    }
    model, (got, _) = run_legacy(parts, [["x", 0, 0], ["y", 0, 0]], [[f"tf.{function}", 0, 0], ["z", 0, 0]], data=[X, Y])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    round_trips(model, [X, Y])  # and on as an op of today


FLOATS = {"T": {"type": "DT_FLOAT"}}
NODES = [  # TensorFlow's op, operands, constants by position, attributes, what numpy says
    ("AddV2", ["x"], {"1": 2.0}, FLOATS, X + 2),
    ("Sub", ["x"], {"0": 1.0}, FLOATS, 1 - X),
    ("Mul", ["x", "y"], {}, FLOATS, X * Y),
    ("Relu", ["x"], {}, FLOATS, np.maximum(X, 0)),
    ("ConcatV2", ["x", "y"], {"2": -1}, {"N": {"i": "2"}}, np.concatenate([X, Y], -1)),
    ("Reshape", ["x"], {"1": [-1, 12]}, FLOATS, X.reshape(-1, 12)),
    ("Mean", ["x"], {"1": [1, 2]}, {"keep_dims": {"b": True}}, X.mean((1, 2), keepdims=True)),
    ("ExpandDims", ["x"], {"1": 1}, FLOATS, X[:, None]),
    ("Squeeze", ["w"], {}, {"squeeze_dims": {"list": {"i": ["3"]}}}, X),
    ("Pack", ["x", "y"], {}, {"axis": {"i": "1"}}, np.stack([X, Y], 1)),
    ("Cast", ["x"], {}, {"DstT": {"type": "DT_INT32"}}, X.astype("int32")),
    ("Neg", ["x"], {}, FLOATS, -X),
    (
        "StridedSlice",
        ["x"],
        {"1": [0, 1, 0], "2": [0, 3, 1], "3": [1, 1, 1]},
        {"begin_mask": {"i": "1"}, "end_mask": {"i": "1"}, "shrink_axis_mask": {"i": "4"}},
        X[:, 1:3, 0],
    ),
]


@pytest.mark.parametrize("op, operands, constants, attributes, want", NODES, ids=lambda v: v if isinstance(v, str) else "")
def test_nodes_of_tensorflows_graph(op, operands, constants, attributes, want):
    node = {"name": op, "op": op, "input": operands, "attr": attributes}
    parts = {
        "x": an_input(3, 4),
        "y": an_input(3, 4),
        "w": ("Reshape", {"target_shape": [3, 4, 1]}, [[["x", 0, 0, {}]]]),
        "z": ("Flatten", {}, [[["y", 0, 0, {}]]]),
        "tf_op": ("TensorFlowOpLayer", {"node_def": node, "constants": constants, "trainable": True},
                  [[[n, 0, 0, {}] for n in operands]]),
    }
    _, (got, *_) = run_legacy(parts, [["x", 0, 0], ["y", 0, 0]], [["tf_op", 0, 0], ["z", 0, 0], ["w", 0, 0]], data=[X, Y])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "config, said",
    [
        ({"function": "random.normal"}, r"'m/odd' calls TensorFlow's function tf.random.normal.*graphnet.ops"),
        ({"function": "math.add"}, "axis"),
        ({"node_def": {"op": "Fft"}}, "op .Fft."),
    ],
)
def test_what_there_is_no_op_for(config, said):
    kind = "TFOpLambda" if "function" in config else "TensorFlowOpLayer"
    with pytest.raises(UnsupportedError, match=said):
        run_legacy({"x": an_input(4), "odd": (kind, config, [["x", 0, 0, {"axis": 3}]])}, [["x", 0, 0]], [["odd", 0, 0]],
                   data=None)


def test_policies():
    dense = {
        "class_name": "Dense",
        "module": "keras.layers",
        "config": {"name": "d", "units": 2, "dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}},
    }
    config = {"class_name": "Sequential", "module": "keras",
              "config": {"name": "s", "layers": [dense], "build_input_shape": [None, 3]}}
    model = gn.models.model_from_json(json.dumps(config))
    assert model.layers[0].kernel.dtype == "float32"


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "Expecting value"),
        ("[]", "class_name"),
        ("7", "class_name"),
        ('{"class_name": "Sequential"}', "layers"),
        ('{"class_name": "Sequentia", "config": {"name": "s"}}', "Sequentia"),
    ],
)
def test_what_is_no_configuration(text, said):
    with pytest.raises((FileFormatError, UnsupportedError), match=said):
        gn.models.model_from_json(text)
