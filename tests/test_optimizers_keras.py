"""Optimizers and schedules against the real Keras: the same gradients for several steps, then variables, state and configs."""
import inspect
import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="the real Keras is not installed beside graphnet, to compare optimizers with")

from graphnet import Variable, optimizers  # noqa: E402 (behind the check that Keras is here)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")  # Keras's variables
STEPS = 5
SHAPES = {"dense/kernel": (4, 6), "dense/bias": (6,), "conv/kernel": (3, 2, 5)}
# how far results may be from Keras's, in units of the last place of the largest number of each variable, where no sum is taken
# (XLA adds in another order) and no subtraction magnifies rounding; measured: 0, and up to 8 elsewhere
EXACT, NEAR = 0.25, 16
SUMS = ("clipnorm", "global_clipnorm")

COMMON = [{"weight_decay": 0.01}, {"clipnorm": 0.5}, {"clipvalue": 0.3}, {"global_clipnorm": 0.7}, {"use_ema": True},
          {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}, {"loss_scale_factor": 8.0},
          {"gradient_accumulation_steps": 2}, {"gradient_accumulation_steps": 3, "use_ema": True, "ema_overwrite_frequency": 2,
                                               "clipnorm": 0.5, "weight_decay": 0.01}]
OWN = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{}, {"momentum": 0.5}, {"centered": True}, {"rho": 0.7, "momentum": 0.9, "centered": True, "epsilon": 1e-4}],
    "Adam": [{}, {"amsgrad": True}, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}],
    "AdamW": [{}, {"weight_decay": 0.1, "amsgrad": True}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.5, "epsilon": 1e-3}],
    "Adadelta": [{}, {"learning_rate": 1.0, "rho": 0.8}],
    "Adamax": [{}, {"beta_1": 0.8, "beta_2": 0.99}],
    "Nadam": [{}, {"beta_1": 0.8, "beta_2": 0.99}],
    "Ftrl": [{}, {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1}, {"beta": 0.5},
             {"l2_shrinkage_regularization_strength": 0.1, "learning_rate_power": -0.3}],
    "Lion": [{}, {"beta_1": 0.5, "beta_2": 0.7}],
    "Adafactor": [{}, {"clip_threshold": 0.5, "relative_step": False}, {"beta_2_decay": -0.5, "epsilon_2": 0.1}],
    "Lamb": [{}, {"beta_1": 0.8, "epsilon": 1e-3}],
    "Muon": [{}, {"nesterov": False, "rms_rate": None}, {"exclude_layers": ["out"], "adam_lr_ratio": 0.5, "ns_steps": 3}],
    "ScheduleFreeAdamW": [{}, {"warmup_steps": 3, "beta_1": 0.8}],
}
CASES = [(name, own) for name, owns in OWN.items() for own in owns]
CASES += [("Adam", common) for common in COMMON] + [("Nadam", COMMON[-1]), ("Muon", COMMON[-1])]


def values(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype("float32") for s in SHAPES.values()]


def theirs(start):
    made = []
    for (path, _), value in zip(SHAPES.items(), start, strict=True):
        v = keras.Variable(value.copy(), name=path.rsplit("/", 1)[-1])
        v._path = path
        made.append(v)
    return made


def ours(start):
    return [Variable(value, name=path.rsplit("/", 1)[-1], path=path) for path, value in zip(SHAPES, start, strict=True)]


def ulps(found, expected):
    """The largest difference, in units of the last place of the largest expected number."""
    expected = np.asarray(expected)
    if expected.dtype.kind in "iu":
        assert np.array_equal(found, expected)
        return 0.0
    assert np.isfinite(expected).all()
    largest = max(np.max(np.abs(expected)), np.float32(1e-30))
    return float(np.max(np.abs(found - expected)) / np.spacing(np.float32(largest)))


def steps(optimizer, variables, count=STEPS):
    for i in range(count):
        optimizer.apply(values(i + 1), variables)


def name_of(variable):
    """Its path within the optimizer; Nadam's nameless variable gets a number from Keras."""
    return variable.path.split("/", 1)[-1].rstrip("_0123456789")


def compared(mine, real, count=STEPS):
    """Both optimizers' steps from the same start: the largest differences of variables and of state, in ulps."""
    x, y = ours(values()), theirs(values())
    steps(mine, x, count)
    steps(real, y, count)
    assert [name_of(v) for v in mine.variables] == [name_of(v) for v in real.variables]
    assert [(v.shape, v.dtype) for v in mine.variables] == [(tuple(v.shape), v.dtype) for v in real.variables]
    return (max(ulps(a.value, b.numpy()) for a, b in zip(x, y, strict=True)),
            max(ulps(a.value, b.numpy()) for a, b in zip(mine.variables, real.variables, strict=True)))


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda x: x if isinstance(x, str) else ",".join(x) or "plain")
def test_steps_are_keras_s(name, arguments):
    found = compared(getattr(optimizers, name)(**arguments), getattr(keras.optimizers, name)(**arguments))
    sums = name in ("Adafactor", "Ftrl", "Lamb", "Muon") or any(s in arguments for s in SUMS)
    assert max(found) <= (NEAR if sums else EXACT), found


def test_loss_scale_is_keras_s():
    def make(module):
        return module.LossScaleOptimizer(module.Adam(), initial_scale=4.0, dynamic_growth_steps=2)

    mine, real = make(optimizers), make(keras.optimizers)
    x, y = ours(values()), theirs(values())
    real.build(y)
    state, y = [v.value for v in real.variables], [v.value for v in y]
    for i in range(STEPS):
        grads = values(i + 1)
        grads[1][0] *= np.inf if i == 2 else 1
        mine.apply(grads, x)
        y, state = real.stateless_apply(state, grads, y)  # its other way of stepping fails on jax
        assert [v.shape for v in mine.variables] == [tuple(v.shape) for v in state]
        assert max(ulps(a.value, np.asarray(b)) for a, b in zip([*x, *mine.variables], [*y, *state], strict=True)) <= NEAR


@pytest.mark.parametrize("name", OWN)
def test_state_goes_to_keras_and_back(name):
    mine, real, store, back = getattr(optimizers, name)(use_ema=True), getattr(keras.optimizers, name)(use_ema=True), {}, {}
    x = ours(values())
    steps(mine, x, 2)
    y = theirs([v.numpy() for v in x])
    real.build(y)
    mine.save_own_variables(store)
    real.load_own_variables(store)
    mine.apply(values(9), x)
    real.apply(values(9), y)
    assert max(ulps(a.value, b.numpy()) for a, b in zip(x, y, strict=True)) <= NEAR
    real.save_own_variables(back)
    mine.load_own_variables(back)
    for a, b in zip(mine.variables, real.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("name", [n for n in keras.optimizers.__dict__ if n[0].isupper()])
def test_arguments_and_configs_are_keras_s(name):
    mine, real = getattr(optimizers, name), getattr(keras.optimizers, name)
    shown = [[(p.name, p.default) for p in inspect.signature(c).parameters.values()] for c in (mine, real)]
    assert shown[0] == shown[1]
    if name in OWN:
        made = [c(name="same", weight_decay=0.5) for c in (mine, real)]
        assert made[0].get_config() == made[1].get_config() and list(made[0].get_config()) == list(made[1].get_config())
        written = keras.optimizers.serialize(made[1])
        assert optimizers.serialize(made[0]) == written
        assert optimizers.deserialize(written).get_config() == written["config"]
        if name != "Lamb":  # which Keras 3.15 writes, and does not read
            assert keras.optimizers.deserialize(optimizers.serialize(made[0])).get_config() == written["config"]
        assert mine().name.rstrip("_0123456789") == real().name.rstrip("_0123456789")


SCHEDULES = [
    ("ExponentialDecay", (0.1, 10, 0.9)), ("ExponentialDecay", (0.1, 10, 0.9, True)), ("InverseTimeDecay", (0.1, 10, 0.5)),
    ("PiecewiseConstantDecay", ([5, 20], [1.0, 0.5, 0.1])), ("PolynomialDecay", (0.1, 10, 0.01, 2.0)),
    ("PolynomialDecay", (0.1, 10, 0.01, 0.5, True)), ("CosineDecay", (0.1, 20, 0.1)),
    ("CosineDecay", (0.0, 20, 0.1, "warm", 0.2, 7)), ("CosineDecayRestarts", (0.1, 8, 1.5, 0.9, 0.1)),
    ("CosineDecayRestarts", (0.1, 8, 1.0)),
]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_schedules_are_keras_s(name, arguments):
    mine, real = getattr(optimizers.schedules, name)(*arguments), getattr(keras.optimizers.schedules, name)(*arguments)
    for step in (0, 1, 5, 6, 8, 13, 20, 21, 40):
        np.testing.assert_allclose(float(mine(step)), float(real(step)), rtol=1e-6, atol=1e-8)
    assert optimizers.schedules.serialize(mine) == keras.optimizers.schedules.serialize(real)
    assert list(inspect.signature(type(mine)).parameters) == list(inspect.signature(type(real)).parameters)


def test_names_are_keras_s():
    assert {n for n in dir(keras.optimizers) if not n.startswith("_")} - set(optimizers.__all__) <= {"legacy"}
    assert {n for n in dir(keras.optimizers.schedules) if not n.startswith("_")} <= set(optimizers.schedules.__all__)
