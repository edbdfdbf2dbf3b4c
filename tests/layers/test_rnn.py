"""Recurrent layers against recurrences written out in float64, by their properties, and against Keras where it is installed."""
import numpy as np
import pytest
from running import again, by_reference, draw, everywhere, like_keras, traced

import graphnet
from graphnet import layers, ops
from graphnet.compiler import Executable
from graphnet.errors import GraphError, ShapeError, UnsupportedError

X = draw(2, 5, 4)
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)
KINDS = ["SimpleRNN", "GRU", "LSTM"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_step(kind, weights, x, states, reset_after=True):
    """The states after a step, by the formulas of the papers, gate by gate."""
    kernel, recurrent, bias = (w.astype("float64") for w in weights)
    h = states[0]
    units = len(recurrent)
    gates = [slice(i * units, (i + 1) * units) for i in range(4)]
    if kind == "SimpleRNN":
        return [np.tanh(x @ kernel + h @ recurrent + bias)]
    if kind == "LSTM":
        i, f, g, o = (x @ kernel[:, k] + h @ recurrent[:, k] + bias[k] for k in gates)
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    outer, inner = bias if reset_after else (bias, np.zeros_like(bias))
    z, r = (sigmoid(x @ kernel[:, k] + outer[k] + h @ recurrent[:, k] + inner[k]) for k in gates[:2])
    k = gates[2]
    share = r * (h @ recurrent[:, k] + inner[k]) if reset_after else (r * h) @ recurrent[:, k]
    return [z * h + (1 - z) * np.tanh(x @ kernel[:, k] + outer[k] + share)]


def recurrence(kind, weights, x, mask=None, states=None, zeros=False, **options):
    """(all outputs, final states): where the mask is False a step is skipped."""
    units = weights[1].shape[0]
    states = [np.zeros((len(x), units))] * (2 if kind == "LSTM" else 1) if states is None else states
    outputs = []
    for t in range(x.shape[1]):
        new = one_step(kind, weights, x[:, t].astype("float64"), states, **options)
        kept = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        states = [np.where(kept, b, a) for a, b in zip(states, new, strict=True)]
        outputs.append(np.where(kept, states[0], 0) if zeros else states[0])
    return np.stack(outputs, 1), states


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_layers_are_their_recurrence(kind, masked, backwards):
    layer = getattr(layers, kind)(3, return_sequences=True, return_state=True, go_backwards=backwards)
    y, *states = everywhere(layer, X, call={"mask": MASK} if masked else {})
    order = slice(None, None, -1 if backwards else 1)
    expected, finals = recurrence(kind, layer.get_weights(), X[:, order], MASK[:, order] if masked else None)
    for a, b in zip([y, *states], [expected, *finals], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    last = getattr(layers, kind)(3, go_backwards=backwards)
    last.build(X.shape)
    last.set_weights(layer.get_weights())
    np.testing.assert_allclose(last(X, mask=MASK if masked else None), expected[:, -1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_states_and_zeros_for_masked_steps(kind):
    states = [draw(2, 3) for _ in range(2 if kind == "LSTM" else 1)]
    layer = getattr(layers, kind)(3, return_sequences=True, zero_output_for_mask=True)
    y = everywhere(layer, X, call={"initial_state": states, "mask": MASK})
    np.testing.assert_allclose(y, recurrence(kind, layer.get_weights(), X, MASK, states, zeros=True)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer([X, *states]), layer(X, initial_state=states))
    with pytest.raises(ShapeError, match=f"{len(states)} tensor"):
        layer(X, initial_state=[states[0]] * 3)
    with pytest.raises(ShapeError, match="3 features; received shape"):
        layer(X, initial_state=[draw(2, 7)] * len(states))


def test_gru_with_the_reset_gate_before_the_product():
    layer = layers.GRU(3, reset_after=False, return_sequences=True)
    y = everywhere(layer, X, call={"mask": MASK})
    assert layer.weights[2].shape == (9,)
    np.testing.assert_allclose(y, recurrence("GRU", layer.get_weights(), X, MASK, reset_after=False)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_one_op_and_step_by_step_agree(kind):
    """An activation that the op does not know makes the layer run its cell for each step."""
    plain = getattr(layers, kind)(3, return_sequences=True, return_state=True)
    stepwise = getattr(layers, kind)(3, activation=lambda x: ops.tanh(x), return_sequences=True, return_state=True)
    expected = everywhere(plain, X, call={"mask": MASK})
    stepwise.build(X.shape)
    stepwise.set_weights(plain.get_weights())
    for a, b in zip(stepwise(X, mask=MASK), plain(X, mask=MASK), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    everywhere(stepwise, X, known=True, call={"mask": MASK})
    assert len(expected) == len(plain.cell.get_initial_state(2)) + 1
    with pytest.raises(UnsupportedError, match="known number of steps"):
        stepwise(graphnet.Input((None, 4)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_one_step_and_an_rnn_of_it_the_layer(kind):
    cell = getattr(layers, kind + "Cell")(3)
    states = cell.get_initial_state(2)
    assert all(s.shape == (2, 3) and not s.any() for s in states)
    output, new = cell(X[:, 0], states)
    np.testing.assert_array_equal(output, new[0])
    layer = layers.RNN(cell, return_sequences=True, return_state=True)
    y, *_ = everywhere(layer, X, call={"mask": MASK})
    np.testing.assert_allclose(y, recurrence(kind, cell.get_weights(), X, MASK)[0], rtol=1e-5, atol=1e-6)
    output, new = cell(X[:, 0], states[0] if kind != "LSTM" else states)
    np.testing.assert_allclose(output, y[:, 0] * MASK[:, :1] + output * ~MASK[:, :1], rtol=1e-5)


def test_stacked_cells_are_layers_behind_each_other():
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True, return_state=True)
    y, first, second = everywhere(stack, X, call={"mask": MASK})
    w = stack.get_weights()
    inner, (h, c) = recurrence("LSTM", w[:3], X, MASK)
    expected, (g,) = recurrence("GRU", w[3:], inner, MASK)
    for a, b in zip((y, *first, *second), (expected, h, c, g), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    back = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True, go_backwards=True)
    back.build(X.shape)
    back.set_weights(w)
    flipped = recurrence("GRU", w[3:], recurrence("LSTM", w[:3], X[:, ::-1], MASK[:, ::-1])[0], MASK[:, ::-1])[0]
    np.testing.assert_allclose(back(X, mask=MASK), flipped, rtol=1e-5, atol=1e-6)
    everywhere(layers.RNN([layers.SimpleRNNCell(3), layers.LSTMCell(4)]), X)


class Minimal(layers.Layer):
    """h' = x kernel + h recurrent, a cell as users write them."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "uniform", name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, self.units), "uniform", name="recurrent_kernel")

    def call(self, inputs, states):
        h = ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent_kernel)
        return h, [h]


def test_a_cell_of_ones_own():
    layer = layers.RNN(Minimal(3, name="mine"), return_sequences=True, name="outer")
    y = everywhere(layer, X, known=True, call={"mask": MASK})
    kernel, recurrent = layer.get_weights()
    h = np.zeros((2, 3))
    for t in range(5):
        h = np.where(MASK[:, t, None], X[:, t] @ kernel + h @ recurrent, h)
        np.testing.assert_allclose(y[:, t], h, rtol=1e-4, atol=1e-5)
    assert [w.path for w in layer.weights] == ["outer/mine/kernel", "outer/mine/recurrent_kernel"]
    assert layers.RNN([Minimal(3), Minimal(2)])(X).shape == (2, 2)
    assert layers.Bidirectional(layers.RNN(Minimal(3)))(X).shape == (2, 6)
    with pytest.raises(UnsupportedError, match="Minimal step by step.*known number of steps"):
        layer(graphnet.Input((None, 4)))
    with pytest.raises(ValueError, match="method call"):
        layers.RNN(3)


MERGES = {"concat": lambda a, b: np.concatenate([a, b], -1), "sum": lambda a, b: a + b, "mul": lambda a, b: a * b,
          "ave": lambda a, b: (a + b) / 2}


@pytest.mark.parametrize("mode", [*MERGES, None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_bidirectional_merges_both_directions(kind, sequences, mode):
    layer = layers.Bidirectional(getattr(layers, kind)(3, return_sequences=sequences, return_state=True), merge_mode=mode)
    results = everywhere(layer, X, call={"mask": MASK})
    w = layer.get_weights()
    y, finals = recurrence(kind, w[:3], X, MASK, zeros=sequences)
    back, back_finals = recurrence(kind, w[3:], X[:, ::-1], MASK[:, ::-1], zeros=sequences)
    y, back = (y, back[:, ::-1]) if sequences else (y[:, -1], back[:, -1])
    merged = [y, back] if mode is None else [MERGES[mode](y, back)]
    for a, b in zip(results, [*merged, *finals, *back_finals], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_bidirectional_with_states_weights_and_a_layer_of_its_own():
    layer = layers.Bidirectional(layers.LSTM(3, name="both"), name="b")
    assert layer(graphnet.Input((None, 4))).shape == (None, 6)
    assert [w.path for w in layer.weights][::3] == ["b/forward_both/lstm_cell/kernel", "b/backward_both/lstm_cell/kernel"]
    states = [draw(2, 3) for _ in range(4)]
    y = everywhere(layer, X, call={"initial_state": states})
    w = layer.get_weights()
    forward = recurrence("LSTM", w[:3], X, None, states[:2])[0][:, -1]
    back = recurrence("LSTM", w[3:], X[:, ::-1], None, states[2:])[0][:, -1]
    np.testing.assert_allclose(y, np.concatenate([forward, back], -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer([X, *states]), y)
    copied = layers.Bidirectional(layers.LSTM(3), weights=w)
    np.testing.assert_array_equal(copied(X), layer(X))
    mixed = layers.Bidirectional(layers.GRU(3), backward_layer=layers.SimpleRNN(2, go_backwards=True))
    assert everywhere(mixed, X).shape == (2, 5)
    for make, text in ((lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)), "different go_backwards"),
                       (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), "merge_mode"),
                       (lambda: layers.Bidirectional(layers.Dense(3)), "recurrent layers"),
                       (lambda: layers.Bidirectional(layers.LSTM(3),
                                                     backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True)),
                        "same return_sequences")):
        with pytest.raises(ValueError, match=text):
            make()


@pytest.mark.parametrize("make", [lambda: layers.Dense(3), lambda: layers.Conv1D(2, 3), lambda: layers.LSTM(3),
                                  lambda: layers.Bidirectional(layers.GRU(2)),
                                  lambda: graphnet.Sequential([graphnet.Input((6, 4)), layers.LSTM(3), layers.Dense(2)])])
def test_time_distributed_is_the_layer_at_each_step(make):
    x = draw(2, 5, 6, 4)
    layer = layers.TimeDistributed(make())
    y = everywhere(layer, x, known=True)
    np.testing.assert_allclose(y, np.stack([layer.layer(np.ascontiguousarray(x[:, t])) for t in range(5)], 1), rtol=1e-5,
                               atol=1e-5)
    symbolic = layer(graphnet.Input((None, 6, 4)))
    assert symbolic.shape[:2] == (None, None)
    everywhere(layer, x, known=True, call={"mask": MASK})


def test_time_distributed_checks_and_hands_on_masks():
    with pytest.raises(ShapeError, match="ndim >= 3"):
        layers.TimeDistributed(layers.Dense(3))(draw(2, 4))
    with pytest.raises(ShapeError, match="mask whose first axes"):
        layers.TimeDistributed(layers.Dense(3))(X, mask=np.ones((2, 4), bool))
    inner = np.random.default_rng(3).random((2, 5, 6)) < 0.6
    x = draw(2, 5, 6, 4)
    layer = layers.TimeDistributed(layers.LSTM(3))
    y = everywhere(layer, x, known=True, call={"mask": inner})
    for t in range(5):
        np.testing.assert_allclose(y[:, t], recurrence("LSTM", layer.get_weights(), x[:, t], inner[:, t])[0][:, -1], rtol=1e-5,
                                   atol=1e-6)


def test_stateful_layers_go_on_where_they_stopped():
    whole = layers.LSTM(3, return_sequences=True)
    expected = whole(np.concatenate([X, X], 1))
    layer = layers.LSTM(3, stateful=True, return_sequences=True)
    layer.build(X.shape)
    layer.set_weights(whole.get_weights())
    assert len(layer.weights) == 3 and len(layer.states) == 2
    inputs = graphnet.Input((5, 4), batch_size=2)
    model = graphnet.Model(inputs, layer(inputs))
    for run in (layer, model):
        layer.reset_state()
        np.testing.assert_allclose(np.concatenate([run(X), run(X)], 1), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(GraphError, match="known batch size"):
        layers.LSTM(3, stateful=True)(graphnet.Input((5, 4)))
    with pytest.raises(ShapeError, match="states of 2 samples; received a batch of 3"):
        layer(draw(3, 5, 4))
    both = layers.Bidirectional(layers.GRU(3, stateful=True))
    first, second = both(X), both(X)
    assert (first != second).any()
    both.reset_state()
    np.testing.assert_array_equal(both(X), first)


CONV = [(1, "valid", 1, 1), (1, "same", 2, 1), (2, "valid", 1, 1), (2, "same", 1, 2), (2, "same", (2, 1), 1), (3, "same", 1, 1)]


@pytest.mark.parametrize("rank, padding, strides, dilation", CONV)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_conv_lstm_is_an_lstm_of_convolutions(rank, padding, strides, dilation, data_format):
    spatial = (7, 6, 5)[:rank]
    x = draw(2, 3, *spatial, 2)
    layer = getattr(layers, f"ConvLSTM{rank}D")(2, 3, strides, padding, data_format, dilation, return_sequences=True,
                                                return_state=True)
    given = x if data_format == "channels_last" else np.ascontiguousarray(np.moveaxis(x, -1, 2))
    y, h, c = everywhere(layer, given, known=True)
    if data_format == "channels_first":
        y, h, c = np.moveaxis(y, 2, -1), np.moveaxis(h, 1, -1), np.moveaxis(c, 1, -1)
    kernel, recurrent, bias = layer.get_weights()
    state = carry = np.zeros(h.shape, "float32")
    for t in range(3):
        sums = ops.conv(x[:, t], kernel, strides, padding, "channels_last", dilation) + bias
        sums = sums + ops.conv(state, recurrent, 1, "same", "channels_last")
        i, f, g, o = np.split(sums, 4, -1)
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(carry)
        np.testing.assert_allclose(y[:, t], state, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(h, state, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(c, carry, rtol=1e-4, atol=1e-5)


def test_conv_lstm_with_masks_states_and_activations_of_ones_own():
    x = draw(2, 5, 6, 4)
    layer = layers.ConvLSTM1D(3, 3, padding="same", return_sequences=True, return_state=True)
    y, h, c = everywhere(layer, x, call={"mask": MASK})
    np.testing.assert_array_equal(y[0, 2], y[0, 1])
    stepwise = layers.ConvLSTM1D(3, 3, padding="same", activation=lambda v: ops.tanh(v), return_sequences=True, stateful=True)
    stepwise.build(x.shape)
    stepwise.set_weights(layer.get_weights())
    np.testing.assert_allclose(stepwise(x, mask=MASK), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stepwise(x), layer(x, initial_state=[h, c])[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="strides or dilation_rate to be 1"):
        layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2)


DROPPING = [lambda **k: layers.LSTM(16, **k), lambda **k: layers.GRU(16, reset_after=False, **k),
            lambda **k: layers.SimpleRNN(16, **k),
            lambda **k: layers.RNN([layers.LSTMCell(8, **k), layers.GRUCell(8)]),
            lambda **k: layers.Bidirectional(layers.GRU(8, **k))]


@pytest.mark.parametrize("make", DROPPING)
@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.3}])
def test_dropout_acts_in_training_only(make, rates):
    layer = make(**rates)
    y = everywhere(layer, X, known=True)
    first, second = layer(X, training=True), layer(X, training=True)
    assert (first != y).any() and (first != second).any()
    inputs = graphnet.Input((5, 4))
    model = graphnet.Model(inputs, layer(inputs))
    assert traced(model, training=True).updates
    assert (by_reference(model, X, training=True)[0] != y).any()


def test_dropout_drops_the_same_features_at_each_step():
    layer = layers.SimpleRNN(64, activation="linear", dropout=0.5, return_sequences=True, recurrent_initializer="zeros",
                             kernel_initializer="identity")
    y = layer(np.ones((1, 6, 64), "float32"), training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))


def test_recurrent_dropout_over_unknown_steps():
    """One noise for all steps: with a linear recurrence of ones, what is dropped once never comes back."""
    inputs = graphnet.Input((None, 64))
    layer = layers.SimpleRNN(64, activation="linear", recurrent_dropout=0.5, return_sequences=True,
                             recurrent_initializer="identity", kernel_initializer="identity")
    graph = traced(graphnet.Model(inputs, layer(inputs)), training=True)
    y = Executable(graph)([np.ones((3, 4, 64), "float32")])[0]
    kept = y[:, 1] > 1
    assert 0.2 < kept.mean() < 0.8
    np.testing.assert_array_equal(y[:, 1:], np.where(kept[:, None], np.array([3.0, 7.0, 15.0])[:, None], 1.0))


@pytest.mark.parametrize("layer", [
    layers.LSTM(3, "relu", "hard_sigmoid", unit_forget_bias=False, return_state=True),
    layers.GRU(3, reset_after=False, dropout=0.2),
    layers.SimpleRNN(2, go_backwards=True), layers.ConvLSTM2D(2, (3, 1), padding="same", return_sequences=True),
    layers.Bidirectional(layers.LSTM(2), "sum"),
    layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(3, go_backwards=True)),
    layers.TimeDistributed(layers.Dense(2)),
    layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True), layers.RNN(layers.SimpleRNNCell(2)),
    layers.LSTMCell(2),
], ids=lambda v: v.name)
def test_a_configuration_makes_an_equal_layer(layer):
    assert again(layer).get_config() == layer.get_config()


def test_arguments_that_say_nothing_today_are_accepted():
    config = {**layers.LSTM(3).get_config(), "time_major": False, "implementation": 1}
    assert layers.deserialize({"class_name": "LSTM", "config": config}).units == 3
    assert layers.GRU(3, use_cudnn=False, implementation=1, unroll=True)(X).shape == (2, 3)
    with pytest.raises(ValueError, match="units to be a positive whole number"):
        layers.LSTM(0)


def test_the_forget_gate_begins_open():
    layer = layers.LSTM(3)
    layer.build(X.shape)
    np.testing.assert_array_equal(layer.get_weights()[2], np.repeat([0, 1, 0, 0], 3))


@pytest.mark.parametrize("make, call", [
    *[(lambda L, k=kind: getattr(L, k)(3, return_sequences=True, return_state=True, go_backwards=True), {"mask": MASK})
      for kind in KINDS],
    *[(lambda L, k=kind: L.Bidirectional(getattr(L, k)(3, return_sequences=True), merge_mode="sum"), {"mask": MASK})
      for kind in KINDS],
    *[(lambda L, k=kind: L.RNN(getattr(L, k + "Cell")(3, activation="softmax"), return_sequences=True), {"mask": MASK})
      for kind in KINDS],
    (lambda L: L.GRU(3, "relu", "hard_sigmoid", reset_after=False), {}), (lambda L: L.RNN([L.LSTMCell(3), L.GRUCell(2)]), {}),
    (lambda L: L.TimeDistributed(L.Dense(2)), {"mask": MASK}), (lambda L: L.LSTM(3, dropout=0.5, recurrent_dropout=0.5), {}),
])
def test_as_keras(make, call):
    like_keras(make, X, call=call)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_conv_lstm_as_keras(data_format):
    like_keras(lambda L: L.ConvLSTM2D(2, 3, strides=2, padding="same", data_format=data_format, return_state=True),
               draw(2, 3, 6, 6, 6))
