"""Losses that layers add to a model's: what `add_loss` was given, activity regularizers, and weights' regularizers."""
from typing import Any

from graphnet import ops, tree
from graphnet.errors import SymbolicTensorError
from graphnet.graph import Tensor, Variable
from graphnet.module import Module
from graphnet.tracing import current


class Penalized(Module):
    """The part of a layer that adds to the loss."""

    activity_regularizer: Any = None
    _untracked_losses: tuple[Any, ...] = ()  # of the last call on arrays

    @property
    def trainable_weights(self) -> list[Variable]:
        raise NotImplementedError

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar, or scalars in a list, to what training minimizes; to be called inside of ``call``.

        Raises SymbolicTensorError for a tensor of the user's own graph. Source: https://keras.io/api/layers/base_layer/

        Example:

            >>> import numpy as np, graphnet
            >>> from graphnet import ops
            >>> class Small(graphnet.layers.Layer):
            ...     def call(self, x):
            ...         self.add_loss(0.1 * ops.sum(x))
            ...         return x
            >>> layer = Small()
            >>> y = layer(np.ones((2, 3), "float32"))
            >>> [round(float(v), 3) for v in layer.losses]
            [0.6]
        """
        trace = current()
        for value in tree.flatten(loss):
            if trace is not None:
                trace.losses.append((self, trace.lift(value)))
            elif type(value) is Tensor:
                raise SymbolicTensorError(
                    f"add_loss of {getattr(self, 'name', self)!r} expects to be called inside of a layer's call; received the "
                    "symbolic tensor "
                    f"{value.name!r} outside of it. Write a layer whose call adds the loss, and call it on that tensor.")
            else:
                self._untracked_losses = (*self._untracked_losses, value)

    def _penalize(self, result: Any) -> None:
        """Adds the activity regularizer's loss of a call's results, for one sample in the mean."""
        for output in tree.flatten(result):
            if output is not None:
                loss = self.activity_regularizer(output)
                self.add_loss(ops.divide_no_nan(loss, ops.cast(ops.shape(output)[0], loss.dtype)) if len(output.shape)
                              else loss)

    @property
    def losses(self) -> list[Any]:
        """The losses that this layer and those inside it add: of the call that is traced, or of the last one on arrays."""
        trace, parts = current(), [self, *[m for m in self.submodules if isinstance(m, Penalized)]]
        if trace is not None:
            own = {id(part) for part in parts}
            added = [loss for part, loss in trace.losses if id(part) in own]
        else:
            added = [loss for part in parts for loss in part._untracked_losses]
        return added + [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]
