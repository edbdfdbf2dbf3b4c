"""What optimizers and schedules compute: formulas in float64, and traced steps against eager ones."""
import math

import numpy as np
import pytest
from optimizer_steps import STEPS, graph_of, run, same, traced, values, variables

from graphnet import Variable, optimizers
from graphnet.compiler import Executable
from graphnet.optimizers import schedules
from graphnet.tracing import trace_function

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
