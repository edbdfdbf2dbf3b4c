"""Metrics: against formulas in float64, against Keras (where it is installed), in graphs of unknown batch extent, through
configs."""
import importlib.util
import json
import os

import numpy as np
import pytest

from graphnet import Variable, losses, masking, metrics, ops
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.errors import GraphError, ShapeError
from graphnet.graph import Spec
from graphnet.tracing import placeholder, trace_function

os.environ.setdefault("KERAS_BACKEND", "jax")
HAS_KERAS = importlib.util.find_spec("keras") is not None
needs_keras = pytest.mark.skipif(not HAS_KERAS, reason="keras is not installed beside graphnet: nothing to compare with")
RNG = np.random.default_rng(0)
N, C = 8, 4


def uniform(*shape, low=0.05, high=0.95):
    return RNG.uniform(low, high, shape).astype("float32")


def normal(*shape):
    return RNG.standard_normal(shape).astype("float32")


def numbers(*shape, high=C):
    return RNG.integers(0, high, shape).astype("int32")


def one_hot(*shape):
    return np.eye(C, dtype="float32")[numbers(*shape)]


def binary(*shape):
    return RNG.integers(0, 2, shape).astype("float32")


def batches(make, count=3):
    """Several updates: (labels, predictions), of another batch extent the last time."""
    return [make(N) for _ in range(count - 1)] + [make(N - 3)]


REGRESSION = batches(lambda n: (normal(n, 3), normal(n, 3)))
ROWS = batches(lambda n: (normal(n), normal(n, 1)))
POSITIVE = batches(lambda n: (uniform(n, 3), uniform(n, 3)))
BINARY = batches(lambda n: (binary(n, 1), uniform(n, 1)))
FLAT = batches(lambda n: (binary(n), uniform(n)))
RAGGED = batches(lambda n: (binary(n), uniform(n, 1)))
LABELS = batches(lambda n: (binary(n, C), uniform(n, C)))
CLASSES = batches(lambda n: (one_hot(n), uniform(n, C)))
STEPS = batches(lambda n: (one_hot(n, 3), uniform(n, 3, C)))
SPARSE = batches(lambda n: (numbers(n), uniform(n, C)))
COLUMN = batches(lambda n: (numbers(n, 1), uniform(n, C)))
SPARSE_STEPS = batches(lambda n: (numbers(n, 3), uniform(n, 3, C)))
GUESSES = batches(lambda n: (numbers(n), numbers(n)))
MAPS = batches(lambda n: (numbers(n, 2, 2), numbers(n, 2, 2)))
ONE_HOT_MAPS = batches(lambda n: (one_hot(n, 2), uniform(n, 2, C)))
EDGES = [(np.array([0, 1, 0, 1, 1, 0], "float32"), np.array([0, 1, 0.5, 0.5, 0, 1], "float32"))]

CASES = [  # a class, arguments, batches
    ("Accuracy", {}, GUESSES), ("BinaryAccuracy", {}, BINARY), ("BinaryAccuracy", {"threshold": 0.3}, LABELS),
    ("BinaryAccuracy", {}, RAGGED),
    ("CategoricalAccuracy", {}, CLASSES), ("CategoricalAccuracy", {}, STEPS),
    ("SparseCategoricalAccuracy", {}, SPARSE), ("SparseCategoricalAccuracy", {}, COLUMN),
    ("SparseCategoricalAccuracy", {}, SPARSE_STEPS),
    ("TopKCategoricalAccuracy", {"k": 2}, CLASSES), ("TopKCategoricalAccuracy", {"k": 3}, STEPS),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, SPARSE), ("SparseTopKCategoricalAccuracy", {"k": 2}, SPARSE_STEPS),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, batches(lambda n: (numbers(n), numbers(n, 3)))),
    *((name, {}, REGRESSION) for name in (
        "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "LogCoshError", "CosineSimilarity",
        "RootMeanSquaredError",
        "PearsonCorrelation", "ConcordanceCorrelation", "R2Score", "Hinge", "SquaredHinge", "CategoricalHinge")),
    ("MeanSquaredError", {}, ROWS), ("RootMeanSquaredError", {}, ROWS), ("MeanSquaredLogarithmicError", {}, POSITIVE),
    ("KLDivergence", {}, POSITIVE), ("Poisson", {}, POSITIVE), ("PearsonCorrelation", {"axis": 0}, REGRESSION),
    ("R2Score", {"class_aggregation": None}, REGRESSION), ("R2Score", {"class_aggregation": "variance_weighted_average"},
                                                           REGRESSION),
    ("R2Score", {"num_regressors": 2}, REGRESSION),
    ("BinaryCrossentropy", {}, BINARY), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, LABELS),
    ("CategoricalCrossentropy", {}, CLASSES), ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, STEPS),
    ("SparseCategoricalCrossentropy", {}, SPARSE),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1, "from_logits": True}, SPARSE_STEPS),
    *((name, {"thresholds": thresholds}, data)
      for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
      for thresholds, data in ((None, BINARY), ([0.2, 0.5, 0.9], FLAT), ([0.0, 0.5, 1.0], EDGES), (0.3, LABELS))),
    *((name, arguments, data) for name in ("Precision", "Recall") for arguments, data in (
        ({}, BINARY), ({"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, FLAT), ({"thresholds": [0.3, 0.8]}, RAGGED),
        ({"top_k": 2}, LABELS), ({"class_id": 1}, LABELS), ({"top_k": 2, "class_id": 2}, CLASSES),
        ({"thresholds": 0.7}, EDGES))),
    *((name, {argument: value, **more}, data) for name, argument in (
        ("SensitivityAtSpecificity", "specificity"), ("SpecificityAtSensitivity", "sensitivity"),
        ("PrecisionAtRecall", "recall"), ("RecallAtPrecision", "precision"))
      for value, more, data in ((0.5, {}, FLAT), (0.8, {"num_thresholds": 1}, FLAT),
                                (0.4, {"num_thresholds": 17, "class_id": 1}, LABELS))),
    *(("AUC", {"curve": curve, "summation_method": method}, FLAT) for curve in ("ROC", "PR", "PRGAIN")
      for method in ("interpolation", "minoring", "majoring")),
    ("AUC", {"num_thresholds": 3}, EDGES), ("AUC", {"thresholds": [0.3, 0.6]}, FLAT), ("AUC", {"thresholds": [0.5]}, BINARY),
    ("AUC", {"thresholds": [0.1, 0.7], "curve": "PR"}, LABELS),
    ("AUC", {"from_logits": True}, batches(lambda n: (binary(n), normal(n)))),
    ("AUC", {"multi_label": True}, LABELS), ("AUC", {"multi_label": True, "num_labels": C, "curve": "PR"}, LABELS),
    ("AUC", {"multi_label": True, "label_weights": [0.1, 0.2, 0.3, 0.4], "thresholds": [0.2, 0.3, 0.7]}, LABELS),
    ("AUC", {"label_weights": [0.1, 0.2, 0.3, 0.4]}, LABELS),
    *((name, {"average": average, "threshold": threshold}, LABELS) for name in ("F1Score", "FBetaScore")
      for average, threshold in ((None, None), ("micro", 0.5), ("macro", 0.3), ("weighted", None))),
    ("FBetaScore", {"beta": 2.5}, CLASSES),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 2]}, GUESSES), ("MeanIoU", {"num_classes": C}, MAPS),
    ("MeanIoU", {"num_classes": C, "ignore_class": 2}, MAPS), ("MeanIoU", {"num_classes": 3}, MAPS),
    ("MeanIoU", {"num_classes": C, "ignore_class": -1}, batches(lambda n: (numbers(n, 3) - 1, numbers(n, 3)))),
    ("MeanIoU", {"num_classes": C, "dtype": "float32"}, GUESSES), ("BinaryIoU", {"threshold": 0.4}, FLAT),
    ("BinaryIoU", {"target_class_ids": [1]}, LABELS), ("OneHotIoU", {"num_classes": C, "target_class_ids": [0, 3]},
                                                       ONE_HOT_MAPS),
    ("OneHotMeanIoU", {"num_classes": C}, ONE_HOT_MAPS),
    ("OneHotMeanIoU", {"num_classes": C, "sparse_y_pred": True}, batches(lambda n: (one_hot(n), numbers(n)))),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in arguments.items())}-{data[0][1].shape}" for name, arguments, data in CASES]
each_case = pytest.mark.parametrize("name, arguments, data", CASES, ids=IDS)
quiet = pytest.mark.filterwarnings("ignore")


def weights_for(name, arguments, data):
    """Weights of the samples in each batch, of the kind that the metric takes."""
    if "IoU" in name:
        kind = (lambda n: numbers(n, high=5)) if arguments.get("dtype") is None else uniform
        return [kind(int(np.prod(t.shape[:-1] if "OneHot" in name else t.shape))) for t, _ in data]
    if name == "PearsonCorrelation" and arguments:
        return [uniform(t.shape[1]) for t, _ in data]
    if "ignore_class" in arguments:
        return [uniform(*t.shape) for t, _ in data]
    return [uniform(len(t)) for t, _ in data]


def assert_close(found, expected, tolerance=1e-6):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def placeholders(*arrays):
    n = Dim.unknown("batch")
    return [placeholder(Spec((n, *x.shape[1:]), x.dtype.name), f"input_{i}") for i, x in enumerate(arrays)]


def run_traced(metric, data):
    """The batches through a compiled graph that updates the variables and gives the result, as a training step does."""
    graph, _ = trace_function(lambda *batch: metric(*batch), placeholders(*data[0]))
    step = Executable(graph.verify())
    result = None
    for batch in data:
        result = step([np.ascontiguousarray(x) for x in batch])[0]
    return result


# ---- meaning

def test_short_formulas():
    y, p = (np.concatenate(parts).astype("float64") for parts in zip(*REGRESSION, strict=True))
    error = y - p
    expected = {"MeanSquaredError": (error ** 2).mean(), "RootMeanSquaredError": np.sqrt((error ** 2).mean()),
                "MeanAbsoluteError": np.abs(error).mean(), "LogCoshError": np.log(np.cosh(error)).mean(),
                "R2Score": (1 - (error ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)).mean(),
                "PearsonCorrelation": np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(y, p, strict=True)])}
    for name, value in expected.items():
        metric = getattr(metrics, name)()
        for batch in REGRESSION:
            metric.update_state(*batch)
        assert_close(metric.result(), value)


def test_counts_of_a_threshold():
    y, p = (np.concatenate(parts) for parts in zip(*FLAT, strict=True))
    right = (p > 0.5) & (y == 1)
    expected = {"Precision": right.sum() / (p > 0.5).sum(), "Recall": right.sum() / y.sum(), "TruePositives": right.sum(),
                "BinaryAccuracy": ((p > 0.5) == y).mean(), "FalsePositives": ((p > 0.5) & (y == 0)).sum()}
    for name, value in expected.items():
        metric = getattr(metrics, name)()
        for batch in FLAT:
            metric.update_state(*batch)
        assert_close(metric.result(), value)


def test_area_under_the_curve_of_all_pairs():
    """With a threshold between any two scores, the area is the part of pairs (0, 1) that is in order."""
    y, p = binary(40), (RNG.permutation(40) / 40 + 0.0125).astype("float32")
    area = metrics.AUC(num_thresholds=81)(y, p)
    assert_close(area, np.mean(p[y == 1][:, None] > p[y == 0][None, :]))


def test_matrix_of_classes():
    y, p = GUESSES[0]
    expected = np.mean([((y == c) & (p == c)).sum() / max(((y == c) | (p == c)).sum(), 1) for c in range(C)])
    metric = metrics.MeanIoU(C)
    assert_close(metric(y, p), expected)
    assert metric.total_cm.dtype == "int32" and int(metric.total_cm.value.sum()) == N
    assert all(metric.total_cm.value[t, o] == ((y == t) & (p == o)).sum() for t in range(C) for o in range(C))


def test_sums_and_means():
    mean, total = metrics.Mean(), metrics.Sum()
    for values, weights in (([1.0, 3.0], None), ([5.0, 7.0], [1.0, 0.5])):
        mean.update_state(values, weights)
        total.update_state(values, weights)
    assert_close(mean.result(), (4.0 + 5.0 + 3.5) / 3.5)
    assert_close(total.result(), 12.5)
    assert_close(metrics.Mean()(3.0), 3.0)
    assert metrics.Mean().result() == 0.0


def test_a_mask_leaves_values_out():
    y_pred = np.array([[1.0], [2.0], [3.0]], "float32")
    masking.set_mask(y_pred, np.array([True, False, True]))
    assert_close(metrics.MeanAbsoluteError()(np.zeros((3, 1)), y_pred), 2.0)


def test_results_stay_as_they_are():
    """What a metric gave before is not changed by a further update."""
    for name, arguments in (("Sum", {}), ("TruePositives", {"thresholds": [0.2, 0.8]}), ("TruePositives", {})):
        metric = getattr(metrics, name)(**arguments)
        values = (np.ones(2, "float32"),) * (1 if name == "Sum" else 2)
        before = metric(*values)
        kept = np.array(before)
        metric.update_state(*values)
        assert isinstance(before, np.ndarray) and np.array_equal(before, kept)


# ---- state

@each_case
@quiet
def test_a_graph_gives_what_arrays_give(name, arguments, data):
    plain, compiled = (getattr(metrics, name)(**arguments) for _ in range(2))
    for batch in data:
        result = plain(*batch)
    assert_close(run_traced(compiled, data), result)
    assert len(plain.variables) == len(compiled.variables) > 0
    for a, b in zip(plain.variables, compiled.variables, strict=True):
        assert_close(b.value, a.value)


@pytest.mark.parametrize("name, arguments, data", [case for case in CASES if "IoU" not in case[0] and case[1] != {"axis": 0}])
@quiet
def test_weights_in_a_graph(name, arguments, data):
    plain, compiled = (getattr(metrics, name)(**arguments) for _ in range(2))
    weighted = [(*batch, w) for batch, w in zip(data, weights_for(name, arguments, data), strict=True)]
    for batch in weighted:
        result = plain(*batch)
    assert_close(run_traced(compiled, weighted), result)


@each_case
@quiet
def test_reset_begins_anew(name, arguments, data):
    metric = getattr(metrics, name)(**arguments)
    first = np.array(metric(*data[0]))
    metric.update_state(*data[0])
    metric.reset_state()
    assert all(not v.value.any() for v in metric.variables)
    np.testing.assert_array_equal(metric(*data[0]), first)


@each_case
@quiet
def test_a_config_makes_the_same_metric(name, arguments, data):
    metric = getattr(metrics, name)(name="mine", **arguments)
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config() and again.name == "mine"
    np.testing.assert_array_equal(again(*data[0]), metric(*data[0]))


def test_variables_and_their_names():
    def names(metric):
        return [(v.path, v.shape, v.dtype, v.trainable) for v in metric.variables]
    assert names(metrics.Mean(name="loss")) == [("loss/total", (), "float32", False), ("loss/count", (), "float32", False)]
    assert [path for path, *_ in names(metrics.AUC(name="a/b", num_thresholds=5))] == [
        f"a>b/{name}" for name in ("true_positives", "false_positives", "true_negatives", "false_negatives")]
    assert metrics.Mean(dtype="float64").total.dtype == "float64" and metrics.Mean(dtype="mixed_float16").dtype == "float16"


def test_metrics_inside_of_metrics():
    class Both(metrics.Metric):
        def __init__(self):
            super().__init__(name="both")
            self.scale = self.add_weight(name="scale")
            self.parts = {"mse": metrics.MeanSquaredError(), "others": [metrics.MeanAbsoluteError()]}
            self.model = Variable(1.0)  # a variable that it merely holds counts as its own

        def update_state(self, y_true, y_pred, sample_weight=None):
            for part in (self.parts["mse"], *self.parts["others"]):
                part.update_state(y_true, y_pred, sample_weight)

        def result(self):
            return {"mse": self.parts["mse"].result(), "mae": self.parts["others"][0].result()}
    both = Both()
    assert [v.name for v in both.variables] == ["scale", "variable", "total", "count", "total", "count"]
    result = both([[1.0]], [[3.0]])
    assert_close(result["mse"], 4.0)
    assert_close(result["mae"], 2.0)


def test_without_state():
    metric = metrics.MeanSquaredError()
    metric.update_state([[0.0]], [[5.0]])
    values = metric.stateless_update_state([np.float32(2.0), np.float32(1.0)], [[0.0]], [[2.0]])
    assert [float(v) for v in values] == [6.0, 2.0] and float(metric.result()) == 25.0
    assert float(metric.stateless_result(values)) == 3.0 and float(metric.result()) == 25.0
    assert [float(v) for v in metric.stateless_reset_state()] == [0.0, 0.0] and float(metric.result()) == 25.0
    with pytest.raises(ValueError, match=r"2 variables \(total, count\); received 1"):
        metric.stateless_result([1.0])

    def step(a, b, total):
        return metric.stateless_update_state([total, 1.0], a, b)
    a, b = np.zeros((4, 1), "float32"), np.ones((4, 1), "float32")
    graph, _ = trace_function(lambda a, b: step(a, b, ops.sum(b)), placeholders(a, b))
    assert [float(v) for v in Executable(graph)([a, b])] == [8.0, 5.0] and float(metric.result()) == 25.0


def test_a_reset_in_a_graph_is_an_update_of_it():
    metric = metrics.Sum()
    metric.update_state([1.0])

    def again(values):
        metric.reset_state()
        return metric(values)
    graph, _ = trace_function(again, placeholders(np.ones(3, "float32")))
    assert float(metric.result()) == 1.0
    assert [float(v) for v in Executable(graph)([np.ones(3, "float32")])] == [3.0] and float(metric.result()) == 3.0


# ---- names and errors

def test_names():
    assert isinstance(metrics.get("mse"), metrics.MeanSquaredError) and metrics.get("mse").name == "mean_squared_error"
    assert isinstance(metrics.get("acc"), metrics.Accuracy) and isinstance(metrics.get("AUC"), metrics.AUC)
    assert metrics.get(None) is None
    assert metrics.get(losses.huber) is losses.huber
    assert metrics.deserialize({"class_name": "MeanIoU", "config": {"num_classes": 3}}).num_classes == 3
    with pytest.raises(ValueError, match="Did you mean 'precision'"):
        metrics.get("precison")
    with pytest.raises(TypeError, match=r"MeanIoU needs num_classes.*metrics.MeanIoU\(num_classes=...\)"):
        metrics.get("mean_io_u")
    assert metrics.CosineSimilarity(axis=0).get_config()["axis"] == 0 and "axis" not in metrics.CosineSimilarity().get_config()


def test_functions_are_kept_by_name():
    for fn, arguments in ((losses.huber, {"delta": 2.0}), (metrics.binary_accuracy, {"threshold": 0.3}),
                          (losses.Huber(delta=0.5), {})):
        metric = metrics.MeanMetricWrapper(fn, name="mine", **arguments)
        again = metrics.deserialize(metrics.serialize(metric))
        assert again.get_config() == metric.get_config()
        np.testing.assert_array_equal(again(*BINARY[0]), metric(*BINARY[0]))
    assert metrics.MeanMetricWrapper(losses.huber)._direction == "down" and metrics.AUC()._direction == "up"
    assert not hasattr(metrics.MeanMetricWrapper(metrics.binary_accuracy), "_direction")


@pytest.mark.parametrize("call, text", [
    (lambda: metrics.MeanSquaredError()(np.zeros((4, 3)), np.zeros((4, 2))), r"\(4, 3\) and \(4, 2\)"),
    (lambda: metrics.SparseCategoricalAccuracy()(np.zeros((4, 3)), np.zeros((4, 3))), "vectors go with categorical_accuracy"),
    (lambda: metrics.CategoricalAccuracy()(np.zeros(4), np.zeros((4, 3))), "class numbers go with sparse_categorical_accuracy"),
    (lambda: metrics.Precision()(np.zeros(4), np.zeros(5)), r"precision\w* expects .* one shape; received \(4,\) and \(5,\)"),
    (lambda: metrics.Precision(class_id=7)(np.zeros((4, 3)), np.zeros((4, 3))), "class_id is between 0 and 2"),
    (lambda: metrics.Recall(class_id=0)(np.zeros(4), np.zeros(4)), r"\(batch, classes\); received \(4,\)"),
    (lambda: metrics.AUC(multi_label=True)(np.zeros(4), np.zeros(4)), r"\(batch, labels\)"),
    (lambda: metrics.AUC(multi_label=True, num_labels=2)(np.zeros((4, 3)), np.zeros((4, 3))),
     "expects predictions of 2 labels"),
    (lambda: metrics.F1Score()(np.zeros(4), np.zeros((4, 3))), r"\(4,\) and \(4, 3\).*to_categorical"),
    (lambda: metrics.R2Score()(np.zeros((4, 3, 1)), np.zeros((4, 3, 1))), r"\(batch, outputs\)"),
    (lambda: metrics.MeanIoU(2)(np.zeros(4), np.zeros(5)), "of one shape"),
    (lambda: metrics.Mean()([1.0, 2.0], [1.0, 2.0, 3.0]), "values and sample_weight"),
])
def test_shapes_that_do_not_fit(call, text):
    with pytest.raises(ShapeError, match=text):
        call()


@pytest.mark.parametrize("call, text", [
    (lambda: metrics.AUC(curve="RC"), "curve among 'ROC', 'PR', 'PRGAIN'; received 'RC'"),
    (lambda: metrics.AUC(summation_method="interpolate"), "Did you mean 'interpolation'"),
    (lambda: metrics.AUC(num_thresholds=1), "> 1"),
    (lambda: metrics.AUC(num_labels=3), "multi_label=True alone"),
    (lambda: metrics.Precision(thresholds=[0.5, 2]), r"received \[2\]"),
    (lambda: metrics.PrecisionAtRecall(2.0), "PrecisionAtRecall expects recall between 0 and 1"),
    (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "num_thresholds > 0"),
    (lambda: metrics.F1Score(average="mean"), "average among"),
    (lambda: metrics.FBetaScore(beta=2), "float beta > 0"), (lambda: metrics.F1Score(threshold=2.0), "threshold <= 1"),
    (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation among"),
    (lambda: metrics.R2Score(num_regressors=-1), ">= 0"),
    (lambda: metrics.IoU(2, [2]), "below num_classes=2"),
])
def test_arguments_that_do_not_fit(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_other_mistakes():
    class Forgets(metrics.Metric):
        def __init__(self):
            self.total = self.add_variable((), "zeros")
    with pytest.raises(RuntimeError, match="does not call super"):
        Forgets()
    with pytest.raises(NotImplementedError, match="no update_state"):
        metrics.Metric()([1.0])
    with pytest.raises(GraphError, match="update it first"):
        metrics.AUC(multi_label=True).result()
    with pytest.warns(UserWarning, match="too few for the adjusted score"):
        metrics.R2Score(num_regressors=9)(np.array([[1.0], [4.0], [3.0]]), np.array([[2.0], [4.0], [4.0]]))
    with pytest.warns(UserWarning, match="lose what is behind the point"):
        metrics.MeanIoU(2)([0, 1], [0, 1], np.array([0.5, 0.5]))


# ---- Keras

@needs_keras
@each_case
@quiet
def test_the_numbers_are_keras(name, arguments, data):
    import keras
    for weights in (None, weights_for(name, arguments, data)):
        ours, theirs = (getattr(room, name)(**arguments) for room in (metrics, keras.metrics))
        for place, batch in enumerate(data if weights is None else data[:1]):
            for metric in (ours, theirs):
                metric.update_state(*batch, sample_weight=None if weights is None else weights[place])
        assert_close(ours.result(), theirs.result())
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            assert (a.name, a.shape, a.dtype) == (b.name, tuple(b.shape), b.dtype)
            assert_close(a.value, b)
    mine, wanted = (m.get_config() for m in (ours, theirs))
    for key in wanted.keys() - {"name", "label_weights"}:
        assert mine[key] == wanted[key], key
    assert getattr(ours, "_direction", None) == getattr(theirs, "_direction", None)


@needs_keras
@each_case
@quiet
def test_configs_go_both_ways(name, arguments, data):
    import keras
    ours, theirs = (getattr(room, name)(**arguments) for room in (metrics, keras.metrics))
    expected = ours(*data[0])
    assert_close(expected, keras.metrics.deserialize(json.loads(json.dumps(metrics.serialize(ours))))(*data[0]))
    if "label_weights" not in arguments:  # Keras's config holds an array, which no file takes
        assert_close(metrics.deserialize(json.loads(json.dumps(keras.metrics.serialize(theirs))))(*data[0]), expected)


@needs_keras
@quiet
def test_weights_and_masks_of_other_ranks_are_keras():
    import keras
    y_true, y_pred = normal(N, 5, 3), normal(N, 5, 3)
    mask = RNG.integers(0, 2, (N, 5)).astype(bool)
    masked, tensor = y_pred.copy(), keras.ops.convert_to_tensor(y_pred)
    masking.set_mask(masked, mask)
    keras.src.backend.set_keras_mask(tensor, keras.ops.convert_to_tensor(mask))
    for name in ("MeanSquaredError", "RootMeanSquaredError"):
        for weights in (None, uniform(N, 5), uniform(N, 1), uniform(N), uniform(N, 5, 1), np.float32(0.5)):
            ours, theirs = (getattr(room, name)() for room in (metrics, keras.metrics))
            assert_close(ours(y_true, y_pred, weights), theirs(y_true, y_pred, weights))
            if np.ndim(weights) > 1 or weights is None:
                ours, theirs = (getattr(room, name)() for room in (metrics, keras.metrics))
                assert_close(ours(y_true, masked, weights), theirs(y_true, tensor, weights))
    for name in ("Mean", "Sum"):
        for values, weights in ((normal(N), uniform(N)), (normal(N, 3), uniform(N)), (normal(N, 3), uniform(N, 3)),
                                (normal(N, 3, 2), uniform(N, 1)),
                                (normal(N, 3), None), (np.float32(3.0), None), (normal(N, 1), uniform(N))):
            ours, theirs = (getattr(room, name)() for room in (metrics, keras.metrics))
            assert_close(ours(values, weights), theirs(values, weights))


@needs_keras
def test_every_name_of_keras_is_here():
    import keras
    assert {name for name in dir(keras.metrics) if not name.startswith("_")} == set(metrics.__all__)
    from graphnet.registry import find_builtin
    assert all(find_builtin("metrics", name) is not None for name in keras.src.metrics.ALL_OBJECTS_DICT)
