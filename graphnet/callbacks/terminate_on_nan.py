"""TerminateOnNaN: ends training when the loss is no number any more."""
import math
from typing import Any

from graphnet.callbacks.callback import Callback
from graphnet.visualization.progress import message


class TerminateOnNaN(Callback):
    """Ends training after a batch whose loss is NaN or infinite.

    Arguments: ``raise_error`` True raises RuntimeError, so that no callback's ``on_train_end`` runs (a backup stays); by
    default training ends as `stop_training` ends it.

    Source: https://keras.io/api/callbacks/terminate_on_nan/

    Example:

        >>> import types
        >>> from graphnet.callbacks import CallbackList, TerminateOnNaN
        >>> model = types.SimpleNamespace(stop_training=False)
        >>> callbacks = CallbackList([TerminateOnNaN()], model=model)
        >>> callbacks.on_train_batch_end(7, {"loss": float("nan")})
        Batch 7: Invalid loss, terminating training
        >>> model.stop_training
        True
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss of batch {batch} is {loss}: training ends. Lower the learning rate, clip the "
                               "gradients (clipnorm=1.0), or look for NaN in the data.")
        message(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
