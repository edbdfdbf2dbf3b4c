"""predict: results over any kind of data, batch by batch; one batch in memory costs no more than model(x)."""
import sys
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.callbacks import CallbackList
from graphnet.errors import DataError
from graphnet.training.data import Batches, adapt
from graphnet.training.data.adapt import array_parts, gives_batches, positive
from graphnet.training.data.batches import ArrayBatches


def predict(
    model: Any, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, callbacks: Any = None
) -> Any:
    """The results for x in the structure of the model's outputs; `Model.predict` says what x may be."""
    who = f"predict of model {model.name!r}"
    positive(batch_size, "batch_size", who)
    positive(steps, "steps", who)
    watched = bool(callbacks) or _shows(verbose)
    inputs = len(getattr(model, "_input_tensors", ())) or 1
    if gives_batches(x, who):
        batches = adapt(x, batch_size=batch_size, steps=steps, who=who, inputs=inputs, training=False)
    else:
        plain = type(x) is np.ndarray and x.ndim > 0
        parts, rows = (x, len(x)) if plain else array_parts(x, None, None, who, inputs, training=False)
        size = int(batch_size or (-(-rows // steps) if steps else fixed_batch(model)) or 32)
        if rows == 0 or (rows <= size and not watched):
            return model._batch(x if plain else _whole(parts[0]))
        if plain:
            parts, rows = array_parts(x, None, None, who, inputs, training=False)
        batches = ArrayBatches(who, parts, rows, size, steps, False)
    try:
        batches.on_epoch_begin()
        results = _watched(model, batches, callbacks, verbose) if watched else [model._batch(x) for x, _, _ in batches.epoch()]
        batches.on_epoch_end()
    finally:
        batches.close()
    if not results:
        raise DataError(f"{who} received no batches: the generator is empty or used up.")
    return results[0] if len(results) == 1 else tree.map_structure(_joined, *results)


def _watched(model: Any, batches: Batches, callbacks: Any, verbose: Any) -> list[Any]:
    """The results of all batches, of which callbacks are told; one that sets model.stop_predicting ends the run."""
    told = callbacks if isinstance(callbacks, CallbackList) else CallbackList(
        callbacks, add_progbar=_shows(verbose), model=model, verbose=verbose, epochs=1, steps=batches.num_batches)
    results = []
    model.stop_predicting = False
    try:
        told.on_predict_begin()
        for number, (x, _, _) in enumerate(batches.epoch()):
            told.on_predict_batch_begin(number)
            results.append(model._batch(x))
            told.on_predict_batch_end(number, {"outputs": results[-1]})
            if model.stop_predicting:
                break
        told.on_predict_end()
    except BaseException:
        told.release()
        raise
    return results


def _joined(*parts: Any) -> Any:
    return None if parts[0] is None else np.concatenate(parts)


def _whole(rows: Any) -> Any:
    return tree.map_structure(lambda leaf: None if leaf is None else leaf[:], rows)


def _shows(verbose: Any) -> bool:
    return sys.stdout.isatty() if verbose == "auto" else bool(verbose)


def fixed_batch(model: Any) -> int | None:
    """The batch size that a model's inputs prescribe, if one does."""
    sizes = {t.shape[0] for t in getattr(model, "_input_tensors", ()) if t.shape and t.shape[0]}
    return max(sizes, default=None)
