"""Gradients of recurrent and normalization layers, and what they change in training, against the real Keras on jax."""
import os

import numpy as np
import pytest

import graphnet
from graphnet import ops

RECURRENT = (3, 5, 4)
IMAGES = (4, 6, 5, 6)
VARIANTS = [  # of recurrent layers: options, and whether there is a mask
    ({}, False), ({"return_sequences": True, "return_state": True}, False), ({"return_state": True}, True),
    ({"return_sequences": True, "go_backwards": True}, True),
    ({"use_bias": False, "zero_output_for_mask": True, "return_sequences": True}, True),
]
CASES = [
    *[(name, {"units": 7, **more}, RECURRENT, masked) for name in ("SimpleRNN", "GRU", "LSTM") for more, masked in VARIANTS],
    ("GRU", {"units": 5, "reset_after": False, "return_sequences": True}, RECURRENT, True),
    ("LSTM", {"units": 5, "activation": "gelu", "recurrent_activation": "hard_sigmoid"}, RECURRENT, False),
    ("GRU", {"units": 5, "activation": "softsign", "recurrent_activation": "silu"}, RECURRENT, False),
    ("SimpleRNN", {"units": 5, "activation": "mish"}, RECURRENT, False),
    ("ConvLSTM1D", {"filters": 3, "kernel_size": 3, "return_sequences": True}, (2, 4, 7, 2), False),
    ("ConvLSTM2D", {"filters": 2, "kernel_size": (2, 3), "strides": (2, 1), "padding": "same"}, (2, 3, 5, 4, 3), False),
    ("BatchNormalization", {}, IMAGES, False), ("BatchNormalization", {"axis": 1}, IMAGES, False),
    ("BatchNormalization", {"center": False, "momentum": 0.8}, IMAGES, False),
    ("BatchNormalization", {"scale": False}, (9, 5), False),
    ("LayerNormalization", {}, IMAGES, False), ("LayerNormalization", {"axis": [1, 2]}, IMAGES, False),
    ("GroupNormalization", {"groups": 3}, IMAGES, False), ("RMSNormalization", {}, IMAGES, False),
    ("UnitNormalization", {"axis": [1, 3]}, IMAGES, False),
]
ACT_IN_TRAINING = ("SimpleRNN", "GRU", "LSTM", "ConvLSTM1D", "ConvLSTM2D", "BatchNormalization")


def drawn(shape, salt=0):
    return np.random.default_rng([salt, *shape]).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("name,options,shape,masked", CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_as_in_keras(name, options, shape, masked):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    missing = "compares with the gradients of the real Keras on jax, which is not installed here"
    keras = pytest.importorskip("keras", reason=missing, exc_type=ImportError)
    jax = pytest.importorskip("jax", reason=missing)
    theirs, ours = getattr(keras.layers, name)(**options), getattr(graphnet.layers, name)(**options)
    x = 2 * drawn(shape) + 1
    call = {"mask": np.random.default_rng(1).random(shape[:2]) < 0.6} if masked else {}
    training = {"training": True} if name in ACT_IN_TRAINING else {}
    theirs.build(shape)
    ours.build(shape)
    values = [np.abs(drawn(w.shape, 2)) + 0.1 if "moving" in w.name else drawn(w.shape, 2) for w in ours.weights]
    theirs.set_weights(values)
    ours.set_weights(values)

    def loss(weights, others, x):
        outputs, others = theirs.stateless_call(weights, others, x, **call, **training)
        outputs = jax.tree_util.tree_leaves(outputs)
        return sum((y * drawn(y.shape, 5)).sum() for y in outputs), others
    start = [v.value for v in theirs.trainable_variables], [v.value for v in theirs.non_trainable_variables]
    (value, others), wanted = jax.value_and_grad(loss, (0, 2), has_aux=True)(*start, x)

    def of(layer, x):
        outputs = graphnet.tree.flatten(layer(x, **call, **training))
        total = 0.0
        for y in outputs:
            total = total + ops.sum(ops.multiply(y, drawn(y.shape, 5)))
        return total
    if ours.trainable_variables:
        mine, (weights, inputs) = graphnet.value_and_grad(of, (0, 1))(ours, x)
    else:
        weights, (mine, inputs) = [], graphnet.value_and_grad(of, 1)(ours, x)
    np.testing.assert_allclose(mine, value, rtol=1e-4, atol=1e-4)
    for a, b in zip([*weights, inputs], [*wanted[0], wanted[1]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * max(1.0, float(np.abs(b).max())))
    moved = [b for b in others if b.dtype == "float32"]  # Keras counts the states of its seeds too
    for a, b in zip(ours.non_trainable_weights, moved, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-6, atol=1e-6)
