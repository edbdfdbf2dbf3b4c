"""A cell over a whole sequence: by one op where the cell has one, step by step where it has none.

A cell is a layer with `state_size`, and ``call(inputs, states) -> (output, new states)`` for one step. Built-in cells also have
``whole(x, states, mask, walk)``, which gives the result of all steps by one op, where ``has_op()``.
"""
from dataclasses import dataclass, replace
from typing import Any

from graphnet import tree
from graphnet.dims import Dim
from graphnet.errors import UnsupportedError
from graphnet.ops.convert import cast, shape
from graphnet.ops.creation import zeros, zeros_like
from graphnet.ops.elementwise import where
from graphnet.ops.shape import expand_dims, flip, stack


@dataclass(frozen=True)
class Walk:
    """How a sequence is gone through, as the arguments of a recurrent layer say; `who` names it in errors."""

    return_sequences: bool
    go_backwards: bool
    zero_output_for_mask: bool
    training: bool
    who: str


def listed(states: Any) -> list[Any]:
    """States as a list, also where there is one without brackets."""
    return list(states) if isinstance(states, (list, tuple)) else [states]


def apart(sequences: Any, initial_state: Any) -> tuple[Any, dict[str, Any]]:
    """The sequences, and the keyword argument initial_state; files of Keras 2 have one list [sequences, *states]."""
    if isinstance(sequences, (list, tuple)) and initial_state is None and len(sequences) > 1 and hasattr(sequences[0], "shape"):
        sequences, *initial_state = sequences
    return sequences, {} if initial_state is None else {"initial_state": initial_state}


def zero_states(cell: Any, batch: Any) -> list[Any]:
    """The states of a cell before the first step."""
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return listed(make(batch_size=batch))
    dtype = getattr(cell, "compute_dtype", None)
    return [zeros((batch, *([size] if isinstance(size, int) else size)), dtype) for size in listed(cell.state_size)]


def run(cell: Any, x: Any, states: list[Any] | None, mask: Any, walk: Walk) -> tuple[Any, list[Any]]:
    """(outputs, final states): all outputs (batch, steps, ...) or the last one, in the order in which they are computed."""
    if hasattr(cell, "cells"):
        return _stacked(cell.cells, x, states, mask, walk)
    if hasattr(cell, "has_op") and cell.has_op():
        return cell.whole(x, states, mask, walk)
    return _step_by_step(cell, x, states, mask, walk)


def _stacked(cells: list[Any], x: Any, states: list[Any] | None, mask: Any, walk: Walk) -> tuple[Any, list[Any]]:
    """Cell behind cell, each over the whole sequence.

    What a masked step gives to the next cell does not matter, as that skips it too.
    """
    finals = []
    for i, cell in enumerate(cells):
        last = i == len(cells) - 1
        own = None if states is None else states[i]
        inner = replace(walk, return_sequences=walk.return_sequences or not last,
                        zero_output_for_mask=walk.zero_output_for_mask and last)
        x, new = run(cell, x, None if own is None else listed(own), mask, inner)
        finals.append(new if own is None or isinstance(own, (list, tuple)) else new[0])
        if walk.go_backwards and not last:  # the outputs are in the order of computation already
            walk, mask = replace(walk, go_backwards=False), None if mask is None else flip(mask, 1)
    return x, finals


def _step_by_step(cell: Any, x: Any, states: list[Any] | None, mask: Any, walk: Walk) -> tuple[Any, list[Any]]:
    """The cell's own call for each step, in Python: a trace holds every step."""
    count = shape(x)[1]
    if isinstance(count, Dim):
        raise UnsupportedError(f"{walk.who} runs its cell {type(cell).__name__} step by step, so it expects a known number of "
                               "steps; received an input of shape "
                               f"{x.shape}. Give the steps in Input(shape=(steps, ...)), or use SimpleRNN, GRU or LSTM with "
                               "Keras's own activations.")
    states = zero_states(cell, shape(x)[0]) if states is None else states
    noise = cell.draw_noise(x[:, 0], states, walk.training) if hasattr(cell, "draw_noise") else None
    outputs: list[Any] = []
    for t in range(count)[::-1] if walk.go_backwards else range(count):
        if noise is not None:
            output, new = cell.step(x[:, t], states, noise)
        else:
            output, new = (cell if callable(cell) else cell.call)(x[:, t], states)
        new = listed(new)
        if mask is not None:
            kept = cast(mask[:, t], "bool")
            output = _chosen(kept, output, zeros_like(output) if walk.zero_output_for_mask else tree.flatten(states)[0])
            new = tree.map_structure(lambda b, a, k=kept: _chosen(k, b, a), new, states)
        states = new
        outputs.append(output)
        if not walk.return_sequences:
            outputs = outputs[-1:]
    if not outputs:
        raise UnsupportedError(f"{walk.who} expects at least one step; received an input of shape {x.shape}.")
    return stack(outputs, 1) if walk.return_sequences else outputs[0], states


def _chosen(kept: Any, new: Any, old: Any) -> Any:
    """The new values where a step counts, else the old ones; `kept` has the batch axis only."""
    return where(expand_dims(kept, list(range(1, new.ndim))) if new.ndim > 1 else kept, new, old)
