"""compile, fit, evaluate, train_on_batch: what is trained, what logs are called, what is refused, and that a step is whole or
not at all.
"""
import os
import subprocess
import sys

import numpy as np
import pytest

import graphnet as gn
from graphnet import layers, losses, metrics, ops, optimizers
from graphnet.errors import DataError, OutOfRangeError

RNG = np.random.default_rng(0)


def data(rows=96, width=5, classes=3):
    x = RNG.normal(size=(rows, width)).astype("float32")
    return x, (x[:, :classes].argmax(-1)).astype("int64")


def classifier(width=5, classes=3, **kwargs):
    gn.utils.set_random_seed(1)
    inputs = gn.Input((width,))
    hidden = layers.Dense(8, activation="tanh", **kwargs)(inputs)
    return gn.Model(inputs, layers.Dense(classes)(hidden))


def compiled(**kwargs):
    model = classifier()
    model.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True), **kwargs)
    return model


def two_outputs():
    inputs = gn.Input((5,), name="in")
    return gn.Model(inputs, [layers.Dense(1, name="size")(inputs), layers.Dense(3, name="kind")(inputs)])


def test_a_step_is_gradient_descent():
    """Weights after one step of SGD are w - rate * gradient, the gradient by hand in float64."""
    inputs = gn.Input((4,))
    model = gn.Model(inputs, layers.Dense(2)(inputs))
    model.compile(optimizers.SGD(0.5), "mse")
    x, y = RNG.normal(size=(7, 4)).astype("float32"), RNG.normal(size=(7, 2)).astype("float32")
    w, b = (a.astype("float64") for a in model.get_weights())
    error = x.astype("float64") @ w + b - y
    loss = model.train_on_batch(x, y)
    np.testing.assert_allclose(loss, (error ** 2).mean(), rtol=1e-6)
    new_w, new_b = model.get_weights()
    np.testing.assert_allclose(new_w, w - 0.5 * x.T @ (2 * error / error.size), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new_b, b - 0.5 * (2 * error / error.size).sum(0), rtol=1e-5, atol=1e-6)


def test_fit_learns_and_keeps_a_history():
    x, y = data()
    model = compiled(metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=12, validation_split=0.25, verbose=0)
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert len(history.history["loss"]) == 12 and history.epoch == list(range(12))
    assert history.history["loss"][-1] < 0.6 * history.history["loss"][0]
    loss, accuracy = model.evaluate(x, y, verbose=0)
    predicted = model.predict(x, verbose=0)
    np.testing.assert_allclose(accuracy, (predicted.argmax(-1) == y).mean(), rtol=1e-6)
    logp = predicted - np.log(np.exp(predicted.astype("float64")).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss, -logp[np.arange(len(y)), y].mean(), rtol=1e-5)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {
        "accuracy": pytest.approx(accuracy),
        "loss": pytest.approx(loss),
    }


def test_a_smaller_last_batch_compiles_nothing():
    x, y = data(50)
    model = compiled(metrics=["accuracy"])
    model.fit(x[:32], y[:32], batch_size=16, verbose=0)
    before = gn.kernel_stats()
    model.fit(x, y, batch_size=16, verbose=0)
    assert gn.kernel_stats() == before
    assert len([k for k in model._untracked_executables if k[0] == "train" and k[1] != "widest"]) == 1


@pytest.mark.parametrize("loss", [
    ["mse", losses.CategoricalCrossentropy(from_logits=True)],
    {"size": "mse", "kind": losses.CategoricalCrossentropy(from_logits=True)},
])
@pytest.mark.parametrize("by_name", [False, True])
def test_names_of_several_outputs(loss, by_name):
    model = two_outputs()
    model.compile("sgd", loss, loss_weights={"kind": 0.2, "size": 1.0} if isinstance(loss, dict) else [1.0, 0.2],
                  metrics={"kind": ["accuracy"], "size": ["mae"]})
    x, targets = RNG.normal(size=(8, 5)).astype("float32"), [np.ones((8, 1), "float32"), np.eye(3, dtype="float32")[[0, 1] * 4]]
    logs = model.train_on_batch(x, dict(zip(["size", "kind"], targets, strict=True)) if by_name else targets, return_dict=True)
    assert list(logs) == ["kind_accuracy", "kind_loss", "loss", "size_loss", "size_mae"]
    np.testing.assert_allclose(logs["loss"], logs["size_loss"] + 0.2 * logs["kind_loss"], rtol=1e-6)


def test_one_array_is_no_target_of_two_outputs():
    """Broadcast over both it would be trained on in silence; with a single loss it is that output's."""
    x, y = data()
    model = two_outputs()
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match=r"each of the 2 outputs that have a loss \(size, kind\); received one array"):
        model.fit(x, y[:, None], verbose=0)
    model.compile("sgd", {"size": "mse"})
    assert np.isfinite(model.train_on_batch(x, y[:, None].astype("float32")))


def test_sequential_checks_what_it_is_fed():
    model = gn.Sequential([gn.Input((5,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match=r"expects shape \(None, 5\); received shape \(8,\)"):
        model.fit(np.zeros(8, "float32"), np.zeros((8, 3), "float32"), verbose=0)


@pytest.mark.parametrize("asked", [
    {"kind": ["accuracy", "mae"], "size": ["mae", "mse"]}, {"kind": ["accuracy", "mae"], "size": "mse"},
    [["accuracy", "mae"], "mse"]])
@pytest.mark.parametrize("named", [True, False])
def test_several_metrics_an_output(asked, named):
    """A list of metrics belongs to its output, whether the model gives a dict or a list."""
    inputs = gn.Input((5,))
    kind, size = layers.Dense(3, activation="softmax", name="kind")(inputs), layers.Dense(1, name="size")(inputs)
    model = gn.Model(inputs, {"kind": kind, "size": size} if named else [kind, size])
    model.compile("sgd", {"kind": "categorical_crossentropy", "size": "mse"}, metrics=asked)
    x = RNG.normal(size=(8, 5)).astype("float32")
    y = {"kind": np.eye(3, dtype="float32")[RNG.integers(0, 3, 8)], "size": x[:, :1]}
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    found = {name: value for name, value in logs.items() if not name.endswith("loss")}
    sizes = asked["size"] if isinstance(asked, dict) else asked[1]
    assert set(found) == {
        "kind_accuracy",
        "kind_mae",
        *[f"size_{name}" for name in ([sizes] if isinstance(sizes, str) else sizes)],
    }
    np.testing.assert_allclose(found["size_mse"], np.mean((predicted(model, x, named) - y["size"]) ** 2), rtol=1e-5)


def predicted(model, x, named):
    """The second output."""
    return model.predict(x, verbose=0)["size" if named else 1]


def test_an_output_without_a_loss_needs_no_target():
    model = two_outputs()
    model.compile("sgd", {"size": "mse"})
    x, size = RNG.normal(size=(8, 5)).astype("float32"), np.ones((8, 1), "float32")
    kept = model.get_layer("kind").get_weights()
    assert list(model.train_on_batch(x, {"size": size}, return_dict=True)) == ["loss"]
    for before, after in zip(kept, model.get_layer("kind").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    model.compile("sgd", ["mse", None])
    assert list(model.train_on_batch(x, [size], return_dict=True)) == ["loss"]


@pytest.mark.parametrize("change, words", [
    (dict(loss={"sise": "mse"}), ["sise", "size, kind"]),
    (dict(loss=["mse", "mse", "mse"]), ["2 outputs", "3"]),
    (dict(loss="mse", metrics={"kinds": ["mae"]}), ["kinds", "kind"]),
    (dict(loss={"size": "mse", "kind": "mse"}, loss_weights={"colour": 1.0}), ["colour"]),
])
def test_errors_list_the_names_of_outputs(change, words):
    model = two_outputs()
    model.compile("sgd", **change)
    before = model.get_weights()
    with pytest.raises(DataError) as error:
        model.train_on_batch(np.ones((2, 5), "float32"), [np.ones((2, 1), "float32"), np.ones((2, 3), "float32")])
    assert all(word in str(error.value) for word in words), error.value
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_calls_are_one_error_each():
    x, y = data(8)
    with pytest.raises(ValueError, match=r"compile\(optimizer, loss\)"):
        classifier().fit(x, y)
    with pytest.raises(ValueError, match="mean_squared_error"):
        classifier().compile("sgd", "mean_sqared_error")
    with pytest.raises(ValueError, match="steps_per_execution"):
        classifier().compile("sgd", "mse", steps_per_execution=0)
    with pytest.raises(DataError, match="y=None"):
        compiled().fit(x, verbose=0)
    with pytest.raises(DataError, match="8.*7|7.*8"):
        compiled().fit(x, y[:7], verbose=0)
    with pytest.raises(DataError, match="at least one row"):
        compiled().fit(x[:0], y[:0], verbose=0)
    with pytest.raises(ValueError, match="no loss to minimize"):
        model = classifier()
        model.compile("sgd")
        model.train_on_batch(x, y)


def test_labels_out_of_range_train_nothing():
    x, y = data(32)
    model = compiled(metrics=["accuracy"])
    model.train_on_batch(x, y)
    state = [v.numpy().copy() for v in (*model.variables, *model.optimizer.variables)]
    y[17] = 3
    with pytest.raises(OutOfRangeError, match="17"):
        model.train_on_batch(x, y)
    for a, v in zip(state, (*model.variables, *model.optimizer.variables), strict=True):
        np.testing.assert_array_equal(a, v.numpy())
    y[17] = 2
    assert np.isfinite(model.train_on_batch(x, y)[0])


def test_frozen_layers_stay_and_cost_nothing():
    x, y = data(32)
    model = compiled()
    model.layers[1].trainable = False
    kept = model.layers[1].get_weights()
    model.train_on_batch(x, y)
    for a, b in zip(kept, model.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    frozen = [e for k, e in model._untracked_executables.items() if k[0] == "train"][0][0]
    assert not any("dense" in (n.scope or "") and "gradient" in n.scope and n.scope.startswith(model.layers[1].name + " ")
                   for n in frozen.optimized.nodes)
    model.layers[1].trainable = True
    model.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(x, y)
    assert not np.array_equal(kept[0], model.layers[1].get_weights()[0])


def test_batch_normalization_moves_its_statistics_only_unless_frozen():
    inputs = gn.Input((4,))
    norm = layers.BatchNormalization(momentum=0.5)
    model = gn.Model(inputs, layers.Dense(1)(norm(inputs)))
    model.compile("sgd", "mse")
    x = RNG.normal(3.0, 2.0, size=(64, 4)).astype("float32")
    model.train_on_batch(x, np.ones((64, 1), "float32"))
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.5 * x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.5 + 0.5 * x.var(0), rtol=1e-4)
    before = norm.moving_mean.numpy().copy()
    norm.trainable = False
    model.train_on_batch(x, np.ones((64, 1), "float32"))
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before)


def test_shared_layers_add_their_gradients():
    a, b = gn.Input((4,)), gn.Input((4,))
    shared = layers.Dense(1, use_bias=False)
    model = gn.Model([a, b], shared(a) * 2.0 + shared(b))
    model.compile(optimizers.SGD(1.0), "mse")
    xa, xb = (RNG.normal(size=(6, 4)).astype("float32") for _ in range(2))
    w = shared.get_weights()[0].astype("float64")
    y = RNG.normal(size=(6, 1)).astype("float32")
    g = 2 * (2 * xa @ w + xb @ w - y) / 6
    model.train_on_batch([xa, xb], y)
    np.testing.assert_allclose(shared.get_weights()[0], w - (2 * xa + xb).T @ g, rtol=1e-4, atol=1e-5)


def test_regularizers_and_added_losses_are_minimized():
    class Adds(layers.Layer):
        def call(self, x):
            self.add_loss(ops.mean(x) * 3.0)
            return x
    x, y = data(16)
    inputs = gn.Input((5,))
    hidden = layers.Dense(3, kernel_regularizer=gn.regularizers.L2(0.1), activity_regularizer=gn.regularizers.L1(0.2))(inputs)
    model = gn.Model(inputs, Adds()(hidden))
    model.compile(optimizers.SGD(0.0), losses.SparseCategoricalCrossentropy(from_logits=True))
    w = model.get_weights()[0]
    out = model.predict(x, verbose=0).astype("float64")
    logp = out - np.log(np.exp(out).sum(-1, keepdims=True))
    want = -logp[np.arange(16), y].mean() + 0.1 * (w ** 2).sum() + 0.2 * np.abs(out).sum() / 16 + 3 * out.mean()
    np.testing.assert_allclose(model.train_on_batch(x, y), want, rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), want, rtol=1e-5)


def test_weights_of_samples_and_classes():
    x, y = data(24)
    model = compiled()
    out = model.predict(x, verbose=0).astype("float64")
    each = -(out - np.log(np.exp(out).sum(-1, keepdims=True)))[np.arange(24), y]
    weights = RNG.uniform(size=24).astype("float32")
    np.testing.assert_allclose(model.evaluate(x, y, sample_weight=weights, verbose=0), (each * weights).mean(), rtol=1e-5)
    factors = {0: 1.0, 1: 0.5, 2: 3.0}
    model.compile(optimizers.SGD(0.0), model.loss)
    history = model.fit(x, y, batch_size=24, class_weight=factors, verbose=0)
    np.testing.assert_allclose(history.history["loss"], (each * [factors[c] for c in y]).mean(), rtol=1e-5)


def test_a_train_step_of_ones_own():
    class Doubled(gn.Model):
        def train_step(self, batch):
            x, y = batch[:2]

            def loss_of(model):
                return ops.mean(ops.square(y - model(x, training=True)))
            loss, gradients = gn.value_and_grad(loss_of)(self)
            self.optimizer.apply([2.0 * g for g in gradients], self.trainable_variables)
            return {"own": loss}
    x, y = RNG.normal(size=(8, 3)).astype("float32"), RNG.normal(size=(8, 1)).astype("float32")
    inputs = gn.Input((3,))
    output = layers.Dense(1)(inputs)
    plain, doubled = gn.Model(inputs, output), Doubled(inputs, output)
    weights = plain.get_weights()
    plain.compile(optimizers.SGD(0.2), "mse")
    plain.train_on_batch(x, y)
    wanted = plain.get_weights()
    plain.set_weights(weights)
    doubled.compile(optimizers.SGD(0.1))
    logs = doubled.fit(x, y, verbose=0).history
    assert list(logs) == ["own"]
    for a, b in zip(wanted, doubled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_subclassed_model_with_its_own_loss_and_metrics():
    class Own(gn.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)
            self.norm = metrics.Mean(name="norm")

        def call(self, x, training=False):
            return self.dense(x) * (2.0 if training else 1.0)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            self.norm.update_state(ops.norm(y_pred))
            return ops.mean(ops.abs(y - y_pred))
    model = Own()
    model.compile("adam")
    x, y = RNG.normal(size=(32, 4)), RNG.normal(size=(32, 3))
    history = model.fit(x, y, epochs=3, verbose=0, batch_size=8)
    assert sorted(history.history) == ["loss", "norm"]
    assert len(model.trainable_variables) == 2 and len(model.weights) == 2
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize("kwargs", [{"run_eagerly": True}, {"steps_per_execution": 3}])
def test_other_ways_to_run_give_the_same(kwargs):
    x, y = data(40)
    results = []
    for extra in ({}, kwargs):
        model = compiled(metrics=["accuracy"], **extra)
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        results.append((history.history, model.get_weights()))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_validation_begins_anew_each_time():
    x, y = data(40)
    model = compiled()
    model.optimizer.learning_rate = 0.0
    history = model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y), validation_batch_size=8, validation_steps=2).history
    assert history["val_loss"] == [pytest.approx(model.evaluate(x[:16], y[:16], verbose=0))] * 3


def test_lists_of_logs_are_in_the_order_of_metrics_names():
    model = two_outputs()
    model.compile("sgd", "mse", metrics=[["mae"], ["mse"]])
    x, y = RNG.normal(size=(8, 5)).astype("float32"), [np.ones((8, 1), "float32"), np.ones((8, 3), "float32")]
    model.train_on_batch(x, y)
    values, logs = (model.evaluate(x, y, verbose=0, return_dict=as_dict) for as_dict in (False, True))
    assert model.metrics_names == ["loss", "size_loss", "kind_loss", "kind_mse", "size_mae"]
    assert dict(zip(model.metrics_names, values, strict=True)) == logs and list(logs) == sorted(logs)


def test_sequences_of_any_length_share_a_trace():
    inputs = gn.Input((None,), dtype="int32")
    model = gn.Model(inputs, layers.LSTM(4)(layers.Embedding(20, 3, mask_zero=True)(inputs)))
    model.compile("sgd", "mse")
    for length in (3, 5, 2):
        model.train_on_batch(RNG.integers(20, size=(4, length)), np.zeros((4, 4), "float32"))
    assert len([k for k in model._untracked_executables if k[0] == "train" and k[1] != "widest"]) <= 3
    assert len({id(e[0]) for k, e in model._untracked_executables.items() if k[0] == "train"}) == 1


def test_targets_of_several_lengths_are_traced_twice_at_most():
    inputs = gn.Input((None, 2))
    model = gn.Model(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    for length in (3, 5, 2, 7):
        model.train_on_batch(np.ones((4, length, 2), "float32"), np.ones((4, length, 1), "float32"))
    assert len({id(e[0]) for k, e in model._untracked_executables.items() if k[0] == "train"}) <= 2


def test_an_exception_in_a_callback_leaves_the_model_usable():
    class Fails(gn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise RuntimeError("in a callback")
    x, y = data(64)
    model = compiled()
    with pytest.raises(RuntimeError, match="in a callback"):
        model.fit(x, y, batch_size=16, verbose=0, callbacks=[Fails()])
    assert int(model.optimizer.iterations) == 2
    model.fit(x, y, batch_size=16, verbose=0)
    assert int(model.optimizer.iterations) == 6


def test_an_interrupt_leaves_the_weights_of_the_last_step():
    class Interrupts(gn.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                self.weights = self.model.get_weights()
                raise KeyboardInterrupt
    x, y = data(64)
    model, callback = compiled(), Interrupts()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=16, verbose=0, callbacks=[callback])
    for a, b in zip(callback.weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


SEEDED = """
import sys, numpy as np, graphnet as gn
from graphnet import layers
gn.utils.set_random_seed(3)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 12, 12, 3)).astype("float32"), rng.integers(4, size=64)
inputs = gn.Input((12, 12, 3))
h = layers.Conv2D(17, 3, activation="relu")(inputs)
h = layers.BatchNormalization()(layers.MaxPooling2D(2)(h))
h = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(h))
model = gn.Model(inputs, layers.Dense(4)(h))
model.compile("adam", gn.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = model.fit(x, y, batch_size=24, epochs=2, verbose=0)
sys.stdout.buffer.write(b"".join(w.tobytes() for w in model.get_weights()) + np.array(history.history["loss"]).tobytes())
"""


def test_equal_seeds_give_equal_bytes_for_any_number_of_threads():
    results = {subprocess.run([sys.executable, "-c", SEEDED], env={**os.environ, "GRAPHNET_THREADS": str(threads)}, check=True,
                              capture_output=True).stdout for threads in (1, 2, 8)}
    assert len(results) == 1 and len(results.pop()) > 1000


def test_metrics_of_compile_may_be_shared_by_name_but_not_lost():
    x, y = data(16)
    model = classifier()
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
                  weighted_metrics=["accuracy"])
    logs = model.train_on_batch(x, y, sample_weight=np.r_[np.ones(8), np.zeros(8)].astype("float32"), return_dict=True)
    assert list(logs) == ["accuracy", "loss", "weighted_accuracy"]


def test_model_variables_hold_neither_optimizer_nor_metrics():
    x, y = data(16)
    model = compiled(metrics=["accuracy"])
    count = len(model.variables)
    model.fit(x, y, verbose=0)
    assert len(model.variables) == count and len(model.metrics_variables) == 4 and len(model.optimizer.variables) >= 2


def test_regularized_convolutions_train():
    """The regularizer's part of the gradient is added behind the kernels' cotangents."""
    inputs = gn.Input((8, 8, 3))
    h = layers.Conv2D(5, 3, kernel_regularizer="l2", activation="gelu")(inputs)
    h = layers.Conv2DTranspose(4, 3, strides=2, kernel_regularizer="l2")(layers.DepthwiseConv2D(3,
                                                                                                depthwise_regularizer="l2")(h))
    model = gn.Model(inputs, layers.Dense(2, kernel_regularizer="l1")(layers.Flatten()(h)))
    model.compile("adam", "mse")
    x, y = RNG.normal(size=(6, 8, 8, 3)).astype("float32"), np.ones((6, 2), "float32")
    first = model.train_on_batch(x, y)
    for _ in range(5):
        last = model.train_on_batch(x, y)
    assert last < first


def test_a_list_of_one_loss_is_that_of_the_one_output():
    x, y = RNG.normal(size=(4, 3)).astype("float32"), np.ones((4, 2), "float32")
    results = []
    for loss in ("huber", [losses.Huber()]):
        gn.utils.set_random_seed(0)
        model = gn.Sequential([gn.Input((3,)), layers.Dense(2)])
        model.compile("sgd", loss, loss_weights=None if isinstance(loss, str) else [1.0])
        results.append(model.train_on_batch(x, y))
    assert results[0] == results[1]
    model.compile("sgd", ["mse", "mae"])
    with pytest.raises(DataError, match="1 outputs.*received 2"):
        model.train_on_batch(x, y)
