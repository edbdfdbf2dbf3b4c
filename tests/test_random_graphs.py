"""Random models against the reference backend: residuals, shared layers, several outputs, odd sizes; extraction, callers at once.
"""
import threading

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import graphnet
from graphnet import layers, ops
from graphnet.backends.numpy.interpreter import evaluate

BOUND = 1e-5


def unary(rng, channels):
    """A layer that keeps a picture's height and width."""
    kind = rng.integers(9)
    if kind == 0:
        return layers.Conv2D(int(rng.integers(1, 20)), int(rng.integers(1, 4)), padding="same",
                             activation=str(rng.choice(["relu", "tanh", "linear"])))
    if kind == 1:
        return layers.Conv2D(int(rng.integers(1, 40)), 1, activation="relu")
    if kind == 2:
        return layers.DepthwiseConv2D(3, padding="same")
    if kind == 3:
        return layers.BatchNormalization()
    if kind == 4:
        return layers.Activation(str(rng.choice(["relu", "sigmoid", "gelu", "softplus", "elu"])))
    if kind == 5:
        return layers.MaxPooling2D(2, strides=1, padding="same")
    if kind == 6:
        return layers.AveragePooling2D(3, strides=1, padding="same")
    if kind == 7:
        return layers.LayerNormalization()
    return layers.SeparableConv2D(int(rng.integers(1, 10)), 3, padding="same")


def picture_model(seed, steps=9):
    """A random graph of layers over pictures, with its random weights."""
    rng = np.random.default_rng(seed)
    graphnet.utils.clear_session()
    size = None if rng.integers(2) else (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    x = graphnet.Input((None, None, int(rng.integers(1, 5))) if size is None else (*size, int(rng.integers(1, 5))), name="x")
    alive, reusable = [x], []
    for _ in range(steps):
        a = alive[rng.integers(len(alive))]
        choice = rng.integers(10)
        same = [t for t in alive if t.shape[-1] == a.shape[-1]]
        shared = [layer for layer, channels in reusable if channels == a.shape[-1]]
        if choice < 5:
            layer = unary(rng, a.shape[-1])
            reusable.append((layer, a.shape[-1]))
            alive.append(layer(a))
        elif choice == 5 and shared:
            alive.append(shared[rng.integers(len(shared))](a))
        elif choice == 6:
            alive.append(layers.Concatenate()([a, alive[rng.integers(len(alive))]]))
        elif choice == 7:
            alive.append(a * 0.5 + ops.sigmoid(a))
        elif choice == 8:
            alive.append(layers.multiply([a, same[rng.integers(len(same))]]))
        else:
            alive.append(layers.add([a, same[rng.integers(len(same))], a]))
    heads = [layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(alive[-1])), alive[-2]]
    model = graphnet.Model(x, heads)
    model.set_weights([rng.uniform(0.2, 1, v.shape) if "variance" in v.name else rng.normal(0, 0.4, v.shape)
                       for v in model.weights])
    side = size or (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    batch = int(rng.choice([0, 1, 2, 3, 5]))
    return model, rng.normal(size=(batch, *side, x.shape[-1])).astype("float32")


def exact(model, x):
    """What the model means: its graph before any pass, op by op in numpy, in float64 (which the input brings in)."""
    graph = model.executable()[0].graph
    results = evaluate(graph, [x.astype("float64")])[0]
    assert all(y.dtype == np.float64 for y in results)
    return results


def close(got, want, what):
    assert got.shape == want.shape, what
    scale = max(np.abs(want.astype("float64")).max(initial=0), 1e-30)
    assert np.abs(got.astype("float64") - want).max(initial=0) <= BOUND * scale, what


@given(st.integers(0, 10**6))
@hypothesis_settings(max_examples=40)
def test_random_models_mean_what_the_reference_says(seed):
    model, x = picture_model(seed)
    for got, want in zip(model(x), exact(model, x), strict=True):
        close(got, want, seed)


@given(st.integers(0, 10**6))
@hypothesis_settings(max_examples=15)
def test_any_node_can_be_extracted(seed):
    model, x = picture_model(seed, 6)
    names = [name for name in model.graph.nodes if name != "x"]
    features = model.extract(*names)
    whole = dict(zip(names, features(x) if len(names) > 1 else [features(x)], strict=True))
    for name in names:
        close(model.extract(name)(x), whole[name], (seed, name))


def test_callers_at_once_get_the_same_bytes():
    model, x = picture_model(3)
    x = np.concatenate([x] * 4) if len(x) else np.ones((4, *x.shape[1:]), "float32")
    want = [y.tobytes() for y in model(x)]
    wrong = []

    def call():
        for _ in range(20):
            if [y.tobytes() for y in model(x)] != want:
                wrong.append(1)
    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
