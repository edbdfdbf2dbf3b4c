"""What fit is given by users in a hurry: losses without gradients, generators used up, odd counts, copies of compiled models.
"""
import copy
import pickle

import numpy as np
import pytest

import graphnet as gn
from graphnet import layers, losses, metrics, ops, optimizers
from graphnet.errors import DataError, GraphError, ShapeError, SymbolicTensorError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 5)).astype("float32"), RNG.normal(size=(20, 1)).astype("float32")


def regressor(loss="mse", optimizer="sgd", **options):
    model = gn.Sequential([gn.Input((5,)), layers.Dense(3, activation="tanh"), layers.Dense(1)])
    model.compile(optimizer, loss, **options)
    return model


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_a_loss_that_depends_on_nothing_warns():
    model = regressor(lambda y_true, y_pred: 1.0)
    before = model.get_weights()
    with pytest.warns(UserWarning, match="depends on none of the trainable variables"):
        assert model.train_on_batch(X, Y) == 1.0
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_generator_that_is_used_up_ends_training():
    model = regressor()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(((X[i:i + 4], Y[i:i + 4]) for i in range(3)), epochs=4, verbose=0)
    assert len(history.history["loss"]) == 1 and int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("name", ["epochs", "initial_epoch"])
def test_epochs_are_counted(name):
    with pytest.raises(DataError, match=f"{name} to be a whole number; received 2.5"):
        regressor().fit(X, Y, verbose=0, **{name: 2.5})


def test_weights_of_samples_with_too_many_axes():
    with pytest.raises(ShapeError, match="values and sample_weight"):
        regressor().fit(X, Y, sample_weight=np.ones((20, 7)), verbose=0)


def test_a_row_of_numbers_is_a_column_of_one_feature():
    model = gn.Sequential([gn.Input((1,)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.3), "mse")
    x = np.linspace(-1, 1, 24, dtype="float32")
    model.fit(x, 2 * x - 1, epochs=60, verbose=0, batch_size=8)
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], 2 * x - 1, atol=1e-2)
    np.testing.assert_array_equal(model(x), model(x[:, None]))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_with_training(copied):
    model = regressor(losses.Huber(0.5), optimizers.Adam(0.01, clipnorm=1.0), metrics=["mae", metrics.RootMeanSquaredError()])
    model.fit(X, Y, epochs=2, verbose=0)
    other = copied(model)
    assert other.optimizer is not model.optimizer and int(other.optimizer.iterations) == 2
    logs = [m.fit(X, Y, epochs=2, verbose=0, shuffle=False).history for m in (model, other)]
    assert logs[0] == logs[1] and same_weights(model, other)


def test_a_metric_of_another_run_begins_anew():
    metric = metrics.RootMeanSquaredError()
    for _ in range(2):
        model = regressor(optimizer=optimizers.SGD(0.0), metrics=[metric])
        logs = model.fit(X, Y, verbose=0).history
        np.testing.assert_allclose(logs["root_mean_squared_error"], np.sqrt(logs["loss"]), rtol=1e-5)


def test_a_frozen_model_is_left_alone():
    model = gn.Sequential([gn.Input((5,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    model.trainable = False
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_batches_of_one_row():
    model = gn.Sequential([gn.Input((5,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for rows, size in ((3, 1), (9, 4), (1, 32)):
        history = model.fit(X[:rows], Y[:rows], batch_size=size, verbose=0).history
        assert np.isfinite(history["loss"]).all()


def test_models_of_float64():
    parts = [layers.Dense(4, activation="tanh", dtype="float64"), layers.BatchNormalization(dtype="float64"),
             layers.Dense(1, dtype="float64")]
    model = gn.Sequential([gn.Input((5,), dtype="float64"), *parts])
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X.astype("float64"), Y.astype("float64"), verbose=0, epochs=4, validation_split=0.1).history
    assert history["loss"][-1] < history["loss"][0] and all(w.dtype == np.float64 for w in model.get_weights())


def test_nested_outputs_and_what_belongs_to_them():
    inputs = gn.Input((5,))
    model = gn.Model(inputs, {"p": [layers.Dense(1)(inputs), layers.Dense(2)(inputs)], "q": layers.Dense(3)(inputs)})
    model.compile("sgd", {"p": ["mse", "mae"], "q": "mse"}, metrics={"p": [["mae"], ["mse"]], "q": ["mae"]},
                  loss_weights={"p": [1.0, 2.0], "q": 0.5})
    y = {"p": [np.ones((20, 1)), np.ones((20, 2))], "q": np.ones((20, 3))}
    logs = model.train_on_batch(X, y, return_dict=True)
    assert sorted(logs) == list(logs) == ["loss", "p/0_loss", "p/0_mae", "p/1_loss", "p/1_mse", "q_loss", "q_mae"]
    np.testing.assert_allclose(logs["loss"], logs["p/0_loss"] + 2 * logs["p/1_loss"] + 0.5 * logs["q_loss"], rtol=1e-5)


def test_the_rate_is_set_between_fits():
    model = regressor(optimizer="adam")
    model.fit(X, Y, verbose=0)
    model.optimizer.learning_rate = 0.0
    before = copy.deepcopy(model)
    model.fit(X, Y, verbose=0)
    assert same_weights(before, model)
    model.optimizer.learning_rate.assign(0.1)
    model.fit(X, Y, verbose=0)
    assert not same_weights(before, model)


def test_a_step_gets_as_much_as_there_is():
    seen = []

    class Looks(gn.Model):
        def train_step(self, data):
            seen.append(len(data) if isinstance(data, tuple) else data.shape)
            return {"loss": ops.mean(self(X))}
    inputs = gn.Input((5,))
    model = Looks(inputs, layers.Dense(1)(inputs))
    model.compile("sgd")
    for data in ((X,), (X, Y), (X, Y, np.ones(20, "float32"))):
        model.train_on_batch(*data)
    assert seen == [(None, 5), 2, 3]


def test_a_step_without_logs_is_named():
    class Forgets(gn.Model):
        def train_step(self, data):
            self(data[0])
    inputs = gn.Input((5,))
    model = Forgets(inputs, layers.Dense(1)(inputs))
    model.compile("sgd")
    with pytest.raises(GraphError, match=r"train_step of model .*Forgets.*returned None. Is a `return` missing"):
        model.fit(X, Y, verbose=0)


def test_a_branch_on_a_tensor_is_named_with_its_line():
    class Branches(gn.Model):
        def train_step(self, data):
            loss = ops.mean(self(data[0]))
            return {"loss": loss if loss > 1 else -loss}
    inputs = gn.Input((5,))
    model = Branches(inputs, layers.Dense(1)(inputs))
    model.compile("sgd")
    with pytest.raises(SymbolicTensorError, match=r"cannot decide an `if`.*ops.where[^@]*test_training_edges.py:\d+"):
        model.fit(X, Y, verbose=0)


def test_run_eagerly_lets_python_see_values():
    seen = []

    class Looks(gn.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x, training=False):
            y = self.dense(x)
            if not training:
                seen.append(float(ops.sum(y)))
            return y
    model = Looks()
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    out = model.predict(x, verbose=0)
    assert len(seen) == 2 and seen[-1] == pytest.approx(out.sum(), rel=1e-5)
