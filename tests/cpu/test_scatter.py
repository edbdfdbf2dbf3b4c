"""Scattering rows, and cross-entropies: sums in the order of the indices, every layout; what is out of range is reported."""
import importlib

import numpy as np
import pytest
from lowered import close, lowered, same

from graphnet import ops
from graphnet.autodiff import gradients
from graphnet.backends.cpu.simd import LANES
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.errors import OutOfRangeError
from graphnet.graph import Spec
from graphnet.ops.classes import ClassScore, SigmoidCrossentropy, SoftmaxCrossentropy, SoftmaxCrossentropyGrad
from graphnet.ops.indexing import TakeAlongAxisGrad, TakeGrad
from graphnet.ops.layout import Pad
from graphnet.tracing import placeholder, trace_function

for _family in ("crossentropy", "scatter", "tapes"):
    importlib.import_module(f"graphnet.backends.cpu.kernels.{_family}")

rng = np.random.default_rng(0)
LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed")]


@pytest.mark.parametrize("layout, to", LAYOUTS)
@pytest.mark.parametrize("op", [TakeGrad(), TakeAlongAxisGrad(), ClassScore()], ids=lambda op: type(op).__name__)
def test_exact_samples(op, layout, to):
    for sample, arrays in op.samples():
        if all(a.size for a in arrays):
            same(lowered(sample, *arrays, layout=layout, to=to), sample.reference(*arrays))


@pytest.mark.parametrize("layout, to", LAYOUTS)
@pytest.mark.parametrize("op", [SoftmaxCrossentropy(), SoftmaxCrossentropyGrad(), SigmoidCrossentropy()], ids=lambda op: type(op).__name__)
def test_samples(op, layout, to):
    for sample, arrays in op.samples():
        if all(a.size for a in arrays):
            wanted = sample.reference(*[a.astype("float64") if a.dtype.kind == "f" else a for a in arrays])
            close(lowered(sample, *arrays, layout=layout, to=to), wanted, 1e-6)


@pytest.mark.parametrize("run", [1, LANES - 1, LANES + 1, 64, 131])
@pytest.mark.parametrize("extent", [1, 3, 16, 17, 1000])
@pytest.mark.parametrize("ids", ["int32", "int64"])
def test_embedding_gradient(ids, extent, run):
    g = rng.standard_normal((5, 41, run)).astype("float32")
    indices = rng.integers(-extent, extent, (5, 41)).astype(ids)
    wanted = np.zeros((extent, run), "float32")
    for index, line in zip(indices.ravel(), g.reshape(-1, run), strict=True):
        wanted[index] += line
    same(lowered(TakeGrad(extent), g, indices), wanted)


@pytest.mark.parametrize("bad", [19, -20, 2**31 - 1, -2**31])
def test_index_out_of_range(bad):
    indices = np.zeros((3, 4), "int32")
    indices[1, 2] = bad
    with pytest.raises(OutOfRangeError, match=rf"tested: the index {bad} at position 6 "):
        lowered(TakeGrad(19), rng.standard_normal((3, 4, 5)).astype("float32"), indices)
    with pytest.raises(OutOfRangeError, match=rf"tested: the index {bad} at position 6 "):
        lowered(TakeAlongAxisGrad(19), rng.standard_normal((3, 4)).astype("float32"), indices)


def softmax64(x):
    e = np.exp(x.astype("float64") - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("classes", [1, 2, 10, LANES, 100, 1025, 5000])
def test_crossentropy_of_many_classes(classes):
    x = (9 * rng.standard_normal((7, classes))).astype("float32")
    labels, g = rng.integers(0, classes, 7), rng.standard_normal(7).astype("float32")
    p = softmax64(x)
    close(lowered(SoftmaxCrossentropy(), labels, x), -np.log(p[np.arange(7), labels]), 1e-6, 1e-6)
    p[np.arange(7), labels] -= 1
    close(lowered(SoftmaxCrossentropyGrad(), labels, x, g), p * g[:, None], 1e-6)


def test_crossentropy_of_extreme_scores():
    x = np.array([[1e4, 1e4 + 1, -1e4], [88.0, -np.inf, 90.0], [0.0, 200.0, 0.0], [np.nan, 0.0, 1.0]], "float32")
    labels, g = np.array([0, 2, 0, 1], "int32"), np.ones(4, "float32")
    p = softmax64(x)
    with np.errstate(divide="ignore"):
        wanted = -np.log(p[np.arange(4), labels])
    wanted[2] = 200.0
    close(lowered(SoftmaxCrossentropy(), labels, x), wanted, 1e-6)
    p[np.arange(4), labels] -= 1
    close(lowered(SoftmaxCrossentropyGrad(), labels, x, g), p, 1e-6)


def test_sigmoid_crossentropy_at_zero_and_far_out():
    x, t = np.array([0, 0, 90, -90, 90, 12], "float32"), np.array([0, 1, 1, 1, 0, 1], "float32")
    wanted = np.logaddexp(0, x.astype("float64")) - x.astype("float64") * t
    wanted[[2, 5]] = np.log1p(np.exp(-x[[2, 5]].astype("float64")))
    np.testing.assert_allclose(lowered(SigmoidCrossentropy(), t, x), wanted, rtol=1e-6)
    slope = SigmoidCrossentropy().vjp(np.ones(6, "float32"), None, t, x)[1]
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-x.astype("float64"))) - t, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("bad", [10, -1, 255])
def test_label_out_of_range(bad, from_logits):
    def loss(labels, scores):
        return ops.sparse_categorical_crossentropy(labels, scores, from_logits)
    labels, scores = np.array([1, 2, bad, 0], "int32"), np.full((4, 10), 0.1, "float32")
    with pytest.raises(OutOfRangeError, match=rf"between 0 and 9.*label {bad} at position \(2,\)"):
        loss(labels, scores)
    n = Dim.unknown("batch")
    graph, _ = trace_function(loss, [placeholder(Spec((n,), "int32")), placeholder(Spec((n, 10)))])
    run = Executable(graph)
    with pytest.raises(OutOfRangeError, match=rf"labels, expected between 0 and 9\): the label {bad} at position 2 "):
        run([labels, scores])
    np.testing.assert_allclose(run([labels % 5, scores])[0], np.log(10), rtol=1e-6)


def test_declines():
    assert lowered(TakeGrad(3), np.ones((2, 3), "float64"), np.zeros(2, "int32")) is None
    assert lowered(SoftmaxCrossentropy(), np.zeros(2, "uint8"), np.ones((2, 3), "float32")) is None


@pytest.mark.parametrize("from_logits", [True, False])
def test_losses_and_slopes_are_keras(from_logits):
    keras = pytest.importorskip("keras", reason="compares with Keras 3 on JAX, which is not installed here")
    jax = pytest.importorskip("jax", reason="compares with Keras 3 on JAX, which is not installed here")
    labels, g = rng.integers(0, 11, 6).astype("int32"), rng.standard_normal(6).astype("float32")
    weights = rng.dirichlet(np.ones(11), 6).astype("float32")
    scores = (3 * rng.standard_normal((6, 11)) if from_logits else rng.uniform(0.1, 0.8, (6, 11))).astype("float32")
    for name, target in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", weights), ("binary_crossentropy", weights)):
        weight = g if name != "binary_crossentropy" else g[:, None]

        def loss(o, x, name=name, target=target, weight=weight):
            return o.sum(getattr(o, name)(target, x, from_logits=from_logits) * weight)
        graph, _ = trace_function(lambda x, loss=loss: loss(ops, x), [placeholder(Spec((6, 11)))])
        found = Executable(gradients(graph, graph.outputs[0], graph.inputs))([scores])
        wanted = jax.value_and_grad(lambda x, loss=loss: loss(keras.ops, x))(scores)
        np.testing.assert_allclose(found[0], np.asarray(wanted[0]), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found[1], np.asarray(wanted[1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_gradient_of_a_pad_that_mirrors_more_than_once(mode):
    """It adds each element to the one that it is a copy of."""
    op, x, g = Pad(((0, 1), (4, 9)), mode), rng.standard_normal((5, 3)), rng.standard_normal((6, 16))
    places = op.reference(np.arange(15).reshape(5, 3))
    np.testing.assert_allclose(op.vjp(g, None, x)[0], np.bincount(places.ravel(), g.ravel(), 15).reshape(5, 3), rtol=1e-12)
