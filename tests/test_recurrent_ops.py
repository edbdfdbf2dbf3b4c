"""References of the recurrent ops against the published equations, written as slow loops over single numbers in float64."""
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from graphnet.dims import Dim
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.ops.recurrent import ACTIVATIONS, GRU, LSTM, ConvLSTM, SimpleRNN

DENSE = {"simple_rnn": SimpleRNN(), "gru": GRU(), "gru_reset_before": GRU(reset_after=False), "lstm": LSTM()}
CHOICES = list(itertools.product([False, True], repeat=3))


def logistic(v):
    return 1 / (1 + math.exp(-v))


SCALARS = {  # activations from their definitions in Keras's documentation
    "tanh": math.tanh, "sigmoid": logistic, "relu": lambda v: max(v, 0.0), "linear": lambda v: v,
    "relu6": lambda v: min(max(v, 0.0), 6.0),
    "hard_sigmoid": lambda v: min(max(v / 6 + 0.5, 0.0), 1.0), "hard_silu": lambda v: v * min(max(v / 6 + 0.5, 0.0), 1.0),
    "leaky_relu": lambda v: v if v > 0 else 0.2 * v, "elu": lambda v: v if v > 0 else math.exp(v) - 1,
    "selu": lambda v: 1.05070098 * (v if v > 0 else 1.67326324 * (math.exp(v) - 1)),
    "softplus": lambda v: math.log(math.exp(v) + 1),
    "softsign": lambda v: v / (abs(v) + 1), "exponential": math.exp, "silu": lambda v: v * logistic(v),
    "mish": lambda v: v * math.tanh(math.log(1 + math.exp(v))), "gelu": lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2)))}


def dot(vector, matrix, column):
    return sum(float(v) * float(m) for v, m in zip(vector, matrix[:, column], strict=True))


def simple_step(op, x, h, c, w, r, b):
    return [math.tanh(dot(x, w, u) + b[0][u] + dot(h, r, u)) for u in range(len(h))], c


def gru_step(op, x, h, c, w, r, b):
    """Cho et al.: update gate z, reset gate r, candidate; Keras gives z the old state."""
    n = len(h)
    z = [logistic(dot(x, w, u) + b[0][u] + dot(h, r, u) + b[1][u]) for u in range(n)]
    reset = [logistic(dot(x, w, n + u) + b[0][n + u] + dot(h, r, n + u) + b[1][n + u]) for u in range(n)]
    if op.reset_after:
        inner = [reset[u] * (dot(h, r, 2 * n + u) + b[1][2 * n + u]) for u in range(n)]
    else:
        inner = [dot([p * q for p, q in zip(reset, h, strict=True)], r, 2 * n + u) for u in range(n)]
    candidate = [math.tanh(dot(x, w, 2 * n + u) + b[0][2 * n + u] + inner[u]) for u in range(n)]
    return [z[u] * h[u] + (1 - z[u]) * candidate[u] for u in range(n)], c


def lstm_step(op, x, h, c, w, r, b):
    """Hochreiter and Schmidhuber, with the forget gate: input, forget, cell, output."""
    n = len(h)
    a = [[dot(x, w, k * n + u) + b[0][k * n + u] + dot(h, r, k * n + u) for u in range(n)] for k in range(4)]
    c = [logistic(a[1][u]) * c[u] + logistic(a[0][u]) * math.tanh(a[2][u]) for u in range(n)]
    return [logistic(a[3][u]) * math.tanh(c[u]) for u in range(n)], c


STEPS = {SimpleRNN: simple_step, GRU: gru_step, LSTM: lstm_step}


def slow(op, arrays):
    """The outputs, sequence by sequence and step by step."""
    x, w, r, *rest = [np.asarray(a, "float64") for a in arrays]
    units, columns = r.shape
    b = np.zeros((2, columns))
    if op.biased:
        given = np.atleast_2d(rest.pop(0))
        b[:len(given)] = given
    mask = rest.pop() if op.masked else np.ones(x.shape[:2])
    states = rest or [np.zeros((len(x), units))] * 2
    sequences, hs, cs = [], [], []
    for n in range(len(x)):
        h, c, outputs = list(states[0][n]), list(states[-1][n]), []
        times = list(range(x.shape[1]))
        for t in reversed(times) if op.go_backwards else times:
            if mask[n, t]:
                h, c = STEPS[type(op)](op, x[n, t], h, c, w, r, b)
            outputs.append([0.0] * units if op.zero_output_for_mask and not mask[n, t] else h)
        sequences.append(outputs if op.return_sequences else outputs[-1])
        hs.append(h)
        cs.append(c)
    return [np.array(v) for v in (sequences, hs, cs)[:1 + op.states]]


def check(op, arrays, wanted):
    found = op.reference(*arrays)
    specs = op.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])
    assert len(found) == len(wanted) == len(specs)
    for array, exact, spec in zip(found, wanted, specs, strict=True):
        assert (array.shape, array.dtype.name) == (spec.shape, spec.dtype)
        np.testing.assert_allclose(array, exact, rtol=0, atol=1e-6 if array.dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("backwards,every,initial", CHOICES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equations(name, backwards, every, initial, dtype):
    op = replace(DENSE[name], go_backwards=backwards, return_sequences=every, initial=initial)
    arrays = op.sample(2, 4, 3, 5, dtype)
    check(op, arrays, slow(op, arrays))


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("backwards,every,zero", CHOICES)
def test_masked_steps_keep_the_states(name, backwards, every, zero):
    op = replace(DENSE[name], go_backwards=backwards, return_sequences=every, zero_output_for_mask=zero, masked=True,
                 biased=every)
    arrays = op.sample(4, 5, 2, 3)
    arrays[-1][:3] = [[False, True, False, False, True], [True, False, True, True, False], [False] * 5]
    check(op, arrays, slow(op, arrays))


@pytest.mark.parametrize("name", DENSE)
def test_a_sequence_that_is_masked_throughout_gives_its_initial_state(name):
    op = replace(DENSE[name], masked=True, return_sequences=True)
    arrays = op.sample(2, 3, 4, 5)
    arrays[-1][:] = False
    y, h = op.reference(*arrays)[:2]
    np.testing.assert_array_equal(h, arrays[4])
    np.testing.assert_array_equal(y, np.repeat(arrays[4][:, None], 3, axis=1))


@pytest.mark.parametrize("name", DENSE)
def test_no_steps_and_no_sequences(name):
    op = replace(DENSE[name], return_sequences=True)
    for n, t in ((0, 3), (2, 0)):
        arrays = op.sample(n, t, 4, 5)
        outputs = op.reference(*arrays)
        assert outputs[0].shape == (n, t, 5)
        np.testing.assert_array_equal(outputs[1], arrays[4])


@pytest.mark.parametrize("name", SCALARS)
def test_activations(name):
    x = np.linspace(-9, 9, 37)
    np.testing.assert_allclose(ACTIVATIONS[name](x), [SCALARS[name](v) for v in x], rtol=1e-7, atol=1e-12)
    single = ACTIVATIONS[name](x.astype("float32"))
    assert single.dtype == "float32"
    op = SimpleRNN(activation=name, initial=False)
    arrays = op.sample(2, 3, 4, 5)
    check(op, arrays, op.reference(*[a.astype("float64") for a in arrays]))


def test_every_activation_is_tested():
    assert set(SCALARS) == set(ACTIVATIONS)


def convolved(image, kernel, strides, dilation, same):
    """The convolution of one (H, W, C) image, number by number."""
    size = kernel.shape[:2]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if same:
        out = [-(-s // t) for s, t in zip(image.shape, strides, strict=False)]
        before = [max((o - 1) * t + e - s, 0) // 2 for o, t, e, s in zip(out, strides, reach, image.shape, strict=False)]
    else:
        out, before = [(s - e) // t + 1 for s, e, t in zip(image.shape, reach, strides, strict=False)], [0, 0]
    y = np.zeros((*out, kernel.shape[-1]))
    for i, j, k, m in itertools.product(*map(range, (*out, *size))):
        p, q = i * strides[0] + k * dilation[0] - before[0], j * strides[1] + m * dilation[1] - before[1]
        if 0 <= p < image.shape[0] and 0 <= q < image.shape[1]:
            y[i, j] += image[p, q] @ kernel[k, m]
    return y


@pytest.mark.parametrize("strides,dilation,padding", [
    ((1, 1), (1, 1), "valid"), ((2, 1), (1, 1), "same"), ((1, 1), (1, 2), "valid"), ((1, 1), (2, 1), "same")])
@pytest.mark.parametrize("backwards,every,masked", CHOICES)
def test_conv_lstm(strides, dilation, padding, backwards, every, masked):
    """Shi et al., without the peepholes, which Keras leaves out."""
    op = ConvLSTM(strides=strides, dilation=dilation, padding=padding, go_backwards=backwards, return_sequences=every,
                  masked=masked, initial=False)
    rng = np.random.default_rng(0)
    x, w, r, b = (0.5 * rng.standard_normal(s) for s in ((2, 3, 6, 5, 2), (3, 2, 2, 8), (3, 2, 2, 8), (8,)))
    mask = np.array([[True, False, True], [False, True, True]])
    sequences, hs, cs = [], [], []
    for n in range(2):
        given = [convolved(x[n, t], w, strides, dilation, padding == "same") + b for t in range(3)]
        h = c = np.zeros((*given[0].shape[:-1], 2))
        outputs = []
        for t in (2, 1, 0) if backwards else (0, 1, 2):
            if not masked or mask[n, t]:
                i, f, g, o = np.split(given[t] + convolved(h, r, (1, 1), (1, 1), True), 4, -1)
                c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
                h = np.tanh(c) / (1 + np.exp(-o))
            outputs.append(h)
        sequences.append(outputs if every else h)
        hs.append(h)
        cs.append(c)
    check(op, [x, w, r, b, *[mask] * masked], [np.array(v) for v in (sequences, hs, cs)])


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM, ConvLSTM])
def test_samples(kind):
    """Each sample infers what its reference gives, and leaves its inputs alone."""
    count = 0
    for op, arrays in kind.samples():
        kept = [a.copy() for a in arrays]
        check(op, arrays, [v.astype("float64") for v in op.reference(*arrays)])
        for a, b in zip(arrays, kept, strict=True):
            np.testing.assert_array_equal(a, b)
        count += 1
    assert count >= 3


def test_unknown_extents():
    n, t = Dim.unknown("n"), Dim.unknown("t")
    weights = [Spec((3, 20)), Spec((5, 20)), Spec((20,))]
    assert LSTM(initial=False, return_sequences=True).infer(Spec((n, t, 3)), *weights)[0].shape == (n, t, 5)
    assert LSTM(masked=True).infer(Spec((n, t, 3)), *weights, Spec((n, 5)), Spec((n, 5)), Spec((n, t), "bool"))[0].shape == (
        n,
        5,
    )
    kernels = [Spec((3, 3, 2, 16)), Spec((3, 3, 4, 16)), Spec((16,))]
    specs = ConvLSTM(initial=False, return_sequences=True).infer(Spec((n, t, 8, 9, 2)), *kernels)
    assert [s.shape for s in specs] == [(n, t, 6, 7, 4), (n, 6, 7, 4), (n, 6, 7, 4)]


@pytest.mark.parametrize("change,words", [
    ((0, (2, 4)), "ndim=3"), ((2, (5, 15)), "recurrent weights"),
    ((1, (4, 20)), r"input kernel of shape \(3, 20\); received shape \(4, 20\)"),
    ((3, (5,)), "a bias"), ((4, (2, 6)), "initial state"), ((6, (2, 3)), "a mask")])
def test_errors_tell_what_does_not_fit(change, words):
    shapes = [(2, 4, 3), (3, 20), (5, 20), (20,), (2, 5), (2, 5), (2, 4)]
    shapes[change[0]] = change[1]
    with pytest.raises(ShapeError, match=f"lstm: expected.*{words}"):
        LSTM(masked=True).infer(*map(Spec, shapes))


def test_errors_of_arguments():
    with pytest.raises(ShapeError, match="expected 6 inputs .x, kernel, recurrent, bias, 2 initial state.s..; received 3"):
        LSTM().infer(Spec((2, 4, 3)), Spec((3, 20)), Spec((5, 20)))
    with pytest.raises(UnsupportedError, match="gru: recurrent_activation expects one of tanh, .*received 'cube'"):
        GRU(recurrent_activation="cube")
    with pytest.raises(ShapeError, match=r"conv_lstm: expected recurrent weights of shape \(3, 3, 4, 16\)"):
        ConvLSTM(initial=False).infer(Spec((1, 2, 8, 9, 2)), Spec((3, 3, 2, 16)), Spec((2, 3, 4, 16)), Spec((16,)))


# ---- gradients with noise: what the samples of all ops leave out

NOISY = {"simple_rnn": SimpleRNN(noisy=True), "gru": GRU(noisy=True), "gru_reset_before": GRU(noisy=True, reset_after=False),
         "lstm": LSTM(noisy=True), "conv_lstm": ConvLSTM(strides=(1,), padding="same", dilation=(1,), noisy=True)}


def noisy_sample(op):
    rng = np.random.default_rng(3)
    if isinstance(op, ConvLSTM):
        shapes = [(2, 3, 5, 2), (3, 2, 12), (3, 3, 12), (12,), (2, 5, 3), (2, 5, 3), (2, 5, 3)]
        arrays = [0.5 * rng.standard_normal(s) for s in shapes]
    else:
        arrays = op.sample(3, 4, 5, 6, "float64")[:4 + op.states + 1]
    arrays[-1] = np.where(rng.random(arrays[-1].shape) < 0.4, 0.0, 1 / 0.6)
    return arrays


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_with_noise_are_central_differences(name, masked):
    op = replace(NOISY[name], masked=masked, return_sequences=True)
    arrays = noisy_sample(op)
    count = len(arrays) - 1
    if masked:
        arrays.append(np.random.default_rng(4).random(arrays[0].shape[:2]) < 0.6)
    rng = np.random.default_rng(5)
    outputs = op.reference(*arrays)
    gs, vs = [rng.standard_normal(y.shape) for y in outputs], [rng.standard_normal(a.shape) for a in arrays[:count]]
    found = op.vjp(tuple(gs), outputs, *arrays)
    assert found[count:] == [None] * (1 + masked)
    ahead, behind = (
        op.reference(*[a + h * v for a, v in zip(arrays, vs, strict=False)], *arrays[count:]) for h in (1e-6, -1e-6)
    )
    wanted = sum(float((g * (a - b)).sum()) / 2e-6 for g, a, b in zip(gs, ahead, behind, strict=True))
    np.testing.assert_allclose(sum(float((c * v).sum()) for c, v in zip(found, vs, strict=False)), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", NOISY)
def test_noise_of_ones_changes_nothing(name):
    arrays = noisy_sample(NOISY[name])
    plain = replace(NOISY[name], noisy=False).reference(*arrays[:-1])
    for a, b in zip(NOISY[name].reference(*arrays[:-1], np.ones_like(arrays[-1])), plain, strict=True):
        np.testing.assert_array_equal(a, b)
