"""A layer against the real Keras, where that is installed: same configuration, weights, outputs and changes of weights."""
import os
from typing import Any

import numpy as np
import pytest

import graphnet


def same_as_keras(name: str, shape: tuple[int, ...], options: dict[str, Any], call: dict[str, Any] | None = None,
                  dtype: str = "float32") -> None:
    """Builds the layer in both, copies the weights over and compares; skips where there is no Keras."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed here",
                                exc_type=ImportError)
    rng = np.random.default_rng(0)
    x = rng.normal(2, 2, shape).astype(dtype)
    theirs = getattr(keras.layers, name)(**options)
    theirs.build(shape)
    values = [np.asarray(w) if w.dtype == "int32" else np.abs(rng.standard_normal(w.shape)).astype(w.dtype) + 0.1
              for w in theirs.weights]
    theirs.set_weights(values)
    config = theirs.get_config()
    config["dtype"] = "float32"
    ours = getattr(graphnet.layers, name).from_config(config)
    assert list(ours.get_config()) == list(config)
    ours.build(shape)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(values)
    call = call or {}
    np.testing.assert_allclose(ours(x, **call), np.asarray(theirs(x, **call)), rtol=2e-5, atol=2e-5)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), np.asarray(other), rtol=2e-5, atol=2e-5)
