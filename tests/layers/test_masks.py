"""Masks: how they travel, where they are dropped and who says so, as in Keras 3."""
import os
import warnings

import numpy as np
import pytest
from running import by_reference, draw, randomize

import graphnet
from graphnet import layers, ops
from graphnet.errors import MaskDroppedWarning, UnsupportedError

IDS = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 1, 0]], "int32")
OTHER = np.array([[0, 2, 3, 1, 0], [0, 5, 0, 0, 2]], "int32")
LENGTHS = (3, 4)


def tokens(shape=(5,)):
    return graphnet.Input(shape, dtype="int32")


def embedding():
    return layers.Embedding(7, 4, mask_zero=True, embeddings_initializer="normal")


def model_of(inputs, outputs):
    model = graphnet.Model(inputs, outputs)
    randomize(model)
    return model


def run(model, *data):
    """The outputs, by the numpy backend and compiled; both the same."""
    outputs = by_reference(model, *data)
    compiled = model(list(data) if len(data) > 1 else data[0])
    for a, b in zip(outputs, graphnet.tree.flatten(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    return outputs


PASSING = [lambda: layers.Dense(4), lambda: layers.Activation("tanh"), lambda: layers.Dropout(0.2),
           lambda: layers.LayerNormalization(),
           lambda: layers.TimeDistributed(layers.Dense(3)), lambda: layers.LSTM(4, return_sequences=True),
           lambda: layers.Identity(),
           lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True)), lambda: layers.ReLU(),
           lambda: layers.SpatialDropout1D(0.1)]


@pytest.mark.parametrize("make", PASSING)
@pytest.mark.parametrize("last", [lambda: layers.LSTM(3), lambda: layers.Bidirectional(layers.GRU(3)),
                                  lambda: layers.GlobalAveragePooling1D()])
def test_padding_changes_nothing_behind_layers_that_pass_masks(make, last):
    """The result for padded rows is that for the rows alone."""
    inputs = tokens((None,))
    model = model_of(inputs, last()(make()(embedding()(inputs))))
    padded, = run(model, IDS)
    for row, length in enumerate(LENGTHS):
        alone, = run(model, np.ascontiguousarray(IDS[row:row + 1, :length]))
        np.testing.assert_allclose(padded[row], alone[0], rtol=1e-5, atol=1e-6)


def test_masking_layer_masks_steps():
    x = draw(2, 5, 4)
    x[0, 3:] = x[1, 4:] = 7.0
    inputs = graphnet.Input((None, 4))
    model = model_of(inputs, layers.GRU(3)(layers.Masking(7.0)(inputs)))
    padded, = run(model, x)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(padded[row], run(model, np.ascontiguousarray(x[row:row + 1, :length]))[0][0], rtol=1e-5,
                                   atol=1e-6)


DROPPING = [lambda: layers.Conv1D(4, 2, padding="same"), lambda: layers.Flatten(), lambda: layers.Reshape((4, 5)),
            lambda: layers.Permute((2, 1)),
            lambda: layers.GlobalMaxPooling1D(), lambda: layers.Lambda(lambda x: x * 2), lambda: layers.Lambda(lambda x: x),
            lambda: layers.EinsumDense("abc,cd->abd", (None, 3)), lambda: layers.RMSNormalization()]


@pytest.mark.parametrize("make", DROPPING)
def test_a_dropped_mask_is_told_once_naming_both_layers_and_the_mend(make):
    layer, source = make(), embedding()
    x = source(tokens())
    assert x.mask is not None and x.mask.shape == (None, 5)
    with pytest.warns(MaskDroppedWarning, match=f"{layer.name}.*{source.name}.*as Keras does.*supports_masking") as told:
        y = layer(x)
    assert len(told) == 1 and told[0].filename == __file__
    assert y.mask is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layer(x).mask is None
    with graphnet.settings(strict_masks=1), pytest.raises(UnsupportedError, match=source.name):
        make()(x)


def test_an_op_between_layers_drops_the_mask_and_says_so():
    source = embedding()
    x = source(tokens())
    with pytest.warns(MaskDroppedWarning, match=f"multiply.*{source.name}.*layers.Multiply"):
        y = x * 2.0
    assert y.mask is None
    with graphnet.settings(strict_masks=1), pytest.raises(UnsupportedError, match="not a layer"):
        ops.tanh(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (x > 0).mask is None  # a condition is not data
        assert ops.tanh(y).mask is None  # it is lost once only


class Scaled(layers.Layer):
    supports_masking = True

    def call(self, inputs):
        return inputs * 2.0


class Pooled(layers.Layer):
    """Takes a mask, and leaves no steps that it could speak of."""

    def call(self, inputs, mask=None):
        kept = ops.expand_dims(ops.cast(mask, "float32"), -1)
        return ops.sum(inputs * kept, 1) / ops.sum(kept, 1)


class Kept(layers.Layer):
    """Takes a mask and keeps the steps, but does not say that it passes the mask on."""

    def call(self, inputs, mask=None):
        return ops.where(ops.expand_dims(mask, -1), inputs, 0.0)


class Shifted(layers.Layer):
    def call(self, inputs):
        return inputs[:, 1:]

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else mask[:, 1:]


def test_layers_of_ones_own():
    inputs = tokens()
    source = embedding()
    x = source(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Scaled()(x).mask is not None
        pooled = Pooled()(x)
        shifted = Shifted()(x)
    assert shifted.mask.shape == (None, 4)
    with pytest.warns(MaskDroppedWarning, match="kept"):
        assert Kept()(x).mask is None
    lstm = layers.LSTM(3)
    model = model_of(inputs, [pooled, lstm(shifted), source(inputs)])
    y, z, table = run(model, IDS)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(y[row], table[row, :length].mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(z[row], lstm(np.ascontiguousarray(table[row:row + 1, 1:length]))[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
def test_merging_masked_inputs_masks_what_no_input_has(name):
    a, b = tokens(), tokens()
    x, y = embedding()(a), embedding()(b)
    merged = getattr(layers, name)()([x, y])
    model = model_of([a, b], [x, y, merged, merged.mask])
    u, v, joined, mask = run(model, IDS, OTHER)
    m, n = (IDS != 0)[..., None], (OTHER != 0)[..., None]
    np.testing.assert_array_equal(mask, (IDS != 0) | (OTHER != 0))
    both = {"Add": u + v, "Subtract": u - v, "Average": (u + v) / 2,
            "Multiply": np.where(m, u, 1) * np.where(n, v, 1) * (m | n),
            "Maximum": np.where(m & n, np.maximum(u, v), np.where(m, u, v)),
            "Minimum": np.where(m & n, np.minimum(u, v), np.where(m, u, v))}[name]
    where = mask if name in ("Maximum", "Minimum") else np.ones_like(mask)
    np.testing.assert_allclose(joined[where], both[where], rtol=1e-6, atol=1e-6)


def test_concatenate_joins_masks():
    a, b = tokens(), graphnet.Input((5, 4))
    x = embedding()(a)
    last, first = layers.Concatenate()([x, b]), layers.Concatenate(axis=1)([x, b])
    model = graphnet.Model([a, b], [last.mask, first.mask])
    wide, long = run(model, IDS, draw(2, 5, 4))
    assert wide.all()
    np.testing.assert_array_equal(long, np.concatenate([IDS != 0, np.ones((2, 5), bool)], 1))
    assert layers.Dot(1)([x, x]).mask is None


def test_a_sum_with_an_input_without_mask_has_none_and_says_so():
    x, b = embedding()(tokens()), graphnet.Input((5, 4))
    with pytest.warns(MaskDroppedWarning, match="another input without one"):
        assert layers.Add()([x, b]).mask is None


def test_initial_states_leave_the_mask_behind_unless_it_is_given():
    a, h = tokens(), graphnet.Input((3,))
    x = embedding()(a)
    layer = layers.GRU(3)
    with pytest.warns(MaskDroppedWarning, match="initial_state.*mask="):
        y = layer(x, initial_state=h)
    given = layer(x, initial_state=h, mask=x.mask)
    model = model_of([a, h], [x, y, given])
    states = draw(2, 3)
    table, y, given = run(model, IDS, states)
    np.testing.assert_allclose(y, layer(table, initial_state=[states]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(given, layer(table, initial_state=[states], mask=IDS != 0), rtol=1e-5, atol=1e-6)
    assert layers.LSTM(3, return_sequences=True)(x).mask is not None


def test_states_have_no_mask_and_sequences_keep_theirs():
    x = embedding()(tokens())
    y, h, c = layers.LSTM(3, return_sequences=True, return_state=True)(x)
    assert y.mask is not None and h.mask is None and c.mask is None
    a, b = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode=None)(x)
    assert a.mask is not None and b.mask is not None
    assert layers.LSTM(3)(x).mask is None


def test_attention_uses_the_masks_that_its_operands_carry():
    a, b = tokens(), tokens()
    x, y = embedding()(a), embedding()(b)
    layer = layers.MultiHeadAttention(2, 3)
    z = layer(x, y)
    assert z.mask is not None
    model = model_of([a, b], [x, y, z])
    u, v, w = run(model, IDS, OTHER)
    np.testing.assert_allclose(w, layer(u, v, attention_mask=(IDS != 0)[:, :, None] & (OTHER != 0)[:, None]), rtol=1e-5,
                               atol=1e-5)
    assert layers.Attention()([x, y]).mask is not None


def test_multi_head_attention_takes_the_masks_off_its_operands():
    """As in Keras, where a sum behind it thus has no mask; what took a mask when the model was built keeps it."""
    a = tokens()
    x = embedding()(a)
    first, second = layers.MultiHeadAttention(2, 3), layers.MultiHeadAttention(2, 3)
    z = first(x, x)
    r = layers.Add(name="residual")([x, z])
    model = model_of(a, [r, second(r, r), layers.LSTM(3)(x), layers.GlobalAveragePooling1D()(r)])
    with pytest.warns(MaskDroppedWarning, match="residual.*attention.*takes the masks off"):
        outputs = by_reference(model, IDS)
    r, s, _, pooled = outputs
    np.testing.assert_allclose(s, second(r, r), rtol=1e-5, atol=1e-5)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(pooled[row], r[row, :length].mean(0), rtol=1e-5, atol=1e-6)


def test_nested_models_get_masks_and_give_those_that_their_layers_make():
    inner_input = graphnet.Input((5, 4))
    inner = graphnet.Model(inner_input, layers.LSTM(3, return_sequences=True)(layers.Dense(4)(inner_input)), name="inner")
    last = graphnet.Model(inner_input, layers.LSTM(3)(inner_input), name="last")
    a = tokens()
    x = embedding()(a)
    y = inner(x)
    assert y.mask is not None and last(x).mask is None
    model = model_of(a, [layers.GRU(2)(y), last(x)])
    padded = run(model, IDS)
    table = model.get_layer(model.layers[1].name)
    assert isinstance(table, layers.Embedding)
    changed = table.get_weights()[0]
    changed[0] = 9.0  # what padded steps hold does not matter
    table.set_weights([changed])
    for before, after in zip(padded, run(model, IDS), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)
    encoder = graphnet.Model(a, layers.LSTM(3, return_sequences=True)(x))
    assert encoder(tokens()).mask is not None


def test_a_mask_on_arrays_travels_too():
    table, layer = embedding(), layers.LSTM(3)
    x = table(IDS)
    np.testing.assert_allclose(layer(x), layer(x.copy(), mask=IDS != 0), rtol=1e-6)
    assert np.abs(layer(x) - layer(x.copy())).max() > 1e-6


def chains(backend):
    """Models with masks, for graphnet or Keras: name -> (how it is made, how many inputs it has)."""
    L, Input, Model = backend.layers, backend.Input, backend.Model

    def ids():
        return Input((5,), dtype="int32")

    def table():
        return L.Embedding(7, 4, mask_zero=True, embeddings_initializer="normal")

    def row(*between):
        a = ids()
        x = table()(a)
        for layer in between:
            x = layer(x)
        return Model(a, x)

    def pair(join):
        a, b = ids(), ids()
        return Model([a, b], L.LSTM(3)(join(table()(a), table()(b))))

    def transformer():
        a = ids()
        x = table()(a)
        for _ in range(2):
            x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)]))
            x = L.LayerNormalization()(L.Add()([x, L.Dense(4)(L.Dense(8, "relu")(x))]))
        return Model(a, [x, L.GlobalAveragePooling1D()(x)])

    def translation():
        a, b = ids(), ids()
        _, h, c = L.LSTM(3, return_state=True)(table()(a))
        return Model([a, b], L.LSTM(3, return_sequences=True)(table()(b), initial_state=[h, c]))
    return {
        "recurrent": (lambda: row(L.LSTM(3, return_sequences=True), L.Bidirectional(L.GRU(2))), 1),
        "dropped": (lambda: row(L.Conv1D(3, 2, padding="same"), L.LSTM(3)), 1), "transformer": (transformer, 1),
        "translation": (translation, 2),
        **{name: (lambda name=name: pair(lambda x, y: getattr(L, name)()([x, y])), 2)
           for name in ("Add", "Multiply", "Maximum", "Concatenate", "Attention")},
        "heads": (lambda: pair(lambda x, y: L.MultiHeadAttention(2, 3)(x, y, key=y, use_causal_mask=True)), 2),
        "grouped": (lambda: pair(lambda x, y: L.GroupQueryAttention(3, 4, 2)(x, y)), 2),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(chains(graphnet)))
def test_as_keras(name):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed here",
                                exc_type=ImportError)
    (make, count), (make_theirs, _) = chains(graphnet)[name], chains(keras)[name]
    ours, theirs = make(), make_theirs()
    ours.set_weights(theirs.get_weights())
    data = [IDS, OTHER][:count]
    expected = keras.tree.flatten(theirs(data if count > 1 else IDS))
    for a, b in zip(run(ours, *data), expected, strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-5)
