"""Control flow in graphs: what Python's own loops and branches give, also through plans, with gradients, states and random
extents.
"""
import numpy as np
import pytest

from graphnet import Input, Model, Variable, layers, ops, tree
from graphnet.autodiff import backward, gradients
from graphnet.backends.cpu.kernels.loops import PlannedBody, planned
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.ops.control import UNROLLED
from graphnet.ops.loops import Branch, Scan, WhileLoop, body_of
from graphnet.passes import run_passes
from graphnet.tracing import placeholder, trace_function

rng = np.random.default_rng(0)
LONG = UNROLLED + 4


def spec_of(x):
    return Spec(x.shape, x.dtype.name)


def graph_of(function, *arrays, training=False):
    return trace_function(function, [placeholder(spec_of(x)) for x in arrays], training)[0].verify()


def has(graph, kind):
    return any(isinstance(node.op, kind) for node in graph.nodes)


def check(function, *arrays, kind):
    """The graph has an op of that kind, and gives what the function gives on arrays: by the interpreter and by a plan."""
    graph = graph_of(function, *arrays)
    assert has(graph, kind)
    wanted = [ops.convert_to_tensor(leaf) for leaf in tree.flatten(function(*arrays)) if leaf is not None]
    for found in (evaluate(graph, arrays)[0], Executable(graph)(arrays)):
        for a, b in zip(found, wanted, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def check_gradient(function, *arrays, training=False):
    """The gradient of a scalar function against a central difference along a random direction, in float64."""
    arrays = [x.astype("float64") for x in arrays]
    graph = graph_of(function, *arrays, training=training)
    found, _ = evaluate(gradients(graph, graph.outputs[0], graph.inputs).verify(), arrays)
    along = [rng.standard_normal(x.shape) for x in arrays]
    h = 1e-6
    ahead, behind = (float(function(*[x + s * h * v for x, v in zip(arrays, along, strict=True)])) for s in (1, -1))
    slope = sum(np.sum(g * v) for g, v in zip(found[1:], along, strict=True))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-8)


x = rng.standard_normal((3, 4)).astype("float32")
w = (0.5 * rng.standard_normal((4, 4))).astype("float32")
xs = rng.standard_normal((LONG, 3, 4)).astype("float32")


# ---- branches

@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign):
    def function(a, b):
        return ops.cond(ops.sum(a) > 0, lambda: {"u": a @ b, "v": (a, 1.0)}, lambda: {"u": a * 2, "v": (a + 1, 0.0)})
    check(function, sign * np.abs(x), w, kind=Branch)
    check_gradient(lambda a, b: ops.sum(ops.cond(ops.sum(a) > 0, lambda: ops.tanh(a @ b), lambda: a * a)), sign * np.abs(x), w)


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 8])
def test_switch(index):
    def function(i, a):
        return ops.switch(i, [lambda v: v, lambda v: v * v, lambda v: ops.exp(v)], a)
    check(function, np.array(index, "int32"), x, kind=Branch)


def test_cond_of_a_variable_and_of_a_known_value():
    flag = Variable(True, dtype="bool")
    graph = graph_of(lambda a: ops.cond(flag, lambda: a, lambda: -a), x)
    run = Executable(graph)
    np.testing.assert_array_equal(run([x])[0], x)
    flag.assign(False)
    np.testing.assert_array_equal(run([x])[0], -x)
    assert not has(graph_of(lambda a: ops.cond(True, lambda: a, lambda: -a), x), Branch)


def test_branches_assign_variables():
    count, total = Variable(0), Variable(0.0)

    def function(a):
        def yes():
            count.assign_add(1)
            total.assign(ops.sum(a))

        def no():
            total.assign(total - 1.0)
        ops.cond(ops.sum(a) > 0, yes, no)
        return total * 2.0
    run = Executable(graph_of(function, x))
    np.testing.assert_allclose(run([np.abs(x)])[0], 2 * np.abs(x).sum(), rtol=1e-6)
    np.testing.assert_allclose(run([-np.abs(x)])[0], 2 * (np.abs(x).sum() - 1), rtol=1e-6)
    assert int(count) == 1


def test_branches_within_branches_and_loops():
    def function(a):
        def step(value, row):
            grown = ops.cond(ops.sum(row) > 0, lambda: ops.cond(ops.sum(a) > 1e9, lambda: value, lambda: value
                                                                + row), lambda: value * 0.5)
            return grown, ops.sum(grown)
        return ops.scan(step, ops.zeros_like(a[0]), a)
    check(function, xs, kind=Scan)
    check_gradient(lambda a: ops.sum(function(a)[0]) + ops.sum(function(a)[1]), xs)


# ---- loops

def cell(state, row, kernel):
    new = ops.tanh(state @ kernel + row)
    return new, new * row


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse):
    def function(a, b, c):
        return ops.scan(lambda state, row: cell(state, row, b), c, a, reverse=reverse)
    check(function, xs, w, x, kind=Scan)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradient_of_scan(reverse, training):
    def loss(a, b, c):
        last, ys = ops.scan(lambda state, row: cell(state, row, b), c, a, reverse=reverse)
        return ops.sum(last) + ops.sum(ys * ys)
    check_gradient(loss, xs, w, x, training=training)
    assert not has(graph_of(lambda a: ops.scan(lambda s, r: (s + r, s), ops.zeros_like(a[0]), a[:3])[0], xs), Scan)


def test_gradient_of_a_gradient_of_scan():
    def loss(a, c):
        return ops.sum(ops.scan(lambda state, row: (ops.tanh(state * row), None), c, a)[0])

    def slope(a, c):  # |gradient|^2, in the trace that runs
        y = loss(a, c)
        return ops.sum(ops.square(backward([y], [ops.ones_like(y)], [c])[0]))
    start = np.full((3, 4), 0.9)
    arrays = [np.sign(xs.astype("float64")) * 1.01, start]
    graph = graph_of(slope, *arrays)
    found, _ = evaluate(gradients(graph, graph.outputs[0], graph.inputs), arrays)
    along, h = rng.standard_normal(start.shape), 1e-6
    ahead, behind = (evaluate(graph, [arrays[0], start + s * h * along])[0][0] for s in (1, -1))
    np.testing.assert_allclose(np.sum(found[2] * along), (ahead - behind) / (2 * h), rtol=1e-5)


def test_scan_of_structures_without_slices_and_with_integers():
    def function(a):
        return ops.scan(lambda c, _: ({"n": c["n"] + 1, "v": c["v"] * 0.9}, (c["n"], c["v"])), {"n": 0, "v": a}, length=LONG)
    check(function, x, kind=Scan)
    check_gradient(lambda a: ops.sum(function(a)[1][1]), x)


def test_a_python_number_takes_the_dtype_of_a_step():
    check(lambda a: ops.fori_loop(0, LONG, lambda i, total: total + ops.sum(a), 0), x, kind=Scan)


def test_scan_over_an_unknown_extent():
    n = Dim.unknown("n")
    graph, _ = trace_function(
        lambda a: ops.scan(lambda c, row: (c + row, c * row), ops.zeros((4,)), a), [placeholder(Spec((n, 4)))]
    )
    run = Executable(graph.verify())
    for length in (1, 5):
        a = rng.standard_normal((length, 4)).astype("float32")
        last, ys = run([a])
        np.testing.assert_allclose(last, a.sum(0), rtol=1e-5)
        np.testing.assert_allclose(ys, (np.cumsum(a, 0) - a) * a, rtol=1e-5, atol=1e-6)


def test_a_carry_of_an_unknown_batch():
    n = Dim.unknown("n")

    def loss(a):
        return ops.sum(ops.fori_loop(0, LONG, lambda i, v: ops.reshape(v, (-1, 3)) * 0.9 + a, a * 0.5))
    graph, _ = trace_function(loss, [placeholder(Spec((n, 3)))])
    both = Executable(gradients(graph, graph.outputs[0], graph.inputs).verify())
    a = rng.standard_normal((7, 3)).astype("float32")
    factor = 0.5 * 0.9**LONG + sum(0.9**k for k in range(LONG))
    np.testing.assert_allclose(both([a])[0], factor * a.sum(), rtol=1e-4)
    np.testing.assert_allclose(both([a])[1], np.full((7, 3), factor), rtol=1e-5)


def test_fori_loop():
    check(lambda a: ops.fori_loop(2, 2 + LONG, lambda i, v: v * 0.9 + ops.cast(i, "float32"), a), x, kind=Scan)
    check(lambda a: ops.fori_loop(3, 1 - LONG, lambda i, v: v + 1, a) + ops.fori_loop(0, LONG, lambda i, v: v + 1, a), x,
          kind=Scan)
    check_gradient(lambda a, b: ops.sum(ops.fori_loop(0, LONG, lambda i, v: ops.sin(v @ b) + a, a)), x, w)


def test_fori_loop_up_to_a_tensor():
    graph = graph_of(lambda n, a: ops.fori_loop(0, n, lambda i, v: v + ops.cast(i, "float32"), a), np.array(3, "int32"), x)
    assert has(graph, WhileLoop)
    np.testing.assert_allclose(Executable(graph)([np.array(5, "int32"), x])[0], x + 10, rtol=1e-6)


def test_while_loop():
    def function(a):
        return ops.while_loop(lambda i, v: ops.sum(v * v) < 1e3, lambda i, v: (i + 1, v * 1.5), (0, a))
    check(function, x, kind=WhileLoop)
    check(lambda a: ops.while_loop(lambda v: ops.sum(v * v) < 1e9, lambda v: v * 2.0, a, maximum_iterations=3), x,
          kind=WhileLoop)
    graph = graph_of(lambda n, a: ops.while_loop(lambda v: ops.sum(v) < 1e9, lambda v: v + 1.0, a, n), np.array(4, "int32"), x)
    np.testing.assert_allclose(evaluate(graph, [np.array(4, "int32"), x])[0][0], x + 4, rtol=1e-6)


def test_while_loop_has_no_gradient():
    graph = graph_of(lambda a: ops.sum(ops.while_loop(lambda v: ops.sum(v) < 10, lambda v: v + 1.0, a)), x)
    with pytest.raises(UnsupportedError, match=r"while_loop has no gradient.*fori_loop or scan"):
        gradients(graph, graph.outputs[0], graph.inputs)


def test_loops_assign_variables():
    steps, mean = Variable(0), Variable(np.zeros((3, 4), "float32"))

    def function(a):
        def step(carry, row):
            steps.assign_add(1)
            mean.assign(mean * 0.5 + row * 0.5)
            return carry + mean, None
        return ops.scan(step, ops.zeros_like(mean), a)[0]
    graph = graph_of(function, xs)
    assert has(graph, Scan)
    found, = Executable(graph)([xs])
    moving, total = np.zeros((3, 4)), np.zeros((3, 4))
    for row in xs:
        moving = 0.5 * moving + 0.5 * row
        total += moving
    np.testing.assert_allclose(found, total, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean.numpy(), moving, rtol=1e-4, atol=1e-6)
    assert int(steps) == LONG

    def until(v):
        steps.assign_sub(1)
        return v + 1.0
    Executable(graph_of(lambda a: ops.while_loop(lambda v: steps > 0, until, a), x))([x])
    assert int(steps) == 0


@pytest.mark.parametrize("loop", [
    lambda step, a: ops.fori_loop(0, LONG, lambda i, carry: step(carry), ops.zeros_like(a)),
    lambda step, a: ops.while_loop(lambda i, carry: i < LONG, lambda i, carry: (i + 1, step(carry)), (0, ops.zeros_like(a)))[1],
    lambda step, a: ops.scan(lambda carry, _: (step(carry), None), ops.zeros_like(a), length=LONG)[0],
])
def test_a_variable_and_the_tensor_that_it_was_assigned_are_two(loop):
    halved, counted = (Variable(np.zeros((3, 4), "float32")) for _ in range(2))

    def function(a):
        halved.assign(a)
        counted.assign(a)

        def step(carry):
            halved.assign(halved * 0.5)
            counted.assign(counted + 1.0)
            return carry + a
        return loop(step, a)
    found, = Executable(graph_of(function, x))([x])
    np.testing.assert_allclose(found, LONG * x, rtol=1e-5)
    np.testing.assert_allclose(halved.numpy(), x * 0.5**LONG, rtol=1e-6)
    np.testing.assert_allclose(counted.numpy(), x + LONG, rtol=1e-6)


def test_variables_have_gradients_through_loops():
    kernel = Variable(w.astype("float64"))
    graph, _ = trace_function(lambda a: ops.sum(ops.fori_loop(0, LONG, lambda i, v: ops.tanh(v @ kernel) + a, a)),
                              [placeholder(Spec((3, 4), "float64"))])
    read = next(t for node in graph.nodes for t in node.inputs if getattr(t.node.op, "variable", None) is kernel)
    found = evaluate(gradients(graph, graph.outputs[0], [read]), [x.astype("float64")])[0][1]
    along, h, base = rng.standard_normal(w.shape), 1e-6, kernel.value.copy()
    sides = []
    for sign in (1, -1):
        kernel.assign(base + sign * h * along)
        sides.append(float(evaluate(graph, [x.astype("float64")])[0][0]))
    np.testing.assert_allclose(np.sum(found * along), (sides[0] - sides[1]) / (2 * h), rtol=1e-6)


def test_map():
    check(lambda a: ops.map(lambda row: {"sum": ops.sum(row), "twice": row * 2}, a), xs, kind=Scan)
    check(lambda a: ops.vectorized_map(lambda row: row @ ops.transpose(row), a), xs, kind=Scan)
    check_gradient(lambda a: ops.sum(ops.map(lambda row: row * ops.sum(row), a)), xs)


def test_steps_are_plans():
    """A body of float32 ops runs as kernels; one whose ops have none, and one of a single op, is left to numpy."""
    specs = Spec((3, 4)), Spec((4, 4))
    body = body_of(lambda a, b: (ops.tanh(a @ b) * 0.5, b), *specs)
    plan = planned(body, specs)
    assert isinstance(plan, PlannedBody)
    for a, b in zip(plan(x, w.T), body(x, w.T), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    wide = [Spec(s.shape, "float64") for s in specs]
    assert not isinstance(planned(body_of(lambda a, b: ops.tanh(a @ b) * a, *wide), wide), PlannedBody)
    assert not isinstance(planned(body_of(lambda a, b: a @ b, *specs), specs), PlannedBody)


def test_passes_go_into_bodies():
    def function(a):
        return ops.fori_loop(0, LONG, lambda i, v: ops.sin(v) + ops.sin(v)
                             + ops.cond(ops.sum(v) > 0, lambda: v * 1.0, lambda: v + 0.0), a)
    graph = graph_of(function, x)
    small = run_passes(graph).verify()
    sizes = [next(len(node.op.body.steps) for node in g.nodes if isinstance(node.op, Scan)) for g in (graph, small)]
    assert sizes[1] == sizes[0] - 1  # sin(v) once
    np.testing.assert_array_equal(evaluate(small, [x])[0][0], evaluate(graph, [x])[0][0])
    assert "<" in str(small)


def test_at_the_users_level():
    a = Input((3,), batch_size=2)
    model = Model(a, ops.fori_loop(0, LONG, lambda i, v: v * 0.5 + 1.0, a))
    value = rng.standard_normal((2, 3)).astype("float32")
    wanted = value
    for _ in range(LONG):
        wanted = wanted * 0.5 + 1.0
    np.testing.assert_allclose(model.predict(value, verbose=0), wanted, rtol=1e-5)
    doubled = a * 2.0
    with pytest.raises(UnsupportedError, match="hand the tensor over as an argument"):
        ops.fori_loop(0, LONG, lambda i, v: v + doubled, a)


# ---- what does not fit

def test_errors_name_shapes():
    with pytest.raises(ShapeError, match=r"cond expects branches.*float32\[3, 4\]; received|cond expects "
                       r"branches.*float32\[4\].*float32\[3, 4\]"):
        graph_of(lambda a: ops.cond(ops.sum(a) > 0, lambda: a, lambda: a[0]), x)
    with pytest.raises(ShapeError, match=r"cond expects branches with results of the same structure"):
        graph_of(lambda a: ops.cond(ops.sum(a) > 0, lambda: (a, a), lambda: a), x)
    with pytest.raises(ShapeError, match=r"fori_loop expects a carry.*float32\[3, 4\] and float32\[4\]"):
        graph_of(lambda a: ops.fori_loop(0, LONG, lambda i, v: ops.sum(v, 0), a), x)
    with pytest.raises(ShapeError, match=r"while_loop expects a carry.*float32\[3, 4\] and int32\[3, 4\]"):
        graph_of(lambda a: ops.while_loop(lambda v: ops.sum(v) < 1, lambda v: ops.cast(v, "int32"), a), x)
    with pytest.raises(ShapeError, match=r"condition that gives one boolean; received shape \(3, 4\)"):
        graph_of(lambda a: ops.while_loop(lambda v: v < 1, lambda v: v + 1, a), x)
    with pytest.raises(ShapeError, match=r"one number or boolean; received shape \(3, 4\)"):
        graph_of(lambda a: ops.cond(a > 0, lambda: a, lambda: a), x)
    with pytest.raises(ShapeError, match=r"one common first extent"):
        ops.scan(lambda c, row: (c, row), 0, (np.ones(3), np.ones(4)))
    with pytest.raises(ValueError, match=r"\(carry, y\)"):
        graph_of(lambda a: ops.scan(lambda c, row: row, ops.zeros_like(a[0]), a), xs)
    with pytest.raises(ValueError, match="unroll"):
        ops.scan(lambda c, row: (c, row), 0, x, unroll=-1)


def test_losses_inside_are_refused():
    layer = layers.ActivityRegularization(l1=0.1, name="penalty")
    for function in (lambda a: ops.fori_loop(0, LONG, lambda i, v: layer(v), a),
                     lambda a: ops.cond(ops.sum(a) > 0, lambda: layer(a), lambda: a)):
        with pytest.raises(UnsupportedError, match=r"received one from 'penalty'.*call add_loss outside"):
            graph_of(function, x)


def test_eagerly_it_is_python():
    assert ops.cond(False, lambda: "left", lambda: "right") == "right"
    assert ops.switch(-4, [lambda v: v, lambda v: 2 * v], 3) == 3
    assert ops.fori_loop(1, 4, lambda i, v: v + str(i), "") == "123"
    assert ops.while_loop(lambda i: True, lambda i: i + 1, [0], maximum_iterations=3) == [3]
    assert ops.while_loop(lambda i: i < 10, lambda i: 2 * i, 1) == 16
    carry, ys = ops.scan(lambda c, _: (c + 1, None), 0, length=4)
    assert carry == 4 and ys is None


def test_results_and_gradients_are_keras():
    keras = pytest.importorskip("keras", reason="compares with Keras 3 on JAX, which is not installed here")
    jax = pytest.importorskip("jax", reason="compares with Keras 3 on JAX, which is not installed here")

    def recurrence(o):
        def loss(a, b, c):
            last, ys = o.scan(lambda s, row: (o.tanh(o.matmul(s, b) + row), {"y": s * row}), c, a, reverse=True)
            chosen = o.cond(o.sum(last) > 0, lambda: o.sum(ys["y"] * ys["y"]), lambda: o.sum(ys["y"]))
            power = o.fori_loop(0, LONG, lambda i, v: v * 0.9 + o.cast(i, "float32"), last)
            branch = o.switch(o.cast(o.sum(o.sign(c)), "int32"), [lambda v: v, lambda v: v * v, lambda v: o.exp(v * 0.01)],
                              power)
            return chosen + o.sum(branch)
        return loss

    def growth(o):
        return lambda a: o.while_loop(lambda i, v: o.max(v) < 100.0, lambda i, v: (i + 1, v * 1.5), (0, a),
                                      maximum_iterations=9)
    graph = graph_of(recurrence(ops), xs, w, x)
    found = Executable(gradients(graph, graph.outputs[0], graph.inputs))([xs, w, x])
    value, wanted = jax.value_and_grad(recurrence(keras.ops), (0, 1, 2))(xs, w, x)
    for a, b in zip(found, (value, *wanted), strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=2e-4, atol=2e-4)
    for a, b in zip(Executable(graph_of(growth(ops), x))([x]), growth(keras.ops)(x), strict=True):
        assert a.dtype.name == np.asarray(b).dtype.name
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5)
