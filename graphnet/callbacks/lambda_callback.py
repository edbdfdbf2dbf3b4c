"""LambdaCallback: a callback made of functions."""
from collections.abc import Callable
from typing import Any

from graphnet.callbacks.callback import HOOKS, Callback


class LambdaCallback(Callback):
    """A callback whose hooks are the functions given, by the hooks' names.

    Arguments: ``on_epoch_begin(epoch, logs)``, ``on_epoch_end(epoch, logs)``, ``on_train_begin(logs)``, ``on_train_end(logs)``,
    ``on_train_batch_begin(batch, logs)``, ``on_train_batch_end(batch, logs)``, and any other hook of `Callback` by its
    name. The batch hooks receive ``logs`` by that keyword. Raises TypeError for a name that is no hook.

    Source: https://keras.io/api/callbacks/lambda_callback/

    Example:

        >>> from graphnet.callbacks import CallbackList, LambdaCallback
        >>> callbacks = CallbackList([LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))])
        >>> callbacks.on_epoch_end(0, {"loss": 0.5})
        0 {'loss': 0.5}
    """

    def __init__(self, on_epoch_begin: Callable[..., Any] | None = None, on_epoch_end: Callable[..., Any] | None = None,
                 on_train_begin: Callable[..., Any] | None = None, on_train_end: Callable[..., Any] | None = None,
                 on_train_batch_begin: Callable[..., Any] | None = None, on_train_batch_end: Callable[..., Any] | None = None,
                 **kwargs: Any) -> None:
        super().__init__()
        hooks = {"on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
                 "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
                 "on_train_batch_end": on_train_batch_end, **kwargs}
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback expects hooks of Callback; received {name}=. There are: {', '.join(HOOKS)}.")
            if function is not None:
                setattr(self, name, function)
