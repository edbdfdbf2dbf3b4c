"""HDF5 files before Keras 3: weights by layer name in the attributes "layer_names" and "weight_names", matched by order or by name."""
import warnings
from typing import Any

import h5py
import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable
from graphnet.layers.layer import Layer
from graphnet.saving.assignment import Assignment, match


def is_legacy_file(file: h5py.File) -> bool:
    return "layer_names" in file.attrs or "layer_names0" in file.attrs or "model_weights" in file


def attribute(group: h5py.Group, name: str) -> list[str]:
    """A list of names; long ones are cut into name0, name1, ..."""
    values: list[Any] = []
    if name in group.attrs:
        values = list(group.attrs[name])
    else:
        part = 0
        while f"{name}{part}" in group.attrs:
            values += list(group.attrs[f"{name}{part}"])
            part += 1
    return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]


def layer_weights(layer: Layer) -> list[Variable]:
    """A layer's variables in the order of these files: all trainable ones, then the others."""
    weights = layer.weights
    return [v for v in weights if getattr(v, "starts_trainable", v.trainable)] + [v for v in weights if not getattr(v, "starts_trainable", v.trainable)]


def _arrays(group: h5py.Group) -> list[np.ndarray]:
    return [np.asarray(group[name]) for name in attribute(group, "weight_names")]


def assignments(root: h5py.Group, model: Any, by_name: bool = False, skip_mismatch: bool = False) -> list[Assignment]:
    """What each variable of the model is to be given."""
    group = root["model_weights"] if "model_weights" in root else root
    saved = {name: _arrays(group[name]) for name in attribute(group, "layer_names")}
    if by_name:
        return _by_name(saved, model, skip_mismatch)
    named = [(name, arrays) for name, arrays in saved.items() if arrays]
    layers = [layer for layer in model.layers if layer.weights]
    if len(named) != len(layers):
        raise FileFormatError(f"The file has weights for {len(named)} layers ({', '.join(n for n, _ in named[:6])}, ...), the model has {len(layers)} layers with "
                              "weights. Nothing was changed; load_weights(..., by_name=True) takes those whose names agree.")
    found: list[Assignment] = []
    for layer, (name, arrays) in zip(layers, named, strict=True):
        variables = layer_weights(layer)
        found += match(variables, converted(layer, variables, arrays), f"layer {layer.name!r} from {name!r}")
    return found


def _by_name(saved: dict[str, list[np.ndarray]], model: Any, skip_mismatch: bool) -> list[Assignment]:
    found: list[Assignment] = []
    for layer in model.layers:
        arrays = saved.get(layer.name)
        if not arrays:
            continue
        variables = layer_weights(layer)
        if len(variables) != len(arrays) and skip_mismatch:
            warnings.warn(f"Layer {layer.name!r} has {len(variables)} weights, the file {len(arrays)}: it is left as it is.", stacklevel=4)
            continue
        found += match(variables, converted(layer, variables, arrays), f"layer {layer.name!r}")
    if not found:
        raise FileFormatError(f"No layer of the model has the name of one in the file: {', '.join(list(saved)[:8])}. Nothing was changed.")
    return found


def converted(layer: Layer, variables: list[Variable], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays of old files as today's layers hold them."""
    kind = type(layer).__name__
    if kind == "LSTM" and len(arrays) == 12:  # Keras 1: four gates apart, in the order i, c, f, o
        i, c, f, o = (arrays[k:k + 3] for k in (0, 3, 6, 9))
        return [np.concatenate([i[k], f[k], c[k], o[k]], axis=-1) for k in range(3)]
    if kind == "LSTM" and len(arrays) == 3 and arrays[2].size == 2 * variables[2].size:  # CuDNNLSTM: two biases that add
        return [arrays[0], arrays[1], arrays[2][:arrays[2].size // 2] + arrays[2][arrays[2].size // 2:]]
    if kind == "GRU" and len(arrays) == 3 and len(variables) == 3 and arrays[2].size == variables[2].size:
        return [arrays[0], arrays[1], arrays[2].reshape(variables[2].shape)]
    return arrays
