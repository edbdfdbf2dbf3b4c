"""Attention layers against attention written out in float64, by their properties, and against Keras where it is installed."""
import numpy as np
import pytest
from running import again, by_reference, draw, everywhere, like_keras, traced

import graphnet
from graphnet import layers
from graphnet.errors import ShapeError, UnsupportedError

Q, V, K = draw(2, 5, 4), draw(2, 6, 4), draw(2, 6, 3)
SEEN = np.random.default_rng(1).random((2, 5, 6)) < 0.6
SEEN[:, :, 0] = True
VALUE_MASK = np.array([[1, 1, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0]], bool)
QUERY_MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)


def softmax(x, mask=None):
    e = np.exp(x - x.max(-1, keepdims=True)) if mask is None else np.where(mask, np.exp(x), 0)
    return e / e.sum(-1, keepdims=True)


def heads(weights, query, value, key, mask=None):
    """(output, weights) of multi-head attention, a head at a time."""
    (wq, bq), (wk, bk), (wv, bv), (wo, bo) = (weights[i:i + 2] for i in (0, 2, 4, 6))
    out, parts = bo.astype("float64"), []
    for h in range(wq.shape[1]):
        g = h * wk.shape[1] // wq.shape[1]
        q, k, v = query @ wq[:, h] + bq[h], key @ wk[:, g] + bk[g], value @ wv[:, g] + bv[g]
        part = softmax((q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])).astype("float64"), mask)
        out = out + part @ v @ wo[h]
        parts.append(part)
    return out, np.stack(parts, 1)


MASKS = [({}, None), ({"attention_mask": SEEN}, SEEN), ({"value_mask": VALUE_MASK}, VALUE_MASK[:, None]),
         ({"attention_mask": SEEN, "value_mask": VALUE_MASK}, SEEN & VALUE_MASK[:, None]),
         ({"use_causal_mask": True}, np.tri(5, 6, dtype=bool)),
         ({"use_causal_mask": True, "attention_mask": SEEN}, np.tri(5, 6, dtype=bool) & SEEN)]


@pytest.mark.parametrize("call, mask", MASKS, ids=lambda v: "+".join(v) if isinstance(v, dict) else "")
@pytest.mark.parametrize("scores", [False, True])
def test_multi_head_attention_is_its_definition(call, mask, scores):
    layer = layers.MultiHeadAttention(2, 3, value_dim=5)
    results = everywhere(layer, Q, V, K, call={**call, **({"return_attention_scores": True} if scores else {})})
    output, parts = heads(layer.get_weights(), Q, V, K, mask)
    if scores:
        np.testing.assert_allclose(results[1], parts, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(results[0] if scores else results, output, rtol=1e-4, atol=1e-5)


def test_weights_have_keras_names_and_shapes():
    layer = layers.MultiHeadAttention(2, 3, value_dim=5, use_gate=True, name="m")
    layer(Q, V, K)
    shapes = {w.path: w.shape for w in layer.weights}
    assert list(shapes.items()) == [
        ("m/query/kernel", (4, 2, 3)), ("m/query/bias", (2, 3)), ("m/key/kernel", (3, 2, 3)), ("m/key/bias", (2, 3)),
        ("m/gate/kernel", (4, 2, 5)),
        ("m/gate/bias", (2, 5)), ("m/value/kernel", (4, 2, 5)), ("m/value/bias", (2, 5)),
        ("m/attention_output/kernel", (2, 5, 4)),
        ("m/attention_output/bias", (4,))]
    assert len(layers.MultiHeadAttention(2, 3, use_bias=False, output_shape=7)(Q, V).shape) == 3
    assert layers.MultiHeadAttention(2, 3, output_shape=(7, 2))(Q, V).shape == (2, 5, 7, 2)


def test_a_gate_multiplies_the_heads():
    gated = layers.MultiHeadAttention(2, 3, use_gate=True)
    everywhere(gated, Q, V)
    w = gated.get_weights()
    open_gate = [*w[:4], 0 * w[4], 0 * w[5] + 100, *w[6:]]  # sigmoid(100) is 1
    gated.set_weights(open_gate)
    np.testing.assert_allclose(gated(Q, V), heads([*w[:4], *w[6:]], Q, V, V)[0], rtol=1e-4, atol=1e-5)


def test_a_window_limits_how_far_a_step_sees():
    layer = layers.MultiHeadAttention(2, 3, sliding_window=2)
    y = everywhere(layer, Q, Q)
    near = np.abs(np.arange(5)[:, None] - np.arange(5)) < 2
    np.testing.assert_allclose(y, heads(layer.get_weights(), Q, Q, Q, near)[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="sliding_window"):
        layers.MultiHeadAttention(2, 3, sliding_window=0)


def test_rows_that_see_nothing_average_or_give_zeros_as_in_keras():
    nothing = np.zeros((2, 5, 6), bool)
    layer = layers.MultiHeadAttention(2, 3)
    y = everywhere(layer, Q, V, call={"attention_mask": nothing})
    np.testing.assert_allclose(y, np.broadcast_to(y[:, :1], y.shape), rtol=1e-5, atol=1e-5)
    output, parts = layer(Q, V, attention_mask=nothing, return_attention_scores=True)
    assert not parts.any()
    np.testing.assert_allclose(output, np.broadcast_to(layer.get_weights()[-1], output.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axes", [(1,), 2, (-2,), (1, 2), None])
def test_attention_over_chosen_axes(axes):
    x, v = draw(2, 3, 4, 5), draw(2, 3, 4, 5)
    layer = layers.MultiHeadAttention(2, 3, attention_axes=axes)
    y = everywhere(layer, x, v, known=True)
    w = layer.get_weights()
    if axes in (2, (-2,)):
        expected = np.stack([heads(w, x[:, i], v[:, i], v[:, i])[0] for i in range(3)], 1)
    elif axes == (1,):
        expected = np.stack([heads(w, x[:, :, i], v[:, :, i], v[:, :, i])[0] for i in range(4)], 2)
    else:
        flat = v.reshape(2, 12, 5)
        expected = heads(w, x.reshape(2, 12, 5), flat, flat)[0].reshape(y.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize("call, mask", MASKS, ids=lambda v: "+".join(v) if isinstance(v, dict) else "")
def test_grouped_query_attention_shares_keys_and_values(shared, call, mask):
    layer = layers.GroupedQueryAttention(3, 4, 4 // shared)
    y = everywhere(layer, Q, V, call=call)
    np.testing.assert_allclose(y, heads(layer.get_weights(), Q, V, V, mask)[0], rtol=1e-4, atol=1e-5)
    assert layers.GroupQueryAttention is layers.GroupedQueryAttention
    with pytest.raises(ValueError, match="multiple"):
        layers.GroupedQueryAttention(3, 4, 3)


@pytest.mark.parametrize("use_scale", [False, True])
@pytest.mark.parametrize("kind", ["dot", "concat", "additive"])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_without_projections(kind, use_scale, causal):
    layer = layers.AdditiveAttention(use_scale) if kind == "additive" else layers.Attention(use_scale, kind)
    key = draw(2, 6, 4)
    call = {"mask": [QUERY_MASK, VALUE_MASK], "return_attention_scores": True, "use_causal_mask": causal}
    output, parts = everywhere(layer, [Q, V, key], call=call)
    pairs = Q[:, :, None].astype("float64") + key[:, None]
    scale = layer.get_weights()[0] if use_scale else 1.0
    scores = {"dot": lambda: scale * (Q @ np.swapaxes(key, 1, 2)), "additive": lambda: (scale * np.tanh(pairs)).sum(-1),
              "concat": lambda: layer.get_weights()[-1] * np.tanh(scale * pairs).sum(-1)}[kind]()
    mask = VALUE_MASK[:, None] & np.tri(5, 6, dtype=bool) if causal else VALUE_MASK[:, None]
    expected = softmax(scores, np.broadcast_to(mask, scores.shape))
    np.testing.assert_allclose(parts, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output, np.where(QUERY_MASK[:, :, None], expected @ V, 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer([Q, V]), layer([Q, V, V]))


def test_attention_says_what_it_expects():
    with pytest.raises(ShapeError, match=r"\[query, value\]"):
        layers.Attention()(Q)
    with pytest.raises(ShapeError, match=r"mask to be a list"):
        layers.Attention()([Q, V], mask=QUERY_MASK)
    with pytest.raises(ValueError, match="score_mode"):
        layers.Attention(score_mode="cosine")
    with pytest.raises(ShapeError, match="value and key to have the same steps"):
        layers.MultiHeadAttention(2, 3)(Q, V, draw(2, 5, 4))
    with pytest.raises(ValueError, match="num_heads to be a positive whole number"):
        layers.MultiHeadAttention(0, 3)
    with pytest.raises(UnsupportedError, match="flash_attention with dropout"):
        layers.MultiHeadAttention(2, 3, dropout=0.1, flash_attention=True)
    with pytest.raises(ShapeError, match="equal features"):
        layers.GroupedQueryAttention(3, 4, 2)(Q, K)


@pytest.mark.parametrize("layer, inputs",
                         [(layers.MultiHeadAttention(2, 3, dropout=0.5), (Q, V)),
                          (layers.GroupedQueryAttention(3, 4, 2, dropout=0.5), (Q, V)),
                                           (layers.Attention(dropout=0.5), ([Q, V],)),
                          (layers.AdditiveAttention(dropout=0.5), ([Q, V],))])
def test_dropout_acts_in_training_only(layer, inputs):
    y = layer(*inputs)
    np.testing.assert_array_equal(layer(*inputs), y)
    first, second = layer(*inputs, training=True), layer(*inputs, training=True)
    assert (first != y).any() and (first != second).any()
    symbols = [graphnet.Input((None, 4)), graphnet.Input((None, 4))]
    model = graphnet.Model(symbols, layer(symbols) if isinstance(inputs[0], list) else layer(*symbols))
    assert traced(model, training=True).updates
    assert (by_reference(model, Q, V, training=True)[0] != y).any()


@pytest.mark.parametrize("layer", [
    layers.MultiHeadAttention(2, 3, value_dim=4, attention_axes=(1,), output_shape=5, use_gate=True, sliding_window=3),
    layers.GroupedQueryAttention(3, 4, 2, dropout=0.1), layers.Attention(True, "concat"), layers.AdditiveAttention(False)])
def test_a_configuration_makes_an_equal_layer(layer):
    assert again(layer).get_config() == layer.get_config()


@pytest.mark.parametrize("call", [c for c, _ in MASKS], ids="+".join)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_as_keras(call, dropout):
    like_keras(lambda L: L.MultiHeadAttention(2, 3, dropout=dropout), Q, V, call=call)
    like_keras(lambda L: L.GroupQueryAttention(3, 4, 2, dropout=dropout), Q, V, call=call)


def test_luong_and_bahdanau_as_keras():
    call = {"mask": [QUERY_MASK, VALUE_MASK], "return_attention_scores": True, "use_causal_mask": True}
    for make in (lambda L: L.Attention(True), lambda L: L.Attention(True, "concat"), lambda L: L.AdditiveAttention()):
        like_keras(make, [Q, V], call=call)
