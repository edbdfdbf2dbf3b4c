"""Losses: against formulas in float64, against Keras (where it is installed), in graphs of unknown batch extent, through
configs."""
import importlib.util
import json
import os
import warnings

import numpy as np
import pytest

from graphnet import losses, masking, ops, saving
from graphnet.autodiff import gradients
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.losses.loss import LossFunctionWrapper
from graphnet.tracing import placeholder, trace_function

os.environ.setdefault("KERAS_BACKEND", "jax")
HAS_KERAS = importlib.util.find_spec("keras") is not None
needs_keras = pytest.mark.skipif(not HAS_KERAS, reason="keras is not installed beside graphnet: nothing to compare with")
RNG = np.random.default_rng(0)
N, C = 6, 4


def uniform(*shape, low=0.05, high=0.95):
    return RNG.uniform(low, high, shape).astype("float32")


def normal(*shape):
    return RNG.standard_normal(shape).astype("float32")


def unit(*shape):
    x = normal(*shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def distribution(*shape):
    x = uniform(*shape)
    return x / x.sum(-1, keepdims=True)


def numbers(*shape, high=C):
    return RNG.integers(0, high, shape).astype("int32")


def one_hot(*shape):
    return np.eye(C, dtype="float32")[numbers(*shape)]


def binary(*shape):
    return RNG.integers(0, 2, shape).astype("float32")


REGRESSION = [(normal(N, 3), normal(N, 3)), (normal(N), normal(N, 1)), (normal(N, 1), normal(N)),
              (normal(N, 2, 3), normal(N, 2, 3)),
              (numbers(N, 3), normal(N, 3)), (normal(N, 3).astype("float64"), normal(N, 3))]
POSITIVE = [(uniform(N, 3, high=3), uniform(N, 3, high=3)), (uniform(N, 2, 3), uniform(N, 2, 3))]
PROBABILITIES = [(distribution(N, C), distribution(N, C)), (distribution(N, 2, C), distribution(N, 2, C))]
BINARY = [(binary(N, 3), uniform(N, 3)), (binary(N), uniform(N, 1)), (binary(N, 2, 3), uniform(N, 2, 3)),
          (numbers(N, 1, high=2), uniform(N, 1))]
BINARY_LOGITS = [(binary(N, 3), 9 * normal(N, 3)), (binary(N), normal(N, 1))]
CLASSES = [(one_hot(N), uniform(N, C)), (one_hot(N, 2), distribution(N, 2, C))]
LOGITS = [(one_hot(N), 9 * normal(N, C)), (one_hot(N, 2), normal(N, 2, C))]
SPARSE = [(numbers(N), uniform(N, C)), (numbers(N, 1), distribution(N, C)), (numbers(N, 2), uniform(N, 2, C)),
          (numbers(N, 2, 1), uniform(N, 2, C))]
SPARSE_LOGITS = [(numbers(N), 9 * normal(N, C)), (numbers(N, 2), normal(N, 2, C))]
MARGINS = [(binary(N, 3), normal(N, 3)), (2 * binary(N, 3) - 1, normal(N, 3)), (normal(N, 3), normal(N, 3)),
           (binary(N), normal(N, 1))]

CASES = [  # a class, arguments, and pairs of labels and predictions
    *((name, {}, REGRESSION) for name in ("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "LogCosh")),
    ("MeanSquaredLogarithmicError", {}, POSITIVE + REGRESSION[:2]),
    ("CosineSimilarity", {}, REGRESSION), ("CosineSimilarity", {"axis": 1}, REGRESSION[3:4]),
    ("Huber", {}, REGRESSION), ("Huber", {"delta": 0.3}, REGRESSION),
    ("Poisson", {}, POSITIVE), ("KLDivergence", {}, PROBABILITIES + CLASSES),
    ("BinaryCrossentropy", {}, BINARY), ("BinaryCrossentropy", {"from_logits": True}, BINARY_LOGITS),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, BINARY), ("BinaryCrossentropy", {"axis": 1}, BINARY[2:3]),
    ("BinaryFocalCrossentropy", {}, BINARY),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, [(binary(N, 3), normal(N, 3))]),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.7, "label_smoothing": 0.1}, BINARY),
    ("CategoricalCrossentropy", {}, CLASSES), ("CategoricalCrossentropy", {"from_logits": True}, LOGITS),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, CLASSES + PROBABILITIES),
    ("CategoricalCrossentropy", {"axis": 1, "from_logits": True}, [(one_hot(N, C).swapaxes(1, 2), normal(N, C, C))]),
    ("CategoricalFocalCrossentropy", {}, CLASSES), ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.5},
                                                    LOGITS[1:]),
    ("CategoricalFocalCrossentropy", {"gamma": 1.5, "label_smoothing": 0.1}, CLASSES),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.4]}, CLASSES),
    ("SparseCategoricalCrossentropy", {}, SPARSE), ("SparseCategoricalCrossentropy", {"from_logits": True}, SPARSE_LOGITS),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, SPARSE),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "from_logits": True},
     [(np.where(numbers(N, 3) > 1, -1, 2), normal(N, 3, C))]),
    ("CategoricalGeneralizedCrossEntropy", {}, SPARSE[:1]), ("CategoricalGeneralizedCrossEntropy", {"q": 0.8}, SPARSE[2:3]),
    ("Hinge", {}, MARGINS), ("SquaredHinge", {}, MARGINS), ("CategoricalHinge", {}, CLASSES + LOGITS),
    ("Dice", {}, BINARY[:1]), ("Dice", {"axis": (1, 2)}, BINARY[2:3]), ("Tversky", {}, BINARY[2:3]),
    ("Tversky", {"alpha": 0.3, "beta": 0.9, "axis": (1,)}, BINARY[:1]),
    ("Circle", {}, [(numbers(N, high=3), unit(N, 5)), (numbers(N, 1, high=3), unit(N, 5)),
                    (np.arange(N, dtype="int32"), unit(N, 5))]),
    ("Circle", {"gamma": 10.0, "margin": 0.2, "remove_diagonal": False}, [(numbers(N, high=2), unit(N, 5))]),
    ("CTC", {}, [(numbers(N, 3) * (np.arange(3) < [[1], [2], [3], [3], [0], [2]]), normal(N, 7, C)),
                 (np.array([[1, 1, 2]]), normal(1, 5, C)),
                 (np.array([[1, 1, 2]]), normal(1, 3, C))]),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in arguments.items())}" for name, arguments, _ in CASES]
each_case = pytest.mark.parametrize("name, arguments, pairs", CASES, ids=IDS)


def assert_close(found, expected, tolerance=1e-6):
    """Equal within a few units in the last place of float32, relative to the largest element."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    assert np.abs(found - expected).max(initial=0.0) <= tolerance * scale


def traced(function, *arrays):
    """The function as a compiled graph, with an unknown first extent for all inputs."""
    n = Dim.unknown("batch")
    inputs = [placeholder(Spec((n, *x.shape[1:]), x.dtype.name), f"input_{i}") for i, x in enumerate(arrays)]
    graph, _ = trace_function(function, inputs)
    return Executable(graph.verify())([np.ascontiguousarray(x) for x in arrays])[0]


# ---- meaning

def test_short_formulas():
    a, b = (x.astype("float64") for x in REGRESSION[0])
    p, q = (x.astype("float64") for x in PROBABILITIES[0])
    labels = numbers(N)
    cases = {
        "mean_squared_error": (a, b, ((a - b) ** 2).mean(-1)), "mean_absolute_error": (a, b, np.abs(a - b).mean(-1)),
        "mean_absolute_percentage_error": (a, b, 100 * np.abs((a - b) / a).mean(-1)),
        "mean_squared_logarithmic_error": (p, q, (np.log((p + 1) / (q + 1)) ** 2).mean(-1)),
        "cosine_similarity": (a, b, -(a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))),
        "log_cosh": (a, b, np.log(np.cosh(b - a)).mean(-1)), "kl_divergence": (p, q, (p * np.log(p / q)).sum(-1)),
        "poisson": (p, q, (q - p * np.log(q + 1e-7)).mean(-1)),
        "binary_crossentropy": (p, q, -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean(-1)),
        "categorical_crossentropy": (p, q, -(p * np.log(q)).sum(-1)),
        "sparse_categorical_crossentropy": (labels, q, -np.log(q[np.arange(N), labels])),
        "hinge": (np.sign(a), b, np.maximum(1 - np.sign(a) * b, 0).mean(-1)),
        "squared_hinge": (np.sign(a), b, (np.maximum(1 - np.sign(a) * b, 0) ** 2).mean(-1)),
        "dice": (p, q, 1 - 2 * (p * q).sum() / (p.sum() + q.sum() + 1e-7)),
        "huber": (a, b, np.where(np.abs(a - b) <= 1, (a - b) ** 2 / 2, np.abs(a - b) - 0.5).mean(-1)),
    }
    for name, (y_true, y_pred, expected) in cases.items():
        assert_close(getattr(losses, name)(y_true, y_pred.astype("float32")), expected)


def test_ctc_sums_over_all_alignments():
    """The probability of a row of labels by going through every path of classes, blanks and repeats dropped."""
    logits, labels = normal(1, 4, 3), [1, 2]
    p = np.exp(logits[0].astype("float64"))
    p /= p.sum(-1, keepdims=True)
    total = 0.0
    for path in np.ndindex(3, 3, 3, 3):
        kept = [c for i, c in enumerate(path) if c and (i == 0 or path[i - 1] != c)]
        total += np.prod([p[t, c] for t, c in enumerate(path)]) if kept == labels else 0.0
    assert_close(losses.ctc([labels], logits), [-np.log(total)], 1e-5)


@pytest.mark.parametrize("reduction, expected", [("sum", 2 * 1.0 + 0.5 * 4.0), ("sum_over_batch_size", 2.0), ("mean", 2.0),
                                                 ("mean_with_sample_weight", 4.0 / 2.5), (None, [2.0, 2.0]),
                                                 ("none", [2.0, 2.0])])
def test_reductions(reduction, expected):
    loss = losses.MeanSquaredError(reduction=reduction)
    y_true, y_pred, weights = np.zeros((2, 1), "float32"), np.array([[1.0], [2.0]], "float32"), np.array([2.0, 0.5], "float32")
    assert_close(loss(y_true, y_pred, weights), expected)
    assert_close(traced(loss, y_true, y_pred, weights), expected)


def test_a_mask_leaves_values_out_of_the_mean():
    y_pred = np.array([[1.0], [2.0], [3.0]], "float32")
    masking.set_mask(y_pred, np.array([True, False, True]))
    assert_close(losses.MeanAbsoluteError()(np.zeros((3, 1)), y_pred), 2.0)
    assert_close(losses.MeanAbsoluteError(reduction="sum")(np.zeros((3, 1)), y_pred), 4.0)
    weighted = losses.MeanAbsoluteError()(np.zeros((3, 1)), y_pred, sample_weight=[1.0, 5.0, 2.0])
    assert_close(weighted, (1.0 + 2.0 * 3.0) / 2)
    values = losses.SparseCategoricalCrossentropy(ignore_class=0)([0, 1], [[0.9, 0.1], [0.5, 0.5]])
    assert_close(values, np.log(2.0))


def test_no_values_make_no_loss():
    assert losses.MeanSquaredError()(np.zeros((0, 3, 2)), np.zeros((0, 3, 2))) == 0.0
    everything_masked = np.ones((2, 1), "float32")
    masking.set_mask(everything_masked, np.zeros(2, bool))
    assert losses.MeanSquaredError()(np.zeros((2, 1)), everything_masked) == 0.0


def test_dtype():
    assert losses.MeanSquaredError(dtype="float16")([[0.0]], [[1.0]]).dtype == "float16"
    assert losses.MeanSquaredError(dtype="mixed_float16").dtype == "float16"
    assert losses.MeanSquaredError()(np.zeros((1, 1)), np.ones((1, 1), "float64")).dtype == "float32"


def test_structures_go_to_call_as_they_are():
    class Both(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.square(y_true["a"] - y_pred["a"]) + ops.absolute(y_true["b"] - y_pred["b"])
    zeros, ones = np.zeros(3, "float32"), np.ones(3, "float32")
    assert_close(Both()({"a": zeros, "b": zeros}, {"a": ones, "b": 2 * ones}), 3.0)
    pair = LossFunctionWrapper(lambda y_true, y_pred: ops.absolute(y_true[0] - y_pred[1]))
    assert_close(pair([zeros, zeros], [ones, 2 * ones]), 2.0)


# ---- graphs

@each_case
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_graph_gives_what_arrays_give(name, arguments, pairs):
    for y_true, y_pred in pairs:
        for reduction in (None, "sum_over_batch_size"):
            loss = getattr(losses, name)(reduction=reduction, **arguments)
            assert_close(traced(loss, np.asarray(y_true), y_pred), loss(y_true, y_pred), 5e-6)


@each_case
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_its_gradient_is_the_slope(name, arguments, pairs):
    """Along a random direction, in float64: what training follows."""
    y_true, y_pred = np.asarray(pairs[0][0]), pairs[0][1].astype("float64")
    loss, n = getattr(losses, name)(dtype="float64", **arguments), Dim.unknown("batch")
    inputs = [placeholder(Spec((n, *x.shape[1:]), x.dtype.name)) for x in (y_true, y_pred)]
    graph, _ = trace_function(loss, inputs)
    gradient = evaluate(gradients(graph, graph.outputs[0], graph.inputs[1:]), [y_true, y_pred])[0][1]
    direction, step = np.random.default_rng(1).standard_normal(y_pred.shape), 1e-6
    above, below = (float(loss(y_true, y_pred + side * step * direction)) for side in (1, -1))
    assert gradient.shape == y_pred.shape
    slope = (above - below) / (2 * step)
    assert abs((gradient * direction).sum() - slope) <= 1e-6 * max(1.0, abs(slope))


def test_samples_without_a_pair_have_gradients():
    graph, _ = trace_function(losses.Circle(), [placeholder(Spec((4,), "int32")), placeholder(Spec((4, 5)))])
    batch = [np.array([0, 1, 2, 2], "int32"), unit(4, 5)]
    gradient = evaluate(gradients(graph, graph.outputs[0], graph.inputs[1:]), batch)[0][1]
    assert np.isfinite(gradient).all() and gradient.any()


def test_a_graph_of_a_loss_is_small():
    """What a training step computes for the commonest losses, in primitive ops."""
    def count(loss, y_true, y_pred):
        n = Dim.unknown("batch")
        inputs = [placeholder(Spec((n, *x.shape[1:]), x.dtype.name)) for x in (y_true, y_pred)]
        graph, _ = trace_function(loss, inputs)
        return sum(1 for node in graph.nodes if node.inputs)
    assert count(losses.MeanSquaredError(), *REGRESSION[0]) <= 4
    assert count(losses.SparseCategoricalCrossentropy(from_logits=True), *SPARSE_LOGITS[0]) <= 8
    assert count(losses.BinaryCrossentropy(), *BINARY[0]) <= 12


def test_logits_and_probabilities_are_told_apart():
    y_true, x = np.zeros((2, 3), "float32"), np.zeros((2, 4), "float32")
    kernel = np.zeros((4, 3), "float32")
    with pytest.warns(UserWarning, match="from_logits=True, but y_pred comes from a softmax"):
        traced(lambda t, x: losses.CategoricalCrossentropy(from_logits=True)(t, ops.softmax(ops.matmul(x, kernel))), y_true, x)
    with pytest.warns(UserWarning, match="from_logits=False, but y_pred comes from a layer without an activation"):
        traced(lambda t, x: losses.CategoricalCrossentropy()(t, ops.add(ops.matmul(x, kernel), np.ones(3, "float32"))), y_true,
               x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traced(lambda t, x: losses.CategoricalCrossentropy()(t, ops.softmax(ops.matmul(x, kernel))), y_true, x)


# ---- names and configs

@each_case
def test_a_config_makes_the_same_loss(name, arguments, pairs):
    loss = getattr(losses, name)(reduction="sum", name="mine", **arguments)
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config() and again.name == "mine"
    assert_close(again(*pairs[0]), loss(*pairs[0]), 0.0)


def test_names():
    assert losses.get("mse") is losses.get("MSE") is losses.mean_squared_error
    assert losses.get("kld") is losses.kl_divergence and losses.get("bce") is losses.binary_crossentropy
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError) and losses.get(None) is None
    assert isinstance(losses.get(losses.Huber), losses.Huber) and losses.get(losses.huber) is losses.huber
    with pytest.raises(ValueError, match="Did you mean 'mean_squared_error'"):
        losses.get("mean_square_error")
    with pytest.raises(ValueError, match="compile"):
        losses.get("crossentropy")
    assert losses.Huber().name == "huber_loss" and losses.KLDivergence().name == "kl_divergence"
    assert losses.Huber(delta=2.0).get_config()["delta"] == 2.0  # which Keras forgets; it reads it all the same


def test_functions_of_users_are_kept_by_name():
    @saving.register_keras_serializable("test_losses")
    def cubed(y_true, y_pred, factor=1.0):
        return factor * ops.mean(ops.power(ops.absolute(y_true - y_pred), 3), -1)
    loss = LossFunctionWrapper(cubed, factor=np.float32(2.0))
    config = losses.serialize(loss)
    assert config["config"]["fn"]["config"] == "test_losses>cubed" and config["config"]["factor"] == 2.0
    assert_close(losses.deserialize(config)([[0.0]], [[2.0]]), 16.0)


# ---- errors

@pytest.mark.parametrize("call, text", [
    (lambda: losses.mean_squared_error(np.zeros((4, 3)), np.zeros((4, 2))),
     r"mean_squared_error expects .*\(4, 3\) and \(4, 2\)"),
    (lambda: losses.categorical_crossentropy(np.zeros(4), np.ones((4, 3))),
     "class numbers, as these seem to be, .*sparse_categorical_crossentropy"),
    (lambda: losses.categorical_crossentropy(np.zeros((4, 2)), np.ones((4, 3))), r"one shape; received \(4, 2\) and \(4, 3\)"),
    (lambda: losses.sparse_categorical_crossentropy(np.zeros((4, 3)), np.ones((4, 3))),
     "vectors go with categorical_crossentropy"),
    (lambda: losses.sparse_categorical_crossentropy(np.zeros(5), np.ones((4, 3))), r"\(4,\).*received \(5,\)"),
    (lambda: losses.binary_crossentropy(np.zeros((4, 2)), np.ones((4, 3))),
     "binary_crossentropy expects y_true and y_pred of one shape"),
    (lambda: losses.MeanSquaredError()(np.zeros((4, 3)), np.zeros((4, 3)), np.ones(3)),
     r"values and sample_weight.*\(4,\) and \(3,\)"),
    (lambda: losses.ctc(np.zeros(4), np.zeros((4, 3))), r"\(batch, labels\)"),
    (lambda: losses.circle(np.zeros(4), np.zeros(4)), r"\(batch, dimension\)"),
])
def test_shapes_that_do_not_fit(call, text):
    with pytest.raises(ShapeError, match=text):
        call()


def test_other_mistakes():
    with pytest.raises(ValueError, match="received reduction='avg'"):
        losses.MeanSquaredError(reduction="avg")
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        losses.MeanSquaredError(reduction="means")
    with pytest.raises(ValueError, match="Did you mean from_logits=True"):
        losses.categorical_crossentropy([[1.0, 0.0]], [[0.5, 0.5]], axis=True)
    with pytest.raises(ValueError, match="label_smoothing between 0 and 1"):
        losses.binary_crossentropy([[1.0]], [[0.5]], label_smoothing=2.0)
    with pytest.raises(ValueError, match="0 < q < 1"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)
    with pytest.raises(NotImplementedError, match="no call"):
        losses.Loss()([1.0], [1.0])
    with pytest.warns(SyntaxWarning, match="use binary_crossentropy"):
        losses.categorical_crossentropy([[1.0]], [[0.5]])
    n, steps = Dim.unknown("batch"), Dim.unknown("steps")
    with pytest.raises(UnsupportedError, match="known number of steps"):
        trace_function(losses.ctc, [placeholder(Spec((n, 3), "int32")), placeholder(Spec((n, steps, 4)))])


# ---- Keras

@needs_keras
@each_case
@pytest.mark.filterwarnings("ignore")
def test_the_numbers_are_keras(name, arguments, pairs):
    import keras
    for place, (y_true, y_pred) in enumerate(pairs):
        for reduction in (None, "sum", "sum_over_batch_size",
                          "mean_with_sample_weight") if place == 0 and name != "CTC" else (None,):
            ours, theirs = (getattr(room, name)(reduction=reduction, **arguments) for room in (losses, keras.losses))
            values = np.asarray(theirs(y_true, y_pred))
            assert_close(ours(y_true, y_pred), values)
            for weights in (np.float32(0.7), *([uniform(*values.shape)] if values.shape else [])):
                assert_close(ours(y_true, y_pred, weights), theirs(y_true, y_pred, weights))
        assert {k: v for k, v in ours.get_config().items() if k in theirs.get_config()} == theirs.get_config()
        assert ours.name == theirs.name and ours.dtype == theirs.dtype


@needs_keras
@each_case
@pytest.mark.filterwarnings("ignore")
def test_configs_go_both_ways(name, arguments, pairs):
    import keras
    ours, theirs = (getattr(room, name)(reduction="sum", **arguments) for room in (losses, keras.losses))
    expected = ours(*pairs[0])
    to_keras, from_keras = (json.loads(json.dumps(room.serialize(loss))) for room,
                            loss in ((losses, ours), (keras.losses, theirs)))
    if name != "CategoricalGeneralizedCrossEntropy":  # Keras does not find its own name
        assert_close(expected, keras.losses.deserialize(to_keras)(*pairs[0]))
    forgotten = set(arguments) - set(from_keras["config"])  # by Keras: delta of Huber, axis of some
    if not forgotten:
        assert_close(losses.deserialize(from_keras)(*pairs[0]), expected)


@needs_keras
@pytest.mark.filterwarnings("ignore")
def test_weights_of_other_ranks_are_keras():
    import keras
    y_true, y_pred = normal(N, 5, 3), normal(N, 5, 3)
    mask = RNG.integers(0, 2, (N, 5)).astype(bool)
    for weights in (None, uniform(N, 1), uniform(N, 5), uniform(N, 5, 1), uniform(1, 5)):
        for reduction in ("sum", "sum_over_batch_size", "mean_with_sample_weight", None):
            ours, theirs = losses.MeanSquaredError(reduction=reduction), keras.losses.MeanSquaredError(reduction=reduction)
            assert_close(ours(y_true, y_pred, weights), theirs(y_true, y_pred, weights))
            masked, tensor = y_pred.copy(), keras.ops.convert_to_tensor(y_pred)
            masking.set_mask(masked, mask)
            keras.src.backend.set_keras_mask(tensor, keras.ops.convert_to_tensor(mask))
            assert_close(ours(y_true, masked, weights), theirs(y_true, tensor, weights))


@needs_keras
def test_every_name_of_keras_is_here():
    import keras
    names = {name for name in dir(keras.losses) if not name.startswith("_")}
    assert names == set(losses.__all__)
    known = keras.src.losses.ALL_OBJECTS_DICT
    assert all(losses.get(name) is not None for name in known if name not in ("Loss", "LossFunctionWrapper"))
