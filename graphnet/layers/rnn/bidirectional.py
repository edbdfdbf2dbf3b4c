"""Bidirectional: a recurrent layer in both directions."""
from typing import Any

from graphnet import registry
from graphnet.layers.layer import Layer
from graphnet.layers.rnn.sequence import apart
from graphnet.layers.serialization import deserialize, serialize
from graphnet.ops.elementwise import add, divide, multiply
from graphnet.ops.shape import concatenate, flip
from graphnet.registry import builtin

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


def _copy(layer: Layer, **changes: Any) -> Any:
    """A new layer of the same configuration but for the changes; a cell's class need not be registered for that."""
    cell = getattr(layer, "cell", None)
    kinds = {type(c).__name__: type(c) for c in (cell, *getattr(cell, "cells", ())) if isinstance(c, Layer)}
    with registry.custom_object_scope(kinds):
        return type(layer).from_config({**layer.get_config(), **changes})


@builtin("layers")
class Bidirectional(Layer):
    """A recurrent layer over the steps from first to last, and another from last to first; both outputs are merged.

    Arguments: ``layer``, of which two new ones are made (`forward_layer`, `backward_layer`); ``merge_mode`` "concat" (along the
    last axis), "sum", "mul", "ave", or None for both outputs; ``weights``; ``backward_layer`` with go_backwards, in place of a
    copy. Call arguments: ``sequences``, ``initial_state`` the states of the forward layer, then those of the backward one;
    ``mask``; ``training``. With return_state the forward and the backward final states follow.
    Shapes: (batch, steps, features) -> (batch, 2 units), or (batch, steps, 2 units).

    Source: https://keras.io/api/layers/recurrent_layers/bidirectional/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Bidirectional(graphnet.layers.LSTM(4))(graphnet.Input((None, 3))).shape
        (None, 8)
    """

    supports_masking = True

    def __init__(self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Any = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for given in (layer, *(() if backward_layer is None else (backward_layer,))):
            if not isinstance(given, Layer) or not hasattr(given, "go_backwards"):
                raise ValueError("Bidirectional expects recurrent layers, such as LSTM, with an argument go_backwards; "
                                 f"received {given!r}.")
        if merge_mode not in MERGE_MODES:
            raise ValueError(f"Bidirectional expects merge_mode to be one of {', '.join(map(repr, MERGE_MODES))}; received "
                             f"merge_mode={merge_mode!r}.")
        self.forward_layer = _copy(layer, name=f"forward_{layer.name.removeprefix('forward_')}")
        self.backward_layer = backward_layer if backward_layer is not None else _copy(
            layer, name=f"backward_{layer.name.removeprefix('backward_')}", go_backwards=True)
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):  # so that masked steps of both directions meet as zeros
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode, self.input_spec = merge_mode, layer.input_spec
        self.return_sequences, self.return_state, self.stateful = layer.return_sequences, layer.return_state, layer.stateful
        self._untracked_first_weights = weights

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError("Bidirectional expects two layers of different go_backwards; received "
                             f"go_backwards={forward.go_backwards} for both. Give the backward_layer go_backwards=True.")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(f"Bidirectional expects two layers of the same {name}; received {getattr(forward, name)} for "
                                 "the forward layer "
                                 f"and {getattr(backward, name)} for the backward one.")

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for one in (self.forward_layer, self.backward_layer):
            if not one.built:
                one.build(sequences_shape)
        if self._untracked_first_weights:
            self.set_weights(self._untracked_first_weights)

    def __call__(self, sequences: Any, initial_state: Any = None, **kwargs: Any) -> Any:
        sequences, states = apart(sequences, initial_state)
        return super().__call__(sequences, **states, **kwargs)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        half = 0 if initial_state is None else len(initial_state) // 2
        given = (None, None) if initial_state is None else (list(initial_state[:half]), list(initial_state[half:]))
        y, back = (one(sequences, initial_state=states, mask=mask) if mask is not None else one(sequences, initial_state=states)
                   for one, states in zip((self.forward_layer, self.backward_layer), given, strict=True))
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*y[1:], *back[1:])
            y, back = y[0], back[0]
        if self.return_sequences:
            back = flip(back, axis=1)
        merged = self._merge(y, back)
        if self.merge_mode is None:
            return (*merged, *states)
        return (merged, *states) if self.return_state else merged

    def _merge(self, y: Any, back: Any) -> Any:
        if self.merge_mode == "concat":
            return concatenate([y, back], axis=-1)
        if self.merge_mode == "mul":
            return multiply(y, back)
        if self.merge_mode is None:
            return y, back
        return divide(add(y, back), 2) if self.merge_mode == "ave" else add(y, back)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the steps, where the steps are still there."""
        mask = mask[0] if isinstance(mask, list) else mask
        if not self.return_sequences or mask is None:
            return None
        return (mask, mask) if self.merge_mode is None else mask

    @property
    def states(self) -> Any:
        """The states that stateful layers keep, forward ones first; None for others."""
        return (*self.forward_layer.states,
                *self.backward_layer.states) if self.forward_layer.states and self.backward_layer.states else None

    def reset_state(self) -> None:
        """Sets the kept states of both layers to zero."""
        if not self.stateful:
            raise AttributeError(f"Layer {self.name!r} (Bidirectional) is not stateful, so it keeps no states.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "merge_mode": self.merge_mode, "layer": serialize(self.forward_layer),
                "backward_layer": serialize(self.backward_layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Bidirectional":
        config = dict(config)
        where = str(config.get("name", ""))
        layer = deserialize(config.pop("layer"), custom_objects, where)
        backward = config.pop("backward_layer", None)
        return cls(layer, backward_layer=None if backward is None else deserialize(backward, custom_objects, where), **config)
