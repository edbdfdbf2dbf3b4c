"""load_model of a saved model's directory: the model itself where its classes are known, else its graphs; with what `compile` was given."""
import json
from collections.abc import Mapping, Sequence
from typing import Any

from graphnet import tree
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.functions import TensorSpec
from graphnet.graph import Spec, Variable
from graphnet.layers.serialization import deserialize
from graphnet.layers.sharing import sharing
from graphnet.registry import custom_object_scope
from graphnet.saved_model.graphs import FAILURES
from graphnet.saved_model.objects import CALL
from graphnet.saved_model.reader import Contents, read_contents
from graphnet.saved_model.values import damaged, require, text, whole
from graphnet.tracing import placeholder


def load_directory(path: Any, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model that a directory holds. Raises as `load_model` does."""
    found = read_contents(path)
    model, data = found.root(), found.body["model"]
    if data is None or not hasattr(model, "predict_on_batch"):
        raise FileFormatError(f"{str(path)!r} holds no model, but a {found.body['objects'][0]['kind']}. Load it by graphnet.saved_model.load.")
    try:
        weights = _variables(found, data["weights"])
        model = _rebuilt(found, data, weights, custom_objects) or model
        if compile and data.get("compile") is not None:
            _compile(model, json.loads(text(data["compile"])), custom_objects, str(path))
            if model.optimizer is not None and "optimizer" in data:
                _assign(model.optimizer.variables, _variables(found, data["optimizer"]))
            _restore_metrics(model, data.get("metrics", []), found)
    except UnsupportedError:
        raise
    except FAILURES as error:
        raise damaged(path, f"it is malformed ({type(error).__name__}: {str(error)[:200]})") from error
    return model


def _variables(found: Contents, numbers: Sequence[int]) -> list[Variable]:
    return [found.variables[whole(i, len(found.variables))] for i in numbers]


def _rebuilt(found: Contents, data: Mapping[str, Any], weights: list[Variable], custom_objects: Mapping[str, Any] | None) -> Any:
    """The model by its configuration, with its weights; None where its classes are not known, or have changed since."""
    if data.get("config") is None:
        return None
    try:
        with sharing():
            model = deserialize(json.loads(text(data["config"])), custom_objects)
        if not model.built:
            concrete = found.root()._untracked_functions[CALL].concrete_functions[0]
            args, kwargs = concrete.structured_input_signature
            stand_ins = tree.map_structure(_stand_in, (args, {name: value for name, value in kwargs.items() if name != "training"}))
            model.symbolic_call(*stand_ins[0], **stand_ins[1])
        _assign(model.variables, weights)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError):
        return None
    return model


def _stand_in(leaf: Any) -> Any:
    return placeholder(leaf.spec(leaf.name or "input"), leaf.name or "input") if isinstance(leaf, TensorSpec) else leaf


def _assign(variables: Sequence[Variable], values: Sequence[Variable]) -> None:
    """Gives variables the values of others, all or none."""
    require([v.spec for v in variables] == [v.spec for v in values], "the variables are of another number, shape or dtype than those of the file")
    for variable, value in zip(variables, values, strict=True):
        variable.assign_now(value.value)


def _compile(model: Any, config: dict[str, Any], custom_objects: Mapping[str, Any] | None, source: str) -> None:
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(config)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnsupportedError(f"{source}: the model cannot be compiled as the file says: {error} Pass custom_objects for a loss, metric or "
                               "optimizer of your own, or compile=False.") from error


def _restore_metrics(model: Any, saved: Sequence[Any], found: Contents) -> None:
    """Gives the metrics that are there already their state; those that `fit` makes of their names begin anew with its first epoch."""
    states = {text(name): [found.constants[whole(i, len(found.constants))] for i in numbers] for name, numbers in saved}
    for metric in model.metrics:
        values = states.get(metric.name, [])
        if [Spec(v.shape, v.dtype.name) for v in values] == [v.spec for v in metric.variables]:
            for variable, value in zip(metric.variables, values, strict=True):
                variable.assign_now(value)
