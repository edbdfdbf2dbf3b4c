"""Long runs leave the resident size flat and compile nothing: many predictions, many models built and dropped."""
import gc
import pathlib

import numpy as np
import pytest
from test_random_graphs import picture_model

import graphnet
from graphnet import layers

PAGE = 4096
STATUS = pathlib.Path("/proc/self/statm")


def resident():
    gc.collect()
    return int(STATUS.read_text().split()[1]) * PAGE


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="the resident size is read from /proc, which this system lacks")
def test_predictions_leave_memory_flat():
    x = graphnet.Input((16,))
    model = graphnet.Model(x, layers.Dense(4)(layers.Dense(8, activation="relu")(x)))
    data = np.ones((2, 16), "float32")
    for _ in range(2000):
        model.predict(data, verbose=0)
    before, compiled = resident(), graphnet.kernel_stats()["compiled"]
    for _ in range(100_000):
        model.predict(data, verbose=0)
    assert resident() < 1.05 * before
    assert graphnet.kernel_stats()["compiled"] == compiled


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="the resident size is read from /proc, which this system lacks")
def test_models_built_run_and_dropped_leave_memory_flat():
    for seed in range(300):  # all kernels that these models need are loaded
        model, x = picture_model(seed)
        model(x)
    del model
    before, compiled = resident(), graphnet.kernel_stats()["compiled"]
    for seed in range(300):
        model, x = picture_model(1000 + seed)
        model(x)
    del model
    assert resident() < 1.05 * before
    assert graphnet.kernel_stats()["compiled"] == compiled
