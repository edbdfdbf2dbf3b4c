"""Every op's `vjp`, over the registry and its samples, in float64: against a central difference along a random direction.

Of f(x) = y it is checked that <vjp(g), v> = <g, (f(x + h v) - f(x - h v)) / 2h>, on arrays and traced with an unknown batch
extent; and the same of vjp itself, as a function of x and g.
"""
import dataclasses
import zlib

import numpy as np
import pytest

from graphnet.autodiff import unbroadcast
from graphnet.backends.numpy.interpreter import bind_extents, evaluate
from graphnet.dims import Dim
from graphnet.dtypes import FLOATS
from graphnet.errors import UnsupportedError
from graphnet.graph import Constant, Leaf, Spec
from graphnet.op import OPS, Elementwise, Op
from graphnet.ops.special import _Special
from graphnet.tracing import placeholder, trace_function

WITHOUT = {  # ops of floats that have no gradient, and why
    "Nextafter": "it steps by one unit in the last place, which is no function of real numbers",
    "RandomGamma": "its numbers come from a loop that rejects some",
    "RandomBeta": "its numbers come from a loop that rejects some",
    "RandomBinomial": "its numbers are counts",
    "WhileLoop": "how many steps it takes is not known before it runs",
    "ThroughTime": "it is the gradient of the recurrent ops; a second one would be a third walk through time",
}
STOPS = {"StopGradient"}  # their gradient is not that of what they compute: so they are meant
ONCE = dict.fromkeys(("ConvLSTM", "GRU", "LSTM", "SimpleRNN"),  # ops whose vjp cannot be differentiated again, and why
                     "their gradient is one op, which has none of its own")

# shapes that leave no room for an unknown extent: of these decompositions the sides are compared
FIRST_EXTENT_KNOWN = ("Random", "Svd", "Qr")
STEP = 1e-6


def symmetric(x):
    return (x + np.swapaxes(x, -1, -2)) / 2


ON_SYMMETRIC = ("Cholesky", "Eigh")  # functions of symmetric matrices: their inputs stay such


def double(op, arrays):
    """The sample in float64, away from ties and kinks: whole numbers and zeros are moved by a little."""
    rng = np.random.default_rng(1)
    inputs = []
    for x in arrays:
        if x.dtype.name not in FLOATS:
            inputs.append(x)
            continue
        x = x.astype("float64")
        inputs.append(x + rng.uniform(0.01, 0.02, x.shape) * np.where(rng.random(x.shape) < 0.5, 1, -1))
    if type(op).__name__ in ON_SYMMETRIC:
        inputs = [symmetric(x) for x in inputs]
    if getattr(op, "dtype", None) in FLOATS:
        op = dataclasses.replace(op, dtype="float64")
    return op, inputs


def is_float(x):
    return str(x.dtype) in FLOATS


def listed(result):
    return result if isinstance(result, tuple) else (result,)


def raw_samples():
    """Samples through which a gradient can flow: floats in, floats out."""
    for name, op_class in sorted(OPS.items()):
        if op_class.__module__.startswith("graphnet.ops."):
            for i, (op, arrays) in enumerate(op_class.samples()):
                specs = listed(op.infer(*[Spec(x.shape, x.dtype.name) for x in arrays]))
                if any(map(is_float, arrays)) and any(map(is_float, specs)):
                    yield pytest.param(op, arrays, id=f"{name}-{i}")


RAW = list(raw_samples())
SAMPLES = [pytest.param(*double(*p.values), id=p.id) for p in RAW]
WITH = [p for p in SAMPLES if p.id.rpartition("-")[0] not in WITHOUT]
TWICE = [p for p in WITH if p.id.rpartition("-")[0] not in ONCE and all(x.size for x in p.values[1])]


def draw(op, likes, salt=0):
    """Random directions: a float64 array for each float, None for what is not."""
    rng = np.random.default_rng([zlib.crc32(str(op).encode()), salt])
    found = [rng.standard_normal(x.shape) if is_float(x) else None for x in likes]
    return [symmetric(v) for v in found] if type(op).__name__ in ON_SYMMETRIC and not salt else found


def inner(a, b):
    return sum(float(np.sum(np.asarray(x) * y)) for x, y in zip(a, b, strict=True) if y is not None and x is not None)


def along(function, xs, vs):
    """The central difference of a function of arrays along a direction: one array for each result."""
    ahead = function(*[x if v is None else x + STEP * v for x, v in zip(xs, vs, strict=True)])
    behind = function(*[x if v is None else x - STEP * v for x, v in zip(xs, vs, strict=True)])
    return [np.subtract(a, b, out=np.zeros_like(a), where=a != b) / (2 * STEP) if is_float(a) else None  # infinities cancel
            for a, b in zip(listed(ahead), listed(behind), strict=True)]


def check_cotangents(cotangents, xs):
    assert len(cotangents) == len(xs), "as many cotangents as inputs"
    for c, x in zip(cotangents, xs, strict=True):
        assert c is None or is_float(x), "a cotangent of whole numbers"
        assert c is None or str(c.dtype) == "float64", f"a cotangent of {c.dtype}: float64 was lost on the way"
    return [None if c is None else unbroadcast(np.asarray(c), x) for c, x in zip(cotangents, xs, strict=True)]


def agree(found, expected, scale):
    assert np.isfinite(found), found
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-7 * max(1.0, scale))


@pytest.mark.parametrize("op, xs", [p for p in RAW if p.id.rpartition("-")[0] not in WITHOUT])
def test_vjp_keeps_float32(op, xs):
    y = op.reference(*xs)
    used, *_ = cotangent_choices(op, xs, listed(y))
    g = tuple([v if i in used else None for i, v in enumerate(listed(y))])
    for c, x in zip(op.vjp(g if isinstance(y, tuple) else g[0], y, *xs), xs, strict=True):
        assert c is None or c.dtype == x.dtype


def undetermined(op, xs):
    """Results of decompositions with vectors that the matrix does not determine."""
    rows, columns = xs[0].shape[-2:] if xs[0].ndim > 1 else (0, 0)
    if type(op).__name__ == "Svd" and op.full_matrices and rows != columns:
        return {0} if rows > columns else {2}
    return {0} if type(op).__name__ == "Qr" and op.mode == "complete" and rows > columns else set()


def cotangent_choices(op, xs, outputs):
    """Which outputs are used: all, and of several each alone."""
    floats = [i for i, y in enumerate(outputs) if is_float(y) and i not in undetermined(op, xs)]
    return [floats] if len(floats) < 2 else [floats, *[[i] for i in floats]]


@pytest.mark.parametrize("op, xs", [p for p in WITH if undetermined(*p.values)])
def test_what_is_not_determined_has_no_gradient(op, xs):
    y = op.reference(*xs)
    with pytest.raises(UnsupportedError, match="Use (full_matrices=False|mode='reduced')"):
        op.vjp(tuple([v if i in undetermined(op, xs) else None for i, v in enumerate(y)]), y, *xs)


@pytest.mark.parametrize("op, xs", SAMPLES)
def test_op_has_a_gradient_or_a_reason(op, xs):
    name = type(op).__name__
    if name in WITHOUT:
        with pytest.raises(UnsupportedError, match=r"stop_gradient"):
            op.vjp(None, None, *xs)
    else:
        assert type(op).vjp is not Op.vjp, f"{name} has no vjp: write one, or say in WITHOUT why there is none"


@pytest.mark.parametrize("op, xs", [p for p in WITH if p.id.rpartition("-")[0] not in STOPS])
def test_vjp_is_the_central_difference(op, xs):
    before = [x.copy() for x in xs]
    y = op.reference(*xs)
    vs = draw(op, xs)
    slopes = along(op.reference, xs, vs)
    gs = draw(op, listed(y), 1)
    for used in cotangent_choices(op, xs, listed(y)):
        g = tuple([v if i in used else None for i, v in enumerate(gs)])
        cotangents = check_cotangents(op.vjp(g if isinstance(y, tuple) else g[0], y, *xs), xs)
        scale = sum(float(np.sum(np.abs(a * b))) for a, b in zip(g, slopes, strict=True) if a is not None)
        agree(inner(vs, cotangents), inner(slopes, g), scale)
    for x, old in zip(xs, before, strict=True):
        np.testing.assert_array_equal(x, old)


def unknown_batch(op, xs):
    """Specs of the inputs in which the first axis of the first is unknown, and those of others that must be equal to it."""
    if not xs[0].ndim or type(op).__name__.startswith(FIRST_EXTENT_KNOWN):
        return [Spec(x.shape, x.dtype.name) for x in xs]
    n, extent, place = Dim.unknown("batch"), xs[0].shape[0], xs[0].ndim
    together = isinstance(op, Elementwise | _Special)
    return [Spec(tuple([n if i == 0 and s == extent and (at == 0 or (together and x.ndim == place)) else s
                        for i, s in enumerate(x.shape)]), x.dtype.name) for at, x in enumerate(xs)]


def traced_vjp(op, xs, used):
    """The graph of vjp as a function of (*xs, *gs), gs the cotangents of the outputs in `used`; and which inputs have one."""
    specs = unknown_batch(op, xs)
    outputs = op.infer(*specs)
    several = isinstance(outputs, tuple)
    found = []

    def function(*tensors):
        inputs, gs = tensors[:len(xs)], dict(zip(used, tensors[len(xs):], strict=True))
        y = op(*inputs)
        g = tuple([gs.get(i) for i in range(len(outputs))]) if several else gs[0]
        cotangents = op.vjp(g, y, *inputs)
        found.extend(c is not None for c in cotangents)
        return [unbroadcast(c, x) for c, x in zip(cotangents, inputs, strict=True) if c is not None]
    graph, _ = trace_function(function, [placeholder(s) for s in (*specs, *[listed(outputs)[i] for i in used])])
    return graph.verify(), found


@pytest.mark.parametrize("op, xs", WITH)
def test_vjp_traces_with_an_unknown_batch(op, xs):
    y = op.reference(*xs)
    gs = draw(op, listed(y), 1)
    for used in cotangent_choices(op, xs, listed(y)):
        graph, found = traced_vjp(op, xs, used)
        results, _ = evaluate(graph, [*xs, *[gs[i] for i in used]])
        g = tuple([v if i in used else None for i, v in enumerate(gs)])
        expected = op.vjp(g if isinstance(y, tuple) else g[0], y, *xs)
        assert [c is not None for c in expected] == found
        pairs = [(c, x) for c, x in zip(expected, xs, strict=True) if c is not None]
        for result, (e, x) in zip(results, pairs, strict=True):
            assert result.shape == x.shape
            np.testing.assert_allclose(result, unbroadcast(np.asarray(e), x), rtol=1e-12, atol=1e-12)


def pulled_back(graph, arrays, seeds):
    """Cotangents of the graph's inputs for those of its outputs, in numpy: one walk forward, one back."""
    extents = bind_extents(graph, [x.shape for x in arrays])
    values = {t.key: x for t, x in zip(graph.inputs, arrays, strict=True)}
    active = {t.key for t in graph.inputs if is_float(t)}
    for node in graph.nodes:
        if not isinstance(node.op, Leaf):
            out = listed(node.op.bind(extents).reference(*[values[t.key] for t in node.inputs]))
            depends = any(t.key in active for t in node.inputs)
            active |= {(node, i) for i, y in enumerate(out) if depends and is_float(y)}
        else:
            out = (node.op.value if isinstance(node.op, Constant) else node.op.compute(),)
        values.update({(node, i): y for i, y in enumerate(out)})
    cotangents = {}

    def put(key, g):
        if g is not None and key in active:
            g = unbroadcast(np.asarray(g), values[key])
            cotangents[key] = g if key not in cotangents else cotangents[key] + g
    for t, seed in zip(graph.outputs, seeds, strict=True):
        put(t.key, seed)
    for node in reversed(graph.nodes):
        gs = tuple([cotangents.get((node, i)) for i in range(len(node.specs))])
        if isinstance(node.op, Leaf) or all(g is None for g in gs):
            continue
        ys = tuple([values[node, i] for i in range(len(node.specs))])
        several = len(gs) > 1
        for t, g in zip(node.inputs, node.op.bind(extents).vjp(gs if several else gs[0], ys if several else ys[0],
                                                              *[values[t.key] for t in node.inputs]), strict=True):
            put(t.key, g)
    return [cotangents.get(t.key) for t in graph.inputs]


@pytest.mark.parametrize("op, xs", [p for p in TWICE if not undetermined(*p.values)])
def test_vjp_of_vjp(op, xs):
    y = listed(op.reference(*xs))
    gs = draw(op, y, 1)
    for used in cotangent_choices(op, xs, y):
        graph, _ = traced_vjp(op, xs, used)
        if not graph.outputs:
            continue
        inputs = [*xs, *[gs[i] for i in used]]
        vs = [*draw(op, xs), *[draw(op, y, 2)[i] for i in used]]

        def run(*arrays, graph=graph):
            return tuple(evaluate(graph, arrays)[0])
        seeds = draw(op, run(*inputs), 3)
        slopes = along(run, inputs, vs)
        scale = sum(float(np.sum(np.abs(a * b))) for a, b in zip(seeds, slopes, strict=True))
        agree(inner(vs, pulled_back(graph, inputs, seeds)), inner(slopes, seeds), scale)
