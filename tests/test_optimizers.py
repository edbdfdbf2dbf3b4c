"""Optimizers: formulas in float64, traced steps against eager ones, state, configs, conditions, and what errors say."""
import inspect
import math

import numpy as np
import pytest

from graphnet import Variable, constraints, layers, ops, optimizers, saving
from graphnet.compiler import Executable
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.optimizers import schedules
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


# ---- formulas: w, g and the state s (zeros at first) in float64, in step t; each gives the new w

def sgd(w, g, s, t):
    return w - 0.01 * g


def momentum(w, g, s, t):
    s.m = 0.9 * s.m - 0.01 * g
    return w + s.m


def nesterov(w, g, s, t):
    s.m = 0.9 * s.m - 0.01 * g
    return w + 0.9 * s.m - 0.01 * g


def rmsprop(w, g, s, t):
    s.v = 0.9 * s.v + 0.1 * g**2
    return w - 0.001 * g / np.sqrt(s.v + 1e-7)


def centered(w, g, s, t):
    s.v, s.a = 0.9 * s.v + 0.1 * g**2, 0.9 * s.a + 0.1 * g
    s.m = 0.5 * s.m + 0.001 * g / np.sqrt(s.v - s.a**2 + 1e-7)
    return w - s.m


def moments(g, s):
    s.m, s.v = 0.9 * s.m + 0.1 * g, 0.999 * s.v + 0.001 * g**2


def adam(w, g, s, t):
    moments(g, s)
    return w - 0.001 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s.m / (np.sqrt(s.v) + 1e-7)


def amsgrad(w, g, s, t):
    moments(g, s)
    s.x = np.maximum(s.x, s.v)
    return w - 0.001 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s.m / (np.sqrt(s.x) + 1e-7)


def adamw(w, g, s, t):
    return adam(w * (1 - 0.004 * 0.001), g, s, t)


def adagrad(w, g, s, t):
    s.a = s.a + g**2
    return w - 0.001 * g / np.sqrt(0.1 + s.a + 1e-7)


def adadelta(w, g, s, t):
    s.a = 0.95 * s.a + 0.05 * g**2
    d = -g * np.sqrt(s.s + 1e-7) / np.sqrt(s.a + 1e-7)
    s.s = 0.95 * s.s + 0.05 * d**2
    return w + 0.001 * d


def adamax(w, g, s, t):
    s.m, s.u = 0.9 * s.m + 0.1 * g, np.maximum(0.999 * s.u, np.abs(g))
    return w - 0.001 / (1 - 0.9**t) * s.m / (s.u + 1e-7)


def nadam(w, g, s, t):
    moments(g, s)
    u = [0.9 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    m = u[t] * s.m / (1 - np.prod(u)) + (1 - u[t - 1]) * g / (1 - np.prod(u[:t]))
    return w - 0.001 * m / (np.sqrt(s.v / (1 - 0.999**t)) + 1e-7)


def ftrl(w, g, s, t):
    a, b = 0.1 + s.a, 0.1 + s.a + g**2
    s.a = s.a + g**2
    s.z = s.z + g - (np.sqrt(b) - np.sqrt(a)) / 0.001 * w
    return (np.clip(s.z, -0.1, 0.1) - s.z) / (np.sqrt(b) / 0.001 + 2 * 0.2)


def lion(w, g, s, t):
    step = np.sign(0.9 * s.m + 0.1 * g)
    s.m = 0.99 * s.m + 0.01 * g
    return w - 0.001 * step


def lamb(w, g, s, t):
    moments(g, s)
    d = s.m / (1 - 0.9**t) / (np.sqrt(s.v / (1 - 0.999**t)) + 1e-7)
    return w - 0.001 * np.linalg.norm(w) / np.linalg.norm(d) * d


def adafactor(w, g, s, t):
    keep, squares = 1 - t**-0.8, g**2 + 1e-30
    s.v = keep * s.v + (1 - keep) * squares
    v = s.v
    if w.ndim > 1:  # r and c are linear in the squares
        r, c = s.v.mean(-1), s.v.mean(-2)
        v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
    u = g / np.sqrt(v)
    u = u / max(1, math.sqrt((u**2).mean()))
    return w - max(0.001, math.sqrt((w**2).mean())) * min(0.001, 1 / math.sqrt(t)) * u


def muon(w, g, s, t):
    w = w * (1 - 0.004 * 0.001)
    if w.ndim != 2:
        return adam(w, g, s, t)
    s.m = 0.95 * s.m + g
    x = g + 0.95 * s.m
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return w - 0.001 * x * math.sqrt(max(w.shape)) * 0.2


def schedule_free(w, g, s, t):
    if t == 1:
        s.z = s.x = w
    s.v = 0.999 * s.v + 0.001 * g**2
    s.z = s.z - 0.0025 * g / (np.sqrt(s.v / (1 - 0.999**t)) + 1e-8)
    s.x = (1 - 1 / t) * s.x + 1 / t * s.z
    return 0.1 * s.z + 0.9 * s.x


FORMULAS = {
    sgd: ("SGD", {}), momentum: ("SGD", {"momentum": 0.9}), nesterov: ("SGD", {"momentum": 0.9, "nesterov": True}),
    rmsprop: ("RMSprop", {}), centered: ("RMSprop", {"momentum": 0.5, "centered": True}), adam: ("Adam", {}),
    amsgrad: ("Adam", {"amsgrad": True}), adamw: ("AdamW", {}), adagrad: ("Adagrad", {}), adadelta: ("Adadelta", {}),
    adamax: ("Adamax", {}), nadam: ("Nadam", {}),
    ftrl: ("Ftrl", {"l1_regularization_strength": 0.1, "l2_regularization_strength": 0.2}), lion: ("Lion", {}),
    lamb: ("Lamb", {}), adafactor: ("Adafactor", {}), muon: ("Muon", {}), schedule_free: ("ScheduleFreeAdamW", {}),
}


class State:
    """Zero at first, whatever is asked for."""

    def __getattr__(self, name):
        return 0.0


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.__name__)
def test_formula(formula):
    name, arguments = FORMULAS[formula]
    expected = []
    for at, w in enumerate(values()):
        w, state = w.astype("float64"), State()
        for t in range(1, STEPS + 1):
            w = formula(w, values(t)[at].astype("float64"), state, t)
        expected.append(w)
    same(run(getattr(optimizers, name)(**arguments)), expected)


# ---- traced

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


COMMON = [{"clipnorm": 0.5, "weight_decay": 0.01}, {"clipvalue": 0.3}, {"global_clipnorm": 0.7}, {"loss_scale_factor": 8.0},
          {"use_ema": True, "ema_overwrite_frequency": 2}, {"gradient_accumulation_steps": 2},
          {"learning_rate": schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=2)},
          {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2, "clipnorm": 0.5,
           "weight_decay": 0.01}]


@pytest.mark.parametrize(("name", "arguments"), [*FORMULAS.values(), *[("Adam", c) for c in COMMON], ("Nadam", COMMON[-1])],
                         ids=lambda x: x if isinstance(x, str) else ",".join(x))
def test_traced_steps_equal_eager_ones(name, arguments):
    make = getattr(optimizers, name)
    eager, compiled = make(**arguments), make(**arguments)
    same(traced(compiled), run(eager), rtol=1e-5, atol=1e-6)
    same([v.value for v in compiled.variables], [v.value for v in eager.variables], rtol=1e-5, atol=1e-6)
    assert int(compiled._iterations) == STEPS


def test_what_variables_share_is_computed_once():
    powers = [n for n in graph_of(optimizers.Adam(), variables()).nodes if n.op.name == "power"]
    assert len(powers) == 2  # beta_1 ** t and beta_2 ** t


def test_traced_loss_scale_equals_eager():
    def make():
        return optimizers.LossScaleOptimizer(optimizers.Adam(), initial_scale=8.0, dynamic_growth_steps=2)

    compiled, eager = make(), make()
    same(traced(compiled), run(eager), rtol=1e-5, atol=1e-6)
    assert float(compiled.dynamic_scale) == float(eager.dynamic_scale) == 32.0


def test_traced_multi_optimizer_equals_eager():
    def make():
        return optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.Adam(), {".*bias": optimizers.SGD(0.5)}))

    same(traced(make()), run(make()), rtol=1e-5, atol=1e-6)


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


# ---- schedules

STEP_NUMBERS = [0, 1, 4, 5, 9, 10, 11, 20, 23, 37, 50]
RATES = {
    "exponential": (schedules.ExponentialDecay(0.1, 10, 0.9), lambda t: 0.1 * 0.9 ** (t / 10)),
    "exponential_stairs": (schedules.ExponentialDecay(0.1, 10, 0.9, staircase=True), lambda t: 0.1 * 0.9 ** (t // 10)),
    "inverse": (schedules.InverseTimeDecay(0.1, 10, 0.5), lambda t: 0.1 / (1 + 0.5 * t / 10)),
    "inverse_stairs": (schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=True), lambda t: 0.1 / (1 + 0.5 * (t // 10))),
    "piecewise": (schedules.PiecewiseConstantDecay([5, 20], [1.0, 0.5, 0.1]),
                  lambda t: 1.0 if t <= 5 else 0.5 if t <= 20 else 0.1),
    "polynomial": (schedules.PolynomialDecay(0.1, 10, 0.01, 2.0), lambda t: 0.09 * (1 - min(t, 10) / 10) ** 2 + 0.01),
    "polynomial_cycle": (schedules.PolynomialDecay(0.1, 10, 0.01, cycle=True),
                         lambda t: 0.09 * (1 - t / (10 * max(1, math.ceil(t / 10)))) + 0.01),
    "cosine": (schedules.CosineDecay(0.1, 20, 0.1),
               lambda t: 0.1 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(t, 20) / 20)) + 0.1)),
    "cosine_warm": (schedules.CosineDecay(0.0, 20, warmup_target=0.1, warmup_steps=10), lambda t: 0.1 * t / 10 if t < 10 else
                    0.1 * 0.5 * (1 + math.cos(math.pi * (min(t, 30) - 10) / 20))),
    "restarts": (schedules.CosineDecayRestarts(0.1, 8, t_mul=2.0, m_mul=0.5, alpha=0.1), None),
    "restarts_even": (schedules.CosineDecayRestarts(0.1, 8, t_mul=1.0, m_mul=0.5, alpha=0.1), None),
}


def restarted(t, t_mul):
    """Rate of the two schedules with restarts: periods are walked through one by one."""
    length, height = 8, 1.0
    while t >= length:
        t, length, height = t - length, length * t_mul, height * 0.5
    return 0.1 * (0.9 * 0.5 * height * (1 + math.cos(math.pi * t / length)) + 0.1)


@pytest.mark.parametrize("name", RATES)
def test_schedule(name):
    schedule, formula = RATES[name]
    formula = formula or (lambda t: restarted(t, schedule.t_mul))
    counter = Variable(0, dtype="int32")
    compiled = Executable(trace_function(lambda: schedule(counter), [])[0])
    for t in STEP_NUMBERS:
        counter.assign(t)
        np.testing.assert_allclose([float(schedule(t)), float(compiled([])[0])], formula(t), rtol=2e-5, atol=1e-8)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()


def test_schedules_say_what_is_wrong():
    with pytest.raises(ValueError, match="decay_steps above 0; received decay_steps=0"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(ValueError, match="one value more"):
        schedules.PiecewiseConstantDecay([1, 2], [1.0, 0.5])
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(1)


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
