"""A layer run in every way there is: on arrays, as a graph by the numpy backend, compiled; against Keras, where it is there."""
import os
from typing import Any

import numpy as np
import pytest

import graphnet
from graphnet import tree
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.graph import Tensor
from graphnet.tracing import placeholder

RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("float32")


def traced(model: Any, training: bool = False) -> Any:
    """The primitive graph of a model, as the numpy backend runs it."""
    stand_ins = [placeholder(t.spec, t.name) for t in model.inputs]
    return model._trace(stand_ins, lambda values: values, training)[0].verify()


def by_reference(model: Any, *arrays: np.ndarray, training: bool = False) -> list[np.ndarray]:
    """The outputs of a model by the numpy backend."""
    return evaluate(traced(model, training), list(arrays))[0]


def randomize(layer: Any) -> None:
    """Weights drawn at random: biases are not 0."""
    layer.set_weights([(0.5 * draw(*w.shape)) if w.dtype.startswith("float") else w.numpy() for w in layer.weights])


def everywhere(layer: Any, *arrays: np.ndarray, known: bool = False, call: dict[str, Any] | None = None,
               tolerance: float = 1e-5) -> Any:
    """layer(*arrays, **call) on arrays, checked against its graph, whose extents behind the batch axis are unknown unless
    `known`.

    Arrays in `call` become inputs as well.
    """
    call = call or {}
    first = layer(*arrays, **call)
    if layer.weights:
        randomize(layer)
        first = layer(*arrays, **call)
    structure = [list(arrays), call]
    leaves = tree.flatten(structure)

    def symbol(a: Any) -> Any:
        inner = a.shape[1:] if known or a.ndim < 3 else (None, *a.shape[2:])
        return graphnet.Input(batch_shape=(None, *inner), dtype=a.dtype.name)
    symbols = [symbol(a) if isinstance(a, np.ndarray) else a for a in leaves]
    args, kwargs = tree.pack_sequence_as(structure, symbols)
    model = graphnet.Model([t for t in symbols if type(t) is Tensor], layer(*args, **kwargs))
    given = [a for a in leaves if isinstance(a, np.ndarray)]
    for results in (by_reference(model, *given), tree.flatten(model(given))):
        for a, b in zip(results, tree.flatten(first), strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    return first


def like_keras(make: Any, *arrays: Any, call: dict[str, Any] | None = None) -> None:
    """make(layers) built in both, with Keras's weights in ours: equal outputs, names of weights and keys of the configuration.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed here",
                                exc_type=ImportError)
    theirs, ours = make(keras.layers), make(graphnet.layers)
    call = call or {}
    theirs(*arrays, **call)
    ours(*arrays, **call)
    values = [(0.5 * draw(*w.shape)) for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert set(ours.get_config()) == set(theirs.get_config()) - {"quantization_config"}
    for a, b in zip(tree.flatten(ours(*arrays, **call)), keras.tree.flatten(theirs(*arrays, **call)), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)


def again(layer: Any) -> Any:
    """An equal layer, made of what a file would hold of it."""
    return graphnet.layers.deserialize(graphnet.layers.serialize(layer))
