"""What the tests of optimizers share: three variables, their gradients, and steps taken eagerly or by a compiled graph."""
import numpy as np

from graphnet import Variable
from graphnet.compiler import Executable
from graphnet.graph import Spec
from graphnet.tracing import placeholder, trace_function

SHAPES = {"dense/kernel": (4, 6), "dense/bias": (6,), "conv/kernel": (3, 2, 5)}
STEPS = 5


def values(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype("float32") for s in SHAPES.values()]


def variables(seed=0):
    return [Variable(x, name=p.rsplit("/", 1)[-1], path=p) for p, x in zip(SHAPES, values(seed), strict=True)]


def run(optimizer, count=STEPS, seed=0):
    """The variables after some steps."""
    made = variables(seed)
    for i in range(count):
        optimizer.apply(values(i + 1), made)
    return made


def same(found, expected, rtol=2e-5, atol=2e-6):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


def graph_of(optimizer, made):
    """A step of the optimizer as a graph of the gradients."""
    def step(*grads):
        optimizer.apply(list(grads))
        return ()

    optimizer.build(made)
    return trace_function(step, [placeholder(Spec(s)) for s in SHAPES.values()])[0]


def traced(optimizer, seed=0):
    """The variables after as many steps of the compiled graph."""
    made = variables(seed)
    executable = Executable(graph_of(optimizer, made).verify())
    for i in range(STEPS):
        executable(values(i + 1))
    return made
