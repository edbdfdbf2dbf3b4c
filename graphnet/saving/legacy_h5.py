"""HDF5 files before Keras 3: weights in a group for each layer, matched by order or by name.

The attributes "layer_names" and "weight_names" say in which order they stand.
"""
import itertools
from typing import Any

import h5py
import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable
from graphnet.layers.layer import Layer
from graphnet.saving.assignment import Assignments, fits
from graphnet.saving.hdf5 import dataset, holds, member, read
from graphnet.saving.weights_h5 import own_weights, unbuilt

TOP = "top_level_model_weights"  # the group of what belongs to no layer


def is_legacy_file(file: h5py.File) -> bool:
    """Whether an HDF5 file has this layout."""
    return "layer_names" in file.attrs or "layer_names0" in file.attrs or "model_weights" in file


def attribute(group: h5py.Group, name: str) -> list[str]:
    """A list of names; long ones are cut into name0, name1, ..."""
    values: list[Any] = list(group.attrs.get(name, ()))
    for part in itertools.count():
        if f"{name}{part}" not in group.attrs:
            break
        values += list(group.attrs[f"{name}{part}"])
    return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]


def collect(root: h5py.Group, model: Any, found: Assignments, by_name: bool = False) -> None:
    """Finds what each variable of the model is to be given."""
    group = member(root, "model_weights") if "model_weights" in root else root
    saved = {
        name: [dataset(member(group, name), weight) for weight in attribute(member(group, name), "weight_names")]
        for name in attribute(group, "layer_names")
    }
    named = [(name, arrays) for name, arrays in saved.items() if arrays]
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        named = [(layer.name, saved[layer.name]) for layer in layers if saved.get(layer.name)]
        layers = [layer for layer in layers if saved.get(layer.name)]
        if not layers:
            raise FileFormatError(
                f"no layer of the model has the name of one in the file: {', '.join(list(saved)[:8])}. Nothing was changed."
            )
    elif _same_names(layers, dict(named)):
        named = [(layer.name, saved[layer.name]) for layer in layers]  # Keras 2 listed the layers of a graph in another order
    elif len(named) != len(layers):
        raise FileFormatError(
            f"the file has weights for {len(named)} layers "
            f"({', '.join(n for n, _ in named[:6])}{', ...' if len(named) > 6 else ''}), "
            f"the model has {len(layers)} layers with weights. Nothing was changed; load_weights(..., by_name=True) takes those "
            "whose names agree."
        )
    for layer, (name, arrays) in zip(layers, named, strict=True):
        variables, arrays = matched(layer, arrays)
        found.add(variables, arrays, f"layer {layer.name!r} from {name!r}")
    if holds(group, TOP) and not by_name:
        top = member(group, TOP)
        found.add(top_weights(model), [dataset(top, name) for name in attribute(top, "weight_names")], TOP)


def top_weights(model: Any) -> list[Variable]:
    """What a model itself keeps, beside its layers."""
    inside = {id(v) for layer in model.layers for v in layer.weights}
    return [v for v in own_weights(model) if id(v) not in inside]


def collect_optimizer(root: h5py.Group, optimizer: Any, found: Assignments) -> None:
    """Finds the state of an optimizer, as Keras 3 writes it; those of Keras 1 and 2 keep other things and begin anew."""
    version = root.attrs.get("keras_version", "1")
    version = version.decode("utf-8") if isinstance(version, bytes) else str(version)
    if optimizer is None or "optimizer_weights" not in root or int(version.split(".")[0]) < 3:
        return
    group, variables = member(root, "optimizer_weights"), optimizer.variables
    arrays = [dataset(group, name) for name in attribute(group, "weight_names")]
    if all(map(fits, variables, arrays)) and (len(arrays) == len(variables) or unbuilt(arrays, variables)):
        found.add(variables[:len(arrays)], arrays, "optimizer_weights")
    else:
        found.notes.append(f"The state of optimizer {optimizer.name!r} begins anew: the file's is that of another one.")


def _same_names(layers: list[Layer], saved: dict[str, list[Any]]) -> bool:
    """Whether the layers have the names in the file, and not by chance: their weights have the same shapes, too."""
    if {layer.name for layer in layers} != set(saved):
        return False
    for layer in layers:
        variables, arrays = matched(layer, saved[layer.name])
        if len(variables) != len(arrays) or not all(map(fits, variables, arrays)):
            return False
    return True


def orders(layer: Layer) -> list[list[Variable]]:
    """In which a layer's variables may stand.

    Trainable ones first, with the flags as they are or as they were before layers were frozen, or as they come.
    """
    weights = layer.weights
    before = sorted(weights, key=lambda v: not getattr(v, "starts_trainable", v.trainable))  # a stable sort
    return [[*layer.trainable_weights, *layer.non_trainable_weights], before, weights]


def matched(layer: Layer, arrays: list[Any]) -> tuple[list[Variable], list[Any]]:
    """The variables in the order of the arrays, and the arrays as today's layers hold them."""
    arrays = converted(layer, arrays)
    for variables in orders(layer):
        if len(variables) == len(arrays) and all(map(fits, variables, arrays)):
            return variables, arrays
    return orders(layer)[0], arrays


def converted(layer: Any, arrays: list[Any]) -> list[Any]:
    """Arrays of old files as today's layers hold them."""
    kind = type(layer).__name__
    if kind == "Bidirectional":
        half = len(arrays) // 2
        return converted(layer.forward_layer, arrays[:half]) + converted(layer.backward_layer, arrays[half:])
    if kind == "TimeDistributed":
        return converted(layer.layer, arrays)
    if kind in ("LSTM", "GRU"):
        return _recurrent(kind, layer, [read(a) for a in arrays])
    if kind.startswith("Conv") and arrays and len(arrays[0].shape) == 4:
        kernel = layer.weights[0]
        if tuple(arrays[0].shape) != kernel.shape and tuple(arrays[0].shape[k] for k in (2, 3, 1, 0)) == kernel.shape:
            return [read(arrays[0]).transpose(2, 3, 1, 0), *arrays[1:]]  # Keras 1, channels first
    return arrays


def _recurrent(kind: str, layer: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    gates = 4 if kind == "LSTM" else 3
    if len(arrays) == 3 * gates:  # Keras 1: gates apart; of LSTM in the order i, c, f, o
        order = (0, 2, 1, 3) if kind == "LSTM" else (0, 1, 2)
        return [np.concatenate([arrays[3 * gate + part] for gate in order], axis=-1) for part in range(3)]
    if (
        len(arrays) == 3 and arrays[2].ndim == 1 and arrays[2].size == 2 * gates * layer.units
    ):  # the layers that ran on cuDNN alone
        kernel = np.concatenate([k.reshape(k.shape[::-1]).T for k in np.split(arrays[0], gates, axis=1)], axis=1)
        recurrent = np.concatenate([k.T for k in np.split(arrays[1], gates, axis=1)], axis=1)
        return [kernel, recurrent, arrays[2].reshape(2, -1).sum(axis=0) if kind == "LSTM" else arrays[2].reshape(2, -1)]
    return arrays
