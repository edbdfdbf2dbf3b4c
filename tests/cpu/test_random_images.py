"""Random networks over images, with extents that reach the fused kernels: what a plan gives is what the graph gives in numpy."""
import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import agrees

import graphnet
from graphnet import layers

ELEMENTS, WORK = 1 << 18, 1 << 24  # of a layer's result and of its sums, at most
KINDS = [[kind] for kind in ("pointwise", "conv", "conv", "depthwise", "separable", "transpose", "pool", "up", "pad", "relu", "norm",
                             "add", "concat", "permute")] + 3 * [["pointwise", "depthwise", "pointwise"]]
ACTIVATIONS = st.sampled_from([None, None, "relu", "relu6", "tanh"])
SIZES = st.one_of(st.tuples(st.integers(1, 13), st.integers(1, 13)), st.sampled_from([(24, 30), (48, 48), (57, 40), (64, 64)]))


def windows(draw, x):
    """The arguments that say where a window goes."""
    size, strides = (draw(st.sampled_from([(3, 3), (3, 3), (1, 1), (5, 5), (2, 2), (1, 3), (7, 7)])),
                     draw(st.sampled_from([1, 1, 2, 3, 4])))
    dilation = draw(st.sampled_from([1, 1, 2])) if strides == 1 else 1
    reach = [(n - 1) * dilation + 1 for n in size]
    padding = draw(st.sampled_from(["same", "valid"])) if min(np.subtract(x.shape[1:3], reach)) >= 0 else "same"
    return {"kernel_size": size, "strides": strides, "padding": padding, "dilation_rate": dilation}


def layer(draw, kind, x, earlier):
    """A layer and what it is called with; None where none of that kind fits."""
    units, activation = draw(st.sampled_from([1, 5, 16, 33, 72, 100])), draw(ACTIVATIONS)
    several = draw(st.sampled_from([1, 1, 1, 2, 3]))
    if kind == "pointwise":
        return layers.Conv2D(units, 1, activation=activation), x
    if kind == "conv":
        return layers.Conv2D(units, **windows(draw, x), activation=activation), x
    if kind == "depthwise":
        return layers.DepthwiseConv2D(**windows(draw, x), depth_multiplier=several, activation=activation), x
    if kind == "separable":
        return layers.SeparableConv2D(units, **windows(draw, x), depth_multiplier=several, activation=activation), x
    if kind == "transpose":
        return layers.Conv2DTranspose(min(units, 16), draw(st.integers(1, 4)), strides=draw(st.integers(1, 3)), padding="same"), x
    if kind == "pool":
        pool = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
        return pool(draw(st.integers(1, 3)), strides=draw(st.integers(1, 2)), padding="same"), x
    if kind == "pad":
        return layers.ZeroPadding2D(draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))), x
    if kind in ("add", "concat"):
        axes = slice(None) if kind == "add" else slice(3)
        others = [t for t in earlier if t.shape[axes] == x.shape[axes]]
        join = layers.Add() if kind == "add" else layers.Concatenate()
        return (join, [draw(st.sampled_from(others)), x]) if others else None
    plain = {"relu": layers.ReLU(6.0), "up": layers.UpSampling2D(2), "norm": layers.BatchNormalization()}
    return (plain.get(kind) or layers.Permute(draw(st.permutations([1, 2, 3])))), x


def work(made, shape):
    """Multiply-adds of an image, at most."""
    return max([math.prod(shape[1:3]) * w.size for w in made.weights], default=0)


def network(draw):
    """A model of one image and one result, or two of which the first is read by what follows."""
    extents = *draw(SIZES), draw(st.sampled_from([1, 3, 12, 32]))
    image = x = graphnet.Input(extents)
    earlier = []
    for kind in itertools.chain(*draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))):
        found = layer(draw, kind, x, earlier)
        if found is None:
            continue
        y = found[0](found[1])
        if math.prod(y.shape[1:]) <= ELEMENTS and work(found[0], y.shape) <= WORK:
            earlier.append(x)
            x = y
    outputs = [draw(st.sampled_from(earlier)), x] if earlier and draw(st.booleans()) else [x]
    if any(t is image for t in outputs):
        outputs = [layers.ReLU()(x)]
    model = graphnet.Model(image, outputs)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if math.prod(variable.shape) == variable.shape[-1]:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))  # biases, and what a normalization has
    return model, rng.standard_normal((draw(st.integers(1, 3)), *extents)).astype("float32")


@settings(max_examples=150)
@given(st.data())
def test_plans_give_what_graphs_do(data):
    model, x = network(data.draw)
    agrees(model, x, rtol=2e-5)
