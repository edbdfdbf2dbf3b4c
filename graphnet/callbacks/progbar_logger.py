"""ProgbarLogger: the progress line of fit, evaluate and predict."""
from typing import Any

from graphnet.callbacks.callback import Callback
from graphnet.visualization.progress import Progbar, message


class ProgbarLogger(Callback):
    """Shows progress and metrics as `graphnet.utils.Progbar` does; ``fit`` and its kin add one unless ``verbose=0``.

    Validation within ``fit`` is silent: its results stand in the line of the epoch. ``verbose="auto"`` is 1.

    Source: https://keras.io/api/callbacks/

    Example:

        >>> import contextlib, io
        >>> from graphnet.callbacks import CallbackList, ProgbarLogger
        >>> with contextlib.redirect_stdout(io.StringIO()) as out:
        ...     callbacks = CallbackList([ProgbarLogger()], verbose=2, epochs=3, steps=1)
        ...     callbacks.on_epoch_begin(0)
        ...     callbacks.on_epoch_end(0, {"loss": 0.5})
        >>> out.getvalue().splitlines()[0]
        'Epoch 1/3'
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.verbose, self.epochs = 0, 1, 1
        self.target: int | None = None
        self.progbar: Progbar | None = None
        self._in_fit = self._silent = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs, self.target = params.get("epochs") or 1, params.get("steps")

    @property
    def wants_batch_logs(self) -> bool:
        """Only where a line is about to be drawn."""
        return self.verbose == 1 and not self._silent and (self.progbar is None or self.progbar.due)

    def release(self) -> None:
        if self.progbar is not None and self.verbose == 1 and self.seen:
            message("")  # what is printed about the error begins on a line of its own
        self.progbar, self._in_fit, self._silent = None, False, False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begin()
        if self.verbose and self.epochs > 1:
            message(f"Epoch {epoch + 1}/{self.epochs}")

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._silent = self._in_fit
        if not self._silent:
            self._begin()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._silent:
            self._update(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, None)  # its logs are the predictions

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._finish(logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._silent:
            self._finish(logs)
        self._silent = False

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)

    def _begin(self) -> Progbar:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, unit_name="step", stateless_metrics=())
        return self.progbar

    def _update(self, batch: int, logs: dict[str, Any] | None) -> None:
        bar = self.progbar or self._begin()
        self.seen = batch + 1
        if self.verbose == 1:
            bar.update(self.seen, (logs or {}).items(), finalize=False)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        bar = self.progbar or self._begin()
        if self.target is None:  # now it is known, for this epoch and the next
            self.target = bar.target = self.seen
        bar.update(self.target, (logs or {}).items(), finalize=True)
        self.progbar = None
