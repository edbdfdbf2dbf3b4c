"""Recurrent networks over whole sequences: SimpleRNN, GRU, LSTM and the convolutional LSTM, each as one op.

What all have in common, with N sequences of T steps, and H units:

    x (N, T, F)   kernel (F, G*H)   recurrent (H, G*H)   bias   states (N, H)   mask (N, T) bool
    outputs: y, (N, T, H) or its last step (N, H); then the final states

G gates lie side by side in the weights, in Keras's order. Where the mask is False a step leaves the states as they are, and its
output is the state h (or zeros). `go_backwards` takes the steps from the last to the first; the outputs come in the order in
which they are computed. Source: https://keras.io/api/layers/recurrent_layers/
"""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.op import Op, Samples
from graphnet.ops.convolution import Conv, Pads
from graphnet.ops.elementwise import Erf, Sigmoid
from graphnet.ops.shape import shown

Array = np.ndarray
_sigmoid = Sigmoid().reference
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., https://arxiv.org/abs/1706.02515


def _relu6(x: Array) -> Array:
    return np.clip(x, 0.0, 6.0)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, x.dtype.type(0))


# activations of gates by Keras 3's names; hard_sigmoid is Keras 3's, not the steeper one of Keras 2
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: _relu6(x + 3.0) / 6.0,
    "hard_silu": lambda x: x * (_relu6(x + 3.0) / 6.0),
    "relu6": _relu6,
    "leaky_relu": lambda x: np.where(x < 0, 0.2 * x, x),
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "exponential": np.exp,
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "gelu": lambda x: 0.5 * x * (1.0 + Erf().reference(x / math.sqrt(2.0))),
}


def _known(who: str, field: str, name: str) -> None:
    if name not in ACTIVATIONS:
        raise UnsupportedError(f"{who}: {field} expects one of {', '.join(ACTIVATIONS)}; received {name!r}.")


def _expect(who: str, what: str, received: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    """ShapeError unless the shapes agree; unknown extents are not compared."""
    fits = len(received) == len(expected) and all(
        not (type(a) is int and type(b) is int) or a == b for a, b in zip(received, expected, strict=True))
    if not fits:
        raise ShapeError(f"{who}: expected {what} of shape {shown(expected)}; received shape {shown(received)}.")


@dataclass(frozen=True, kw_only=True)
class Recurrence(Op):
    """What the recurrent ops share: inputs (x, kernel, recurrent[, bias][, states...][, mask]) and the walk through time.

    Args:
        return_sequences: y holds every step's output, else the last one's.
        go_backwards: the last step comes first.
        masked: the last input is a mask (N, T) of booleans.
        zero_output_for_mask: the output of a masked step is zero, else the state h as it stands.
        biased: a bias is given behind the recurrent weights.
        initial: initial states are given behind the bias; else they are zero.
    """

    return_sequences: bool = False
    go_backwards: bool = False
    masked: bool = False
    zero_output_for_mask: bool = False
    biased: bool = True
    initial: bool = True
    states: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for field in ("activation", "recurrent_activation"):
            if hasattr(self, field):
                _known(self.name, field, getattr(self, field))

    def split(self, inputs: Sequence[Any]) -> tuple[Any, Any, Any, Any, list[Any], Any]:
        """(x, kernel, recurrent, bias or None, initial states or [], mask or None) of the op's inputs."""
        expected = 3 + self.biased + self.initial * self.states + self.masked
        if len(inputs) != expected:
            optional = ", bias" * self.biased + f", {self.states} initial state(s)" * self.initial + ", mask" * self.masked
            raise ShapeError(f"{self.name}: expected {expected} inputs (x, kernel, recurrent{optional}); received {len(inputs)}.")
        x, kernel, recurrent, *rest = inputs
        bias = rest.pop(0) if self.biased else None
        mask = rest.pop() if self.masked else None
        return x, kernel, recurrent, bias, rest, mask

    def walk(self, steps: Array, states: list[Array], mask: Array | None,
             advance: Callable[[Array, list[Array]], list[Array]]) -> tuple[Array, ...]:
        """Takes `advance(step, states) -> states` through time, the first axis of `steps`; gives y and the final states."""
        order = range(len(steps))[::-1] if self.go_backwards else range(len(steps))
        last, outputs = states[0], []
        with np.errstate(all="ignore"):
            for t in order:
                new = advance(steps[t], states)
                if mask is not None:
                    keep = mask[:, t].astype(bool).reshape(-1, *(1,) * (states[0].ndim - 1))
                    new = [np.where(keep, b, a) for a, b in zip(states, new, strict=True)]
                states = [np.asarray(s, states[0].dtype) for s in new]
                last = states[0]
                if mask is not None and self.zero_output_for_mask:
                    last = np.where(keep, last, last.dtype.type(0))
                outputs.append(last)
        if not self.return_sequences:
            return last, *states
        shape = (states[0].shape[0], 0, *states[0].shape[1:])
        return np.stack(outputs, 1) if outputs else np.empty(shape, states[0].dtype), *states


@dataclass(frozen=True, kw_only=True)
class _Dense(Recurrence):
    """A recurrence whose weights are matrices: `cell` takes one step, from the projected input and the states."""

    gates: ClassVar[int] = 1

    def bias_shape(self, columns: int) -> tuple[int, ...]:
        """Of the bias, for so many columns of the weights."""
        return (columns,)

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        x, kernel, recurrent, bias, states, mask = self.split(specs)
        if x.ndim != 3:
            raise ShapeError(f"{self.name}: expected an input with ndim=3 (batch, steps, features); received shape "
                             f"{shown(x.shape)}. Reshape it, or add the axis of steps with expand_dims.")
        n, t, features = x.shape
        units = recurrent.shape[0]
        _expect(self.name, "recurrent weights", recurrent.shape, (units, self.gates * units))
        _expect(self.name, "an input kernel", kernel.shape, (features, self.gates * units))
        if bias is not None:
            _expect(self.name, "a bias", bias.shape, self.bias_shape(self.gates * units))
        for state in states:
            _expect(self.name, "an initial state", state.shape, (n, units))
        if mask is not None:
            _expect(self.name, "a mask", mask.shape, (n, t))
        state = Spec((n, units), x.dtype)
        return Spec((n, t, units), x.dtype) if self.return_sequences else state, *[state] * self.states

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        x, kernel, recurrent, bias, states, mask = self.split(arrays)
        with np.errstate(all="ignore"):
            projected = x @ kernel
        if bias is not None:
            projected = projected + (bias if bias.ndim == 1 else bias[0])
        states = states or [np.zeros((len(x), len(recurrent)), x.dtype)] * self.states
        return self.walk(projected.transpose(1, 0, 2), states, mask, lambda step, old: self.cell(step, old, recurrent, bias))

    def cell(self, step: Array, states: list[Array], recurrent: Array, bias: Array | None) -> list[Array]:
        """The states after a step; `step` is its projected input with the input's bias added."""
        raise NotImplementedError

    @classmethod
    def samples(cls) -> Samples:
        plain = cls(initial=False)
        full = cls(return_sequences=True, masked=True)
        for op, (n, t, f, h) in (
                (plain, (3, 5, 4, 7)), (full, (2, 4, 3, 17)), (replace(full, go_backwards=True, biased=False), (1, 6, 2, 1)),
                (replace(full, return_sequences=False, zero_output_for_mask=True), (9, 3, 5, 33)),
                (replace(plain, return_sequences=True), (0, 4, 3, 5)), (replace(plain, return_sequences=True), (2, 0, 3, 5))):
            yield op, op.sample(n, t, f, h)

    def sample(self, n: int, t: int, f: int, h: int, dtype: str = "float32") -> list[np.ndarray]:
        """Random inputs for these extents."""
        rng = np.random.default_rng([n, t, f, h])
        shapes: list[tuple[int, ...]] = [(n, t, f), (f, self.gates * h), (h, self.gates * h)]
        shapes += [self.bias_shape(self.gates * h)] * self.biased + [(n, h)] * (self.initial * self.states)
        arrays = [(rng.standard_normal(s) * (1.0 if i == 0 else 0.5)).astype(dtype) for i, s in enumerate(shapes)]
        return [*arrays, rng.random((n, t)) < 0.6] if self.masked else arrays


@dataclass(frozen=True, kw_only=True)
class SimpleRNN(_Dense):
    """h' = activation(x kernel + bias + h recurrent). Outputs (y, h).

    Example:

        >>> import numpy as np
        >>> from graphnet.ops.recurrent import SimpleRNN
        >>> op = SimpleRNN(activation="linear", biased=False, initial=False, return_sequences=True)
        >>> op.reference(np.ones((1, 3, 1)), np.eye(1), 2 * np.eye(1))[0].ravel()
        array([1., 3., 7.])
    """

    activation: str = "tanh"

    def cell(self, step: Array, states: list[Array], recurrent: Array, bias: Array | None) -> list[Array]:
        return [ACTIVATIONS[self.activation](step + states[0] @ recurrent)]


@dataclass(frozen=True, kw_only=True)
class GRU(_Dense):
    """Gated recurrent unit, gates z, r, h: h' = z h + (1 - z) activation(candidate). Outputs (y, h).

    z and r = recurrent_activation(x kernel + bias + h recurrent). The candidate's share of h is r * (h recurrent + bias[1])
    with `reset_after` (bias (2, 3H): the input's, the recurrent one), else (r * h) recurrent (bias (3H)).
    Source: Cho et al., https://arxiv.org/abs/1406.1078
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    gates: ClassVar[int] = 3

    def bias_shape(self, columns: int) -> tuple[int, ...]:
        return (2, columns) if self.reset_after else (columns,)

    def cell(self, step: Array, states: list[Array], recurrent: Array, bias: Array | None) -> list[Array]:
        h, = states
        units = h.shape[-1]
        gate, activation = ACTIVATIONS[self.recurrent_activation], ACTIVATIONS[self.activation]
        inner = h @ (recurrent if self.reset_after else recurrent[:, :2 * units])
        if self.reset_after and bias is not None:
            inner = inner + bias[1]
        z, r = (gate(step[:, i * units:(i + 1) * units] + inner[:, i * units:(i + 1) * units]) for i in (0, 1))
        candidate = r * inner[:, 2 * units:] if self.reset_after else (r * h) @ recurrent[:, 2 * units:]
        return [z * h + (1 - z) * activation(step[:, 2 * units:] + candidate)]

    @classmethod
    def samples(cls) -> Samples:
        yield from super().samples()
        before = GRU(reset_after=False, masked=True, return_sequences=True)
        yield before, before.sample(3, 4, 5, 19)


@dataclass(frozen=True, kw_only=True)
class LSTM(_Dense):
    """Long short-term memory, gates i, f, c, o of a = x kernel + bias + h recurrent. Outputs (y, h, c).

    c' = recurrent_activation(a_f) c + recurrent_activation(a_i) activation(a_c); h' = recurrent_activation(a_o) activation(c').
    Source: Hochreiter and Schmidhuber, https://doi.org/10.1162/neco.1997.9.8.1735, with the forget gate of Gers et al.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def cell(self, step: Array, states: list[Array], recurrent: Array, bias: Array | None) -> list[Array]:
        h, c = states
        return lstm_gates(self, step + h @ recurrent, c)


def lstm_gates(op: Any, gates: Array, c: Array) -> list[Array]:
    """The states [h, c] of an LSTM from the four gates' sums, side by side on the last axis."""
    gate, activation = ACTIVATIONS[op.recurrent_activation], ACTIVATIONS[op.activation]
    i, f, g, o = np.split(gates, 4, axis=-1)
    c = gate(f) * c + gate(i) * activation(g)
    return [gate(o) * activation(c), c]


@dataclass(frozen=True, kw_only=True)
class ConvLSTM(Recurrence):
    """An LSTM whose products are convolutions. Outputs (y, h, c).

    x (N, T, *S, C), kernel (*K, C, 4F), recurrent (*K, F, 4F), bias (4F), states (N, *S', F) -> y (N, T, *S', F) or (N, *S', F).
    Strides, padding and dilation are those of the convolution of x; that of h keeps its extents.
    Source: Shi et al., https://arxiv.org/abs/1506.04214
    """

    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    states: ClassVar[int] = 2

    @property
    def of_input(self) -> Conv:
        """The convolution of x."""
        return Conv(self.strides, self.padding, self.dilation)

    @property
    def of_state(self) -> Conv:
        """The convolution of h."""
        ones = (1,) * len(self.strides)
        return Conv(ones, "same", ones)

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        x, kernel, recurrent, bias, states, mask = self.split(specs)
        rank = len(self.strides)
        if x.ndim != rank + 3:
            raise ShapeError(f"{self.name}: expected an input with ndim={rank + 3} (batch, steps, {rank} spatial axes, "
                             f"channels); received shape {shown(x.shape)}.")
        n, t, *spatial = x.shape
        filters = recurrent.shape[-2]
        out = self.of_input.infer(Spec((n, *spatial), x.dtype), kernel).shape
        _expect(self.name, "an input kernel", kernel.shape, (*kernel.shape[:-1], 4 * filters))
        _expect(self.name, "recurrent weights", recurrent.shape, (*kernel.shape[:rank], filters, 4 * filters))
        state = Spec((*out[:-1], filters), x.dtype)
        if bias is not None:
            _expect(self.name, "a bias", bias.shape, (4 * filters,))
        for given in states:
            _expect(self.name, "an initial state", given.shape, state.shape)
        if mask is not None:
            _expect(self.name, "a mask", mask.shape, (n, t))
        return Spec((n, t, *state.shape[1:]), x.dtype) if self.return_sequences else state, state, state

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        x, kernel, recurrent, bias, states, mask = self.split(arrays)
        shape = self.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])[1].shape
        n, t, *rest = x.shape
        projected = self.of_input.reference(x.reshape(n * t, *rest), kernel).reshape(n, t, *shape[1:-1], kernel.shape[-1])
        if bias is not None:
            projected = projected + bias
        states = states or [np.zeros(shape, x.dtype)] * 2
        return self.walk(np.moveaxis(projected, 1, 0), states, mask, lambda step, old: lstm_gates(
            self, step + self.of_state.reference(old[0], recurrent), old[1]))

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)

        def some(*shape: int) -> np.ndarray:
            return (0.5 * rng.standard_normal(shape)).astype("float32")
        yield ConvLSTM(initial=False), [some(2, 3, 6, 5, 2), some(3, 3, 2, 12), some(3, 3, 3, 12), some(12)]
        same = ConvLSTM(strides=(2, 1), padding="same", return_sequences=True, masked=True, go_backwards=True)
        states = [some(2, 3, 6, 2), some(2, 3, 6, 2)]
        yield same, [some(2, 4, 5, 6, 1), some(2, 3, 1, 8), some(2, 3, 2, 8), some(8), *states, rng.random((2, 4)) < 0.6]
        line = ConvLSTM(strides=(1,), dilation=(2,), biased=False, initial=False, return_sequences=True)
        yield line, [some(1, 2, 9, 3), some(3, 3, 16), some(3, 4, 16)]


__all__ = ["GRU", "LSTM", "ConvLSTM", "SimpleRNN"]
