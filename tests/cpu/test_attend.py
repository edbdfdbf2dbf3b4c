"""The attention kernel against float64: any extents and layouts, large scores, NaN; and where it takes other ops' place."""
import numpy as np
import pytest
from lowered import close, lowered

import graphnet
from graphnet import ops
from graphnet.backends.cpu.kernels import attention
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import HALF, MOST, WIDTH
from graphnet.compiler import Executable
from graphnet.graph import Spec
from graphnet.ops.attention import Attend
from graphnet.tracing import placeholder, trace_function

assert attention.lower_attend


def data(n, heads, steps, sources, features, width, scale=1.0):
    rng, shapes = np.random.default_rng(0), ((steps, features), (sources, features), (sources, width))
    return [(scale * rng.standard_normal((n, heads, *shape))).astype("float32") for shape in shapes]


def check(arrays, scale=0.3, **layouts):
    close(lowered(Attend(scale), *arrays, **layouts), Attend(scale).reference(*[x.astype("float64") for x in arrays]))


@pytest.mark.parametrize("width", (1, HALF - 1, HALF, HALF + 1, WIDTH, WIDTH + 1, 2 * WIDTH))
def test_widths(width):
    for sources in (1, LANES + 1, WIDTH, 2 * WIDTH + HALF + 1):
        check(data(2, 3, MOST + 1, sources, 5, width))


@pytest.mark.parametrize("layout, to", [("dense", "padded"), ("padded", "dense"), ("reversed", "dense")])
def test_layouts(layout, to):
    check(data(2, 2, 2 * MOST + 1, 37, 19, WIDTH), layout=layout, to=to)


def test_large_scores_and_special_values():
    check(data(1, 1, 5, 40, 8, 8, 30.0))
    q, k, v = data(1, 1, 3 * MOST, 40, 8, 8)
    q[0, 0, 1, 2], v[0, 0, 3, 4], k[0, 0, 5, 0] = np.nan, np.nan, np.inf
    check((q, k, v))


def compiled(function, *arrays):
    """What a function computes in a plan, and the kernels of that."""
    graph, _ = trace_function(function, [placeholder(Spec(x.shape, "float32")) for x in arrays])
    executable = Executable(graph)
    y, *_ = executable(list(arrays))
    return y, [line.split()[0] for line in executable.report(tuple(x.shape for x in arrays)).splitlines()[1:-1]]


def test_it_takes_the_place_of_products_and_softmax():
    x = data(1, 1, 7, 7, 12, 12)[0][0].reshape(1, 7, 12)
    layer = graphnet.layers.MultiHeadAttention(3, 4, bias_initializer="normal")
    expected = layer(x, x)
    y, kernels = compiled(lambda x: layer(x, x), x)
    np.testing.assert_allclose(y, expected, 2e-5, 2e-6)
    assert "attend" in kernels and "softmax" not in kernels
    assert not any(name.startswith("tape") for name in kernels)  # biases and scale go with the products
    _, scores = layer(x, x, return_attention_scores=True)
    y, kernels = compiled(lambda x: layer(x, x, return_attention_scores=True)[1], x)
    np.testing.assert_allclose(y, scores, 2e-5, 2e-6)
    assert "attend" not in kernels


def test_scaled_products():
    q, k, v = (np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in data(2, 3, 9, 9, 8, 8))
    y, kernels = compiled(lambda q, k, v: ops.dot_product_attention(q, k, v), q, k, v)
    np.testing.assert_allclose(y, ops.dot_product_attention(q, k, v), 2e-5, 2e-6)
    assert "attend" in kernels
    mask, bias = np.random.default_rng(1).random((2, 1, 9, 9)) < 0.5, data(1, 3, 9, 9, 9, 9)[0]
    mask[:, :, 3] = False
    for options in ({"is_causal": True}, {"mask": mask}, {"mask": mask, "is_causal": True}, {"bias": bias}):
        y, kernels = compiled(lambda q, k, v, options=options: ops.dot_product_attention(q, k, v, **options), q, k, v)
        np.testing.assert_allclose(y, ops.dot_product_attention(q, k, v, **options), 2e-5, 2e-6)
        assert "attend" in kernels and "softmax" not in kernels
    y, kernels = compiled(lambda q, k, v: ops.dot_product_attention(q, k, v, bias, mask), q, k, v)
    np.testing.assert_allclose(y, ops.dot_product_attention(q, k, v, bias, mask), 2e-5, 2e-6)
    assert "attend" not in kernels


def limited(arrays, *mask, **options):
    close(lowered(Attend(0.3, **options), *arrays, *mask), Attend(0.3, **options).reference(
        *[x.astype("float64") for x in arrays], *[m if m.dtype == bool else m.astype("float64") for m in mask]))


@pytest.mark.parametrize("shape", [(2, 3, MOST + 5, WIDTH + 9), (1, 1, MOST + 5, WIDTH + 9), (2, 1, 1, WIDTH + 9),
                                   (1, 3, MOST + 5, 1)])
def test_masks(shape):
    arrays, rng = data(2, 3, MOST + 5, WIDTH + 9, 7, 12), np.random.default_rng(1)
    mask = rng.random(shape) < 0.4
    mask[0, 0, 0] = False  # a row of which all is hidden
    for options in ({}, {"empty": True}, {"low": -2.38e38}):
        limited(arrays, mask, **options)
    limited(arrays, rng.standard_normal(shape).astype("float32"))
    limited(arrays, np.where(mask, 0, -np.inf).astype("float32"))  # a row without any score is NaN, as in numpy


@pytest.mark.parametrize("layout", ("padded", "reversed"))
def test_layouts_of_masks(layout):
    arrays = data(2, 2, 2 * MOST + 1, 37, 19, WIDTH)
    for mask in (np.random.default_rng(1).random((2, 1, 2 * MOST + 1, 37)) < 0.5, arrays[0][:, :1, :, :1]):
        close(lowered(Attend(0.3), *arrays, mask, layout=layout), Attend(0.3).reference(*arrays, mask))


def test_layers_with_masks():
    x, rng = data(1, 2, 9, 9, 12, 12)[0][0], np.random.default_rng(1)
    which, padding = rng.random((2, 9, 9)) < 0.5, rng.random((2, 9)) < 0.7
    which[0, 2] = False
    heads = [graphnet.layers.MultiHeadAttention(3, 4, dropout=rate) for rate in (0.0, 0.1)]
    for layer in (*heads, graphnet.layers.GroupQueryAttention(4, 6, 3)):
        for options in ({"attention_mask": which}, {"use_causal_mask": True}, {"value_mask": padding, "use_causal_mask": True},
                        {"attention_mask": which, "key_mask": padding, "query_mask": padding}):
            expected = layer(x, x, **options)
            y, kernels = compiled(lambda x, layer=layer, options=options: layer(x, x, **options), x)
            np.testing.assert_allclose(y, expected, 2e-5, 2e-6)
            assert "attend" in kernels and "softmax" not in kernels


def test_masks_that_a_call_computes():
    x, layer = data(1, 2, 9, 9, 12, 12)[0][0], graphnet.layers.MultiHeadAttention(3, 4)

    def function(x):
        return layer(x, x, attention_mask=ops.greater(ops.matmul(x, ops.transpose(x, (0, 2, 1))), 0.0), use_causal_mask=True)
    y, kernels = compiled(function, x)
    np.testing.assert_allclose(y, function(x), 2e-5, 2e-6)
    assert "attend" in kernels and "softmax" not in kernels


def test_a_residual_behind_a_reshape_goes_with_the_product():
    x, w, b = (np.random.default_rng(i).standard_normal(s).astype("float32") for i, s in enumerate(((3, 5, 8), (8, 8), (2, 4))))

    def function(x, w, b):
        heads = ops.add(ops.reshape(ops.matmul(ops.reshape(x, (15, 8)), w), (3, 5, 2, 4)), b)
        return ops.add(ops.reshape(x, (3, 5, 2, 4)), heads)
    y, kernels = compiled(function, x, w, b)
    np.testing.assert_allclose(y, function(x, w, b), 2e-5, 2e-6)
    assert not any(name.startswith("tape") for name in kernels)


def test_a_mask_that_is_an_input_of_its_own():
    x, mask = graphnet.Input((9, 12)), graphnet.Input((9,), dtype="bool")
    layer = graphnet.layers.MultiHeadAttention(3, 4)
    model = graphnet.Model([x, mask], layer(x, x, value_mask=mask))
    rng = np.random.default_rng(1)
    given, seen = rng.standard_normal((3, 9, 12)).astype("float32"), rng.random((3, 9)) < 0.6
    y = model([given, seen])
    np.testing.assert_allclose(y, layer(given, given, value_mask=seen), 2e-5, 2e-6)
    assert "softmax" not in model.executable()[0].report((given.shape, seen.shape))
    np.testing.assert_allclose(model([given, seen[:1]]), layer(given, given, value_mask=seen[:1]), 2e-5, 2e-6)


def test_a_mask_that_makes_a_batch_of_one():
    (q, k, v), mask = data(1, 2, 9, 9, 8, 8), np.random.default_rng(1).random((3, 1, 9, 9)) < 0.5
    arrays = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in (q, k, v)]
    y, kernels = compiled(lambda q, k, v: ops.dot_product_attention(q, k, v, mask=mask), *arrays)
    np.testing.assert_allclose(y, ops.dot_product_attention(*arrays, mask=mask), 2e-5, 2e-6)
    assert y.shape == (3, 9, 2, 8) and "attend" not in kernels
