"""Optimizers: what all of them share, state, configs, conditions, and what errors say."""
import inspect

import numpy as np
import pytest
from optimizer_steps import SHAPES, STEPS, run, same, traced, values, variables

from graphnet import Variable, constraints, layers, ops, optimizers, saving
from graphnet.errors import ShapeError
from graphnet.optimizers import schedules

# ---- what all optimizers share

def test_accumulation_steps_by_the_mean():
    mine, other = variables(), variables()
    gathering, plain = optimizers.SGD(0.1, gradient_accumulation_steps=3), optimizers.SGD(0.1)
    for i in range(7):
        gathering.apply(values(i + 1), mine)
        if i == 1:
            same(mine, values())
    for first in (1, 4):
        plain.apply([np.mean(x, axis=0) for x in zip(*(values(first + i) for i in range(3)), strict=True)], other)
    same(mine, other)
    assert int(gathering.iterations) == 2
    same(gathering._accumulators, values(7))


def test_averages():
    made, optimizer = variables(), optimizers.SGD(0.1, use_ema=True, ema_momentum=0.75)
    average = None
    for i in range(3):
        optimizer.apply(values(i + 1), made)
        average = made[0].value.copy() if average is None else 0.75 * average + 0.25 * made[0].value
    same([optimizer._averages[0]], [average])
    optimizer.finalize_variable_values(made)
    same([made[0]], [average])
    with pytest.raises(ValueError, match="3 variables"):
        optimizer.finalize_variable_values(made[:1])


def test_averages_overwrite_variables():
    made, optimizer = variables(), optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    optimizer.apply(values(1), made)
    first = made[1].value.copy()
    optimizer.apply(values(2), made)
    same([made[1]], [0.5 * first + 0.5 * (first - 0.1 * values(2)[1])])


@pytest.mark.parametrize("wrap", [lambda o: o, lambda o: optimizers.LossScaleOptimizer(o, initial_scale=1.0)])
def test_constraints_hold_after_each_step(wrap):
    w = Variable([1.0, -1.0])
    w.constraint = constraints.NonNeg()
    wrap(optimizers.SGD(0.5)).apply([np.array([4.0, 0.0], "float32")], [w])
    np.testing.assert_array_equal(w.numpy(), [0, 0])


def test_loss_scale_skips_steps_that_are_not_finite():
    w = Variable([1.0])
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.5, 0.9), initial_scale=4.0, dynamic_growth_steps=2)
    assert float(optimizer.scale_loss(np.float32(3.0))) == 12.0
    for gradient, value, scale, count in ((4.0, 0.5, 4.0, 1), (np.inf, 0.5, 2.0, 0), (np.nan, 0.5, 1.0, 0)):
        optimizer.apply([np.array([gradient], "float32")], [w])
        assert (float(w.value[0]), float(optimizer.dynamic_scale), int(optimizer.step_counter)) == (value, scale, count)
        assert int(optimizer.iterations) == 1
    for scale in (1.0, 2.0):
        optimizer.apply([np.zeros(1, "float32")], [w])
        assert float(optimizer.dynamic_scale) == scale
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate", "step_counter", "dynamic_scale", "iteration",
                                                      "learning_rate", "variable_momentum"]
    optimizer.learning_rate = 0.25
    assert float(optimizer.inner_optimizer.learning_rate) == 0.25
    with pytest.raises(ValueError, match="clipnorm.*inner_optimizer"):
        optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0)


def test_a_loss_scale_may_exceed_what_the_gradients_dtype_holds():
    w = Variable(np.ones(1, "float16"))
    optimizers.LossScaleOptimizer(optimizers.SGD(0.5), initial_scale=2.0**16).apply([np.array([32768.0], "float16")], [w])
    assert w.dtype == "float16" and float(w.value[0]) == 0.75


def test_weight_decay_spares_what_is_excluded():
    made, optimizer = variables(), optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[made[2]], var_names=["bias"])
    optimizer.apply([np.zeros(s, "float32") for s in SHAPES.values()], made)
    start = values()
    same(made, [start[0] * (1 - 0.05), start[1], start[2]])
    with pytest.raises(ValueError, match="before it is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


@pytest.mark.parametrize("steps", [None, 2])
def test_variables_that_are_overwritten(steps):
    made, optimizer = variables(), optimizers.Adam(gradient_accumulation_steps=steps)
    made[1].overwrite_with_gradient = True
    first, second = np.abs(values(1)[1]), np.abs(values(2)[1])
    for g in (first, second):
        optimizer.apply([values(1)[0], g, values(1)[2]], made)
    np.testing.assert_array_equal(made[1].numpy(), np.maximum(first, second) if steps else second)
    assert not any("bias_momentum" in v.path for v in optimizer.variables)


def test_variables_of_other_dtypes_keep_them():
    for dtype in ("float16", "float64"):
        made = [Variable(x.astype(dtype)) for x in values()] + [Variable(values()[0])]
        optimizer = optimizers.SGD(0.01, 0.9, weight_decay=0.1, clipnorm=1.0, use_ema=True)
        for i in range(3):
            optimizer.apply([*values(i + 1), values(i + 1)[0]], made)
        assert [v.dtype for v in made] == [dtype] * 3 + ["float32"]
        same([made[0]], [made[3]], rtol=5e-3 if dtype == "float16" else 1e-5, atol=5e-3 if dtype == "float16" else 1e-6)


def test_learning_rate_of_each_kind():
    made, optimizer = variables(), optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25 and len(optimizer.variables) == 2
    optimizer.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
    assert len(optimizer.variables) == 1
    for rate in (1.0, 0.5, 0.25):
        assert float(optimizer.learning_rate) == rate
        optimizer.apply(values(1), made)
    with pytest.raises(TypeError, match="LearningRateSchedule, so it cannot be set"):
        optimizer.learning_rate = 0.1
    assert optimizers.SGD(lambda: 0.125).learning_rate == 0.125


def test_optimizer_of_ones_own():
    @saving.register_keras_serializable("test_optimizers")
    class Signs(optimizers.Optimizer):
        def __init__(self, learning_rate=0.5, share=0.5, **kwargs):
            super().__init__(learning_rate, **kwargs)
            self.share = share

        def build(self, variables):
            super().build(variables)
            self.steps = self.add_optimizer_variables(variables, "step")

        def update_step(self, gradient, variable, learning_rate):
            step = self.steps[self._index(variable)]
            self.assign(step, step * self.share + ops.sign(gradient) * learning_rate)
            self.assign_sub(variable, step)

        def get_config(self):
            return super().get_config() | {"share": self.share}

    expected = values()
    for at, w in enumerate(values()):
        step = 0.0
        for i in range(STEPS):
            step = step * 0.5 + np.sign(values(i + 1)[at]) * 0.5
            w = w - step
        expected[at] = w
    same(run(Signs()), expected)
    same(traced(Signs()), expected)
    assert optimizers.deserialize(optimizers.serialize(Signs(share=0.25))).share == 0.25
    assert list(inspect.signature(Signs).parameters) == ["learning_rate", "share", "kwargs"]


@pytest.mark.parametrize("make", [optimizers.Adam, lambda: optimizers.LossScaleOptimizer(optimizers.Adam(), 2.0)])
def test_steps_as_a_function_change_nothing(make):
    made, optimizer, start = variables(), make(), values()
    with pytest.raises(ValueError, match="build"):
        optimizer.stateless_apply([], values(1), start)
    optimizer.build(made)
    own = [v.numpy().copy() for v in optimizer.variables]
    x, y = start, own
    for i in range(STEPS):
        x, y = optimizer.stateless_apply(y, values(i + 1), x)
    for a, b in zip([*made, *optimizer.variables], [*start, *own], strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    same(x, run(make()), rtol=1e-7, atol=0)


# ---- state and configs

BUILT_IN = [getattr(optimizers, n) for n in optimizers.__all__ if n[0].isupper()
            and n not in ("Optimizer", "OptimizerMap", "MultiOptimizer", "LossScaleOptimizer")]


@pytest.mark.parametrize("make", BUILT_IN)
def test_state_goes_on_where_it_was(make):
    first, store = make(use_ema=True), {}
    made = run(first)
    first.save_own_variables(store)
    assert list(store) == [str(i) for i in range(len(first.variables))]
    other, second = variables(), make(use_ema=True)
    for a, b in zip(other, made, strict=True):
        a.assign(b)
    second.build(other)
    second.load_own_variables(store)
    first.apply(values(9), made)
    second.apply(values(9), other)
    for a, b in zip(made, other, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    second.set_weights([v.numpy() for v in first.variables])
    with pytest.warns(UserWarning, match="not loaded"):
        second.load_own_variables({"0": 1})


@pytest.mark.parametrize("make", BUILT_IN)
def test_configs_come_back(make):
    config = make(clipnorm=0.5, use_ema=True, name="mine", gradient_accumulation_steps=2).get_config()
    assert make.from_config(config).get_config() == config
    written = optimizers.serialize(make())
    assert written["module"] == "keras.optimizers" and written["registered_name"] is None
    assert optimizers.get(written).get_config() == written["config"]
    assert type(optimizers.get(make.__name__)) is type(optimizers.get(make.__name__.upper())) is make
    assert set(config) >= set(inspect.signature(make).parameters) - {"kwargs"}


def test_configs_of_wrappers_come_back():
    inner = optimizers.OptimizerMap(optimizers.Adam(schedules.ExponentialDecay(0.1, 10, 0.5)), {".*bias": optimizers.SGD()})
    for optimizer in (optimizers.MultiOptimizer(inner), optimizers.LossScaleOptimizer(optimizers.Lion(), 4.0)):
        written = optimizers.serialize(optimizer)
        again = optimizers.deserialize(written)
        assert optimizers.serialize(again) == written
        assert [type(o) for o in again.optimizers] == [type(o) for o in optimizer.optimizers]


def test_a_function_as_rate_comes_back():
    def rate():
        return 0.125

    written = optimizers.serialize(optimizers.SGD(rate))
    assert optimizers.deserialize(written, {"rate": rate}).learning_rate == 0.125


def test_names_and_paths():
    layer = layers.Dense(2, name="dense_of_test")
    layer.build((None, 3))
    optimizer = optimizers.Adam(name="mine")
    optimizer.build(layer.trainable_variables)
    assert [v.path for v in optimizer.variables] == ["mine/iteration", "mine/learning_rate"] + [
        f"mine/dense_of_test_{w}_{slot}" for w in ("kernel", "bias") for slot in ("momentum", "velocity")]
    assert optimizer.variables == optimizer.non_trainable_variables
    assert optimizers.RMSprop().name.startswith("rm_sprop") and optimizers.AdamW().name.startswith("adam_w")


# ---- errors

@pytest.mark.parametrize(("make", "message"), [
    (lambda: optimizers.get("adamm"), r"received 'adamm'. Did you mean .*Names: .*sgd"),
    (lambda: optimizers.get(3), "Expected an optimizer"),
    (lambda: optimizers.Adam(1), r"learning_rate to be a float.*received 1 \(int\). Write 1.0"),
    (lambda: optimizers.Adam("fast"), "received 'fast'"),
    (lambda: optimizers.Adam(beta=0.9), "no arguments beta. Arguments: learning_rate, beta_1"),
    (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "at most one of clipnorm"),
    (lambda: optimizers.Adam(gradient_accumulation_steps=1), "at least 2; received 1"),
    (lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0), "between 0 and 1"),
    (lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=0.5), "at least 1"),
    (lambda: optimizers.SGD(momentum=2.0), "momentum to be a float between 0 and 1"),
    (lambda: optimizers.AdamW(weight_decay=None), "expects weight_decay to be a float"),
    (lambda: optimizers.Ftrl(learning_rate_power=0.5), "at most 0"),
    (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), "l1_regularization_strength not below 0"),
    (lambda: optimizers.Lion(beta_1=0.0), "above 0"),
])
def test_arguments_that_are_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_steps_that_are_wrong_change_nothing():
    made, optimizer = variables(), optimizers.Adam()
    with pytest.raises(ValueError, match="apply.grads, variables"):
        optimizer.apply(values(1))
    with pytest.raises(ValueError, match="one gradient for each of the 3 variables; received 2"):
        optimizer.apply(values(1)[:2], made)
    with pytest.raises(ShapeError, match=r"shape \(4, 6\) for variable 'dense/kernel'; received shape \(6,\)"):
        optimizer.apply([values(1)[i] for i in (1, 0, 2)], made)
    with pytest.raises(ValueError, match="built for 3 variables.*'other'.*not among them"):
        optimizer.apply([np.zeros(1)], [Variable([1.0], name="other")])
    with pytest.raises(ValueError, match="no gradient for any"):
        optimizer.apply([None] * 3, made)
    with pytest.raises(NotImplementedError, match="update_step"):
        optimizers.Optimizer(0.1).apply(values(1), made)
    optimizer.apply([], made)
    same(made, values())
    assert int(optimizer.iterations) == 0


def test_variables_without_gradients_stay():
    made, optimizer = variables(), optimizers.Adam()
    with pytest.warns(UserWarning, match="no gradients for the variables dense/bias"):
        optimizer.apply_gradients(zip([values(1)[0], None, values(1)[2]], made, strict=True))
    np.testing.assert_array_equal(made[1].numpy(), values()[1])
    assert not np.array_equal(made[0].numpy(), values()[0])


def test_map_of_optimizers():
    chosen = optimizers.OptimizerMap(optimizers.Adam(), {"dense/.*": optimizers.SGD()})
    chosen["conv/.*"] = optimizers.Lion()
    assert len(chosen) == 2 and list(chosen) == ["dense/.*", "conv/.*"] and type(chosen["conv/bias"]).__name__ == "Lion"
    chosen[".*bias"] = optimizers.SGD()
    with pytest.raises(ValueError, match="one expression at most"):
        chosen["dense/bias"]
    with pytest.raises(ValueError, match="neither"):
        chosen["x"] = optimizers.MultiOptimizer(lambda v: optimizers.SGD())
    del chosen[".*bias"]
    optimizer = optimizers.MultiOptimizer(chosen)
    run(optimizer)
    assert len(optimizer.optimizers) == 3 and int(optimizer.iterations) == STEPS
    with pytest.raises(AttributeError, match="optimizers"):
        _ = optimizer.learning_rate
