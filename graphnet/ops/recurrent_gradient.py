"""Backpropagation through time: the walk of a recurrent op from its last step to its first.

Source: Werbos, Backpropagation through time: what it does and how to do it (https://doi.org/10.1109/5.58337).
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.errors import UnsupportedError
from graphnet.graph import Spec
from graphnet.op import Op, Samples

Array = np.ndarray


@dataclass(frozen=True)
class ThroughTime(Op):
    """The cotangents of a recurrent op's gates in every step, from which those of inputs and weights are matrix products.

    Inputs: the recurrent weights, what the op saved (see `Recurrence.saves`), its noise and its mask if it has them, and the
    cotangents of those of its outputs (y, final states) that `given` marks. Outputs: the cotangents of the sums that go into
    the gates, (N, T, G*H), as many as the op has `sums`, in the order of x's steps; then those of the initial states.

    Arguments: ``op`` a recurrent op that saves; ``given`` a boolean for each of y and the final states.
    """

    op: Any
    given: tuple[bool, ...]

    def split(self, inputs: Sequence[Any]) -> tuple[Any, list[Any], Any, Any, list[Any]]:
        """(recurrent weights, what was saved, noise or None, mask or None, the cotangent or None of each output)."""
        recurrent, *rest = inputs
        count = 1 + self.op.states
        saved, rest = rest[:count], rest[count:]
        noise = rest.pop(0) if self.op.noisy else None
        mask = rest.pop(0) if self.op.masked else None
        given = iter(rest)
        return recurrent, saved, noise, mask, [next(given) if there else None for there in self.given]

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        recurrent, (_, state, *_), *_ = self.split(specs)
        n, t, *inner = state.shape
        return (*[Spec((n, t, *inner[:-1], recurrent.shape[-1]), state.dtype)] * self.op.sums,
                *[Spec((n, *inner), state.dtype)] * self.op.states)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        op = self.op
        recurrent, (gates, *before), noise, mask, (gy, *finals) = self.split(arrays)
        n, t, *inner = before[0].shape
        dtype = before[0].dtype
        zeros = np.zeros((n, *inner), dtype)
        states = [zeros if g is None else g for g in finals]
        if t == 0 and gy is not None and not op.return_sequences:
            states[0] = states[0] + gy
        sums = [np.zeros((n, t, *inner[:-1], recurrent.shape[-1]), dtype) for _ in range(op.sums)]
        with np.errstate(all="ignore"):
            for index in range(t)[::-1]:
                at = t - 1 - index if op.go_backwards else index
                keep = None if mask is None else mask[:, at].astype(bool).reshape(-1, *(1,) * len(inner))
                if gy is not None and (op.return_sequences or index == t - 1):
                    step = gy[:, index] if op.return_sequences else gy
                    states[0] = states[0] + (step if keep is None or not op.zero_output_for_mask else np.where(keep, step, 0))
                parts, new = op.cell_gradient(gates[:, at], [b[:, at] for b in before], recurrent, states,
                                              1 if noise is None else noise)
                for total, part in zip(sums, parts, strict=True):
                    total[:, at] = part if keep is None else np.where(keep, part, 0)
                states = new if keep is None else [np.where(keep, b, a) for a, b in zip(states, new, strict=True)]
        return (*sums, *[np.asarray(s, dtype) for s in states])

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        raise UnsupportedError(f"The gradient of {self.op.name!r} has none of its own. Put ops.stop_gradient around it, or run "
                               "the cell step by step (graphnet.layers.RNN with a cell whose call is written in ops) for them.")

    @classmethod
    def samples(cls) -> Samples:
        from graphnet.ops.recurrent import recurrences  # here, because those ops need this one for their gradients
        for op, arrays in recurrences():
            saved = op.reference(*arrays)
            optional = [v for v in op.split(arrays)[-2:] if v is not None]
            yield cls(op, (True,) * (1 + op.states)), [arrays[2], *saved[1 + op.states:], *optional, *saved[:1 + op.states]]
