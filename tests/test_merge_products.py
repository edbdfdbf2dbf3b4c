"""merge_products: what it computes, when it acts, that the results are views, and that a variable's change is seen."""
import numpy as np

import graphnet
from graphnet import ops
from graphnet.compiler import Executable
from graphnet.graph import Spec
from graphnet.ops.linalg import MatMul
from graphnet.passes import run_passes
from graphnet.passes.fuse import Epilogue
from graphnet.tracing import placeholder, trace_function


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def products(executable):
    """How many products are left in the optimized graph."""
    kinds = [node.op.producer if isinstance(node.op, Epilogue) else node.op for node in executable.optimized.nodes]
    return sum(isinstance(op, MatMul) for op in kinds)


def compiled(function, *shapes):
    graph, _ = trace_function(function, [placeholder(Spec(shape, "float32")) for shape in shapes])
    return Executable(graph)


def steps(executable, *arrays):
    return [step.kernel for step in executable.runner(tuple([x.shape for x in arrays])).steps()]


def test_self_attention_projects_at_once():
    layer, x = graphnet.layers.MultiHeadAttention(3, 4, bias_initializer="normal"), random(2, 9, 12)
    expected = layer(x, x)
    executable = compiled(lambda x: layer(x, x), x.shape)
    np.testing.assert_allclose(executable([x])[0], expected, 2e-5, 2e-6)
    assert products(executable) == 2
    assert steps(executable, x) == ["contract", "attend", "contract"]  # nothing is copied


def test_cross_attention_merges_keys_and_values():
    layer, x, y = graphnet.layers.MultiHeadAttention(3, 4, use_bias=False), random(2, 9, 12), random(2, 7, 10, seed=1)
    expected = layer(x, y)
    executable = compiled(lambda x, y: layer(x, y), x.shape, y.shape)
    np.testing.assert_allclose(executable([x, y])[0], expected, 2e-5, 2e-6)
    assert products(executable) == 3


def test_a_changed_variable_is_seen():
    layer, x = graphnet.layers.MultiHeadAttention(2, 4, bias_initializer="normal"), random(1, 5, 8)
    layer(x, x)
    executable = compiled(lambda x: layer(x, x), x.shape)
    executable([x])
    for weight in layer.weights:
        weight.assign(random(*weight.shape, seed=len(weight.path)))
        np.testing.assert_allclose(executable([x])[0], layer(x, x), 2e-5, 2e-6)


def test_it_leaves_what_an_epilogue_fuses_or_an_update_changes():
    a, b = (graphnet.Variable(random(6, 5, seed=i)) for i in range(2))
    x = random(4, 6, seed=3)

    def activated(x):
        return ops.concatenate([ops.relu(ops.matmul(x, w)) for w in (a, b)], 0)

    def trained(x):
        parts = [ops.reshape(ops.matmul(x, w), (2, 2, 5)) for w in (a, b)]
        a.assign(ops.multiply(a, 0.5))
        return ops.concatenate(parts, 0)

    def shown(x):
        return [ops.reshape(ops.matmul(x, a), (2, 10)), ops.matmul(x, b)]

    for function in (activated, trained, shown):
        assert products(compiled(function, x.shape)) == 2
    before = a.numpy().copy()
    executable = compiled(trained, x.shape)
    for factor in (1, 0.5):
        np.testing.assert_allclose(executable([x])[0][:2].reshape(4, 5), x @ (before * np.float32(factor)), 2e-5, 2e-6)


def test_uneven_columns_and_mixed_biases():
    weights = [graphnet.Variable(random(6, n, seed=n)) for n in (1, 4, 35, 8)]
    biases = [graphnet.Variable(random(n, seed=n)) for n in (1, 4)]
    x = random(4, 6)

    def function(x):
        parts = [ops.matmul(x, w) for w in weights]
        parts = [ops.add(parts[0], biases[0]), ops.add(biases[1], parts[1]), *parts[2:]]
        return [ops.transpose(part) for part in parts]
    executable = compiled(function, x.shape)
    assert products(executable) == 2  # those with a bias, those without
    for found, expected in zip(executable([x]), function(x), strict=True):
        np.testing.assert_allclose(found, expected, 2e-5, 2e-6)


def test_it_changes_nothing_where_one_product_stands_alone():
    w, v = graphnet.Variable(random(6, 5)), graphnet.Variable(random(6, 5, seed=1))
    graph, _ = trace_function(lambda x, y: [ops.transpose(ops.matmul(x, w)), ops.transpose(ops.matmul(y, v))],
                              [placeholder(Spec((4, 6), "float32")) for _ in range(2)])
    with graphnet.settings(disable=frozenset({"merge_products"})):
        apart = str(run_passes(graph))
    assert str(run_passes(graph)) == apart
