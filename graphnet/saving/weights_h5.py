"""Keras 3's weights: a tree of groups that follows the objects' attributes, arrays under "vars" by number."""
from collections import defaultdict
from typing import Any

import h5py
import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable
from graphnet.layers.layer import Layer, snake_case
from graphnet.module import members
from graphnet.saving.assignment import Assignment, match

STATE = ("seed_generator", "optimizer", "_optimizer", "compiled_metrics", "metrics")  # groups that are no weights


def is_weights_file(file: h5py.File) -> bool:
    """Whether an HDF5 file has this layout."""
    return "vars" in file or "layers" in file or "_layer_checkpoint_dependencies" in file


def assignments(root: h5py.Group, model: Any) -> list[Assignment]:
    """What each variable of the model is to be given; FileFormatError where model and file do not fit together."""
    found: list[Assignment] = []
    _visit(root, model, model.name, found, set())
    given = {id(v) for v, _, _ in found}
    missing = [v.path for v in model.weights if id(v) not in given]
    if missing:
        raise FileFormatError(f"The file has no values for {len(missing)} of the model's {len(model.weights)} weights, the first being {missing[0]!r}. "
                              "It was saved from another architecture.")
    return found


def _arrays(group: h5py.Group) -> list[np.ndarray]:
    if "vars" not in group:
        return []
    inside = group["vars"]
    return [inside[name][()] for name in sorted(inside, key=lambda n: (not n.isdigit(), int(n) if n.isdigit() else 0, n))]


def own_weights(layer: Layer) -> list[Variable]:
    """The variables that a layer itself keeps, trainable ones first."""
    own = [v for v in layer._own_variables() if not getattr(v, "is_seed", False)]
    return [v for v in own if getattr(v, "starts_trainable", v.trainable)] + [v for v in own if not getattr(v, "starts_trainable", v.trainable)]


def _visit(group: h5py.Group, layer: Any, place: str, found: list[Assignment], seen: set[int]) -> None:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    own, arrays = own_weights(layer), _arrays(group)
    if not arrays and "cell" in group and not isinstance(getattr(layer, "cell", None), Layer):
        arrays = _arrays(group["cell"])
    if arrays or own:
        found += match(own, arrays, f"{place}/vars")
    for name in group:
        if name == "vars" or name in STATE or not isinstance(group[name], h5py.Group) or (name == "cell" and not isinstance(getattr(layer, "cell", None), Layer)):
            continue
        _visit_child(group[name], layer, name, f"{place}/{name}", found, seen)


def _visit_child(group: h5py.Group, layer: Any, name: str, place: str, found: list[Assignment], seen: set[int]) -> None:
    if name in ("layers", "_layer_checkpoint_dependencies") and hasattr(layer, "layers"):
        _visit_listed(group, layer.layers, place, found, seen)
        return
    child = getattr(layer, name, None)
    if child is None:
        child = getattr(layer, f"_{name}", None)
    if isinstance(child, Layer):
        _visit(group, child, place, found, seen)
    elif isinstance(child, (list, tuple, dict)):
        _visit_listed(group, list(members(child, Layer)), place, found, seen)
    elif any(True for _ in _datasets(group)):
        raise FileFormatError(f"{place}: the file holds weights there, but the model's {type(layer).__name__} {layer.name!r} has no layer {name!r}.")


def _visit_listed(group: h5py.Group, layers: list[Layer], place: str, found: list[Assignment], seen: set[int]) -> None:
    """Layers of a list stand under their class's name, counted: dense, dense_1; files of early Keras 3 use their own names."""
    counts: dict[str, int] = defaultdict(int)
    used = set()
    for layer in layers:
        base = snake_case(type(layer).__name__)
        name = f"{base}_{counts[base]}" if counts[base] else base
        counts[base] += 1
        name = name if name in group else layer.name if layer.name in group else name
        used.add(name)
        if name in group:
            _visit(group[name], layer, f"{place}/{name}", found, seen)
        elif layer.weights and id(layer) not in seen:
            raise FileFormatError(f"{place}: the file has no group {name!r} for layer {layer.name!r}; it has {', '.join(list(group)[:8])}.")
    extra = [name for name in group if name not in used and isinstance(group[name], h5py.Group) and any(True for _ in _datasets(group[name]))]
    if extra:
        raise FileFormatError(f"{place}: the file holds weights of {len(extra)} layer(s) that the model does not have, the first being {extra[0]!r}.")


def _datasets(group: h5py.Group) -> Any:
    for name, item in group.items():
        if name in STATE:
            continue
        if isinstance(item, h5py.Dataset):
            yield item
        else:
            yield from _datasets(item)
