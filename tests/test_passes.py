"""Passes keep the meaning of random graphs, leave what they are given as it is, and do what their names say."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import graphnet
from graphnet import layers, ops
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.graph import Constant, Leaf, Spec, Variable
from graphnet.op import Contraction
from graphnet.ops import convolution as c
from graphnet.ops import elementwise as e
from graphnet.ops.contraction import MatMul
from graphnet.ops.reduction import Mean
from graphnet.ops.scaling import Normalize
from graphnet.ops.shape import BroadcastTo, Concatenate, Reshape, Slice, Transpose
from graphnet.passes import PASSES, cse, fold, fold_normalization, fuse, run_passes, simplify
from graphnet.passes.fuse import LONGEST, Epilogue, Tape
from graphnet.settings import settings
from graphnet.tracing import current, placeholder, trace_function

EXACT = (fold, cse, fuse)  # these compute the same numbers in the same order
UNARY = (e.Tanh(), e.Sin(), e.Negative(), e.Absolute(), e.Sigmoid(), e.Clip(-1.0, 2.0), e.Clip(0.0, np.inf))


def traced(function, *specs):
    return trace_function(function, [placeholder(Spec(*spec), f"x{i}") for i, spec in enumerate(specs)])[0]


def computed(graph):
    """The ops of a graph, leaves left out."""
    return [node.op.name for node in graph.nodes if not isinstance(node.op, Leaf)]


def contractions(graph):
    return sum(isinstance(getattr(node.op, "producer", node.op), Contraction) for node in graph.nodes)


# ---- random graphs of rows (n, length, channels)

class Pen:
    """Draws one graph, instruction by instruction."""

    def __init__(self, draw, dtype):
        self.draw, self.dtype = draw, dtype
        self.rng = np.random.default_rng(draw(st.integers(0, 99)))

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def fixed(self, *shape):
        """A constant, a variable, or what is computed of both; of few values, so that some are equal."""
        value = self.rng.integers(1, 4, shape).astype(self.dtype) / 4
        kind = self.pick("constant", "variable", "combined")
        if kind == "constant":
            return current().lift(value)
        leaf = current().lift(Variable(value, dtype=self.dtype))
        return leaf if kind == "variable" else e.Add()(e.Multiply()(leaf, self.number(0.5)), self.number(0.25))

    def number(self, value):
        return current().lift(np.array(value, self.dtype))

    def contraction(self, x):
        channels, size, out = x.shape[-1], self.pick(1, 3), self.pick(1, 2, 4)
        kind = self.pick("conv", "depthwise", "transpose", "matmul")
        if kind == "conv":
            return c.Conv((self.pick(1, 2),), "same", (1,))(x, self.fixed(size, channels, out))
        if kind == "depthwise":
            return c.DepthwiseConv((1,), "same", (1,))(x, self.fixed(size, channels, self.pick(1, 2)))
        if kind == "transpose":
            return c.ConvTranspose((self.pick(1, 2),), "same", None, (1,))(x, self.fixed(size, out, channels))
        return MatMul()(x, self.fixed(channels, out))

    def view(self, x):
        n, length, channels = x.spec.shape
        kind = self.pick("reshape", "transpose", "slice", "broadcast", "cast", "concatenate")
        if kind == "reshape":
            return Reshape((n, length, channels))(Reshape((n, channels, length))(x)) if self.pick(True, False) else Reshape((n, channels, length))(x)
        if kind == "transpose":
            return Transpose((0, 2, 1))(x)
        if kind == "slice":
            return Slice((None,) * 3, (None,) * 3, (1,) * 3)(x)
        if kind == "broadcast":
            return BroadcastTo(x.spec.shape)(x)
        return e.Cast(self.dtype)(x) if kind == "cast" else Concatenate(1)(*[x] * self.pick(1, 2))

    def instruction(self, alive):
        x = self.pick(*alive, alive[-1], alive[-1])
        kind = self.pick("unary", "number", "channel", "channel", "two", "view", "contraction", "contraction", "power")
        if kind == "unary":
            return self.pick(*UNARY)(x)
        if kind == "power":
            return e.Power()(e.Tanh()(x), self.number(self.pick(1.0, 2.0, 3.0)))
        if kind in ("number", "channel"):
            other = self.number(self.pick(1.0, 0.0, -0.5)) if kind == "number" else self.fixed(*self.pick((), (1, 1)), self.pick(1, x.shape[-1]))
            op = self.pick(e.Add(), e.Multiply(), e.Multiply(), e.Subtract(), e.Maximum(), e.Minimum())
            return op(x, other) if self.pick(True, True, False) else op(other, x)
        if kind == "two":
            return self.pick(e.Add(), e.Multiply(), e.Maximum())(x, self.pick(*[t for t in alive if t.spec == x.spec]))
        return self.view(x) if kind == "view" else self.contraction(x)

    def outputs(self, x):
        alive = [x]
        for _ in range(self.draw(st.integers(1, 9))):
            alive.append(self.instruction(alive))
        if self.pick(True, False, False):
            statistic = Variable(np.ones(alive[-1].shape[-1]), dtype=self.dtype, name="statistic")
            current().updates[statistic] = e.Add()(current().lift(statistic), Mean((0, 1))(alive[-1]))
        return [alive[-1], self.pick(*alive)]


@st.composite
def graphs(draw, dtype):
    batch = Dim.unknown("batch") if draw(st.booleans()) else 2
    graph = traced(Pen(draw, dtype).outputs, ((batch, 4, 3), dtype))
    return graph, np.random.default_rng(draw(st.integers(0, 99))).normal(size=(2, 4, 3)).astype(dtype)


def values(graph, x):
    outputs, updates = evaluate(graph, [x])
    return [*outputs, *updates.values()]


def compare(step, graph, x, exact):
    written, nodes, given = str(graph), graph.nodes, x.copy()
    weights = [(v, v.value.copy()) for v in graph.variables]
    want = values(graph, x)
    after = step(graph).verify()
    for got, y in zip(values(after, x), want, strict=True):
        assert (got.shape, got.dtype) == (y.shape, y.dtype)
        if exact:
            np.testing.assert_array_equal(got, y)
        else:
            assert np.abs(got - y).max(initial=0) <= 1e-9 * max(1, np.abs(y).max(initial=0))
    assert (str(graph), graph.nodes) == (written, nodes)
    np.testing.assert_array_equal(x, given)
    for variable, value in weights:
        np.testing.assert_array_equal(variable.value, value)
    assert [t.spec for t in after.roots] == [t.spec for t in graph.roots]
    assert after.inputs == graph.inputs and list(after.updates) == list(graph.updates)
    return after


@pytest.mark.parametrize("step", EXACT, ids=lambda step: step.__name__)
@hypothesis_settings(max_examples=150)
@given(st.data())
def test_random_graphs_keep_their_numbers(step, data):
    graph, x = data.draw(graphs("float32"))
    once = compare(step, graph, x, exact=True)
    assert str(step(once)) == str(once), "a second time finds more to do"


@pytest.mark.parametrize("step", [simplify, fold_normalization], ids=lambda step: step.__name__)
@hypothesis_settings(max_examples=200)
@given(st.data())
def test_random_graphs_keep_their_meaning(step, data):
    graph, x = data.draw(graphs("float64"))
    once = compare(step, graph, x, exact=False)
    assert contractions(once) <= contractions(graph), "a contraction is computed twice"
    assert str(step(once)) == str(once), "a second time finds more to do"


@hypothesis_settings(max_examples=80)
@given(graphs("float64"))
def test_random_graphs_keep_their_meaning_through_all_passes(case):
    graph, x = case
    after = compare(run_passes, graph, x, exact=False)
    assert contractions(after) <= contractions(graph)
    assert len(computed(after)) <= len(computed(graph))
    everything = [t for n in after.nodes for t in n.inputs]
    assert not any(isinstance(t.node.op, Constant) and t.node.inputs for t in everything)


# ---- simplify

ROWS = ((3, 4), "float32")


@pytest.mark.parametrize("function, left", [
    (lambda x: x + 0.0, []),
    (lambda x: 0.0 + x, []),
    (lambda x: x - 0.0, []),
    (lambda x: 0.0 - x, ["subtract"]),
    (lambda x: x * 1.0, []),
    (lambda x: 1.0 * x, []),
    (lambda x: x / 1.0, []),
    (lambda x: 1.0 / x, ["divide"]),
    (lambda x: x ** 2.0, ["square"]),
    (lambda x: x ** 1.0, []),
    (lambda x: x ** 3.0, ["power"]),
    (lambda x: x + np.zeros((2, 3, 4), "float32"), ["add"]),
    (lambda x: x + np.zeros((2, 1, 1), "float32"), ["add"]),
    (lambda x: ops.maximum(x, 0.0), ["clip"]),
    (lambda x: ops.minimum(6.0, x), ["clip"]),
    (lambda x: ops.maximum(x, np.float32("nan")), ["maximum"]),
    (lambda x: ops.cast(x, "float32"), []),
    (lambda x: ops.cast(x, "int32"), ["cast"]),
    (lambda x: ops.reshape(x, (3, 4)), []),
    (lambda x: ops.reshape(ops.reshape(x, (12,)), (4, 3)), ["reshape"]),
    (lambda x: ops.reshape(ops.reshape(x, (12,)), (3, 4)), []),
    (lambda x: ops.transpose(ops.transpose(x)), []),
    (lambda x: ops.transpose(x, (0, 1)), []),
    (lambda x: x[:, :], []),
    (lambda x: x[:, 1:], ["slice"]),
    (lambda x: ops.broadcast_to(x, (3, 4)), []),
    (lambda x: ops.broadcast_to(x, (2, 3, 4)), ["broadcast_to"]),
    (lambda x: ops.concatenate([x]), []),
    (lambda x: ops.stop_gradient(x), []),
    (lambda x: ops.stop_gradient(x) * 2.0, ["multiply"]),
])
def test_simplify(function, left):
    graph = traced(function, ROWS)
    after = simplify(graph).verify()
    assert computed(after) == left
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    for got, want in zip(values(after, x), values(graph, x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_simplify_leaves_whole_numbers_whole():
    graph = traced(lambda x: [x * 1, ops.maximum(x, 2), x ** 2, x / 1], ((3,), "int32"))
    after = simplify(graph).verify()
    assert [t.dtype for t in after.outputs] == ["int32", "int32", "int32", "float32"]
    assert computed(after) == ["maximum", "square", "divide"]


# ---- fold

def test_fold_makes_constants_of_constants_and_leaves_of_variables():
    v = Variable(np.full(4, 3.0, "float32"), name="v")
    graph = fold(traced(lambda x: x * ops.sqrt(np.full(4, 16.0, "float32")) + ops.square(v) * 2.0, ROWS)).verify()
    assert computed(graph) == ["multiply", "add"]
    assert graph.variables == []
    x = np.ones((3, 4), "float32")
    np.testing.assert_array_equal(values(graph, x)[0], np.full((3, 4), 22.0))
    v.assign(np.full(4, 1.0))
    np.testing.assert_array_equal(values(graph, x)[0], np.full((3, 4), 6.0))


def test_fold_leaves_alone_what_the_graph_itself_changes():
    v = Variable(np.ones(4, "float32"), name="v")

    def function(x):
        y = x * ops.square(v)
        current().updates[v] = v * 0.5
        return y
    assert computed(fold(traced(function, ROWS))) == ["square", "multiply", "multiply"]


def test_fold_leaves_large_results_to_the_call():
    v = Variable(np.ones(1, "float32"))
    graph = traced(lambda x: x + ops.sum(ops.broadcast_to(v, (3000, 3000))), ROWS)
    assert computed(fold(graph)) == ["broadcast_to", "sum", "add"]


def test_fold_of_infinite_constants_does_not_warn():
    graph = fold(traced(lambda x: x + ops.mean(ops.log(np.zeros(4, "float32")) / np.zeros(4, "float32")), ROWS))
    assert computed(graph) == ["add"]
    assert np.isneginf(values(graph, np.ones((3, 4), "float32"))[0]).all()


# ---- cse

def test_cse_computes_once():
    v = Variable(np.ones(4, "float32"))
    graph = cse(traced(lambda x: [ops.tanh(x * v) + np.ones(4, "float32"), ops.tanh(x * v) - np.ones(4, "float32")], ROWS)).verify()
    assert computed(graph) == ["multiply", "tanh", "add", "subtract"]
    assert sum(isinstance(n.op, Constant) for n in graph.nodes) == 1


def test_cse_tells_attributes_dtypes_and_order_apart():
    graph = traced(lambda x: [ops.clip(x, 0, 1), ops.clip(x, 0, 2), x - 1.0, 1.0 - x, x + np.zeros(4, "float32"), x + np.zeros(4, "float64")], ROWS)
    assert len(computed(cse(graph))) == len(computed(graph))


# ---- fuse

def fused(function, *specs):
    return fuse(simplify(traced(function, *specs))).verify()


def only(graph, kind):
    found = [n for n in graph.nodes if isinstance(n.op, kind)]
    assert len(found) == 1
    return found[0]


def test_scale_and_shift_join_the_normalization():
    gamma, beta = (Variable(np.full(4, v), dtype="float32") for v in (2.0, 3.0))
    graph = fold_normalization(simplify(traced(lambda x: ops.layer_normalization(x, gamma, beta), ROWS))).verify()
    assert len(only(graph, Normalize).inputs) == 3 and not {"add", "multiply"} & set(computed(graph))
    x = np.arange(12, dtype="float32").reshape(3, 4) ** 2
    np.testing.assert_allclose(evaluate(graph, [x])[0][0], 2 * np.asarray(ops.layer_normalization(x)) + 3, rtol=1e-6)

    def read_twice(x):
        y = ops.layer_normalization(x, gamma)
        return [y + beta, y]
    graph = fold_normalization(simplify(traced(read_twice, ROWS)))
    assert len(only(graph, Normalize).inputs) == 1


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu", "softplus", "hard_swish"])
def test_activations_become_epilogues(activation):
    w, b = Variable(np.ones((4, 5)), dtype="float32"), Variable(np.ones(5), dtype="float32")
    graph = fused(lambda x: getattr(graphnet.activations, activation)(ops.matmul(x, w) + b), ROWS)
    assert isinstance(only(graph, Epilogue).op.producer, MatMul)
    assert len(computed(graph)) == 1


def test_residual_and_activation_are_one_epilogue():
    w = Variable(np.ones((4, 4)), dtype="float32")
    graph = fused(lambda x: ops.relu(ops.matmul(x, w) + x), ROWS)
    node = only(graph, Epilogue)
    assert [op.name for op, _ in node.op.program] == ["add", "clip"]
    assert len(node.inputs) == 3


def test_of_two_products_that_meet_each_keeps_its_own_bias():
    w, b = Variable(np.ones((4, 4)), dtype="float32"), Variable(np.ones(4), dtype="float32")
    graph = fused(lambda x: ops.relu((ops.matmul(x, w) + b) + (ops.matmul(ops.sin(x), w) + b)), ROWS)
    programs = [[op.name for op, _ in n.op.program] for n in graph.nodes if isinstance(n.op, Epilogue)]
    assert programs == [["add"], ["add", "add", "clip"]]


def test_of_two_products_each_is_computed_once():
    w = Variable(np.ones((4, 4)), dtype="float32")
    graph = fused(lambda x: ops.tanh(ops.matmul(x, w) + ops.matmul(ops.sin(x), w)), ROWS)
    assert contractions(graph) == 2
    assert len(computed(graph)) == 3


def test_a_product_read_twice_outside_is_computed_once():
    w = Variable(np.ones((4, 4)), dtype="float32")

    def function(x):
        y = ops.matmul(x, w)
        return [ops.tanh(y), ops.sum(ops.sin(y), -1)]
    graph = fused(function, ROWS)
    assert contractions(graph) == 1 and not any(isinstance(n.op, Epilogue) for n in graph.nodes)


def test_an_output_or_update_within_a_chain_is_kept():
    v = Variable(np.ones((3, 4)), dtype="float32")

    def function(x):
        y = ops.tanh(x * 2.0)
        z = ops.exp(y + 1.0)
        current().updates[v] = z
        return [ops.sin(z) * 3.0, y]
    graph = fused(function, ROWS)
    assert [[op.name for op, _ in n.op.program] for n in graph.nodes if isinstance(n.op, Tape)] == [["multiply", "tanh"], ["add", "exp", "sin", "multiply"]]
    assert [n.op.further for n in graph.nodes if isinstance(n.op, Tape)] == [(), (1,)]
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    z = np.exp(np.tanh(x * np.float32(2)) + np.float32(1))
    for got, want in zip(values(graph, x), [np.sin(z) * 3, np.tanh(x * 2), z], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_tape_has_a_bounded_length():
    def function(x):
        for _ in range(LONGEST + 5):
            x = ops.sin(x)
        return x
    graph = fused(function, ROWS)
    assert sorted(len(n.op.program) for n in graph.nodes if isinstance(n.op, Tape)) == [5, LONGEST]


def test_other_dtypes_and_shapes_stay_out_of_tapes():
    graph = fused(lambda x: [ops.tanh(ops.cast(ops.sign(x), "int32") * 2 + 1), ops.sin(ops.tanh(x[:, :1])) + x], ROWS)
    assert [str(n.op) for n in graph.nodes if isinstance(n.op, Tape)] == ["tape(tanh, sin)"]


# ---- whole models

def batches(channels=3):
    return np.random.default_rng(0).normal(size=(4, 6, 6, channels)).astype("float32")


def convolutional():
    x = graphnet.Input((6, 6, 3))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(5, 3, use_bias=False)(x)))
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y))
    y = layers.Activation("silu")(layers.BatchNormalization()(layers.Conv2DTranspose(4, 2, 2)(y)))
    return graphnet.Model(x, layers.BatchNormalization()(layers.Dense(3)(layers.Flatten()(y))))


def test_a_model_of_normalized_layers_is_one_step_for_each():
    model = convolutional()
    optimized = model.executable()[0].optimized.verify()
    assert computed(optimized) == ["epilogue", "epilogue", "epilogue", "reshape", "epilogue"]


def test_assigned_weights_are_seen_through_folded_leaves():
    model, x = convolutional(), batches()
    rng = np.random.default_rng(1)
    for _ in range(3):
        for v in model.weights:
            v.assign(rng.uniform(0.5, 1.5, v.shape) if "variance" in v.name else rng.normal(size=v.shape))
        want, = evaluate(model.executable()[0].graph, [x.astype("float64")])[0]
        np.testing.assert_allclose(model(x), want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_training_graphs_keep_their_updates():
    model, x = convolutional(), batches()
    executable, _ = model.executable(training=True)
    moving = [v for v in model.weights if "moving" in v.name]
    assert set(executable.optimized.verify().updates) == set(moving) == set(executable.graph.updates)
    before = [v.numpy().copy() for v in moving]
    expected = evaluate(executable.graph, [x])[1]
    model(x, training=True)
    for v, old in zip(moving, before, strict=True):
        assert np.abs(v.numpy() - old).max() > 0
        np.testing.assert_allclose(v.numpy(), expected[v], rtol=1e-4, atol=1e-6)
    model(x)
    assert list(model.executable()[0].optimized.updates) == []


# ---- the run of all passes

def test_disabled_passes_are_left_out():
    graph = traced(lambda x: ops.tanh(x) + ops.tanh(x), ROWS)
    assert computed(run_passes(graph)) == ["tape"]
    with settings(disable=frozenset({"fuse"})):
        assert computed(run_passes(graph)) == ["tanh", "add"]
    with settings(disable=frozenset({"fuse", "cse"})):
        assert computed(run_passes(graph)) == ["tanh", "tanh", "add"]
    assert computed(run_passes(graph, stop_before="cse")) == ["tanh", "tanh", "add"]


@pytest.mark.parametrize("disabled", ["", "simplify"])
def test_a_stopped_gradient_is_its_operand(disabled):
    """Where it is not simplified away it is a view, and of an input that is an output a copy."""
    graph = traced(lambda x: [ops.stop_gradient(x) * 2.0, ops.stop_gradient(ops.exp(x)), ops.stop_gradient(x)], ROWS)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    with settings(disable=frozenset(filter(None, [disabled]))):
        found = Executable(graph)([x])
    for got, want in zip(found, [2 * x, np.exp(x), x], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
        assert not np.shares_memory(got, x)


def test_graphs_are_dumped_and_shown_after_each_pass(tmp_path, capsys):
    graph = traced(lambda x: ops.tanh(x) + 1.0, ROWS)
    with settings(dump=tmp_path / "graphs", debug=3):
        run_passes(graph)
    written = sorted(path.name for path in (tmp_path / "graphs").iterdir())
    assert written == sorted(f"graph_{i}_{name}.txt" for i, name in enumerate(["inline", *(step.__name__ for step in PASSES)]))
    assert capsys.readouterr().err.count("# after ") == len(written)
