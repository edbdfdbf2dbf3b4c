"""Variables of a saved model as data and back; with the regularizers and constraints that graphnet itself has."""
import json
from typing import Any

import numpy as np

from graphnet import constraints, regularizers
from graphnet.graph import Variable
from graphnet.saved_model.values import dtype_name, require, text, whole

ROOMS: dict[str, Any] = {"regularizer": regularizers, "constraint": constraints}


def encode_variable(variable: Variable, key: str) -> dict[str, Any]:
    """A variable as data, but for its value, which the checkpoint holds under `key`. Of regularizers and constraints graphnet's own are kept."""
    found: dict[str, Any] = {"name": variable.name, "path": variable.path, "dtype": variable.dtype, "shape": list(variable.shape),
                             "trainable": variable.trainable, "key": key}
    if getattr(variable, "is_seed", False):
        found["seed"] = True
    if getattr(variable, "starts_trainable", None) is not None:
        found["starts_trainable"] = variable.starts_trainable  # type: ignore[attr-defined]
    for what, room in ROOMS.items():
        thing = getattr(variable, what)
        if type(thing).__module__.startswith(room.__name__):
            found[what] = json.dumps(room.serialize(thing))
    return found


def checked_value(entry: dict[str, Any], values: dict[str, np.ndarray]) -> np.ndarray:
    """The value of the checkpoint that is a variable's, of the dtype and shape that it has. Raises Malformed."""
    dtype, shape = dtype_name(entry["dtype"]), tuple([whole(s) for s in entry["shape"]])
    path, value = text(entry["path"]), values.get(text(entry["key"]))
    require(value is not None, f"variable {path[:60]!r} has no value in the checkpoint")
    assert value is not None
    require(value.shape == shape and value.dtype == dtype,
            f"variable {path[:60]!r} is of {dtype}{list(shape)}; its value is of {value.dtype}{list(value.shape)}")
    return value


def decode_variable(entry: dict[str, Any], values: dict[str, np.ndarray]) -> Variable:
    """The variable that data and the values of the checkpoint mean. Raises Malformed."""
    value, name, path = checked_value(entry, values), text(entry["name"]), text(entry["path"])
    require(isinstance(entry["trainable"], bool), "a variable is trainable or not")
    variable = Variable(value, None, value.dtype.name, entry["trainable"], name, path)
    if entry.get("seed") is True:
        variable.is_seed = True  # type: ignore[attr-defined]
    if isinstance(entry.get("starts_trainable"), bool):
        variable.starts_trainable = entry["starts_trainable"]  # type: ignore[attr-defined]
    for what, room in ROOMS.items():
        if what in entry:
            made = room.deserialize(json.loads(text(entry[what])))
            require(type(made).__module__.startswith(room.__name__), f"variable {path[:60]!r} has a {what} that is not graphnet's")
            setattr(variable, what, made)
    return variable
