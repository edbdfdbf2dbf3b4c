"""Layers and models as plain data, and back; only names in the registry, or given as custom objects, become code."""
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import dtypes, identifiers, registry
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.graph import Tensor
from graphnet.layers import legacy_ops
from graphnet.layers.legacy_config import modern, modern_class
from graphnet.layers.op_nodes import RecordedCall, is_op
from graphnet.layers.sharing import number_of, numbering, once

KERAS = ("keras", "tensorflow", "tf_keras", "graphnet")  # modules whose classes are those of graphnet
EXPORTED = {"GroupedQueryAttention": "GroupQueryAttention"}  # classes that Keras's files call otherwise
PARTS = ("initializers", "regularizers", "constraints", "activations")


def serialize(layer: Any) -> dict[str, Any]:
    """A layer or model as a dict with Keras's keys: module, class_name, config, registered_name.

    Example:

        >>> import graphnet
        >>> made = graphnet.layers.serialize(graphnet.layers.Dense(3))
        >>> made["module"], made["class_name"], made["config"]["units"]
        ('keras.layers', 'Dense', 3)
    """
    kind = type(layer)
    name = kind.__name__
    if registry.find_builtin("layers", name) is kind:
        module, registered, name = "keras.layers", None, EXPORTED.get(name, name)
    elif registry.find_builtin("models", name) is kind:
        module, registered = ("keras.src.models.functional", name) if name == "Functional" else ("keras", None)
    else:
        module, registered = None, registry.get_registered_name(kind)
    with numbering(layer):
        config = {
            "module": module,
            "class_name": name,
            "config": plain_data(layer.get_config()),
            "registered_name": registered,
            **number_of(layer),
        }
    if getattr(layer, "_untracked_build_shapes", None) is not None:
        args, named = layer._untracked_build_shapes
        shapes = [*args, *named.values()]
        config["build_config"] = plain_data({"input_shape": shapes[0]} if len(shapes) == 1 else {"shapes_dict": named})
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
        return {
            "class_name": "__slice__",
            "config": {"start": plain_data(value.start), "stop": plain_data(value.stop), "step": plain_data(value.step)},
        }
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
    if isinstance(value, Tensor):
        raise UnsupportedError(f"A configuration cannot hold the symbolic tensor {value.name!r}.")
    if hasattr(value, "get_config"):
        return serialize(value) if hasattr(value, "call") else _part(value)
    if callable(value):
        if value.__name__ == "<lambda>":
            raise UnsupportedError(
                "A lambda has no name that a file could hold. Define a function with a name and register it by "
                "graphnet.saving.register_keras_serializable()."
            )
        return {
            "module": "builtins",
            "class_name": "function",
            "config": value.__name__,
            "registered_name": registry.get_registered_name(value),
        }
    raise UnsupportedError(
        f"A configuration holds plain data; received {value!r} ({type(value).__name__}). Return plain data from get_config."
    )


def _part(value: Any) -> dict[str, Any]:
    """An initializer, regularizer or the like."""
    kind = type(value)
    room = next((r for r in PARTS if registry.find_builtin(r, kind.__name__) is kind), None)
    return {"module": f"keras.{room}" if room else None, "class_name": kind.__name__, "config": plain_data(value.get_config()),
            "registered_name": None if room else registry.get_registered_name(kind)}


def special(value: Any) -> Any:
    """Keras's forms of slices, arrays and the like, as values; other data as it is."""
    if isinstance(value, list):
        return [special(v) for v in value]
    if not isinstance(value, dict):
        return value
    name: Any = value.get("class_name")
    config: Any = value.get("config")
    if name == "__slice__":
        return slice(*(special(config[k]) for k in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return Ellipsis
    if name in ("__numpy__", "__tensor__"):
        return np.asarray(config["value"], dtypes.standardize_dtype(config["dtype"]))
    if name == "__tuple__":
        return tuple(special(v) for v in value.get("items", config or ()))
    if name == "__bytes__":
        return config["value"].encode()
    if name == "__lambda__":
        raise UnsupportedError(
            "The file holds a Python lambda as bytecode, which graphnet never runs. Rebuild the model with a named function, "
            "registered by graphnet.saving.register_keras_serializable()."
        )
    if name == "DTypePolicy":
        return config["name"]
    return {k: special(v) for k, v in value.items()} if name is None else value


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None, where: str = "") -> Any:
    """The layer, model or op call that a dict of `serialize` (or of a Keras file of any era) describes.

    Raises UnsupportedError for a layer that graphnet does not know, naming it and its place, and for a Lambda.

    Example:

        >>> import graphnet
        >>> graphnet.layers.deserialize({"module": "keras.layers", "class_name": "Flatten", "config": {"name": "flat"}}).name
        'flat'
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise FileFormatError(f"A layer's configuration is a dict with class_name and config; received {config!r}.")
    name, module = config["class_name"], str(config.get("module") or "")
    if isinstance(config.get("config"), list):  # a Sequential before Keras 2.2.3
        return registry.find_builtin("models", "Sequential").from_config(config["config"], custom_objects)
    inner = dict(config.get("config") or {})
    place = f"{where}/{inner.get('name', name)}" if where else str(inner.get("name", name))
    if is_op(name, module):
        return RecordedCall(name, {k: special(v) for k, v in inner.items()})
    if name in legacy_ops.CLASSES:
        return legacy_ops.from_config(inner, place)
    today = modern_class(name)
    builtin = registry.find_builtin("layers", today) or registry.find_builtin("models", today)
    if module not in ("", "None") and module.split(".")[0] not in KERAS:
        builtin = None
    kind = (
        registry.lookup(config.get("registered_name") or name, custom_objects) or registry.lookup(name, custom_objects)
        or builtin
    )
    kind = kind or registry.get_registered_object(config.get("registered_name") or name, custom_objects)
    if kind is None:
        raise UnsupportedError(_unknown(name, place, module))
    if name == "Lambda":
        raise UnsupportedError(
            f"Layer {place!r} is a Lambda: its function is stored as Python bytecode, which graphnet never runs. Write it as a "
            "Layer "
            "subclass with call(self, inputs), or with graphnet.ops, register it and rebuild the model; weights load by name."
        )
    return once(config, lambda: _make(kind, name, inner, custom_objects, place))


def _make(kind: Any, name: str, inner: dict[str, Any], custom_objects: Mapping[str, Any] | None, place: str) -> Any:
    if registry.find_builtin("models", modern_class(name)) is kind:
        return kind.from_config(inner, custom_objects)
    inner = {k: _policy(v) for k, v in inner.items()}
    if registry.find_builtin("layers", modern_class(name)) is kind:
        inner = modern(name, kind, inner, place)
    return _from_config(kind, inner, custom_objects, place)


def _policy(value: Any) -> Any:
    """A dtype policy by its name; a mixed one's variables are float32, and so are graphnet's results."""
    if isinstance(value, Mapping) and value.get("class_name") in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
        value = value["config"]["name"]
    return "float32" if isinstance(value, str) and value.startswith("mixed_") else value


def serialize_keras_object(obj: Any) -> Any:
    """A layer, model, initializer, regularizer, constraint or function as plain data, for a ``get_config`` that holds such.

    Lists, tuples and dicts of them are taken too. Source: https://keras.io/api/models/model_saving_apis/serialization_utils/

    Example:

        >>> import graphnet
        >>> config = graphnet.saving.serialize_keras_object(graphnet.layers.Dense(3))
        >>> graphnet.saving.deserialize_keras_object(config).units
        3
    """
    return plain_data(obj)


def deserialize_keras_object(config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True) -> Any:
    """The object that `serialize_keras_object` described; other plain data as it is.

    Nothing is executed, whatever ``safe_mode`` says.

    Raises UnsupportedError for an object that is neither graphnet's nor registered.
    Source: https://keras.io/api/models/model_saving_apis/serialization_utils/

    Example:

        >>> import graphnet
        >>> config = graphnet.saving.serialize_keras_object(graphnet.initializers.Constant(2.0))
        >>> graphnet.saving.deserialize_keras_object(config).value
        2.0
    """
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(v, custom_objects) for v in config]
    if not isinstance(config, Mapping):
        return config
    name = config.get("class_name")
    if name is None:
        return {k: deserialize_keras_object(v, custom_objects) for k, v in config.items()}
    if str(name).startswith("__") or name == "DTypePolicy":
        return special(config)
    if name == "function":
        return identifiers.deserialize("activations", dict(config), custom_objects)
    room = str(config.get("module") or "").removeprefix("keras.").split(".")[0]
    if room in PARTS:
        return identifiers.deserialize(room, dict(config), custom_objects)
    custom = registry.get_registered_object(config.get("registered_name") or name, custom_objects)
    if custom is not None and not hasattr(custom, "call"):
        return custom.from_config(config.get("config") or {})
    return deserialize(config, custom_objects)


def _unknown(name: str, place: str, module: str) -> str:
    import difflib
    near = difflib.get_close_matches(name, registry.names_of("layers"), 2)
    return (
        f"Layer {place!r} is of class {name!r} (module {module or 'unknown'}), which graphnet does not know. If it is your "
        "own, pass "
        f"custom_objects={{{name!r}: {name}}}, or register it by graphnet.saving.register_keras_serializable()."
        + (f" graphnet has {' and '.join(near)}." if near else "")
    )


def _from_config(kind: Any, config: dict[str, Any], custom_objects: Mapping[str, Any] | None, place: str) -> Any:
    with registry.custom_object_scope(custom_objects or {}):
        try:
            return kind.from_config(config)
        except UnsupportedError:
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise FileFormatError(f"Layer {place!r} ({kind.__name__}) cannot be made from its configuration: "
                                  f"{error}") from error
