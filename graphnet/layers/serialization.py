"""Layers and models as plain data, and back; only names in the registry, or given as custom objects, become code."""
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import registry
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.graph import Tensor
from graphnet.op import CLASS_NAMES, NAMES, FunctionCall

RENAMED = {"batch_input_shape": "batch_shape"}  # old names of constructor arguments
DROPPED = ("time_major", "quantization_config", "implementation", "ragged", "cudnn", "lora_rank", "lora_alpha")  # say nothing for inference


def serialize(layer: Any) -> dict[str, Any]:
    """A layer, model or op call as a dict with Keras's keys: module, class_name, config, registered_name."""
    if isinstance(layer, FunctionCall):
        return {"module": "keras.ops", "class_name": layer.class_name, "config": {"name": layer.name}, "registered_name": layer.class_name}
    kind = type(layer)
    builtin = registry.find_builtin("layers", kind.__name__) is kind
    name = kind.__name__ if builtin or kind.__name__ in ("Functional", "Sequential") else registry.get_registered_name(kind)
    config = {"module": "keras.layers" if builtin else "keras" if kind.__name__ in ("Functional", "Sequential") else None,
              "class_name": kind.__name__, "config": plain_data(layer.get_config()), "registered_name": None if builtin else name}
    shapes = getattr(layer, "_untracked_build_shapes", None)
    if shapes is not None:
        args, kwargs = shapes
        config["build_config"] = plain_data({"input_shape": args[0]} if args else kwargs)
    return config


def plain_data(value: Any) -> Any:
    """A configuration as JSON can hold it, special values in Keras's form."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, Mapping):
        return {k: plain_data(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(v) for v in value]
    if isinstance(value, slice):
        return {"class_name": "__slice__", "config": {"start": plain_data(value.start), "stop": plain_data(value.stop), "step": plain_data(value.step)}}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
    if isinstance(value, Tensor):
        raise UnsupportedError(f"A configuration cannot hold the symbolic tensor {value.name!r}.")
    if hasattr(value, "get_config"):
        return serialize(value) if hasattr(value, "call") else {
            "module": None, "class_name": type(value).__name__, "config": plain_data(value.get_config()), "registered_name": registry.get_registered_name(type(value))}
    if callable(value):
        if value.__name__ == "<lambda>":
            raise UnsupportedError("A lambda has no name that a file could hold. Define a function with a name and register it by "
                                   "graphnet.saving.register_keras_serializable().")
        return {"module": "builtins", "class_name": "function", "config": value.__name__, "registered_name": registry.get_registered_name(value)}
    raise UnsupportedError(f"A configuration holds plain data; received {value!r} ({type(value).__name__}). Return plain data from get_config.")


def special(value: Any) -> Any:
    """Keras's forms of slices, arrays and the like, as values; other data as it is."""
    if isinstance(value, list):
        return [special(v) for v in value]
    if not isinstance(value, dict):
        return value
    name, config = value.get("class_name"), value.get("config")
    if name == "__slice__":
        return slice(*(special(config[k]) for k in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return Ellipsis
    if name in ("__numpy__", "__tensor__"):
        return np.asarray(config["value"], config["dtype"])
    if name == "__tuple__":
        return tuple(special(v) for v in value.get("items", config or ()))
    if name == "__bytes__":
        return config["value"].encode()
    if name == "__lambda__":
        raise UnsupportedError("The file holds a Python lambda as bytecode, which graphnet never runs. Rebuild the model with a named function, "
                               "registered by graphnet.saving.register_keras_serializable().")
    if name == "DTypePolicy":
        return config["name"]
    return {k: special(v) for k, v in value.items()} if name is None else value


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None, where: str = "") -> Any:
    """The layer, model or op call that a dict of `serialize` (or of a Keras file of any era) describes.

    Raises UnsupportedError for a layer that graphnet does not know, naming it and its place, and for a Lambda.
    """
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise FileFormatError(f"A layer's configuration is a dict with class_name and config; received {config!r}.")
    name, inner = config["class_name"], dict(config.get("config") or {})
    place = f"{where}/{inner.get('name', name)}" if where else str(inner.get("name", name))
    module = str(config.get("module") or "")
    if ".ops." in module or module == "keras.ops":
        return _op_call(name, inner, place)
    registered = config.get("registered_name") or name
    kind = registry.get_registered_object(registered, custom_objects) or registry.get_registered_object(name, custom_objects)
    if kind is None and not (module and not module.startswith(("keras", "tensorflow", "tf_keras", "graphnet")) and module != "None"):
        kind = registry.find_builtin("layers", name) or registry.find_builtin("models", name)
    if kind is None:
        raise UnsupportedError(_unknown(name, place, module))
    if name == "Lambda":
        raise UnsupportedError(f"Layer {place!r} is a Lambda: its function is stored as Python bytecode, which graphnet never runs. Write it as a Layer "
                               "subclass with call(self, inputs), or with graphnet.ops, register it and rebuild the model; weights load by name.")
    if registry.find_builtin("models", name) is kind:
        return kind.from_config(inner, custom_objects)
    layer = _from_config(kind, cleaned(inner), custom_objects, place)
    build = config.get("build_config")
    if build and not layer.built and build.get("input_shape") is not None and registry.find_builtin("layers", name) is kind:
        layer._untracked_recorded_shape = build["input_shape"]
    return layer


def _unknown(name: str, place: str, module: str) -> str:
    import difflib
    near = difflib.get_close_matches(name, registry.names_of("layers"), 2)
    return (f"Layer {place!r} is of class {name!r} (module {module or 'unknown'}), which graphnet does not know. If it is your own, pass "
            f"custom_objects={{{name!r}: {name}}}, or register it by graphnet.saving.register_keras_serializable()."
            + (f" graphnet has {' and '.join(near)}." if near else ""))


def cleaned(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration under today's names: dtype policies by name, arguments that no longer exist left out."""
    out = {}
    for key, value in config.items():
        if key in DROPPED or (key == "sparse" and not value):
            continue
        if isinstance(value, dict) and value.get("class_name") in ("DTypePolicy", "Policy"):
            value = value["config"]["name"]
        out[RENAMED.get(key, key)] = value
    return out


def _from_config(kind: Any, config: dict[str, Any], custom_objects: Mapping[str, Any] | None, place: str) -> Any:
    with registry.custom_object_scope(custom_objects or {}):
        try:
            return kind.from_config(config)
        except UnsupportedError:
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise FileFormatError(f"Layer {place!r} ({kind.__name__}) cannot be made from its configuration: {error}") from error


def _op_call(name: str, config: dict[str, Any], place: str) -> FunctionCall:
    function = CLASS_NAMES.get(name)
    if function is None:
        raise UnsupportedError(f"Node {place!r} is the op {name!r}, which graphnet does not know yet. Rebuild the model with graphnet.ops.")
    prefix = function.prefix  # type: ignore[attr-defined]
    own_name = config.pop("name", None) or NAMES.unique(prefix)
    settings = {k: special(v) for k, v in config.items() if v is not None}

    def run(*args: Any, **kwargs: Any) -> Any:
        if name == "GetItem" and len(args) > 1 and isinstance(args[1], list):
            args = (args[0], tuple(args[1]))
        return function(*args, **{**settings, **kwargs})
    return FunctionCall(run, prefix, own_name)
