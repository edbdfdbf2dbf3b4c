"""graphnet.grad and value_and_grad over arrays, variables and modules, against central differences in float64."""
import numpy as np
import pytest

import graphnet as gn
from graphnet import layers, ops
from graphnet.autodiff import backward
from graphnet.errors import DTypeError, ShapeError
from graphnet.tracing import current

RNG = np.random.default_rng(0)


def slope(function, x, direction, step=1e-6):
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def test_of_an_array_by_central_differences():
    a = RNG.normal(size=(4, 3))

    def function(x):
        return ops.sum(ops.tanh(ops.matmul(a, x)) ** 2)
    x, direction = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5))
    value, gradient = gn.value_and_grad(function)(x)
    np.testing.assert_allclose(value, function(x), rtol=1e-12)
    np.testing.assert_allclose((gradient * direction).sum(), slope(function, x, direction), rtol=1e-6)


def test_of_several_arguments_and_structures():
    def function(parts, scale):
        return ops.sum(parts["a"] * parts["b"][0]) * scale
    parts = {"a": np.ones((2, 3), "float32"), "b": [np.full((3,), 2.0, "float32")]}
    gradients = gn.grad(function, argnums=(0, 1))(parts, np.float32(3.0))
    np.testing.assert_allclose(gradients[0]["a"], np.full((2, 3), 6.0))
    np.testing.assert_allclose(gradients[0]["b"][0], np.full((3,), 6.0))
    np.testing.assert_allclose(gradients[1], 12.0)


def test_of_a_module_follow_its_trainable_variables():
    model = gn.Sequential([gn.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
    x = RNG.normal(size=(5, 3)).astype("float32")
    model.layers[0].trainable = False
    loss, gradients = gn.value_and_grad(lambda m: ops.mean(m(x) ** 2))(model)
    assert [g.shape for g in gradients] == [v.shape for v in model.trainable_variables] == [(4, 2), (2,)]
    np.testing.assert_allclose(loss, (model(x) ** 2).mean(), rtol=1e-5)


def test_of_a_variable_and_what_is_assigned_meanwhile():
    v, count = gn.Variable(3.0), gn.Variable(0.0, trainable=False)

    def function(v):
        count.assign_add(1.0)
        return v * v, {"twice": 2.0 * v}
    gradient, rest = gn.grad(function, has_aux=True)(v)
    assert float(gradient) == 6.0 and float(rest["twice"]) == 6.0 and float(count) == 1.0


def test_of_what_a_stopped_gradient_leaves():
    x = np.array([1.0, 3.0], "float32")
    value, gradient = gn.value_and_grad(lambda x: ops.sum(x * ops.stop_gradient(x)))(x)
    np.testing.assert_allclose(gradient, x)
    assert float(value) == 10.0
    inputs = gn.Input((2,))
    np.testing.assert_array_equal(gn.Model(inputs, ops.stop_gradient(inputs) * 2.0)(x[None]), 2 * x[None])


def test_second_derivatives():
    second = gn.grad(lambda x: ops.sum(gn.grad(lambda z: ops.sum(z ** 3))(x)))
    np.testing.assert_allclose(second(np.array([1.0, 2.0])), [6.0, 12.0], rtol=1e-6)


def test_what_cannot_be_differentiated_says_so():
    with pytest.raises(ShapeError, match="scalar"):
        gn.grad(lambda x: x * 2.0)(np.ones(3, "float32"))
    with pytest.raises(DTypeError, match="float"):
        gn.grad(lambda x: ops.sum(x * 2))(np.ones(3, "int32"))
    with pytest.raises(TypeError, match="argument 1"):
        gn.grad(lambda x: ops.sum(x), argnums=1)(np.ones(3, "float32"))
    with pytest.raises(ValueError, match="no variables"):
        gn.grad(lambda layer: ops.sum(layer(np.ones((1, 2), "float32"))))(layers.Dense(1))


def test_a_value_that_does_not_depend_has_gradient_zero():
    np.testing.assert_array_equal(gn.grad(lambda x, y: ops.sum(y))(np.ones(3, "float32"), np.ones(2, "float32")), np.zeros(3))


def test_a_number_is_of_the_default_float_type():
    try:
        gn.config.set_floatx("float64")
        assert gn.grad(lambda x: x * x)(0.1) == 0.2
    finally:
        gn.config.set_floatx("float32")


def test_an_array_changed_between_two_gradients_is_seen():
    a, b = np.ones(3, "float32"), np.ones(3, "float32")

    def loss(a):
        return ops.sum(a * b)
    for factor in (1, 2):
        b *= factor
        np.testing.assert_array_equal(gn.grad(loss)(a), np.full(3, factor))


# ---- within a trace

X = np.array([1.0, 2.0], "float32")
weight = gn.Variable(np.array([3.0, 5.0], "float32"))


def by_a_variable_read_before(x):
    before = weight * x
    return gn.grad(lambda v: ops.sum(v * before))(weight)


def by_a_variable_of_a_loop(x):
    gradient = gn.grad(lambda v, a: ops.sum(v * v * a * x), (0, 1))
    return ops.fori_loop(0, 20, lambda i, c: c + gradient(weight, x)[1], ops.zeros_like(x))


def by_a_variable_that_a_loop_reads(x):
    return gn.grad(lambda v: ops.sum(ops.fori_loop(0, 20, lambda i, c: c + v * x, x)))(weight)


@pytest.mark.parametrize("function, wanted", [
    (lambda x: gn.grad(lambda a: ops.sum(a * x))(x), X),
    (lambda x: gn.grad(lambda a, b: ops.sum(a * b))(x, x), X),
    (lambda x: ops.stack(gn.grad(lambda a, b: ops.sum(a * b * b), (0, 1))(x, x)), [X**2, 2 * X**2]),
    (lambda x: gn.grad(lambda s: ops.sum(s["a"] * s["b"][0] * x))({"a": x, "b": [x]})["a"], X**2),
    (lambda x: gn.grad(lambda a: ops.sum(a * gn.grad(lambda b: ops.sum(b * b * x))(a)))(x), 4 * X**2),
    (by_a_variable_read_before, weight.numpy() * X), (by_a_variable_of_a_loop, 20 * weight.numpy()**2 * X),
    (by_a_variable_that_a_loop_reads, 20 * X),
])
def test_within_a_trace_it_is_what_it_is_outside(function, wanted):
    np.testing.assert_allclose(function(X), wanted, rtol=1e-6)
    np.testing.assert_allclose(gn.function(function)(X), wanted, rtol=1e-6)


@pytest.mark.parametrize("within", [False, True])
def test_what_is_assigned_before_and_meanwhile_stays(within):
    v, doubled = gn.Variable(3.0), gn.Variable(5.0)

    def function():
        doubled.assign(2.0 * doubled)

        def cube(v, w):
            v.assign(v + 1.0)
            return v * v * w
        gradients = gn.grad(cube, (0, 1))(v, doubled)
        with pytest.raises(ShapeError):
            gn.grad(lambda v: ops.stack([v, v]))(v)
        return [*gradients, gn.grad(lambda v: v)(v), v * doubled]
    np.testing.assert_array_equal([float(x) for x in (gn.function(function) if within else function)()], [80.0, 16.0, 1.0, 40.0])
    assert float(v) == 4.0 and float(doubled) == 10.0


def test_a_step_of_ones_own_has_the_plan_of_a_walk_over_its_trace():
    model, x = gn.Sequential([gn.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)]), np.ones((5, 3), "float32")

    def steps(gradients_of):
        @gn.function
        def step(x):
            for v, g in zip(model.trainable_variables, gradients_of(x), strict=True):
                v.assign(v - 0.1 * g)
        return step.get_concrete_function(x).executable.runner((x.shape,)).steps()

    def walked(x):
        leaves = [current().lift(v) for v in model.trainable_variables]
        value = ops.mean(model(x) ** 2)
        return backward([value], [ops.ones_like(value)], leaves)
    assert steps(lambda x: gn.grad(lambda m: ops.mean(m(x) ** 2))(model)) == steps(walked)


def test_arguments_that_are_counted_from_the_end():
    x = np.array([1, 2], "float32")

    def f(a, b):
        return ops.sum(a * b * b)
    np.testing.assert_array_equal(gn.grad(f, argnums=-1)(x, 2 * x), [4, 16])
    first, last = gn.grad(f, argnums=(0, -1))(x, 2.0)
    np.testing.assert_array_equal(first, [4, 4])
    assert last == 12 == gn.function(lambda a: gn.grad(f, argnums=-1)(a, 2.0))(x)
    with pytest.raises(TypeError, match="argument -3"):
        gn.grad(f, argnums=-3)(x, x)


def test_arrays_within_a_trace_are_arguments_as_well():
    x = np.array([1, 2], "float32")
    found = gn.function(lambda s: gn.grad(lambda a: ops.sum(a * a) * ops.sum(s))(3 * x))(x)
    np.testing.assert_array_equal(found, [18, 36])
