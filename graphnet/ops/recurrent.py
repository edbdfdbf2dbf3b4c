"""Recurrent networks over whole sequences: SimpleRNN, GRU, LSTM and the convolutional LSTM, each as one op.

What all have in common, with N sequences of T steps, and H units:

    x (N, T, F)   kernel (F, G*H)   recurrent (H, G*H)   bias   states (N, H)   mask (N, T) bool
    outputs: y, (N, T, H) or its last step (N, H); then the final states

G gates lie side by side in the weights, in Keras's order. Where the mask is False a step leaves the states as they are, and its
output is the state h (or zeros). `go_backwards` takes the steps from the last to the first; the outputs come in the order in
which they are computed. Source: https://keras.io/api/layers/recurrent_layers/
"""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from graphnet.dims import product
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.op import Samples
from graphnet.ops.contraction import MatMul
from graphnet.ops.convert import shape
from graphnet.ops.convolution import Conv, ConvGradInput
from graphnet.ops.elementwise import multiply
from graphnet.ops.gates import ACTIVATIONS as ACTIVATIONS
from graphnet.ops.geometry import Pads
from graphnet.ops.recurrence import Array, Stepped, expect, over_steps
from graphnet.ops.recurrence import Recurrence as Recurrence
from graphnet.ops.shape import concatenate, reshape, shown, stack


@dataclass(frozen=True, kw_only=True)
class _Dense(Recurrence):
    """A recurrence whose weights are matrices: `cell` takes one step, from the projected input and the states."""

    gates: ClassVar[int] = 1

    def bias_shape(self, columns: int) -> tuple[int, ...]:
        """Of the bias, for so many columns of the weights."""
        return (columns,)

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        x, kernel, recurrent, bias, states, noise, mask = self.split(specs)
        if x.ndim != 3:
            raise ShapeError(f"{self.name}: expected an input with ndim=3 (batch, steps, features); received shape "
                             f"{shown(x.shape)}. Reshape it, or add the axis of steps with expand_dims.")
        n, t, features = x.shape
        units = recurrent.shape[0]
        expect(self.name, "recurrent weights", recurrent.shape, (units, self.gates * units))
        expect(self.name, "an input kernel", kernel.shape, (features, self.gates * units))
        if bias is not None:
            expect(self.name, "a bias", bias.shape, self.bias_shape(self.gates * units))
        for state in states:
            expect(self.name, "an initial state", state.shape, (n, units))
        if noise is not None:
            expect(self.name, "noise", noise.shape, (n, units))
        if mask is not None:
            expect(self.name, "a mask", mask.shape, (n, t))
        return self.outputs(Spec((n, units), x.dtype), t)

    def work(self, *specs: Spec) -> Any:
        x, kernel, recurrent, *_ = self.split(specs)
        return product(x.shape[:2]) * (product(kernel.shape) + product(recurrent.shape))

    @property
    def kept(self) -> int:
        return self.gates

    def input_gradient(self, sums: Any, x: Any, kernel: Any) -> tuple[Any, Any]:
        return MatMul(transpose_b=True)(sums, kernel), over_steps(x, sums)

    def recurrent_gradient(self, sums: Sequence[Any], gates: Any, seen: Any, recurrent: Any) -> Any:
        return over_steps(seen, sums[-1])

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        x, kernel, recurrent, bias, states, noise, mask = self.split(arrays)
        with np.errstate(all="ignore"):
            projected = x @ kernel
        if bias is not None:
            projected = projected + (bias if bias.ndim == 1 else bias[0])
        states = states or [np.zeros((len(x), len(recurrent)), x.dtype)] * self.states
        return self.walk(projected.transpose(1, 0, 2), states, noise, mask,
                         lambda step, old, seen: self.cell(step, old, seen, recurrent, bias))

    def cell(self, step: Array, states: list[Array], seen: Array, recurrent: Array, bias: Array | None) -> Stepped:
        """One step; `step` is its projected input with the input's bias added, `seen` the state h with its noise."""
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
        shapes += [self.bias_shape(self.gates * h)] * self.biased + [(n, h)] * (self.initial * self.states + self.noisy)
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

    def cell(self, step: Array, states: list[Array], seen: Array, recurrent: Array, bias: Array | None) -> Stepped:
        activation = ACTIVATIONS[self.activation]
        kept = activation.kept(step + seen @ recurrent)
        return [activation.value(kept)], [kept]

    def cell_gradient(self, gates: Array, before: list[Array], recurrent: Array, states: list[Array], noise: Any) -> Stepped:
        slope = states[0] * ACTIVATIONS[self.activation].slope(gates)
        return [slope], [noise * (slope @ recurrent.T)]


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

    @property
    def sums(self) -> int:  # type: ignore[override]
        """The product with x and that with h have cotangents of their own where r acts between them."""
        return 1 + self.reset_after

    @property
    def kept(self) -> int:
        """z, r, the candidate; and with `reset_after` what r is multiplied with."""
        return 3 + self.reset_after

    def cell(self, step: Array, states: list[Array], seen: Array, recurrent: Array, bias: Array | None) -> Stepped:
        h, = states
        units = h.shape[-1]
        gate, activation = ACTIVATIONS[self.recurrent_activation], ACTIVATIONS[self.activation]
        inner = seen @ (recurrent if self.reset_after else recurrent[:, :2 * units])
        if self.reset_after and bias is not None:
            inner = inner + bias[1]
        kept = [gate.kept(step[:, i * units:(i + 1) * units] + inner[:, i * units:(i + 1) * units]) for i in (0, 1)]
        z, r = map(gate.value, kept)
        candidate = r * inner[:, 2 * units:] if self.reset_after else (r * seen) @ recurrent[:, 2 * units:]
        kept.append(activation.kept(step[:, 2 * units:] + candidate))
        return [z * h + (1 - z) * activation.value(kept[2])], [*kept, inner[:, 2 * units:]][:self.kept]

    def cell_gradient(self, gates: Array, before: list[Array], recurrent: Array, states: list[Array], noise: Any) -> Stepped:
        (h,), (dh,) = before, states
        units = h.shape[-1]
        gate, activation = ACTIVATIONS[self.recurrent_activation], ACTIVATIONS[self.activation]
        z, r, candidate, *inner = (gates[:, i * units:(i + 1) * units] for i in range(self.kept))
        slope = dh * (1 - gate.value(z)) * activation.slope(candidate)
        first = dh * (h - activation.value(candidate)) * gate.slope(z)
        back = slope @ recurrent[:, 2 * units:].T if not inner else inner[0] * slope
        second = back * (1 if inner else h * noise) * gate.slope(r)
        sums = [np.concatenate([first, second, slope], -1)]
        if inner:
            sums.append(np.concatenate([first, second, slope * gate.value(r)], -1))
            return sums, [dh * gate.value(z) + noise * (sums[1] @ recurrent.T)]
        through = back * gate.value(r) + sums[0][:, :2 * units] @ recurrent[:, :2 * units].T
        return sums, [dh * gate.value(z) + noise * through]

    def bias_gradient(self, sums: Sequence[Any]) -> Any:
        return stack([super(GRU, self).bias_gradient([g]) for g in sums]) if self.reset_after else super().bias_gradient(sums)

    def recurrent_gradient(self, sums: Sequence[Any], gates: Any, seen: Any, recurrent: Any) -> Any:
        if self.reset_after:
            return super().recurrent_gradient(sums, gates, seen, recurrent)
        units, (g,) = shape(recurrent)[0], sums
        r = gates[:, :, units:2 * units]
        if ACTIVATIONS[self.recurrent_activation].keeps_argument:
            raise UnsupportedError(f"{self.name}: the gradient with reset_after=False expects a recurrent_activation whose "
                                   f"result says its slope, as sigmoid's; received {self.recurrent_activation!r}.")
        return concatenate([over_steps(seen, g[:, :, :2 * units]), over_steps(multiply(r, seen), g[:, :, 2 * units:])], 1)

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

    def cell(self, step: Array, states: list[Array], seen: Array, recurrent: Array, bias: Array | None) -> Stepped:
        return lstm_gates(self, step + seen @ recurrent, states[1])

    def cell_gradient(self, gates: Array, before: list[Array], recurrent: Array, states: list[Array], noise: Any) -> Stepped:
        sums, dc = lstm_slopes(self, gates, before[1], states)
        return [sums], [noise * (sums @ recurrent.T), dc]


def lstm_gates(op: Any, sums: Array, c: Array) -> Stepped:
    """The states [h, c] of an LSTM, and what is kept of the gates, from the gates' sums side by side on the last axis."""
    gate, activation = ACTIVATIONS[op.recurrent_activation], ACTIVATIONS[op.activation]
    i, f, g, o = kept = [(activation if k == 2 else gate).kept(a) for k, a in enumerate(np.split(sums, 4, axis=-1))]
    c = gate.value(f) * c + gate.value(i) * activation.value(g)
    return [gate.value(o) * activation(c), c], kept


def lstm_slopes(op: Any, gates: Array, c: Array, states: list[Array]) -> tuple[Array, Array]:
    """The cotangents of the gates' sums, side by side, and of the state c before the step."""
    gate, activation = ACTIVATIONS[op.recurrent_activation], ACTIVATIONS[op.activation]
    kept, (dh, dc) = np.split(gates, 4, axis=-1), states
    i, f, g, o = ((activation if k == 2 else gate).value(v) for k, v in enumerate(kept))
    cell = activation.kept(f * c + i * g)
    dc = dc + dh * o * activation.slope(cell)
    factors = dc * g, dc * c, dc * i, dh * activation.value(cell)
    slopes = [v * (activation if k == 2 else gate).slope(kept[k]) for k, v in enumerate(factors)]
    return np.concatenate(slopes, -1), dc * f


@dataclass(frozen=True, kw_only=True)
class ConvLSTM(Recurrence):
    """An LSTM whose products are convolutions. Outputs (y, h, c).

    x (N, T, *S, C), kernel (*K, C, 4F), recurrent (*K, F, 4F), bias (4F), states (N, *S', F)
    -> y (N, T, *S', F) or (N, *S', F).
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
        x, kernel, recurrent, bias, states, noise, mask = self.split(specs)
        rank = len(self.strides)
        if x.ndim != rank + 3:
            raise ShapeError(f"{self.name}: expected an input with ndim={rank + 3} (batch, steps, {rank} spatial axes, "
                             f"channels); received shape {shown(x.shape)}.")
        n, t, *spatial = x.shape
        filters = recurrent.shape[-2]
        out = self.of_input.infer(Spec((n, *spatial), x.dtype), kernel).shape
        expect(self.name, "an input kernel", kernel.shape, (*kernel.shape[:-1], 4 * filters))
        expect(self.name, "recurrent weights", recurrent.shape, (*kernel.shape[:rank], filters, 4 * filters))
        state = Spec((*out[:-1], filters), x.dtype)
        if bias is not None:
            expect(self.name, "a bias", bias.shape, (4 * filters,))
        for given in states:
            expect(self.name, "an initial state", given.shape, state.shape)
        if noise is not None:
            expect(self.name, "noise", noise.shape, state.shape)
        if mask is not None:
            expect(self.name, "a mask", mask.shape, (n, t))
        return self.outputs(state, t)

    @property
    def kept(self) -> int:
        return 4

    def cell_gradient(self, gates: Array, before: list[Array], recurrent: Array, states: list[Array], noise: Any) -> Stepped:
        sums, dc = lstm_slopes(self, gates, before[1], states)
        back = ConvGradInput(gates.shape[1:-1], *self.of_state.geometry)
        return [sums], [noise * back.reference(sums, recurrent), dc]

    def input_gradient(self, sums: Any, x: Any, kernel: Any) -> tuple[Any, Any]:
        frames = self.frames(x)
        dx, dkernel = self.of_input.vjp(self.frames(sums), None, frames, kernel)
        return reshape(dx, shape(x)), dkernel

    def recurrent_gradient(self, sums: Sequence[Any], gates: Any, seen: Any, recurrent: Any) -> Any:
        return self.of_state.vjp(self.frames(sums[0]), None, self.frames(seen), recurrent)[1]

    @staticmethod
    def frames(x: Any) -> Any:
        """(N, T, ...) -> (N * T, ...)."""
        n, t, *rest = shape(x)
        return reshape(x, (n * t, *rest))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        x, kernel, recurrent, bias, states, noise, mask = self.split(arrays)
        shape = self.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])[1].shape
        n, t, *rest = x.shape
        projected = self.of_input.reference(x.reshape(n * t, *rest), kernel).reshape(n, t, *shape[1:-1], kernel.shape[-1])
        if bias is not None:
            projected = projected + bias
        states = states or [np.zeros(shape, x.dtype)] * 2
        return self.walk(np.moveaxis(projected, 1, 0), states, noise, mask, lambda step, old, seen: lstm_gates(
            self, step + self.of_state.reference(seen, recurrent), old[1]))

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


def recurrences() -> Iterator[tuple[Recurrence, list[Array]]]:
    """Every recurrent op, saving, with inputs for it: what the gradient's samples are made of."""
    for kind in (SimpleRNN, GRU, LSTM, ConvLSTM):
        for op, arrays in kind.samples():
            yield replace(op, saves=True), arrays  # type: ignore[call-arg, misc]


__all__ = ["GRU", "LSTM", "ConvLSTM", "SimpleRNN"]
