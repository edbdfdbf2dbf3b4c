"""What recurrent ops share: the walk through a sequence, and the gradients of its inputs and weights."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.op import Op
from graphnet.ops.contraction import MatMul
from graphnet.ops.convert import shape
from graphnet.ops.elementwise import multiply
from graphnet.ops.gates import ACTIVATIONS
from graphnet.ops.recurrent_gradient import ThroughTime
from graphnet.ops.reduction import Sum
from graphnet.ops.shape import expand_dims, reshape, shown

Array = np.ndarray
Stepped = tuple[list[Array], list[Array]]  # the states after a step, and what it keeps of its gates


def known(who: str, field: str, name: str) -> None:
    if name not in ACTIVATIONS:
        raise UnsupportedError(f"{who}: {field} expects one of {', '.join(ACTIVATIONS)}; received {name!r}.")


def expect(who: str, what: str, received: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    """ShapeError unless the shapes agree; unknown extents are not compared."""
    fits = len(received) == len(expected) and all(
        not (type(a) is int and type(b) is int) or a == b for a, b in zip(received, expected, strict=True))
    if not fits:
        raise ShapeError(f"{who}: expected {what} of shape {shown(expected)}; received shape {shown(received)}.")


@dataclass(frozen=True, kw_only=True)
class Recurrence(Op):
    """What the recurrent ops share: inputs (x, kernel, recurrent[, bias][, states...][, noise][, mask]), the walk through time.

    Args:
        return_sequences: y holds every step's output, else the last one's.
        go_backwards: the last step comes first.
        masked: the last input is a mask (N, T) of booleans.
        zero_output_for_mask: the output of a masked step is zero, else the state h as it stands.
        biased: a bias is given behind the recurrent weights.
        initial: initial states are given behind the bias; else they are zero.
        noisy: factors (N, H) are given before the mask, that h is multiplied with on its way into the gates: recurrent dropout.
            They get no cotangent.
        saves: further outputs are what the gradient needs of every step, in the order of x's steps: of the gates side by side
            (N, T, gates), and of each state what it was before the step (N, T, H).
    """

    return_sequences: bool = False
    go_backwards: bool = False
    masked: bool = False
    zero_output_for_mask: bool = False
    biased: bool = True
    initial: bool = True
    noisy: bool = False
    saves: bool = False
    states: ClassVar[int] = 1
    sums: ClassVar[int] = 1  # how many sums of G*H columns have cotangents of their own

    def __post_init__(self) -> None:
        for field in ("activation", "recurrent_activation"):
            if hasattr(self, field):
                known(self.name, field, getattr(self, field))

    def split(self, inputs: Sequence[Any]) -> tuple[Any, Any, Any, Any, list[Any], Any, Any]:
        """(x, kernel, recurrent, bias or None, initial states or [], noise or None, mask or None) of the op's inputs."""
        expected = 3 + self.biased + self.initial * self.states + self.noisy + self.masked
        if len(inputs) != expected:
            optional = (", bias" * self.biased + f", {self.states} initial state(s)" * self.initial + ", noise" * self.noisy
                        + ", mask" * self.masked)
            raise ShapeError(f"{self.name}: expected {expected} inputs (x, kernel, recurrent{optional}); "
                             f"received {len(inputs)}.")
        x, kernel, recurrent, *rest = inputs
        bias = rest.pop(0) if self.biased else None
        mask = rest.pop() if self.masked else None
        noise = rest.pop() if self.noisy else None
        return x, kernel, recurrent, bias, rest, noise, mask

    def walk(self, steps: Array, states: list[Array], noise: Array | None, mask: Array | None,
             advance: Callable[[Array, list[Array], Array], Stepped]) -> tuple[Array, ...]:
        """Takes `advance(step, states, h with its noise)` through time, the first axis of `steps`; gives y, the final states,
        and what is saved.
        """
        order = range(len(steps))[::-1] if self.go_backwards else range(len(steps))
        last, outputs = states[0], []
        n, *inner = states[0].shape
        saved = [np.empty((n, len(steps), *inner[:-1], width * inner[-1]), states[0].dtype)
                 for width in (self.kept, *[1] * self.states) if self.saves]
        with np.errstate(all="ignore"):
            for t in order:
                new, gates = advance(steps[t], states, states[0] if noise is None else states[0] * noise)
                for to, value in zip(saved, (gates, *[[s] for s in states]), strict=False):
                    to[:, t] = np.concatenate(value, -1)
                if mask is not None:
                    keep = mask[:, t].astype(bool).reshape(-1, *(1,) * (states[0].ndim - 1))
                    new = [np.where(keep, b, a) for a, b in zip(states, new, strict=True)]
                states = [np.asarray(s, states[0].dtype) for s in new]
                last = states[0]
                if mask is not None and self.zero_output_for_mask:
                    last = np.where(keep, last, last.dtype.type(0))
                outputs.append(last)
        if self.return_sequences:
            last = np.stack(outputs, 1) if outputs else np.empty((n, 0, *inner), states[0].dtype)
        return last, *states, *saved

    @property
    def kept(self) -> int:
        """How many numbers of each unit a step keeps of its gates."""
        raise NotImplementedError

    def outputs(self, state: Spec, t: Any) -> tuple[Spec, ...]:
        """The specs of the outputs, from that of a state."""
        n, *inner = state.shape
        every = Spec((n, t, *inner), state.dtype)
        gates = Spec((*every.shape[:-1], self.kept * inner[-1]), state.dtype)
        return (every if self.return_sequences else state, *[state] * self.states,
                *[gates] * self.saves, *[every] * (self.saves * self.states))

    # ---- gradients

    def cell_gradient(self, gates: Array, before: list[Array], recurrent: Array, states: list[Array], noise: Any) -> Stepped:
        """One step back: (the cotangents of each of the `sums`, those of the states before), from those of the states after.

        `noise`: the factors of h, or 1.
        """
        raise NotImplementedError

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        x, kernel, recurrent, bias, states, noise, mask = self.split(xs)
        count = 1 + self.states
        op = replace(self, saves=True)
        saved = (y if self.saves else op(*xs))[count:]
        back = ThroughTime(op, tuple([v is not None for v in g[:count]]))
        optional = [v for v in (noise, mask) if v is not None]
        found = back(recurrent, *saved, *optional, *[v for v in g[:count] if v is not None])
        sums, initial = found[:self.sums], found[self.sums:]
        seen = saved[1] if noise is None else multiply(saved[1], expand_dims(noise, 1))
        dx, dkernel = self.input_gradient(sums[0], x, kernel)
        dbias = [] if bias is None else [self.bias_gradient(sums)]
        return [dx, dkernel, self.recurrent_gradient(sums, saved[0], seen, recurrent), *dbias, *initial[:len(states)],
                *[None] * len(optional)]

    def input_gradient(self, sums: Any, x: Any, kernel: Any) -> tuple[Any, Any]:
        """The cotangents of x and of the kernel, for that of the sums."""
        raise NotImplementedError

    def recurrent_gradient(self, sums: Sequence[Any], gates: Any, seen: Any, recurrent: Any) -> Any:
        """The cotangent of the recurrent weights; `gates` and h, with its noise, are those of every step."""
        raise NotImplementedError

    def bias_gradient(self, sums: Sequence[Any]) -> Any:
        """The cotangent of the bias."""
        return Sum(tuple(range(sums[0].ndim - 1)))(sums[0])


def flat(x: Any) -> Any:
    """(N, T, F) -> (N * T, F)."""
    return reshape(x, (-1, shape(x)[-1]))


def over_steps(x: Any, g: Any) -> Any:
    """The sum over sequences and steps of x^T g."""
    return MatMul(transpose_a=True)(flat(x), flat(g))
