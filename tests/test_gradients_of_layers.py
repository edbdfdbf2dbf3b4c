"""Gradients of every layer by its inputs and all its weights at once: against central differences in float64, and compiled in
float32.

Of f(x, w) = <g, layer(x; w)> it is checked that <df, v> = (f(... + h v) - f(... - h v)) / 2h for a random direction v, f run by
the numpy interpreter; then that the plan's float32 gradients are the float64 ones within a few units in the last place.
"""
import inspect
import zlib

import numpy as np
import pytest
from layer_cases import CASES, WITHOUT, Ids, Input, Mask

from graphnet import layers, ops, tree, utils
from graphnet.autodiff import backward
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.graph import Graph, Spec
from graphnet.tracing import current, placeholder, trace_function

STEP = 1e-6
FLOAT32 = 1e-5  # of the largest gradient
OWN_NUMBERS = {"GaussianDropout"}  # whose random numbers in float32 are other ones than those in float64
TABLE = [pytest.param(name, i, id=f"{name}-{i}") for name, cases in sorted(CASES.items()) for i in range(len(cases))]


def is_leaf(x):
    return isinstance(x, (Ids, Mask, Input)) or (isinstance(x, tuple) and all(type(n) is int for n in x))


class Slot:
    """The place of an array."""

    def __init__(self, number):
        self.number = number


class Case:
    """A layer of some dtype with drawn weights and inputs; the weights are the same in any dtype."""

    def __init__(self, name, number, dtype):
        make, inputs, call = CASES[name][number]
        self.rng = np.random.default_rng([zlib.crc32(name.encode()), number])
        self.dtype, self.arrays = dtype, []
        utils.set_random_seed(5)
        self.layer = make(lambda kind, *args, **options: getattr(layers, kind)(*args, **options, dtype=dtype))
        self.inputs, self.call = self.drawn(inputs), {key: self.drawn(value) for key, value in call.items()}
        outputs = self.layer(self.filled(self.inputs, self.arrays), **self.filled(self.call, self.arrays))
        self.shapes = [y.shape for y in tree.flatten(outputs)]
        for variable in [*self.layer.variables, *tree.flatten(getattr(self.layer, "states", None) or [])]:
            if variable.dtype == dtype:
                values = 0.5 * self.rng.standard_normal(variable.shape)
                variable.assign((np.abs(values) + 0.1 if "variance" in variable.name else values).astype(dtype))

    def drawn(self, given):
        """The structure with a number of an array in place of each description."""
        if isinstance(given, list):
            return [self.drawn(one) for one in given]
        if not is_leaf(given):
            return given
        if isinstance(given, Ids):
            array = self.rng.integers(given.high, size=given.shape)
        elif isinstance(given, Mask):
            array = self.rng.random(given.shape) < 0.6
            array[..., 0] = True
        else:
            array = self.rng.standard_normal(given.shape if isinstance(given, Input) else given).astype(self.dtype)
        self.arrays.append(array)
        return Slot(len(self.arrays) - 1)

    def filled(self, structure, values):
        return tree.map_structure(lambda leaf: values[leaf.number] if isinstance(leaf, Slot) else leaf, structure)

    def graph(self):
        """The value f, followed by its gradients by float inputs and by weights."""
        directions = np.random.default_rng(7)
        batch, rows = Dim.unknown("batch"), self.arrays[0].shape[0]
        whole = getattr(self.layer, "stateful", False) or any(x.shape[0] != rows for x in self.arrays)
        specs = [Spec(x.shape if whole else (batch, *x.shape[1:]), x.dtype.name) for x in self.arrays]

        def f(*tensors):
            total = 0.0
            outputs = self.layer(self.filled(self.inputs, tensors), **self.filled(self.call, tensors))
            for y, shape in zip(tree.flatten(outputs), self.shapes, strict=True):
                total = ops.sum(y * directions.standard_normal(shape).astype(self.dtype)) + total
            for penalty in self.layer.losses:
                total = total + penalty
            return total

        def both(*tensors):
            by = [t for t in tensors if t.dtype == self.dtype] + [current().lift(v) for v in self.layer.trainable_weights]
            value = f(*tensors)
            found = backward([value], [ops.ones_like(value)], by)
            return [value, *[ops.zeros_like(x) if g is None else g for x, g in zip(by, found, strict=True)]]
        return trace_function(both, [placeholder(s) for s in specs])[0]


def test_every_layer_has_a_case():
    public = {getattr(layers, name) for name in layers.__all__ if inspect.isclass(getattr(layers, name))}
    wanted = {kind for kind in public if issubclass(kind, layers.Layer)}
    known = {getattr(layers, name) for name in [*CASES, *WITHOUT]}
    assert wanted == known, f"layers without a case in layer_cases.py: {sorted(kind.__name__ for kind in wanted - known)}"


@pytest.mark.parametrize("name, number", TABLE)
def test_gradients(name, number):
    case = Case(name, number, "float64")
    graph = case.graph().verify()
    gradients = evaluate(graph, case.arrays)[0][1:]
    weights = case.layer.trainable_weights
    places = [i for i, x in enumerate(case.arrays) if x.dtype == "float64"]
    rng = np.random.default_rng(3)
    vs = [rng.standard_normal(g.shape) for g in gradients]
    kept = [w.numpy().copy() for w in weights]
    value = Graph(graph.inputs, graph.outputs[:1], (), graph.name)

    def f(step):
        moved = list(case.arrays)
        for i, v in zip(places, vs, strict=False):
            moved[i] = moved[i] + step * v
        for w, old, v in zip(weights, kept, vs[len(places):], strict=True):
            w.assign(old + step * v)
        return float(evaluate(value, moved)[0][0])
    slope = (f(STEP) - f(-STEP)) / (2 * STEP)
    for w, old in zip(weights, kept, strict=True):
        w.assign(old)
    terms = [float(np.sum(g * v)) for g, v in zip(gradients, vs, strict=True)]
    assert all(g.dtype == "float64" for g in gradients)
    np.testing.assert_allclose(sum(terms), slope, rtol=1e-6, atol=1e-7 * max(1.0, sum(map(abs, terms))))
    single = Case(name, number, "float32")
    graph = single.graph()
    if name in OWN_NUMBERS:
        gradients = evaluate(graph, single.arrays)[0][1:]
    found = Executable(graph)(single.arrays)[1:]
    largest = max([float(np.abs(g).max(initial=0.0)) for g in gradients])
    for a, b in zip(found, gradients, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=FLOAT32 * largest)
