"""CallbackList: tells many callbacks at once, and asks nobody who has nothing to do."""
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.callbacks.callback import HOOKS, Callback, overridden
from graphnet.callbacks.history import History
from graphnet.callbacks.progbar_logger import ProgbarLogger


def python_logs(logs: dict[str, Any] | None) -> dict[str, Any]:
    """Logs as Python numbers, flat, in the order of their names; what is no single number stays as it is.

    Example:

        >>> import numpy as np
        >>> from graphnet.callbacks.callback_list import python_logs
        >>> python_logs({"loss": np.float32(0.5), "accuracy": np.array(1.0)})
        {'accuracy': 1.0, 'loss': 0.5}
    """
    result: dict[str, Any] = {}
    for name in sorted(logs or ()):
        value = logs[name]  # type: ignore[index]
        if isinstance(value, dict):
            result.update(python_logs(value))
        elif type(value) is float or np.ndim(value) or isinstance(value, (str, bytes)):
            result[name] = value
        else:
            try:
                result[name] = float(value)
            except (TypeError, ValueError):
                result[name] = value
    return result


def _begins(hook: str) -> Callable[..., None]:
    def tell(self: "CallbackList", logs: dict[str, Any] | None = None) -> None:
        self._open += 1
        self._gather()
        self._tell(hook, logs)
    return _named(tell, hook)


def _ends(hook: str) -> Callable[..., None]:
    def tell(self: "CallbackList", logs: dict[str, Any] | None = None) -> None:
        if self._open == 0:
            raise ValueError(f"{hook} expects that {hook.replace('_end', '_begin')} came before it; it did not, or the run has "
                             "ended already.")
        self._tell(hook, logs)
        self._open -= 1
    return _named(tell, hook)


def _epoch(hook: str) -> Callable[..., None]:
    def tell(self: "CallbackList", epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell(hook, logs, epoch)
    return _named(tell, hook)


def _batch(hook: str) -> Callable[..., None]:
    def tell(self: "CallbackList", batch: int, logs: dict[str, Any] | None = None) -> None:
        told = self._told[hook]
        if told:
            logs = python_logs(logs) if logs else {}
            for call in told:
                call(batch, logs=logs)
    return _named(tell, hook)


def _named(function: Any, hook: str) -> Any:
    function.__name__, function.__qualname__ = hook, f"CallbackList.{hook}"
    function.__doc__ = f"Tells all callbacks that override {hook}, in their order."
    return function


class CallbackList(Callback):
    """Many callbacks as one, for ``fit`` and for loops of one's own.

    Arguments: ``callbacks`` a callback or a list of them; ``add_history``, ``add_progbar`` whether a History, a ProgbarLogger
    is added where there is none; ``model``; and what each callback gets as ``params``: ``verbose``, ``epochs``, ``steps``.
    Logs become Python numbers, once for all callbacks, which share the dict. Raises TypeError for what is no callback.

    Source: https://keras.io/api/callbacks/base_callback/

    Example:

        >>> import graphnet
        >>> from graphnet.callbacks import CallbackList, LambdaCallback
        >>> callbacks = CallbackList([LambdaCallback(on_train_batch_end=lambda batch, logs: print(batch, logs["loss"]))])
        >>> callbacks.on_train_begin()
        >>> for batch in range(2):
        ...     callbacks.on_train_batch_end(batch, {"loss": 0.5})
        0 0.5
        1 0.5
        >>> callbacks.on_train_end()
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False, model: Any = None,
                 **params: Any) -> None:
        super().__init__()
        self.callbacks: list[Any] = [] if callbacks is None else list(tree.flatten(callbacks))
        for callback in self.callbacks:
            _check(callback)
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self._open = 0  # runs that have begun and not ended: a validation within fit is the second
        self._told: dict[str, list[Any]] = {}
        self._gather()
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Any) -> None:
        """Adds a callback behind the others."""
        _check(callback)
        self.callbacks.append(callback)
        if self._model is not None:
            callback.set_model(self._model)
        if self.params:
            callback.set_params(self.params)
        self._gather()

    def _gather(self) -> None:
        """Finds who overrides which hook; of a training batch's, the older name counts where the newer is not."""
        self._told = {hook: [own for c in self.callbacks if (own := overridden(c, hook))] for hook in HOOKS}
        for when in ("begin", "end"):
            calls = [overridden(c, f"on_train_batch_{when}") or overridden(c, f"on_batch_{when}") for c in self.callbacks]
            self._told[f"on_train_batch_{when}"] = [call for call in calls if call]
        self._asked = {hook: [c for c in self.callbacks if any(overridden(c, name) for name in names)] for hook, names in (
            ("train", ("on_train_batch_end", "on_batch_end")), ("test", ("on_test_batch_end",)))}

    def set_params(self, params: dict[str, Any]) -> None:
        """Hands the params to each callback."""
        self.params = params
        for callback in self.callbacks if params else ():
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hands the model to each callback; the model's ``history`` is the History among them."""
        if model is None:
            return
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    @property
    def history(self) -> History | None:
        """The History among the callbacks."""
        return next((c for c in self.callbacks if isinstance(c, History)), None)

    @property
    def wants_batch_logs(self) -> bool:
        """Whether a callback makes use of the logs of the training batch that just ran; if not, they need not be computed."""
        return _wanted(self._asked["train"])

    @property
    def wants_test_batch_logs(self) -> bool:
        """The same of the batch of evaluate, or of a validation, that just ran."""
        return _wanted(self._asked["test"])

    @property
    def resume_at(self) -> tuple[int, int] | None:
        """Epoch and batch with which fit goes on, if on_train_begin has restored an interrupted run (BackupAndRestore)."""
        return next((at for c in self.callbacks if (at := getattr(c, "resume_at", None)) is not None), None)

    def release(self) -> None:
        """After an error: each callback gives back what it holds, whatever the others do; raises the first error of theirs."""
        self._open = 0
        errors = []
        for callback in self.callbacks:
            try:
                if hasattr(callback, "release"):  # those of Keras have none
                    callback.release()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _tell(self, hook: str, logs: dict[str, Any] | None, *at: int) -> None:
        told = self._told[hook]
        if told:
            logs = python_logs(logs)
            for call in told:
                call(*at, logs)

    on_train_begin, on_train_end = _begins("on_train_begin"), _ends("on_train_end")
    on_test_begin, on_test_end = _begins("on_test_begin"), _ends("on_test_end")
    on_predict_begin, on_predict_end = _begins("on_predict_begin"), _ends("on_predict_end")
    on_epoch_begin, on_epoch_end = _epoch("on_epoch_begin"), _epoch("on_epoch_end")
    on_train_batch_begin, on_train_batch_end = _batch("on_train_batch_begin"), _batch("on_train_batch_end")
    on_test_batch_begin, on_test_batch_end = _batch("on_test_batch_begin"), _batch("on_test_batch_end")
    on_predict_batch_begin, on_predict_batch_end = _batch("on_predict_batch_begin"), _batch("on_predict_batch_end")
    on_batch_begin, on_batch_end = _batch("on_batch_begin"), _batch("on_batch_end")


def _wanted(callbacks: list[Any]) -> bool:
    for callback in callbacks:  # each step asks: a loop costs half of what any() does
        if getattr(callback, "wants_batch_logs", True):
            return True
    return False


def _check(callback: Any) -> None:
    if isinstance(callback, Callback) or (hasattr(callback, "set_model") and not inspect.isclass(callback)):
        return
    mend = f" Make an object of it: {callback.__name__}()." if inspect.isclass(callback) else (
        " A function becomes one by LambdaCallback(on_epoch_end=function)." if callable(callback) else "")
    raise TypeError(f"callbacks expects objects of subclasses of graphnet.callbacks.Callback; received {callback!r}.{mend}")
