"""Keras 3's weights: a tree of groups that follows the objects' attributes, arrays under "vars" by number."""
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import h5py

from graphnet.graph import Variable
from graphnet.layers.layer import Layer, snake_case
from graphnet.module import members
from graphnet.saving.assignment import Assignments, dataset

LISTS = ("layers", "_layer_checkpoint_dependencies")  # groups of a model's layers
STATE = ("optimizer", "_optimizer", "compiled_metrics", "metrics")  # groups of a model that hold no weights


def is_weights_file(file: h5py.File) -> bool:
    """Whether an HDF5 file has this layout."""
    return any(name in file for name in ("vars", *LISTS)) or any(True for _ in arrays_below(file))


def collect(root: h5py.Group, model: Any, found: Assignments) -> None:
    """Finds what each variable of the model is to be given."""
    _visit(root, model, model.name, found, STATE)
    missing = [v.path for v in model.weights if v not in found.pairs]
    if missing and not found.skipped:
        found.problem(
            f"the file has no values for {len(missing)} of the model's {len(model.weights)} weights: {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}. It was saved from another architecture."
        )


def own_weights(layer: Layer) -> list[Variable]:
    """The variables that a layer itself keeps, trainable ones first."""
    own = [v for v in layer._own_variables() if not getattr(v, "is_seed", False)]
    return [v for v in own if getattr(v, "starts_trainable", v.trainable)] + [
        v for v in own if not getattr(v, "starts_trainable", v.trainable)
    ]


def _arrays(group: h5py.Group) -> list[h5py.Dataset]:
    inside = group.get("vars")
    if not isinstance(inside, h5py.Group):
        return []
    return [dataset(inside, name) for name in sorted(inside, key=lambda n: (not n.isdigit(), int(n) if n.isdigit() else 0, n))]


def _visit(group: h5py.Group, layer: Any, place: str, found: Assignments, state: tuple[str, ...] = ()) -> None:
    """Follows the file's groups; an object with several places has its arrays in one of them, and the others are empty."""
    arrays, skipped = _arrays(group), {"vars", "seed_generator", *state}
    if "cell" in group and not isinstance(
        getattr(layer, "cell", None), Layer
    ):  # Keras's recurrent layers keep their weights in a cell
        arrays, skipped = arrays or _arrays(group["cell"]), skipped | {"cell"}
    if arrays:
        found.add(own_weights(layer), arrays, f"{place}/vars")
    for name in group:
        if name not in skipped and group.get(name, getclass=True) is h5py.Group:
            _visit_child(group[name], layer, name, f"{place}/{name}", found)


def _visit_child(group: h5py.Group, layer: Any, name: str, place: str, found: Assignments) -> None:
    child = list(layer.layers) if name in LISTS and hasattr(layer, "layers") else getattr(layer, name, None)
    if child is None:
        child = getattr(layer, f"_{name}", None)
    if isinstance(child, Layer):
        _visit(group, child, place, found)
    elif isinstance(child, (list, tuple, dict)):
        _visit_listed(group, list(members(child, Layer)), place, found)
    elif any(True for _ in arrays_below(group)):
        found.problem(
            f"{place}: the file holds weights there, but the model's {type(layer).__name__} {layer.name!r} has no layer {name!r}."
        )


def _visit_listed(group: h5py.Group, layers: list[Layer], place: str, found: Assignments) -> None:
    """Layers of a list stand under their class's name, counted: dense, dense_1; files of early Keras 3 use their own names."""
    counts: dict[str, int] = defaultdict(int)
    used = set()
    for layer in layers:
        base = snake_case(type(layer).__name__)
        counted = f"{base}_{counts[base]}" if counts[base] else base
        counts[base] += 1
        name = counted if counted in group else layer.name
        if name in group:
            used.add(name)
            _visit(group[name], layer, f"{place}/{name}", found)
    extra = [
        name
        for name in group
        if name not in used and isinstance(group[name], h5py.Group) and any(True for _ in arrays_below(group[name]))
    ]
    if extra:
        found.problem(
            f"{place}: the file holds weights of {len(extra)} layer(s) that the model does not have, the first being "
            f"{extra[0]!r}."
        )


def arrays_below(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """All arrays of weights in a group and the groups below it."""
    for name in group:
        kind = group.get(name, getclass=True)
        if kind is h5py.Group and name not in ("seed_generator", *STATE):
            yield from arrays_below(group[name])
        elif kind is h5py.Dataset:
            yield group[name]
