"""Callback: what is told of each beginning and end in training, evaluation and prediction."""
from typing import Any

HOOKS = tuple(f"on_{what}_{when}" for when in ("begin", "end") for what in (
    "train", "test", "predict", "epoch", "train_batch", "test_batch", "predict_batch", "batch"))


class Callback:
    """Base of callbacks: override the hooks of interest; the others cost nothing.

    A hook receives ``logs``, a dict of numbers by name: of the epoch so far at the end of a batch, of the epoch (those of
    validation with "val_" before their names) at its end, empty at beginnings. ``self.model`` is the model, ``self.params``
    a dict with ``verbose``, ``epochs`` and ``steps``. A hook ends training by ``self.model.stop_training = True``; an error
    that it raises ends ``fit``.

    Source: https://keras.io/api/callbacks/base_callback/

    Example:

        >>> import graphnet
        >>> class Losses(graphnet.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(f"epoch {epoch}: {logs['loss']:.2f}")
        >>> callbacks = graphnet.callbacks.CallbackList([Losses()])
        >>> callbacks.on_epoch_end(0, {"loss": 0.25})
        epoch 0: 0.25
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes a dict with the run's ``verbose``, ``epochs`` and ``steps``."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Takes the model that is about to run."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that runs."""
        return self._model

    @property
    def wants_batch_logs(self) -> bool:
        """Whether the end of the batch that just ran is to be told with its logs; they cost a look at every metric.

        Only asked where a hook for the end of batches is overridden.
        """
        return True

    def release(self) -> None:
        """Gives back what the hooks hold (files, swapped weights) after an error, as no on_train_end will come then."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called when fit begins."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called when fit ends, with the last epoch's logs; not where an error ends it."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called when evaluate, or the validation within fit, begins."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called when evaluate, or the validation within fit, ends; with its results."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called when predict begins."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called when predict ends."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called when an epoch of fit begins; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called when an epoch of fit ends, after its validation; with the results of both."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before a step of fit; batches count from 0 in each epoch.

        Of ``steps_per_execution`` batches only the first is told.
        """
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after a step of fit, with the results of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before a batch of evaluate, or of the validation within fit."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after a batch of evaluate, or of the validation within fit; with the results so far."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before a batch of predict."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after a batch of predict; ``logs["outputs"]`` holds its results."""

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Another name of ``on_train_batch_begin``, from older Keras."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Another name of ``on_train_batch_end``, from older Keras."""


def overridden(callback: Any, hook: str) -> Any:
    """The callback's own hook of that name, of its class or of the object; None where it is the base's, which does nothing."""
    found = getattr(callback, hook, None)
    return None if getattr(found, "__func__", found) is getattr(Callback, hook) else found
