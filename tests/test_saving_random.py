"""What is written is read again as it was: random graphs through each format, and a disk that is full at each moment of a save."""
import os
import tempfile

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_checkpoint_files import Faults
from test_config import random_model, same_nodes

import graphnet as gn

RNG = np.random.default_rng(0)


def same(model, again, data):
    """Isomorphic graphs, equal weights, and outputs that are equal to the bit."""
    assert nx.is_isomorphic(model.graph, again.graph, same_nodes, lambda a, b: a == b)
    assert [v.shape for v in model.weights] == [v.shape for v in again.weights]
    assert all(map(np.array_equal, model.get_weights(), again.get_weights()))
    for got, want in zip(gn.tree.flatten(again.predict(data, verbose=0)), gn.tree.flatten(model.predict(data, verbose=0)), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@given(data=st.data())
@settings(max_examples=25)
def test_random_graphs_through_files(ending, data):
    model = random_model(data.draw)
    values = [RNG.random((3, 4), "float32") for _ in model.inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"model.{ending}")
        model.save(path)
        again = gn.saving.load_model(path)
        same(model, again, values)
        again.save(path)  # what was read is written as it was
        same(model, gn.saving.load_model(path), values)


@given(st.data())
@settings(max_examples=20)
def test_random_graphs_through_weights_and_clones(data):
    model = random_model(data.draw)
    values = [RNG.random((3, 4), "float32") for _ in model.inputs]
    clone, other = gn.models.clone_model(model), gn.models.clone_model(model)
    clone.set_weights(model.get_weights())
    same(model, clone, values)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.weights.h5")
        model.save_weights(path)
        other.load_weights(path)
    same(model, other, values)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
@pytest.mark.parametrize("before", [True, False], ids=["replaced", "new"])
def test_each_write_may_fail(tmp_path, name, before):
    """An injected error at each write, sync and rename leaves the file of before, or the new one; nothing else stays."""
    models = [gn.Sequential([gn.Input((3,)), gn.layers.Dense(2, kernel_initializer=start)]) for start in ("zeros", "ones")]
    path, reader = tmp_path / name, gn.models.clone_model(models[0])

    def save(model):
        (model.save_weights if name.endswith("weights.h5") else model.save)(path)
    for number in range(60):
        path.unlink(missing_ok=True)
        if before:
            save(models[0])
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, number)
            try:
                save(models[1])
            except OSError as error:
                assert error is faults.error
                failed = True
            else:
                failed = False
        assert os.listdir(tmp_path) == [name] * path.exists()
        if path.exists():
            reader.load_weights(path)
        found = int(reader.get_weights()[0][0, 0]) if path.exists() else None
        assert found == 1 if not failed else found in (0 if before else None, 1)
        if not failed:
            break
    assert 2 < number < 59
