"""Optimizers and schedules against the real Keras: the same gradients for several steps, then variables, state and configs."""
import itertools
import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="the real Keras is not installed beside graphnet: nothing to compare optimizers with")

from graphnet import Variable, optimizers  # noqa: E402 (behind the check that Keras is here)

STEPS = 7
SHAPES = {"dense/kernel": (4, 6), "dense/bias": (6,), "conv/kernel": (3, 2, 5), "scale": (), "out/kernel": (6, 3)}
ULPS = 4  # how far a result may be from Keras's, in units of the last place of the largest number of its variable

COMMON = [{}, {"weight_decay": 0.01}, {"clipnorm": 0.5}, {"clipvalue": 0.3}, {"global_clipnorm": 0.7}, {"use_ema": True},
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
    "Ftrl": [{}, {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1}, {"l2_shrinkage_regularization_strength": 0.1},
             {"learning_rate_power": -0.3, "beta": 0.5}],
    "Lion": [{}, {"beta_1": 0.5, "beta_2": 0.7}],
    "Adafactor": [{}, {"clip_threshold": 0.5, "relative_step": False}, {"beta_2_decay": -0.5, "epsilon_2": 0.1}],
    "Lamb": [{}, {"beta_1": 0.8, "epsilon": 1e-3}],
    "Muon": [{}, {"nesterov": False, "rms_rate": None}, {"exclude_layers": ["out"], "adam_lr_ratio": 0.5, "ns_steps": 3}],
    "ScheduleFreeAdamW": [{}, {"warmup_steps": 3, "beta_1": 0.8}],
}
CASES = [(name, own | {k: v for k, v in common.items() if k not in own}) for name, owns in OWN.items()
         for own, common in itertools.chain([(o, {}) for o in owns], [({}, c) for c in COMMON[1:]])]


def values(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s).astype("float32") for s in SHAPES.values()]


def theirs(start):
    made = []
    for (path, _), value in zip(SHAPES.items(), start, strict=True):
        v = keras.Variable(value, name=path.rsplit("/", 1)[-1])
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
    return float(np.max(np.abs(found - expected), initial=0) / np.spacing(np.float32(max(np.max(np.abs(expected), initial=0), 1e-30))))


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


def tolerance(name):
    """Reductions and matrix products add in another order than XLA's."""
    return {"Muon": 64, "Adafactor": 16, "Lamb": 16}.get(name, ULPS)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda x: x if isinstance(x, str) else ",".join(map(str, x.items())) or "plain")
def test_steps_are_keras_s(name, arguments):
    found = compared(getattr(optimizers, name)(**arguments), getattr(keras.optimizers, name)(**arguments))
    assert max(found) <= tolerance(name), found
