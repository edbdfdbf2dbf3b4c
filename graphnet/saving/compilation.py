"""What `compile` was given, as plain data in Keras's form, and back: optimizer, losses and metrics by their names and configurations."""
import inspect
from collections.abc import Mapping
from typing import Any

from graphnet import identifiers, losses, metrics, optimizers, registry, tree
from graphnet.errors import UnsupportedError
from graphnet.layers.serialization import plain_data

ROOMS = {"optimizer": optimizers, "loss": losses, "metrics": metrics, "weighted_metrics": metrics}


def compile_config(model: Any) -> dict[str, Any]:
    """The arguments of the model's `compile` as plain data; empty for a model that was not compiled.

    Raises UnsupportedError for a lambda, ValueError for an object without get_config.
    """
    return {name: _written(name, value) for name, value in model._training_state.config.items()}


def _written(argument: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _written(argument, v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(argument, v) for v in value]
    if argument not in ROOMS or value is None or isinstance(value, str):
        return plain_data(value)
    if getattr(value, "__name__", "") == "<lambda>":
        raise UnsupportedError(f"A file cannot hold the lambda that compile({argument}=...) was given. Define a function with a name and "
                               "register it by graphnet.saving.register_keras_serializable(), or save with include_optimizer=False.")
    return plain_data(ROOMS[argument].serialize(value))


def compile_arguments(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arguments of `compile` that plain data mean. Raises ValueError for a name that is neither known nor registered."""
    with registry.custom_object_scope(custom_objects or {}):
        return {name: _read(name, value) for name, value in config.items()}


def _read(argument: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_read(argument, v) for v in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__tuple__":
        return tuple(_read(argument, v) for v in value.get("items", value.get("config", ())))
    if not isinstance(value.get("class_name"), str) or argument not in ROOMS:
        return {name: _read(argument, v) for name, v in value.items()}
    if value["class_name"] == "__lambda__":
        raise UnsupportedError(f"The file holds, for {argument} of compile, a lambda as bytecode, which graphnet never runs. Load it with "
                               "compile=False and compile the model with a named function.")
    if value["class_name"] == "function" and argument != "optimizer":
        return _function(argument, dict(value))
    return ROOMS[argument].deserialize(dict(value))


def _function(argument: str, config: dict[str, Any]) -> Any:
    """A function of the losses or the metrics: either serves as both."""
    kinds = ("losses", "metrics") if argument == "loss" else ("metrics", "losses")
    known = next((kind for kind in kinds if inspect.isfunction(identifiers.named(kind, str(config.get("config"))))), kinds[0])
    return identifiers.deserialize(known, config)


# ---- HDF5 files of Keras 1, 2 and 3: "training_config"

def legacy_training_config(model: Any) -> dict[str, Any]:
    """The plain data that an HDF5 file of Keras 3 holds of `compile`."""
    config = compile_config(model)
    made = config.pop("optimizer")
    return {**config, "loss": tree.map_structure(_long_name, config["loss"]), "optimizer_config": None if made is None else {
        "class_name": made["registered_name"] or made["class_name"], "config": made["config"]}}


def _long_name(loss: Any) -> Any:
    """Keras does not know the short names of losses, such as "mse", when it reads these files."""
    found = identifiers.named("losses", loss) if isinstance(loss, str) else None
    return found.__name__ if inspect.isfunction(found) else loss


def of_legacy(training: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of `compile`, as Keras 3 has it, that the training_config of a file of any era means."""
    config = {name: training.get(name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    sample_weighted = training.get("weighted_metrics")
    config["weighted_metrics"] = sample_weighted or None
    config["metrics"] = config["metrics"] or None
    made = training.get("optimizer_config")
    if isinstance(made, Mapping):
        made = {**made, "config": _modern_optimizer(dict(made.get("config") or {}))}
    return {"optimizer": made, **config, **{n: training[n] for n in ("run_eagerly", "steps_per_execution", "jit_compile") if n in training}}


def _modern_optimizer(config: dict[str, Any]) -> dict[str, Any]:
    """Arguments of old optimizers under today's names; those without a meaning today are left out."""
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    if isinstance(config.get("learning_rate"), int):
        config["learning_rate"] = float(config["learning_rate"])
    if config.get("epsilon", 0) is None:
        del config["epsilon"]
    if not config.get("clipnorm", True):
        del config["clipnorm"]
    if not config.get("clipvalue", True):
        del config["clipvalue"]
    return {name: value for name, value in config.items() if name not in ("decay", "is_legacy_optimizer", "jit_compile")}
