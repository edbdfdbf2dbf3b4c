"""RNN: a layer that runs a cell over the steps of a sequence."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet import regularizers, tree
from graphnet.errors import GraphError, ShapeError, UnsupportedError
from graphnet.graph import Tensor, Variable
from graphnet.layers.layer import Layer
from graphnet.layers.rnn.sequence import Walk, apart, listed, run, zero_states
from graphnet.layers.rnn.stacked_cells import StackedRNNCells
from graphnet.layers.serialization import deserialize, serialize
from graphnet.masking import get_mask, warn_dropped
from graphnet.ops.convert import assign_in_trace, shape
from graphnet.ops.reduction import any as any_true
from graphnet.registry import builtin

FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")


@builtin("layers")
class RNN(Layer):
    """A cell over the steps of a sequence: output and states of a step go into the next.

    Arguments: ``cell``, or a list of cells that are stacked: layers with ``state_size`` and ``call(inputs, states) -> (output,
    states)``; ``return_sequences``: the outputs of all steps instead of the last one's; ``return_state``: further results, the
    final states; ``go_backwards``: the last step comes first; ``stateful``: the final states are kept as the next call's
    initial ones (the batch size must be known; `reset_state` clears them); ``unroll`` changes nothing;
    ``zero_output_for_mask``: masked steps give 0 instead of the last output.
    Call arguments: ``sequences``, ``initial_state`` a list of tensors, ``mask`` of the steps that count (False: the step is
    skipped), ``training``.
    Shapes: (batch, steps, ...) -> (batch, units), or (batch, steps, units). The number of steps may be unknown for cells of
    graphnet's own; others run step by step in a trace, so theirs must be known (else UnsupportedError).

    Source: https://keras.io/api/layers/recurrent_layers/rnn/

    Example:

        >>> import graphnet
        >>> stack = graphnet.layers.RNN([graphnet.layers.LSTMCell(8), graphnet.layers.GRUCell(4)], return_sequences=True)
        >>> stack(graphnet.Input((None, 3))).shape
        (None, None, 4)
    """

    supports_masking = True

    def __init__(self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
                 stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
            raise ValueError("RNN expects a cell with a method call(inputs, states) and an attribute state_size, the number of "
                             f"its state's features (a list for several states); received {cell!r} ({type(cell).__name__}).")
        self.cell = cell
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.stateful, self.unroll, self.zero_output_for_mask = stateful, unroll, zero_output_for_mask
        self._untracked_states: Any = None

    @property
    def states(self) -> Any:
        """The states that a stateful layer keeps, as variables; None for others.

        They are not among the weights, as in Keras.
        """
        return self._untracked_states

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        step_shape = (sequences_shape[0], *sequences_shape[2:])
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(step_shape)
        if self.stateful and self._untracked_states is None:
            if sequences_shape[0] is None:
                raise GraphError(f"Layer {self.name!r} ({type(self).__name__}) is stateful, so it expects a known batch size; "
                                 "received an input of shape "
                                 f"{tuple(sequences_shape)}. Give it: Input(shape, batch_size=32).")
            zeros = zero_states(self.cell, sequences_shape[0])
            self._untracked_states = tree.map_structure(lambda z: Variable(np.array(z), trainable=False, name="rnn_state"),
                                                        zeros)

    def __call__(self, sequences: Any, initial_state: Any = None, **kwargs: Any) -> Any:
        sequences, states = apart(sequences, initial_state)
        return super().__call__(sequences, **states, **kwargs)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        extents = shape(sequences)
        if mask is None and initial_state is not None and get_mask(sequences) is not None and not self._untracked_mask_warned:
            self._untracked_mask_warned = True
            warn_dropped(self._who, sequences, "was given an initial_state too, for which the mask is not taken along",
                         "Pass it: layer(x, initial_state=..., mask=...).")
        states = self._first_states(initial_state, extents)
        if mask is not None:
            mask = tree.flatten(mask)[0]
            mask = any_true(mask, axis=-1) if mask.ndim == 3 else mask
        walk = Walk(self.return_sequences, self.go_backwards, self.zero_output_for_mask, bool(training), self._who)
        output, finals = run(self.cell, sequences, states, mask, walk)
        if self.stateful:
            for variable, value in zip(tree.flatten(self._untracked_states), tree.flatten(finals), strict=True):
                assign_in_trace(variable, value)
        return (output, *finals) if self.return_state else output

    @property
    def _who(self) -> str:
        return f"Layer {self.name!r} ({type(self).__name__})"

    def _first_states(self, given: Any, extents: Any) -> list[Any] | None:
        """The states before the first step; None for zeros."""
        if self.stateful:
            kept = tree.flatten(self._untracked_states)[0].shape[0]
            if isinstance(extents[0], int) and extents[0] != kept:
                raise ShapeError(f"{self._who} is stateful and keeps the states of {kept} samples; received a batch of "
                                 f"{extents[0]}. Use batches of {kept}.")
        states = self._untracked_states if given is None and self.stateful else given
        if states is None:
            return None
        states = listed(states)
        wanted = listed(self.cell.state_size)
        if len(states) != len(wanted):
            raise ShapeError(f"{self._who} expects an initial_state of {len(wanted)} tensor(s), one for each state of its "
                             f"cell; received {len(states)}.")
        for i, (state, size) in enumerate(zip(states, wanted, strict=True)):
            known = isinstance(size, int) and size > 0 and isinstance(state, (Tensor, Variable, np.ndarray))
            if known and shape(state)[-1] != size:
                raise ShapeError(f"{self._who} expects state {i} of initial_state to have {size} features; received shape "
                                 f"{tuple(state.shape)}.")
        return states

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the steps, where the steps are still there."""
        return tree.flatten(mask)[0] if self.return_sequences and mask is not None else None

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step, for that many samples."""
        return zero_states(self.cell, batch_size)

    def reset_state(self) -> None:
        """Sets the kept states of a stateful layer to zero."""
        for variable in tree.flatten(self._untracked_states) if self._untracked_states is not None else ():
            variable.assign(np.zeros(variable.shape, variable.dtype))

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{flag: getattr(self, flag) for flag in FLAGS}, "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RNN":
        config = dict(config)
        cell = config.pop("cell")
        if not isinstance(cell, dict):
            raise UnsupportedError(f"RNN.from_config expects the configuration of a cell; received {cell!r}.")
        return cls(deserialize(cell, custom_objects, str(config.get("name", ""))), **config)


class FromCell:
    """An attribute of a recurrent layer that is its cell's."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else getattr(layer.cell, self.name)


class OneCell(RNN):
    """Base of SimpleRNN, GRU, LSTM and ConvLSTM: an RNN with one cell of its own, whose arguments are the layer's."""

    outside: Sequence[str] = ()  # keys of the cell's configuration that Keras's layer leaves out

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        own = {k: v for k, v in self.cell.get_config().items() if k not in (*Layer.get_config(self), *self.outside)}
        return {**config, **own, "activity_regularizer": regularizers.serialize(self.activity_regularizer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "OneCell":
        return cls(**config)
