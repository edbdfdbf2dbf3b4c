"""SwapEMAWeights: evaluation with the moving averages of the weights."""
from typing import Any

import numpy as np

from graphnet.callbacks.callback import Callback
from graphnet.callbacks.learning_rate import optimizers_of


class SwapEMAWeights(Callback):
    """Puts the optimizer's moving averages in the place of the weights while the model is evaluated or predicts.

    Afterwards, and after an error, the weights are back. The optimizer has ``use_ema=True``.

    Arguments: ``swap_on_epoch`` True also has the averages in the model from the end of an epoch to the beginning of the
    next, for callbacks that come later, such as ModelCheckpoint. Raises ValueError where the optimizer keeps no averages.

    Source: https://keras.io/api/callbacks/swap_ema_weights/

    Example:

        >>> import types, graphnet
        >>> weight, average = graphnet.Variable([4.0]), graphnet.Variable([3.0])
        >>> optimizer = types.SimpleNamespace(use_ema=True, built=True, _trainable_variables=[weight], _averages=[average])
        >>> swap = graphnet.callbacks.SwapEMAWeights()
        >>> swap.set_model(types.SimpleNamespace(optimizer=optimizer))
        >>> swap.on_test_begin()
        >>> weight.numpy().tolist()
        [3.0]
        >>> swap.on_test_end()
        >>> weight.numpy().tolist()
        [4.0]
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._own: list[tuple[Any, np.ndarray]] = []  # variables that hold averages now, with their own values

    def _average(self) -> None:
        if self._own:
            return
        kept = [optimizer for optimizer, _ in optimizers_of(self.model) if getattr(optimizer, "use_ema", False)]
        if not kept or not all(optimizer.built for optimizer in kept):
            raise ValueError("SwapEMAWeights expects an optimizer that keeps moving averages and has begun to train; make "
                             "it with use_ema=True, for instance Adam(use_ema=True), and compile the model with it.")
        for optimizer in kept:
            for variable, average in zip(optimizer._trainable_variables, optimizer._averages, strict=True):
                if average is not None:
                    self._own.append((variable, np.array(variable.numpy())))
                    variable.assign(average)

    def _restore(self) -> None:
        for variable, value in self._own:
            variable.assign(value)
        self._own = []

    def release(self) -> None:
        self._restore()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._restore()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._average()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._own = []  # fit ends with the averages in the model, as the optimizer's finalize_variable_values has it

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._average()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._restore()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._average()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._restore()
