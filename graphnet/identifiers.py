"""What users and files mean by "glorot_uniform", {"class_name": ..., "config": ...}, a class, an object or a function: the
object.

Activations, initializers, regularizers and constraints (the kinds) are all named, read and written in this one way.
"""
import difflib
import inspect
import re
from typing import Any

from graphnet import registry


def snake_case(name: str) -> str:
    """GlorotUniform -> glorot_uniform; L1L2 -> l1_l2."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def named(kind: str, name: str, custom_objects: Any = None) -> Any:
    """The class or function of that name, in either spelling: custom ones first; None where it is unknown."""
    found = registry.get_registered_object(name, custom_objects)
    return registry.find_builtin(kind, name) if found is None else found


def did_you_mean(name: str, known: Any) -> str:
    """" Did you mean ...?" for a name that is nearly one of those known, else nothing."""
    near = difflib.get_close_matches(name, list(known), 2)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def listed(kind: str) -> list[str]:
    """The names of a kind for messages: each thing once, a class that has a function beside it under the function's name."""
    names = registry.names_of(kind)
    return [name for name in names if name.islower() or snake_case(name) not in names]


def get(kind: str, identifier: Any) -> Any:
    """The object that an identifier means; a class or its name means an instance without arguments; None stays None.

    Raises ValueError, which lists the names of the kind, where it means nothing.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(kind, identifier)
    found = named(kind, identifier) if isinstance(identifier, str) else identifier
    if isinstance(found, type):
        found = found()
    if not callable(found):
        names = listed(kind)
        near = did_you_mean(identifier, registry.spellings_of(kind)) if isinstance(identifier, str) else ""
        raise ValueError(f"Expected the name of one of the {kind}, its config or a callable; received {identifier!r}.{near} "
                         f"Names: {', '.join(names)}.")
    return found


def deserialize(kind: str, config: Any, custom_objects: Any = None) -> Any:
    """The object that a config from a file describes; files of Keras 3 and of Keras 2 differ in what stands beside the class
    name.
    """
    if isinstance(config, str) or not isinstance(config, dict):
        found = named(kind, config, custom_objects) if isinstance(config, str) else config
        return get(kind, found if found is not None else config)
    if "class_name" not in config:
        raise ValueError(f"A config of the {kind} expects a 'class_name'; received {config!r}.")
    inner = config.get("config")
    name: Any = inner if config["class_name"] == "function" else config["class_name"]
    registered = config.get("registered_name")
    found = None
    if registered and registered != name:
        found = registry.get_registered_object(registered, custom_objects)
    found = found or named(kind, name, custom_objects) or _elsewhere(config, name)
    if found is None:
        raise ValueError(f"No {name!r} among the {kind} ({', '.join(listed(kind))}), nor was one registered. "
                         "Pass custom_objects, or use graphnet.saving.register_keras_serializable.")
    if not isinstance(found, type):
        return found
    return found.from_config(inner or {}) if hasattr(found, "from_config") else found(**(inner or {}))


def _elsewhere(config: dict[str, Any], name: str) -> Any:
    """An object of another kind, which the module tells: a layer may serve as activation."""
    return registry.find_builtin(str(config.get("module") or "").removeprefix("keras.").split(".")[0], name)


def serialize(kind: str, thing: Any) -> Any:
    """The config that a file holds: that of Keras 3; a function by its name. None stays None."""
    if thing is None or isinstance(thing, (str, dict)):
        return thing
    own = thing if inspect.isfunction(thing) else type(thing)
    registered = registry.get_registered_name(own)
    custom = registered if registered != own.__name__ else None
    if inspect.isfunction(thing):
        if custom is None and named(kind, thing.__name__) is thing:
            return thing.__name__
        if thing.__name__ == "<lambda>":
            raise ValueError("A lambda has no name that a configuration could hold. Define a function with a name, and "
                             "register it by graphnet.saving.register_keras_serializable().")
        return {"module": "builtins", "class_name": "function", "config": registered, "registered_name": "function"}
    if not hasattr(thing, "get_config"):
        raise ValueError(f"{own.__name__} expects get_config(self) -> dict, to be written to a file. Add it, and register the "
                         "class.")
    built_in = next((k for k in (kind, "layers") if registry.find_builtin(k, own.__name__) is own), None)
    module = f"keras.{built_in}" if built_in else own.__module__
    return {"module": module, "class_name": own.__name__, "config": thing.get_config(),
            "registered_name": custom or (None if built_in else own.__name__)}
