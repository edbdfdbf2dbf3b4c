"""The loops of fit and evaluate: epochs of batches, steps on them, callbacks around both."""
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphnet.callbacks import CallbackList
from graphnet.errors import DataError
from graphnet.training.data import Batches, adapt, split_validation
from graphnet.training.step import run_step

Logs = dict[str, Any]


def fit(model: Any, x: Any, y: Any, batch_size: int | None, epochs: int, verbose: Any, callbacks: Any, validation_split: float,
        validation_data: Any, shuffle: Any, class_weight: Any, sample_weight: Any, initial_epoch: int,
        steps_per_epoch: int | None, validation_steps: int | None, validation_batch_size: int | None,
        validation_freq: Any) -> Any:
    """Trains a compiled model, and gives the History; `Model.fit` says what the arguments are."""
    model._expect_compiled("fit")
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise DataError(f"fit of model {model.name!r} expects {name} to be a whole number; received {value!r}.")
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_validation(
            x, y, sample_weight, validation_split, "fit", *_counts(model))
    batches = adapt(x, y, sample_weight, batch_size, shuffle, class_weight, steps_per_epoch, "fit", *_counts(model))
    validation = None
    try:
        if validation_data is not None:
            validation = _validation(model, validation_data, validation_batch_size or batch_size, validation_steps)
        told = _callback_list(callbacks, model, verbose, epochs, batches.num_batches, history=True)
        with _released(told):
            _train(model, batches, validation, told, initial_epoch, epochs, validation_freq)
    finally:
        model._initial_epoch = None
        batches.close()
        if validation is not None:
            validation.close()
    return model.history


def _train(model: Any, batches: Batches, validation: Batches | None, told: CallbackList, initial_epoch: int, epochs: int,
           validation_freq: Any) -> None:
    """The epochs of `fit`, from where an interrupted run goes on."""
    model.stop_training = False
    told.on_train_begin()
    first, done = told.resume_at or (model._initial_epoch or initial_epoch, 0)
    logs: Logs = {}
    for epoch in range(first, epochs):
        trained = _epoch(model, epoch, batches, told, done if epoch == first else 0)
        if epoch > first and batches.ran_out and not trained:
            break  # a generator that is used up, of which a warning told
        logs = trained
        if validation is not None and _due(epoch, validation_freq):
            logs |= {f"val_{name}": value for name, value in _measure(model, validation, told).items()}
        told.on_epoch_end(epoch, logs)
        if model.stop_training or batches.ran_out:
            break
    if model.optimizer is not None and epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    told.on_train_end(logs)


@contextmanager
def _released(told: CallbackList) -> Iterator[None]:
    """Callbacks give back what they hold (files, a line on the screen, swapped weights) where a run ends early."""
    try:
        yield
    except BaseException:
        told.release()
        raise


def evaluate(model: Any, x: Any, y: Any, batch_size: int | None, verbose: Any, sample_weight: Any, steps: int | None,
             callbacks: Any) -> Logs:
    """The logs of a model over data; `Model.evaluate` says what the arguments are."""
    model._expect_compiled("evaluate")
    batches = adapt(x, y, sample_weight, batch_size, False, None, steps, "evaluate", *_counts(model))
    try:
        told = _callback_list(callbacks, model, verbose, 1, batches.num_batches, history=False)
        if told is callbacks:
            return _measure(model, batches, told)
        with _released(told):
            return _measure(model, batches, told)
    finally:
        batches.close()


def on_batch(model: Any, kind: str, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Logs:
    """One step on one batch, whose metrics begin anew."""
    what = f"{kind}_on_batch"
    model._expect_compiled(what)
    model.reset_metrics()
    if class_weight is None and _ready(x) and _ready(y) and sample_weight is None and len(x) == len(y) > 0:
        return numbers(_step(model, kind, (x, y, None)))
    batches = adapt(x, y, sample_weight, None, False, class_weight, 1, what, *_counts(model))
    try:
        batch, = batches.epoch()
        return numbers(_step(model, kind, batch))
    finally:
        batches.close()


def _ready(array: Any) -> bool:
    """Whether an array is a batch as it is."""
    return type(array) is np.ndarray and array.ndim > 0 and array.dtype.kind in "fiub" and array.dtype != np.float64


def _counts(model: Any) -> tuple[int, int]:
    """How many inputs and outputs a model has, which says what nested lists of numbers mean."""
    return len(getattr(model, "inputs", "1")), len(getattr(model, "outputs", "1"))


def _callback_list(callbacks: Any, model: Any, verbose: Any, epochs: int, steps: int | None, history: bool) -> CallbackList:
    if isinstance(callbacks, CallbackList):
        return callbacks
    return CallbackList(callbacks, add_history=history, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=epochs,
                        steps=steps)


def _validation(model: Any, data: Any, batch_size: int | None, steps: int | None) -> Batches:
    x, y, sample_weight = (*data, None, None)[:3] if isinstance(data, (tuple, list)) and len(data) <= 3 else (data, None, None)
    return adapt(x, y, sample_weight, batch_size, False, None, steps, "fit (validation_data)", *_counts(model))


def _due(epoch: int, frequency: Any) -> bool:
    """Whether validation comes behind this epoch: every so many epochs, or behind those that a list names, from 1 on."""
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency


def _epoch(model: Any, epoch: int, batches: Batches, told: CallbackList, done: int) -> Logs:
    """One epoch of training, of which the first `done` batches were trained on before; the logs after its last batch."""
    model.reset_metrics()
    told.on_epoch_begin(epoch)
    batches.on_epoch_begin()
    logs: Logs = {}
    for first, last, group in _grouped(itertools.islice(batches.epoch(), done, None), model.steps_per_execution):
        told.on_train_batch_begin(done + first)
        for batch in group:
            logs = _step(model, "train", batch)
        told.on_train_batch_end(done + last, numbers(logs) if told.wants_batch_logs else logs)
        if model.stop_training:
            break
    batches.on_epoch_end()
    if not logs and not done and not batches.ran_out:
        raise DataError(f"fit of model {model.name!r} received no batches in epoch {epoch + 1}: the data are empty or used up.")
    return numbers(logs)


def _measure(model: Any, batches: Batches, told: CallbackList) -> Logs:
    """All batches from the first on, evaluated; the logs after the last."""
    model.reset_metrics()
    batches.rewind()
    model.stop_evaluating = False
    told.on_test_begin()
    batches.on_epoch_begin()
    logs: Logs = {}
    for first, last, group in _grouped(batches.epoch(), model.steps_per_execution):
        told.on_test_batch_begin(first)
        for batch in group:
            logs = _step(model, "test", batch)
        told.on_test_batch_end(last, numbers(logs) if told.wants_test_batch_logs else logs)
        if model.stop_evaluating:
            break
    batches.on_epoch_end()
    if not logs:
        raise DataError(f"evaluate of model {model.name!r} received no batches: the data are empty or used up.")
    logs = numbers(logs)
    told.on_test_end(logs)
    return logs


def _grouped(batches: Iterator[Any], size: int) -> Iterator[tuple[int, int, list[Any]]]:
    """The batches in groups of so many, with the numbers of the first and the last."""
    first, group = 0, []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield first, first + size - 1, group
            first, group = first + size, []
    if group:
        yield first, first + len(group) - 1, group


def _step(model: Any, kind: str, batch: tuple[Any, Any, Any]) -> Logs:
    """One step; the logs as arrays."""
    x, y, sample_weight = batch
    return run_step(model, kind, (model._prepare(x), y, sample_weight))


def numbers(logs: Logs) -> Logs:
    """The logs as Python numbers, or lists of them, sorted by their names."""
    return {name: value if isinstance(value, float) else np.asarray(value).tolist() for name, value in sorted(logs.items())}
