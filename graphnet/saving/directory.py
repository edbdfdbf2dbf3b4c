"""load_model of a saved model's directory: the model itself where its classes are known, else its graphs; with what `compile` was given."""
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.functions import TensorSpec
from graphnet.graph import Spec, Variable, user_line
from graphnet.layers.serialization import deserialize
from graphnet.layers.sharing import sharing
from graphnet.registry import custom_object_scope
from graphnet.saved_model.graphs import FAILURES
from graphnet.saved_model.objects import CALL
from graphnet.saved_model.reader import Files, read_files
from graphnet.saved_model.values import damaged, require, text, whole
from graphnet.saving.fresh import Fresh
from graphnet.saving.limits import limited
from graphnet.tracing import placeholder


def load_directory(path: Any, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model that a directory holds. Raises as `load_model` does."""
    found = read_files(path)
    try:
        kind, data = text(found.body["objects"][0]["kind"]), found.body["model"]
        if data is None or kind != "model":
            raise FileFormatError(f"{str(path)!r} holds no model, but a {kind}. Load it by graphnet.saved_model.load.")
        weights = found.variables(data["weights"])
        rebuilt = _rebuilt(found, data, weights, custom_objects)
        model = rebuilt or found.contents().root()
        if compile and data.get("compile") is not None:
            if rebuilt is None and data.get("adding_losses"):
                _tell_of_losses(path, [text(name) for name in data["adding_losses"]])
            _compile(model, json.loads(text(data["compile"])), custom_objects, str(path))
            if model.optimizer is not None and "optimizer" in data:
                _assign(model.optimizer.variables, found.variables(data["optimizer"]))
            _restore_metrics(model, data.get("metrics", []), found.constants())
    except (UnsupportedError, FileFormatError):
        raise
    except FAILURES as error:
        raise damaged(path, f"it is malformed ({type(error).__name__}: {str(error)[:200]})") from error
    return model


def _rebuilt(found: Files, data: Mapping[str, Any], weights: list[np.ndarray], custom_objects: Mapping[str, Any] | None) -> Any:
    """The model by its configuration, with its weights; None where its classes are not known, or have changed since.

    The graphs are not needed then, and not read.
    """
    if data.get("config") is None:
        return None
    fresh = Fresh()
    try:
        with sharing(), limited(found.folder, found.size(), fresh):
            model = deserialize(json.loads(text(data["config"])), custom_objects)
            if not model.built:
                concrete = found.contents().root()._untracked_functions[CALL].concrete_functions[0]
                args, kwargs = concrete.structured_input_signature
                stand_ins = tree.map_structure(_stand_in, (args, {name: value for name, value in kwargs.items() if name != "training"}))
                model.symbolic_call(*stand_ins[0], **stand_ins[1])
        _assign(model.variables, weights, fresh)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError):
        return None
    return model


def _tell_of_losses(path: Any, names: list[str]) -> None:
    file, line = user_line() or (__file__, 0)
    warnings.warn_explicit(
        f"{path}: the model is loaded as its graphs, as its classes are not known or have changed. Layers {', '.join(names[:5])} added losses "
        "(add_loss, activity_regularizer), which no graph gives: it is trained without them. Pass custom_objects, or register the classes, "
        "for the model itself; compile=False where it is not trained.", UserWarning, file, line)


def _stand_in(leaf: Any) -> Any:
    return placeholder(leaf.spec(leaf.name or "input"), leaf.name or "input") if isinstance(leaf, TensorSpec) else leaf


def _assign(variables: Sequence[Variable], values: Sequence[np.ndarray], fresh: Fresh | None = None) -> None:
    """Gives variables their values, all or none; those that ``fresh`` has made may take the arrays as they are."""
    require([v.spec for v in variables] == [Spec(v.shape, v.dtype.name) for v in values],
            "the variables are of another number, shape or dtype than those of the file")
    pairs = list(zip(variables, values, strict=True))
    if fresh is not None:
        fresh.fill_all(pairs, list({id(value.base): value.base for value in values if isinstance(value.base, np.ndarray)}.values()))
        fresh.draw()
        return
    for variable, value in pairs:
        variable.assign_now(value)


def _compile(model: Any, config: dict[str, Any], custom_objects: Mapping[str, Any] | None, source: str) -> None:
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(config)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnsupportedError(f"{source}: the model cannot be compiled as the file says: {error} Pass custom_objects for a loss, metric or "
                               "optimizer of your own, or compile=False.") from error


def _restore_metrics(model: Any, saved: Sequence[Any], constants: Sequence[np.ndarray]) -> None:
    """Gives the metrics that are there already their state; those that `fit` makes of their names begin anew with its first epoch."""
    states = {text(name): [constants[whole(i, len(constants))] for i in numbers] for name, numbers in saved}
    for metric in model.metrics:
        values = states.get(metric.name, [])
        if [Spec(v.shape, v.dtype.name) for v in values] == [v.spec for v in metric.variables]:
            for variable, value in zip(metric.variables, values, strict=True):
                variable.assign_now(value)
