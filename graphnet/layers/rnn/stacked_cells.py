"""StackedRNNCells: cells behind each other, as one cell."""
from collections.abc import Sequence
from typing import Any

from graphnet.layers.layer import Layer
from graphnet.layers.rnn.sequence import listed, zero_states
from graphnet.layers.serialization import deserialize, serialize
from graphnet.registry import builtin


@builtin("layers")
class StackedRNNCells(Layer):
    """Cells behind each other as one cell: the output of each is the input of the next.

    Arguments: ``cells``. Its states are a list with the states of each cell.

    Source: https://keras.io/api/layers/recurrent_layers/

    Example:

        >>> import graphnet
        >>> cells = graphnet.layers.StackedRNNCells([graphnet.layers.LSTMCell(8), graphnet.layers.LSTMCell(4)])
        >>> graphnet.layers.RNN(cells)(graphnet.Input((5, 3))).shape
        (None, 4)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
                raise ValueError("StackedRNNCells expects cells with a method call and an attribute state_size; received "
                                 f"{cell!r} ({type(cell).__name__}).")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return _output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states of each cell before the first step."""
        return [zero_states(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: Any = False) -> tuple[Any, list[Any]]:
        new = []
        for cell, own in zip(self.cells, states, strict=True):
            inputs, finals = (cell if callable(cell) else cell.call)(inputs, listed(own))
            new.append(listed(finals) if isinstance(own, (list, tuple)) else listed(finals)[0])
        return inputs, new

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "StackedRNNCells":
        config = dict(config)
        return cls([deserialize(cell, custom_objects, str(config.get("name", ""))) for cell in config.pop("cells")], **config)


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return int(listed(cell.state_size)[0]) if size is None else int(size)
