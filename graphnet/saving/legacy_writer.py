"""HDF5 files in the layout of Keras 1 and 2, as Keras 3 still writes them: a group for each layer, weights under their paths."""
import json
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from graphnet.graph import Variable
from graphnet.layers.serialization import serialize
from graphnet.saving import compilation
from graphnet.saving.legacy_h5 import TOP, top_weights
from graphnet.saving.outline import Outline

LIMIT = 64512  # bytes that an attribute of HDF5 holds


def write_model(outline: Outline, model: Any, training: bool, version: str) -> None:
    """Architecture, weights and, where `training`, what `compile` was given and the optimizer's state."""
    config, file = serialize(model), outline.file
    file.attrs["model_config"] = json.dumps({"class_name": config["class_name"], "config": config["config"]})
    file.attrs["backend"], file.attrs["keras_version"] = "graphnet", version
    if training:
        file.attrs["training_config"] = json.dumps(compilation.legacy_training_config(model))
    write_weights(outline, model, version, file.create_group("model_weights"))
    if training and model.optimizer is not None and model.optimizer.variables:
        _write_variables(outline, file.create_group("optimizer_weights"), model.optimizer.variables)


def write_weights(outline: Outline, model: Any, version: str, group: h5py.Group | None = None) -> None:
    """The weights of each layer, in the order of its trainable ones and then the others."""
    root = outline.file if group is None else group
    _write_names(root, "layer_names", [layer.name for layer in model.layers])
    root.attrs["backend"], root.attrs["keras_version"] = "graphnet", version
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        _write_variables(outline, root.create_group(layer.name), [*layer.trainable_weights, *layer.non_trainable_weights])
    _write_variables(outline, root.create_group(TOP), top_weights(model))


def _write_variables(outline: Outline, group: h5py.Group, variables: Sequence[Variable]) -> None:
    names: list[str] = []
    for variable in variables:
        name, count = variable.path, 0
        while name in group:
            count += 1
            name = f"{variable.path}_{count}"
        outline.put(group, name, variable.value)
        names.append(name)
    _write_names(group, "weight_names", names)


def _write_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """A list of names; long ones are cut into name0, name1, ..."""
    data = np.array([name.encode("utf-8") for name in names]) if names else np.zeros(0)
    parts = 1
    while any(part.nbytes > LIMIT for part in np.array_split(data, parts)):
        parts += 1
    for number, part in enumerate(np.array_split(data, parts)):
        group.attrs[f"{attribute}{number}" if parts > 1 else attribute] = part
