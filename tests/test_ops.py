"""Every op, over the registry and its samples: what `infer` says is what `reference` gives. And public functions against
numpy.
"""
import doctest
import importlib
import math
import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphnet
from graphnet import dims, ops
from graphnet.autodiff import gradients
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.errors import OutOfRangeError, ShapeError, UnsupportedError
from graphnet.graph import Constant, Read, Spec, Variable
from graphnet.op import CLASS_NAMES, OPS, Elementwise, Op, Reduction, broadcast
from graphnet.ops.elementwise import Add, Clip
from graphnet.ops.shape import Concatenate, Reshape, Slice, Transpose
from graphnet.tracing import placeholder, trace_function

PRIMITIVES = {name: op_class for name, op_class in sorted(OPS.items()) if op_class.__module__.startswith("graphnet.ops.")}
SAMPLES = [pytest.param(op, arrays, id=f"{name}-{i}") for name, op_class in PRIMITIVES.items()
           for i, (op, arrays) in enumerate(op_class.samples())]
FAMILIES = [f"graphnet.ops.{m.name}" for m in pkgutil.iter_modules(ops.__path__) if m.name not in ("nn", "numpy")]


def spec_of(array):
    return Spec(array.shape, array.dtype.name)


def listed(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_op_has_all_members(name):
    op_class = PRIMITIVES[name]
    assert op_class.reference is not Op.reference and op_class.infer is not Op.infer
    assert list(op_class.samples()), "samples() gives nothing"
    assert op_class.__doc__


@pytest.mark.parametrize("op, arrays", SAMPLES)
def test_infer_is_what_reference_gives(op, arrays):
    before = [a.copy() for a in arrays]
    results = listed(op.reference(*arrays))
    specs = listed(op.infer(*map(spec_of, arrays)))
    assert [(r.shape, r.dtype.name) for r in results] == [(s.shape, s.dtype) for s in specs]
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


FIRST_EXTENT_KNOWN = ("Random", "Svd", "Qr")  # a seed has two words; of these decompositions the sides are compared


@pytest.mark.parametrize("op, arrays", [p for p in SAMPLES if p.values[1] and p.values[1][0].ndim
                                        and not p.id.startswith(FIRST_EXTENT_KNOWN)])
def test_infer_with_an_unknown_batch(op, arrays):
    """The first axis of the first input unknown: with its value put in, the result has the shape that it really has."""
    n = Dim.unknown("n")
    specs = [Spec((n, *arrays[0].shape[1:]), arrays[0].dtype.name), *map(spec_of, arrays[1:])]
    symbol = dims.sole_symbol(n)
    inferred = listed(op.infer(*specs))
    extents = {symbol: arrays[0].shape[0]}
    expected = listed(op.infer(*map(spec_of, arrays)))
    assert [tuple(dims.evaluate(s, extents) for s in spec.shape) for spec in inferred] == [s.shape for s in expected]


@pytest.mark.parametrize("name", [n for n, c in PRIMITIVES.items() if issubclass(c, Elementwise)])
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0, 2), (1, 1), ()])
def test_elementwise_of_empty_and_single(name, shape):
    op, arrays = next(iter(PRIMITIVES[name].samples()))
    inputs = [np.ones(shape, a.dtype) for a in arrays]
    result = op.reference(*inputs)
    spec = op.infer(*map(spec_of, inputs))
    assert (result.shape, result.dtype.name) == (spec.shape, spec.dtype)


@pytest.mark.parametrize("name", [n for n, c in PRIMITIVES.items() if issubclass(c, Reduction)])
@pytest.mark.parametrize("shape, axes", [((3, 0), (0,)), ((1, 4), (0,)), ((4, 1), (0, 1))])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_of_empty_and_single(name, shape, axes, keepdims):
    op = PRIMITIVES[name](axes, keepdims)
    x = np.ones(shape, "float32")
    spec = op.infer(spec_of(x))
    result = op.reference(x)
    assert (result.shape, result.dtype.name) == (spec.shape, spec.dtype)


@pytest.mark.parametrize("family", FAMILIES)
def test_examples_in_docstrings(family):
    module = importlib.import_module(family)
    runner, finder = doctest.DocTestRunner(), doctest.DocTestFinder(recurse=False)
    for name in getattr(module, "__all__", ()):
        if isinstance(getattr(module, name), type):
            continue
        for test in finder.find(getattr(module, name), name, module=False, globs={}):
            assert test.examples, f"{family}.{name} has no example"
            runner.run(test)
    assert runner.summarize().failed == 0


def test_keras_names_of_nodes():
    """Files name the nodes of ops as Keras's classes."""
    for name in ("GetItem", "Add", "NotEqual", "Any", "Mean", "Square", "ExpandDims", "LogicalNot", "Matmul", "Einsum",
                 "Absolute", "Sum",
                 "Relu", "Softmax", "BatchNorm", "LayerNorm", "OneHot", "SVD", "Concatenate", "Transpose", "Where"):
        assert name in CLASS_NAMES


# ---- unknown extents, as expressions

EXTENTS = st.integers(1, 7)


@st.composite
def broadcasting(draw):
    """Two or three shapes that broadcast, and for each axis whether its extent is unknown."""
    whole = draw(st.lists(EXTENTS, min_size=0, max_size=4))
    shapes = []
    for _ in range(draw(st.integers(1, 3))):
        shape = [draw(st.sampled_from([1, s])) for s in whole]
        shapes.append(tuple(shape[draw(st.integers(0, len(shape))):]))
    return shapes, [[draw(st.booleans()) for _ in shape] for shape in shapes]


@settings(max_examples=150, deadline=None)
@given(broadcasting())
def test_broadcast_of_unknown_extents(case):
    shapes, unknown = case
    extents, symbolic = {}, []
    for shape, hidden in zip(shapes, unknown, strict=True):
        row = []
        for extent, hide in zip(shape, hidden, strict=True):
            row.append(Dim.unknown("n") if hide else extent)
            if hide:
                extents[dims.sole_symbol(row[-1])] = extent
        symbolic.append(tuple(row))
    expected = np.broadcast_shapes(*shapes)
    assert broadcast(list(shapes)) == expected
    assert tuple(dims.evaluate(s, extents) for s in broadcast(symbolic)) == expected


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.data())
def test_slices_of_an_unknown_extent(extent, data):
    start = data.draw(st.none() | st.integers(-extent, extent))
    low = 0 if start is None else start % extent if start < 0 else start
    stop = data.draw(st.none() | st.integers(low, extent))
    if stop is not None and stop < extent and data.draw(st.booleans()):
        stop -= extent  # the same place, counted from the end
    step = data.draw(st.integers(1, 3))
    if start is None and stop is None and data.draw(st.booleans()):
        step = -step
    n = Dim.unknown("n")
    length, = Slice((start,), (stop,), (step,)).infer(Spec((n,))).shape
    assert dims.evaluate(length, {dims.sole_symbol(n): extent}) == len(range(extent)[start:stop:step])


@settings(max_examples=100, deadline=None)
@given(st.lists(EXTENTS, min_size=1, max_size=4), st.data())
def test_reshape_and_back_with_an_unknown_extent(shape, data):
    at = data.draw(st.integers(0, len(shape) - 1))
    n = Dim.unknown("n")
    symbolic = tuple(n if i == at else s for i, s in enumerate(shape))
    order = data.draw(st.permutations(range(len(shape))))
    moved = Transpose(tuple(order)).infer(Spec(symbolic))
    flat = Reshape((-1,)).infer(moved)
    back = Reshape(tuple(-1 if i == at else s for i, s in enumerate(shape))).infer(flat)
    assert back.shape == symbolic  # proven equal, not only for one value
    joined = Concatenate(at).infer(Spec(symbolic), Spec(tuple(shape)))
    extents = {dims.sole_symbol(n): shape[at]}
    assert [dims.evaluate(s, extents) for s in joined.shape] == [2 * s if i == at else s for i, s in enumerate(shape)]


# ---- public functions

KEYS = st.one_of(st.integers(-3, 2), st.slices(3), st.just(Ellipsis), st.none())


@settings(max_examples=200, deadline=None)
@given(st.lists(KEYS, max_size=5))
def test_get_item_is_numpys(keys):
    x = np.arange(27).reshape(3, 3, 3)
    if keys.count(Ellipsis) > 1 or sum(k is not None and k is not Ellipsis for k in keys) > 3:
        return
    np.testing.assert_array_equal(ops.get_item(x, tuple(keys)), x[tuple(keys)])


EINSUMS = ["ij,jk->ik", "ij,kj->ik", "bij,bjk->bik", "ij->ji", "ij->", "ii->i", "ii", "i,j->ij", "abc,cde->abde",
           "aecd,abcd->acbe",
           "acbe,aecd->abcd", "...ij,...jk->...ik", "ij,ij->", "ij,jk", "iji->j", "ij,kj,lk->il", "i...,i...->..."]


@pytest.mark.parametrize("subscripts", EINSUMS)
def test_einsum_is_numpys(subscripts):
    rng = np.random.default_rng(0)
    extents = dict(zip("abcdeijkl", (2, 3, 4, 5, 3, 4, 2, 3, 5), strict=True))
    terms = subscripts.split("->")[0].replace("...", "").split(",")
    arrays = [rng.standard_normal((2,) * ("..." in subscripts) + tuple(extents[c] for c in term)) for term in terms]
    if subscripts.startswith("i..."):
        arrays = [np.moveaxis(a, 0, 1) for a in arrays]
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), rtol=1e-12)


@pytest.mark.parametrize("name", ["quantile", "percentile"])
@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles_are_numpys(name, method):
    x = np.random.default_rng(0).standard_normal((4, 5, 6))
    q = np.array([0.0, 0.21, 0.5, 1.0]) * (100 if name == "percentile" else 1)
    for axis in (None, 1, (0, 2)):
        np.testing.assert_allclose(getattr(ops, name)(x, q, axis, method), getattr(np, name)(x, q, axis, method=method),
                                   rtol=1e-12)


def test_dtypes_combine_by_kerass_rules():
    small, wide, half = np.ones(2, "int8"), np.ones(2, "int64"), np.ones(2, "float16")
    assert ops.add(wide, np.ones(2, "float32")).dtype == "float32"
    assert ops.add(half, wide).dtype == "float16"
    assert ops.add(small, 1).dtype == "int8" and ops.add(small, 1.5).dtype == "float32"
    assert ops.divide(wide, wide).dtype == "float32" and ops.mean(small).dtype == "float32"
    assert ops.sum(small > 0).dtype == "int32"


def test_the_default_float_type_is_asked_for_at_each_call():
    i = np.arange(3, dtype="int32")
    try:
        for kind in ("float32", "float64", "float16"):
            graphnet.config.set_floatx(kind)
            assert ops.multiply(i, 0.5).dtype == ops.cast(i, "float").dtype == ops.add(np.ones(3, "uint64"), i).dtype == kind
    finally:
        graphnet.config.set_floatx("float32")


def test_a_wrong_call_says_what_was_expected():
    with pytest.raises(ShapeError, match=r"matmul expects.*\(2, 3\).*\(4, 5\)"):
        ops.matmul(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(ShapeError, match=r"broadcast.*\(2, 3\).*\(4,\)"):
        trace_function(lambda x: ops.add(x, np.ones(4, "float32")), [placeholder(Spec((2, 3)))])
    with pytest.raises(ShapeError, match="axis"):
        ops.sum(np.ones((2, 3)), axis=2)
    with pytest.raises(OutOfRangeError, match="between 0 and 2.*received 3 at position"):
        ops.take(np.ones(3), [0, 3])
    for call in (ops.nonzero, ops.unique):
        with pytest.raises(UnsupportedError, match=r"graphnet\.ops"):
            trace_function(call, [placeholder(Spec((3,)))])


def test_new_tensors_of_an_unknown_extent():
    """zeros, arange and random numbers over the batch belong to the graph, at the user's level too."""
    n = Dim.unknown("n")
    x = placeholder(Spec((n, 3)))
    for make in (lambda: ops.zeros(ops.shape(x)), lambda: ops.broadcast_to(np.ones(3, "float32"), ops.shape(x)),
                 lambda: ops.expand_dims(ops.arange(ops.shape(x)[0], dtype="float32"), 1), lambda: ops.multiply(x,
                                                                                                                ops.size(x))):
        y = ops.add(x, make())
        assert y.shape == (None, 3)
    graph, _ = trace_function(lambda v: ops.mean(ops.multiply(v, ops.shape(v)[0])), [x])
    assert graph.verify().outputs[0].spec == Spec((), "float32")


def test_loops_of_known_length_are_unrolled():
    x = placeholder(Spec((2, 3)))
    graph, _ = trace_function(lambda v: ops.fori_loop(0, 3, lambda i, y: ops.add(y, i), v), [x])
    assert sum(isinstance(node.op, Add) for node in graph.nodes) == 3
    graph, structure = trace_function(lambda v: ops.scan(lambda c, row: (c + row, c), ops.zeros(3), v), [x])
    assert [t.shape for t in graph.verify().outputs] == [(3,), (2, 3)] and structure == (0, 1)


def test_top_k_takes_the_first_of_equal_elements():
    values, at = ops.top_k(np.array([1.0, 3.0, 3.0, 2.0, 3.0]), 4)
    assert values.tolist() == [3, 3, 3, 2] and at.tolist() == [1, 2, 4, 3]


def test_resize_keeps_a_constant_image_and_a_ramp():
    x = np.broadcast_to(np.arange(8.0)[:, None], (8, 8))[..., None]
    for interpolation in ("bilinear", "bicubic", "lanczos3", "lanczos5", "nearest"):
        np.testing.assert_allclose(ops.image.resize(np.ones((5, 7, 2)), (11, 3), interpolation), 1.0, rtol=1e-12)
    inner = ops.image.resize(x, (16, 8))[1:-1, 0, 0]
    np.testing.assert_allclose(inner, (np.arange(1, 15) + 0.5) / 2 - 0.5)  # half_pixel_centers


def test_attention_is_the_sum_that_it_says():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, n, 3, 4)) for n in (5, 6, 6))
    logits = np.einsum("bthd,bshd->bhts", q, k) / math.sqrt(4)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(ops.dot_product_attention(q, k, v), np.einsum("bhts,bshd->bthd", weights, v), rtol=1e-9)


def test_constants_stay_constants_and_variables_are_read():
    v = Variable(np.ones(3, "float32"), name="v")
    graph, _ = trace_function(lambda x: ops.add(ops.add(x, v), np.ones(3, "float32")), [placeholder(Spec((3,)))])
    assert [type(n.op) for n in graph.nodes if not n.inputs] == [Read, Constant]


@pytest.mark.parametrize("mode", ["valid", "full", "same"])
@pytest.mark.parametrize("n, m", [(9, 3), (9, 4), (3, 9), (4, 9), (5, 5), (1, 4)])
def test_correlate_is_numpys(mode, n, m):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(n), rng.standard_normal(m)
    np.testing.assert_allclose(ops.correlate(a, b, mode), np.correlate(a, b, mode), rtol=1e-12)


# ---- numbers at the ends of their types

@pytest.mark.parametrize("function", [ops.mean, lambda x: ops.moments(x, 0)[0]], ids=["mean", "moments"])
def test_means_in_half_precision_do_not_overflow(function):
    for x in (np.full(1000, 100, "float16"), np.ones(70_000, "float16")):
        found = function(x)
        assert found.dtype == "float16" and float(found) == x[0]
    n = Dim.unknown("n")
    graph, _ = trace_function(lambda x: function(x) * 1000.0, [placeholder(Spec((n,), "float16"))])
    _, gradient = evaluate(gradients(graph, graph.outputs[0], graph.inputs).verify(), [x])[0]
    assert gradient.dtype == "float16"
    np.testing.assert_allclose(gradient, 1000 / 70_000, rtol=5e-3)


def test_variances_in_half_precision_do_not_overflow():
    x = np.array([0, 200] * 1000, "float16")
    assert [float(v) for v in ops.moments(x, 0)] == [100, 10_000]


def test_bounds_of_whole_numbers_are_exact():
    x = np.array([-2**63, -5, 2**53 + 1, 2**63 - 1])
    assert ops.relu(x).tolist() == [0, 0, 2**53 + 1, 2**63 - 1]
    assert ops.clip(x, -4, 2**60 + 1).tolist() == [-4, -4, 2**53 + 1, 2**60 + 1]
    assert ops.clip(x, -2**63, 2**63 - 1).tolist() == x.tolist()
    assert ops.clip(x.astype("uint64"), 2**53 + 2, 2**64 - 6).tolist() == [2**63, 2**64 - 6, 2**53 + 2, 2**63 - 1]
    assert Clip(-1.5, 2.5).reference(np.arange(-3, 5)).tolist() == [-1, -1, -1, 0, 1, 2, 2, 2]
    assert ops.clip(np.array([0, 9, 255], "uint8"), -7, 300).tolist() == [0, 9, 255]


@pytest.mark.parametrize("values, dtype, to, expected", [
    ([1e19, -1e19, 1.5], "float64", "int64", [2**63 - 1, -2**63, 1]),
    ([2.0**64, -1.0], "float64", "uint64", [2**64 - 1, 0]),
    ([3e9, -3e9], "float64", "int32", [2**31 - 1, -2**31]),
    ([3e9, -3e9], "float32", "int32", [2**31 - 1, -2**31]),
    ([math.inf, -math.inf, 7.0], "float16", "int32", [2**31 - 1, -2**31, 7]),
    ([4e4, -4e4, 7.0], "float16", "int16", [2**15 - 1, -2**15, 7]),
    ([math.inf, 65504.0], "float16", "uint16", [2**16 - 1, 65504]),
    ([2**64 - 1, 3], "uint64", "int64", [2**63 - 1, 3]),
    ([2**53 + 1, -1], "int64", "uint64", [2**53 + 1, 0]),
    ([2**40, -1], "int64", "uint8", [255, 0]),
])
def test_saturate_cast_stays_within_the_type(values, dtype, to, expected):
    x = np.array(values, dtype)
    assert ops.saturate_cast(x, to).tolist() == expected
    graph, _ = trace_function(lambda x: ops.saturate_cast(x, to), [placeholder(Spec(x.shape, dtype))])
    assert Executable(graph)([x])[0].tolist() == expected


def test_erfc_does_not_cancel():
    x = np.array([-3.0, 0.0, 4.0, 5.0, 9.0, math.inf])
    for dtype in ("float32", "float64"):
        np.testing.assert_allclose(ops.erfc(x.astype(dtype)), [math.erfc(v) for v in x], rtol=1e-6)


INF = math.inf


@pytest.mark.parametrize("row, expected", [([-INF, -INF], -INF), ([INF, 0.0], INF), ([INF, -INF], INF), ([-INF, 3.0], 3.0),
                                           ([math.nan, 0.0], math.nan), ([math.nan, INF], math.nan), ([1e5, -1e5], 1e5)])
def test_logsumexp_of_infinities(row, expected):
    x = np.array([row], "float32")
    np.testing.assert_array_equal(ops.logsumexp(x, 1), [expected])
    graph, _ = trace_function(lambda x: ops.logsumexp(x, 1), [placeholder(Spec((Dim.unknown("n"), 2)))])
    np.testing.assert_array_equal(Executable(graph)([x])[0], [expected])


# ---- indices that broadcast

@pytest.mark.parametrize("shape, places, axis", [((3, 5), (1, 2), 1), ((1, 5), (3, 2), -1), ((3, 1, 5), (1, 4, 2), 2),
                                                 ((5, 3), (2, 1), 0), ((3, 5), (3, 2), 1)])
def test_take_along_axis_broadcasts_as_numpys(shape, places, axis):
    rng = np.random.default_rng(0)
    x, indices = rng.standard_normal(shape), rng.integers(0, 5, places)
    expected = np.take_along_axis(x, indices, axis)
    np.testing.assert_array_equal(ops.take_along_axis(x, indices, axis), expected)
    weights = rng.standard_normal(expected.shape)
    unknown = tuple([Dim.unknown("n") if s == 3 else s for s in shape])
    graph, _ = trace_function(lambda x: [ops.sum(ops.take_along_axis(x, indices, axis) * weights),
                                         ops.take_along_axis(x, indices, axis)], [placeholder(Spec(unknown, "float64"))])
    _, found, gradient = evaluate(gradients(graph, graph.outputs[0], graph.inputs).verify(), [x])[0]
    np.testing.assert_array_equal(found, expected)
    direction = rng.standard_normal(shape)
    np.testing.assert_allclose((gradient * direction).sum(), (weights * np.take_along_axis(direction, indices, axis)).sum())


def test_take_along_axis_of_a_batch_at_the_same_places():
    x = graphnet.Input((5,))
    y = ops.take_along_axis(x, np.array([[0, 2]]), -1)
    assert y.shape == (None, 2)
    rows = np.random.default_rng(0).standard_normal((3, 5)).astype("float32")
    np.testing.assert_array_equal(graphnet.Model(x, y)(rows), rows[:, [0, 2]])
    with pytest.raises(ShapeError, match=r"take_along_axis.*broadcast"):
        ops.take_along_axis(rows, np.zeros((4, 2), "int32"), 1)


# ---- unknown extents in models: as arguments of calls they follow the model to other inputs

def _doubled_rows():
    x = graphnet.Input((6, 5))
    return graphnet.Model(x, ops.concatenate([ops.reshape(x, (ops.shape(x)[0] * 2, -1)), ops.zeros((ops.shape(x)[0], 15))], 0))


def test_extents_in_a_nested_and_in_a_cloned_model():
    a = np.random.default_rng(0).standard_normal((3, 6, 5)).astype("float32")
    expected = np.concatenate([a.reshape(6, 15), np.zeros((3, 15))])
    inner = _doubled_rows()
    np.testing.assert_array_equal(inner(a), expected)
    np.testing.assert_array_equal(graphnet.models.clone_model(inner)(a), expected)
    x = graphnet.Input((6, 5))
    np.testing.assert_array_equal(graphnet.Model(x, inner(ops.multiply(x, 2.0)))(a), 2 * expected)


def test_a_model_that_draws_numbers_draws_anew():
    source = graphnet.random.SeedGenerator(3)
    x = graphnet.Input((6, 5))
    model = graphnet.Model(x, graphnet.random.dropout(x, 0.5, seed=source))
    a = np.ones((4, 6, 5), "float32")
    first, second = np.array(model(a)), np.array(model(a))
    assert (first != second).any() and source.state.value.tolist() == [3, 2]
    np.testing.assert_array_equal(first, graphnet.random.dropout(a, 0.5, seed=graphnet.random.SeedGenerator(3)))


def test_no_draw_gives_a_class_an_infinite_edge(monkeypatch):
    smallest, largest = 0.0, 1.0 - 2.0**-24
    monkeypatch.setattr(graphnet.random, "_drawn", lambda *_: np.array([[[0.5, largest], [smallest, largest]]], "float32"))
    np.testing.assert_array_equal(graphnet.random.categorical([[0.0, -1e9]], 2), [[0, 0]])


def test_bounds_of_a_whole_type_are_no_numbers_that_a_file_could_not_hold():
    x = np.array([-2**63, 5, 2**63 - 1], "int64")
    np.testing.assert_array_equal(ops.clip(x, -2**63, 2**63 - 1), x)
    traced = graphnet.function(lambda v: ops.saturate_cast(v, "int64"), input_signature=[graphnet.TensorSpec((None,), "int32")])
    bounds = [b for node in traced.get_concrete_function().primitive.nodes for b in (getattr(node.op, "low", 0), getattr(node.op, "high", 0))]
    assert all(type(b) is not int or abs(b) < 2**62 for b in bounds)
