"""Updates of variables: in place where that is right, by way of copies where it is not, and none at all where a step failed."""
import numpy as np
import pytest

from graphnet import ops
from graphnet.backends.cpu.updating import in_place
from graphnet.compiler import Executable
from graphnet.errors import OutOfRangeError
from graphnet.graph import Spec, Variable
from graphnet.tracing import placeholder, trace_function

RNG = np.random.default_rng(0)


def variable(*shape, name="v"):
    return Variable(RNG.normal(size=shape).astype("float32"), name=name)


def executable(function, *shapes, dtype="float32"):
    graph, _ = trace_function(function, [placeholder(Spec(s, dtype), f"x{i}") for i, s in enumerate(shapes)])
    return Executable(graph)


def written_in_place(made):
    return [v.name for variables in in_place(made.optimized).values() for v in variables]


def test_an_optimizers_update_is_one_tape_that_writes_both():
    w, m = variable(33, 7, name="w"), variable(33, 7, name="m")

    def step(g):
        new = 0.9 * m + g
        m.assign(new)
        w.assign(w - 0.1 * new)
    made = executable(step, (33, 7))
    assert sorted(written_in_place(made)) == ["m", "w"] and len(in_place(made.optimized)) == 1
    want_w, want_m, addresses = w.value.astype("d"), m.value.astype("d"), (w.value.ctypes.data, m.value.ctypes.data)
    for _ in range(3):
        g = RNG.normal(size=(33, 7)).astype("float32")
        made([g])
        want_m = 0.9 * want_m + g
        want_w = want_w - 0.1 * want_m
    np.testing.assert_allclose(w.value, want_w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(m.value, want_m, rtol=1e-5, atol=1e-6)
    assert (w.value.ctypes.data, m.value.ctypes.data) == addresses and w.version == m.version == 3


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1024,), (1025,), (3, 1), (2, 3, 4)])
def test_several_results_of_any_size(shape):
    a, b = variable(*shape, name="a"), variable(*shape, name="b")

    def step(x):
        first = a + x
        a.assign(first)
        b.assign(b * first)
        return ops.sum(first)
    made = executable(step, shape)
    x = RNG.normal(size=shape).astype("float32")
    want_a, want_b = a.value + x, b.value * (a.value + x)
    total, = made([x])
    np.testing.assert_allclose(a.value, want_a, rtol=1e-6)
    np.testing.assert_allclose(b.value, want_b, rtol=1e-6)
    np.testing.assert_allclose(total, want_a.sum(), rtol=1e-5, atol=1e-6)


def test_values_that_change_places():
    """Each new value is the other's old one."""
    a, b = variable(6, name="a"), variable(6, name="b")
    old_a, old_b = a.value.copy(), b.value.copy()

    def step(x):
        first, second = a * 1.0, b * 1.0
        a.assign(second)
        b.assign(first)
        return x
    made = executable(step, (2,))
    made([np.zeros(2, "float32")])
    np.testing.assert_array_equal(a.value, old_b)
    np.testing.assert_array_equal(b.value, old_a)


def test_crosswise_updates_read_the_old_values():
    a, b = variable(6, name="a"), variable(6, name="b")
    old_a, old_b = a.value.copy(), b.value.copy()

    def step(x):
        first, second = a + b * x, b - a * x
        a.assign(first)
        b.assign(second)
    executable(step, (6,))([np.full(6, 2.0, "float32")])
    np.testing.assert_allclose(a.value, old_a + 2 * old_b, rtol=1e-6)
    np.testing.assert_allclose(b.value, old_b - 2 * old_a, rtol=1e-6)


def test_a_variable_that_is_read_turned_is_not_overwritten_meanwhile():
    a = variable(5, 5, name="a")
    old = a.value.copy()

    def step(x):
        a.assign(a + ops.transpose(a) * x)
    made = executable(step, (5, 5))
    assert written_in_place(made) == []
    made([np.full((5, 5), 0.5, "float32")])
    np.testing.assert_allclose(a.value, old + 0.5 * old.T, rtol=1e-6)


def test_an_old_value_that_is_read_after_the_new_one_is_made():
    a, b = variable(4, name="a"), variable(4, name="b")
    old_a, old_b = a.value.copy(), b.value.copy()

    def step(x):
        old = a * 1.0
        new = old * x
        a.assign(new)
        b.assign(new + ops.exp(old) * b)
    executable(step, (4,))([np.full(4, 3.0, "float32")])
    np.testing.assert_allclose(a.value, 3 * old_a, rtol=1e-6)
    np.testing.assert_allclose(b.value, 3 * old_a + np.exp(old_a) * old_b, rtol=1e-5)


def test_integers_and_one_value_for_two_variables():
    count, copy = Variable(np.array(3, "int64"), name="count"), Variable(np.zeros(4, "float32"), name="copy")
    other = Variable(np.zeros(4, "float32"), name="other")

    def step(x):
        count.assign(count + 1)
        copy.assign(x * 2.0)
        other.assign(x * 2.0)
    made = executable(step, (4,))
    for _ in range(2):
        made([np.ones(4, "float32")])
    assert int(count) == 5
    np.testing.assert_array_equal(copy.value, np.full(4, 2.0))
    np.testing.assert_array_equal(other.value, np.full(4, 2.0))


def test_a_step_that_fails_writes_nothing():
    table, count = variable(5, 3, name="table"), Variable(np.array(0, "int64"), name="count")
    before = table.value.copy()

    def step(index):
        rows = ops.take(table, index, axis=0)
        table.assign(table * 0.5)
        count.assign(count + 1)
        return ops.sum(rows)
    made = executable(step, (4,), dtype="int32")
    with pytest.raises(OutOfRangeError):
        made([np.array([0, 4, 9, 1], "int32")])
    np.testing.assert_array_equal(table.value, before)
    assert int(count) == 0
    made([np.array([0, 4, 3, 1], "int32")])
    np.testing.assert_array_equal(table.value, before * np.float32(0.5))
    assert int(count) == 1
