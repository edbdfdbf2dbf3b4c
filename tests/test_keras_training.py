"""Whole models trained beside the real Keras on jax: the same weights, data and calls; logs with their names and order, and
weights.

A scenario is a function of `k`, which is graphnet or keras, that gives a compiled model and a list of calls of it; all that the
calls return is compared, and the weights and the optimizer's variables behind them.
"""
import os

import numpy as np
import pytest

import graphnet

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="the real Keras is not installed beside graphnet, to compare training with",
                            exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of Keras and jax
SCENARIOS = []


def scenario(function):
    SCENARIOS.append(pytest.param(function, id=function.__name__))
    return function


def rng():
    return np.random.default_rng(0)


def drawn(*shape):
    return np.random.default_rng([5, *shape]).standard_normal(shape).astype("float32")


def labels(rows, classes=3):
    return np.random.default_rng(rows).integers(classes, size=rows)


def one_hot(rows, classes=3):
    return np.eye(classes, dtype="float32")[labels(rows, classes)]


def classifier(k, **options):
    inputs = k.Input((5,), name="features")
    hidden = k.layers.Dense(6, activation="tanh", name="hidden", **options)(inputs)
    return k.Model(inputs, k.layers.Dense(3, activation="softmax", name="kind")(hidden))


def regressor(k, *layers):
    return k.Sequential([k.Input((5,)), k.layers.Dense(6, activation="relu"), *layers, k.layers.Dense(1)])


def two_heads(k, as_dict=False):
    a, b = k.Input((4,), name="a"), k.Input((5,), name="b")
    hidden = k.layers.Dense(6, activation="tanh")(k.layers.Concatenate()([a, b]))
    size, kind = k.layers.Dense(1, name="size")(hidden), k.layers.Dense(3, activation="softmax", name="kind")(hidden)
    return k.Model({"b": b, "a": a} if as_dict else [a, b], {"size": size, "kind": kind} if as_dict else [size, kind])


def two_inputs(rows, as_dict=False):
    a, b = drawn(rows, 4), drawn(rows, 5)
    return {"a": a, "b": b} if as_dict else [a, b]


def steps(model, *args, times=3, **options):
    """Calls of train_on_batch, one that gives a dict and one of evaluate."""
    return [*[lambda: model.train_on_batch(*args, **options)] * times, lambda: model.train_on_batch(*args, return_dict=True,
                                                                                                    **options),
            lambda: model.test_on_batch(*args[:2], return_dict=True)]


def runs(model, x, y, **options):
    """fit, and evaluate both ways."""
    return [lambda: model.fit(x, y, verbose=0, **options).history, lambda: model.evaluate(x, y, verbose=0, batch_size=7),
            lambda: model.evaluate(x, y, verbose=0, return_dict=True)]


@scenario
def names_of_losses(k):
    model = classifier(k)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_categorical_crossentropy"])
    return model, steps(model, drawn(16, 5), labels(16))


@scenario
def names_that_mean_several(k):
    model = classifier(k)
    model.compile("rmsprop", "crossentropy", metrics=["acc"])
    return model, steps(model, drawn(16, 5), one_hot(16))


@scenario
def fit_with_a_split(k):
    model = regressor(k)
    model.compile(k.optimizers.Adam(0.01), "mse", metrics=["mae", k.metrics.RootMeanSquaredError(name="rms")])
    return model, runs(model, drawn(50, 5), drawn(50, 1), batch_size=8, epochs=3, validation_split=0.3, shuffle=False)


@scenario
def validation_data_at_some_epochs(k):
    model = regressor(k)
    model.compile("nadam", "huber", metrics=["mape"])
    return model, runs(model, drawn(20, 5), drawn(20, 1), batch_size=8, epochs=4,
                       validation_data=(drawn(9, 5), drawn(9, 1), np.abs(drawn(9))), validation_freq=2, validation_batch_size=4,
                       validation_steps=2, shuffle=False)


@scenario
def initial_epoch(k):
    model = regressor(k)
    model.compile("adagrad", "log_cosh")
    fit = runs(model, drawn(20, 5), drawn(20, 1), epochs=5, initial_epoch=3, shuffle=False)
    return model, [*fit, lambda: model.history.epoch]


@scenario
def steps_per_execution(k):
    model = regressor(k)
    model.compile(k.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mae", steps_per_execution=3, metrics=["mse"])
    return model, runs(model, drawn(50, 5), drawn(50, 1), batch_size=8, epochs=2, shuffle=False)


@scenario
def steps_per_epoch_of_a_generator(k):
    model = regressor(k)
    model.compile("adam", "mse")

    def batches():
        for i in range(100):
            yield drawn(4, 5) + i % 7, drawn(4, 1), np.abs(drawn(4))
    return model, [lambda: model.fit(batches(), steps_per_epoch=4, epochs=2, verbose=0).history,
                   lambda: model.evaluate(batches(), steps=3, verbose=0)]


@scenario
def sample_weights(k):
    model = classifier(k)
    model.compile("adam", k.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"],
                  weighted_metrics=["sparse_categorical_accuracy"])
    w = np.abs(drawn(24))
    return model, [*steps(model, drawn(24, 5), labels(24), w),
                   lambda: model.fit(drawn(24, 5), labels(24), sample_weight=w, verbose=0, shuffle=False, batch_size=7,
                                     validation_split=0.25).history,
                   lambda: model.evaluate(drawn(24, 5), labels(24), sample_weight=w, verbose=0, batch_size=7)]


@scenario
def class_weights(k):
    model = classifier(k)
    model.compile("adam", "sparse_categorical_crossentropy", weighted_metrics=["sparse_categorical_accuracy"])
    factors = {0: 0.5, 1: 1.0, 2: 3.0}
    return model, [
        lambda: model.fit(drawn(24, 5), labels(24), class_weight=factors, verbose=0, shuffle=False, batch_size=7).history,
        lambda: model.train_on_batch(drawn(24, 5), labels(24), class_weight=factors),
    ]


@scenario
def class_weights_of_one_hot_labels(k):
    model = classifier(k)
    model.compile("adam", "categorical_crossentropy",
                  metrics=["accuracy", k.metrics.AUC(name="auc"), k.metrics.Precision(name="p")])
    return model, [
        lambda: model.fit(drawn(24, 5), one_hot(24), class_weight={0: 0.5, 1: 2.0, 2: 3.0}, verbose=0, shuffle=False).history
    ]


@scenario
def several_metrics_of_one_kind(k):
    model = classifier(k)
    model.compile("sgd", "categorical_crossentropy", metrics=[["accuracy"], [k.metrics.TopKCategoricalAccuracy(2)]],
                  weighted_metrics=[
        k.metrics.CategoricalAccuracy(), k.metrics.CategoricalCrossentropy(), k.metrics.F1Score(average="macro")])
    return model, steps(model, drawn(24, 5), one_hot(24), np.abs(drawn(24)))


@scenario
def functions_as_losses_and_metrics(k):
    def gap(y_true, y_pred):
        return k.ops.mean(k.ops.abs(y_true - y_pred) ** 1.5, axis=-1)

    def worst(y_true, y_pred):
        return k.ops.max(k.ops.abs(y_true - y_pred))
    model = regressor(k)
    model.compile("adam", gap, metrics=[worst, k.losses.cosine_similarity if k is keras else graphnet.losses.cosine_similarity])
    return model, steps(model, drawn(12, 5), drawn(12, 1))


@scenario
def a_dict_of_losses(k):
    model = two_heads(k)
    model.compile("adam", {"kind": "categorical_crossentropy", "size": "mse"}, loss_weights={"kind": 0.3, "size": 2.0},
                  metrics={"kind": ["accuracy", "mse"], "size": "mae"}, weighted_metrics={"kind": ["accuracy"]})
    y = {"size": drawn(18, 1), "kind": one_hot(18)}
    return model, [
        *steps(model, two_inputs(18), y),
        *runs(model, two_inputs(18), y, shuffle=False, epochs=2, batch_size=7, validation_split=0.2),
    ]


@scenario
def a_list_of_losses(k):
    model = two_heads(k)
    model.compile("adam", ["mse", "categorical_crossentropy"], loss_weights=[1.0, 0.2], metrics=[["mae", "mse"], ["accuracy"]])
    y = [drawn(18, 1), one_hot(18)]
    return model, [
        *steps(model, two_inputs(18), y),
        *runs(
            model, two_inputs(18), y, shuffle=False, batch_size=7, validation_data=(two_inputs(5), [drawn(5, 1), one_hot(5)])
        ),
    ]


@scenario
def one_loss_for_all(k):
    model = two_heads(k)
    model.compile("adam", "mse")
    return model, steps(model, two_inputs(18), [drawn(18, 1), one_hot(18)])


@scenario
def dicts_in_and_out(k):
    model = two_heads(k, as_dict=True)
    model.compile("adam", {"size": "mse", "kind": "categorical_crossentropy"}, metrics={"size": ["mae"], "kind": ["accuracy"]},
                  loss_weights={"size": 0.5, "kind": 1.0})
    y = {"kind": one_hot(18), "size": drawn(18, 1)}
    return model, [
        *steps(model, two_inputs(18, True), y),
        *runs(model, two_inputs(18, True), y, shuffle=False, epochs=2, batch_size=7),
    ]


@scenario
def weights_of_samples_by_output(k):
    model = two_heads(k)
    model.compile("adam", ["mse", "categorical_crossentropy"], weighted_metrics=[["mae"], ["accuracy"]])
    return model, steps(model, two_inputs(18), [drawn(18, 1), one_hot(18)], [np.abs(drawn(18)), np.abs(drawn(18))[::-1].copy()])


@scenario
def a_loss_for_one_output(k):
    model = two_heads(k)
    model.compile("sgd", ["mse", None], metrics=[["mae"], None])
    return model, steps(model, two_inputs(18), [drawn(18, 1), one_hot(18)])[:3]


@scenario
def regularizers(k):
    model = classifier(k, kernel_regularizer=k.regularizers.L1L2(0.01, 0.02), bias_regularizer="l2",
                       activity_regularizer=k.regularizers.L2(0.1), kernel_constraint=k.constraints.MaxNorm(1.0))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, runs(model, drawn(30, 5), one_hot(30), batch_size=8, epochs=2, shuffle=False)


@scenario
def frozen_layers(k):
    model = classifier(k)
    model.layers[1].trainable = False
    model.compile("adam", "categorical_crossentropy")
    return model, steps(model, drawn(16, 5), one_hot(16))


@scenario
def batch_normalization(k):
    model = regressor(k, k.layers.BatchNormalization(momentum=0.7), k.layers.Dense(4), k.layers.BatchNormalization(scale=False))
    model.compile("sgd", "mse")
    return model, runs(model, drawn(33, 5), drawn(33, 1), batch_size=8, epochs=2, shuffle=False)


@scenario
def frozen_batch_normalization(k):
    model = regressor(k, k.layers.BatchNormalization(momentum=0.7), k.layers.Dense(4), k.layers.BatchNormalization())
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    return model, runs(model, drawn(33, 5), drawn(33, 1), batch_size=8, epochs=2, shuffle=False)


@scenario
def images(k):
    model = k.Sequential([
        k.Input((8, 8, 3)), k.layers.Rescaling(1 / 255), k.layers.Conv2D(4, 3, padding="same", use_bias=False),
        k.layers.BatchNormalization(),
        k.layers.ReLU(), k.layers.MaxPooling2D(), k.layers.SeparableConv2D(5, 3, activation="relu"),
        k.layers.GlobalAveragePooling2D(),
        k.layers.Dense(3, activation="softmax")])
    model.compile(k.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng().integers(256, size=(20, 8, 8, 3)).astype("uint8")
    return model, runs(model, x, labels(20), batch_size=8, epochs=2, shuffle=False)


@scenario
def masked_sequences(k):
    inputs = k.Input((None,), dtype="int32")
    hidden = k.layers.Embedding(11, 4, mask_zero=True)(inputs)
    hidden = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True))(hidden)
    model = k.Model(inputs, k.layers.Dense(1, activation="sigmoid")(k.layers.GRU(4)(hidden)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", k.metrics.AUC(name="auc")])
    x, y = rng().integers(1, 11, size=(20, 6)), labels(20, 2).astype("float32")[:, None]
    for i, row in enumerate(x):
        row[1 + i % 6:] = 0
    return model, [*steps(model, x[:5, :4], y[:5]), *runs(model, x, y, batch_size=8, epochs=2, shuffle=False)]


@scenario
def masks_reach_the_loss(k):
    inputs = k.Input((6,), dtype="int32")
    hidden = k.layers.LSTM(5, return_sequences=True)(k.layers.Embedding(11, 4, mask_zero=True)(inputs))
    model = k.Model(inputs, k.layers.Dense(3, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"],
                  weighted_metrics=["sparse_categorical_crossentropy"])
    x = rng().integers(1, 11, size=(12, 6))
    x[::2, 3:] = 0
    y, w = rng().integers(3, size=(12, 6)), np.abs(drawn(12, 6))

    def train(*weights):  # the loss alone: in training Keras on jax loses the masks that metrics count
        return model.train_on_batch(x, y, *weights)[0]
    return model, [train, train, lambda: train(w), lambda: train(w), lambda: model.test_on_batch(x, y, return_dict=True),
                   lambda: model.test_on_batch(x, y, w, return_dict=True)]


@scenario
def attention(k):
    inputs = k.Input((4, 6))
    hidden = k.layers.LayerNormalization()(inputs)
    hidden = k.layers.Add()([inputs, k.layers.MultiHeadAttention(2, 3)(hidden, hidden)])
    hidden = k.layers.Dense(6, activation="gelu")(k.layers.LayerNormalization()(hidden))
    model = k.Model(inputs, k.layers.Dense(2)(k.layers.GlobalAveragePooling1D()(hidden)))
    model.compile(k.optimizers.SGD(0.1, weight_decay=0.1), k.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    return model, runs(model, drawn(20, 4, 6), labels(20, 2), batch_size=8, epochs=2, shuffle=False)


@scenario
def shared_and_nested(k):
    inner = k.Sequential([k.Input((5,)), k.layers.Dense(4, activation="tanh", kernel_regularizer="l2"),
                          k.layers.BatchNormalization()], name="inner")
    a, b = k.Input((5,)), k.Input((5,))
    model = k.Model([a, b], k.layers.Dense(1)(k.layers.Subtract()([inner(a), inner(b)])))
    model.compile("adam", "mse")
    return model, steps(model, [drawn(16, 5), drawn(16, 5) + 1], drawn(16, 1))


@scenario
def subclassed(k):
    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = k.layers.Dense(4, activation="relu"), k.layers.Dense(1)
            self.seen = k.metrics.Mean(name="seen")

        def call(self, x, training=False):
            hidden = self.first(x)
            self.add_loss(0.1 * k.ops.mean(hidden))
            return {"y": self.second(hidden), "hidden": hidden}

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            self.seen.update_state(y_pred["hidden"])
            return loss * 2.0
    model = Own()
    model.compile("adam", {"y": "mse", "hidden": "mae"}, metrics={"y": ["mae"]})
    y = {"y": drawn(16, 1), "hidden": drawn(16, 4)}
    model(drawn(2, 5))
    return model, [*steps(model, drawn(16, 5), y), *runs(model, drawn(16, 5), y, shuffle=False, batch_size=6)]


@scenario
def a_schedule_and_clipped_gradients(k):
    model = regressor(k)
    rate = k.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True)
    model.compile(k.optimizers.SGD(rate, momentum=0.8, clipnorm=0.3), "mse")
    return model, [*runs(model, drawn(33, 5), drawn(33, 1), batch_size=8, epochs=2, shuffle=False),
                   lambda: float(np.asarray(model.optimizer.learning_rate))]


@scenario
def gradients_of_several_steps(k):
    model = regressor(k)
    model.compile(k.optimizers.Adam(0.01, gradient_accumulation_steps=3, global_clipnorm=0.5), "mse")
    return model, runs(model, drawn(33, 5), drawn(33, 1), batch_size=8, epochs=2, shuffle=False)


@scenario
def the_rate_changes_between_fits(k):
    model = regressor(k)
    model.compile("adam", "mse")

    def slower():
        model.optimizer.learning_rate = 1e-4

    return model, [
        *runs(model, drawn(12, 5), drawn(12, 1), shuffle=False),
        slower,
        *runs(model, drawn(12, 5), drawn(12, 1), shuffle=False),
    ]


@scenario
def compiled_twice(k):
    model = regressor(k)
    model.compile("adam", "mse", metrics=["mae"])
    return model, [
        *runs(model, drawn(12, 5), drawn(12, 1), shuffle=False),
        lambda: model.compile("sgd", "mae", metrics=["mse"]),
        *runs(model, drawn(12, 5), drawn(12, 1), shuffle=False),
    ]


@scenario
def callbacks_see_the_same(k):
    seen = []

    class Sees(k.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, {name: float(np.asarray(v)) for name, v in logs.items()}))

        def on_test_batch_end(self, batch, logs=None):
            seen.append((batch, {name: float(np.asarray(v)) for name, v in logs.items()}))

        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, dict(logs)))
    model = regressor(k)
    model.compile("sgd", "mse", metrics=["mae"])
    fit = runs(model, drawn(20, 5), drawn(20, 1), batch_size=8, epochs=3, validation_split=0.5, shuffle=False, callbacks=[
        Sees(), k.callbacks.ReduceLROnPlateau(patience=1, min_delta=10.0),
        k.callbacks.EarlyStopping(patience=2, min_delta=10.0)])
    return model, [*fit, lambda: seen, lambda: float(np.asarray(model.optimizer.learning_rate))]


@scenario
def rank_one_targets(k):
    model = regressor(k)
    model.compile("sgd", "mse", metrics=["mae", "mse"])
    return model, [*steps(model, drawn(7, 5), drawn(7)), *runs(model, drawn(7, 5), drawn(7), shuffle=False)]


def plain(result):
    """Dicts as lists of pairs, so that their order counts; arrays as numbers."""
    if isinstance(result, dict):
        return [(name, plain(value)) for name, value in result.items()]
    if isinstance(result, (list, tuple)):
        return [plain(one) for one in result]
    return None if result is None else result if isinstance(result, str) else np.asarray(result, "float64").tolist()


def agree(ours, theirs, where):
    if isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs), f"{where}: {ours} for {theirs}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            agree(a, b, f"{where}[{i}]")
    elif isinstance(theirs, tuple):
        assert ours[0] == theirs[0], f"{where}: the name {ours[0]!r} for {theirs[0]!r}"
        agree(ours[1], theirs[1], f"{where}, {theirs[0]}")
    elif theirs is None or isinstance(theirs, str):
        assert ours == theirs, where
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-6, err_msg=where)


def state(model):
    weights = [np.asarray(w.numpy() if hasattr(w, "numpy") else w) for w in model.weights]
    return [weights, [np.asarray(v.numpy() if hasattr(v, "numpy") else v) for v in model.optimizer.variables]]


@pytest.mark.parametrize("function", SCENARIOS)
def test_as_in_keras(function):
    found = []
    for k in (keras, graphnet):
        model, calls = function(k)
        model.set_weights([np.abs(0.5 * drawn(*w.shape)) + 0.1 if "variance" in w.path else 0.5 * drawn(*w.shape)
                           for w in model.weights])
        found.append(([plain(call()) for call in calls], [v.path.rsplit("/", 1)[-1] for v in model.weights], state(model)))
    (theirs, their_names, their_state), (ours, our_names, our_state) = found
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        agree(a, b, f"result {i}")
    assert our_names == their_names
    for a, b in zip([*our_state[0], *our_state[1]], [*their_state[0], *their_state[1]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(b).max(initial=0))))
