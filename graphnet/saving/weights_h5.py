"""Keras 3's weights: a tree of groups that follows the objects' attributes, arrays under "vars" by number."""
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.graph import Variable
from graphnet.layers.layer import Layer, snake_case
from graphnet.optimizers import Optimizer
from graphnet.random import SeedGenerator
from graphnet.saving.assignment import Assignments, fits
from graphnet.saving.hdf5 import Place, Stored, addresses, dataset, holds, links, member, names, read, subgroups

LISTS = ("layers", "_layer_checkpoint_dependencies")  # groups of a model's layers
STATE = ("optimizer", "_optimizer", "compiled_metrics", "metrics")  # groups of a model that hold no weights
OPTIMIZERS = STATE[:2]
DEEPEST = 500  # groups within groups
SAVED = (Layer, Optimizer, SeedGenerator)  # what has a group of its own


def is_weights_file(file: Place) -> bool:
    """Whether an HDF5 file has this layout."""
    return any(holds(file, name) for name in ("vars", *LISTS)) or any(True for _ in arrays_below(file))


def collect(root: Place, model: Any, found: Assignments) -> None:
    """Finds what each variable of the model is to be given."""
    _visit(root, model, model.name, found)
    missing = [v.path for v in model.weights if v not in found.pairs]
    if missing and not found.skipped:
        found.problem(
            f"the file has no values for {len(missing)} of the model's {len(model.weights)} weights: {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}. It was saved from another architecture."
        )


def own_weights(layer: Layer) -> list[Variable]:
    """The variables that a layer itself keeps, trainable ones first; those of plain modules inside it are among them."""
    own = layer._held_variables()
    return [v for v in own if getattr(v, "starts_trainable", v.trainable)] + [
        v for v in own if not getattr(v, "starts_trainable", v.trainable)
    ]


def _arrays(group: Place) -> list[Stored]:
    """The arrays that lie in the group "vars" of a group, by their numbers."""
    if not holds(group, "vars"):
        return []
    inside = member(group, "vars")
    return [dataset(inside, name) for name in sorted(names(inside), key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n))]


def _visit(group: Place, layer: Any, place: str, found: Assignments) -> None:
    """Follows the file's groups; an object with several places has its arrays in one of them, and the others are empty."""
    visits = {(where, id(layer)) for where in addresses(group)}
    if visits & found.visits:
        return
    found.visits |= visits
    arrays, skipped = _arrays(group), {"vars"}
    if holds(group, "cell") and not isinstance(
        getattr(layer, "cell", None), Layer
    ):  # Keras's recurrent layers keep their weights in a cell
        arrays, skipped = arrays or _arrays(member(group, "cell")), skipped | {"cell"}
    if arrays and hasattr(layer, "load_own_variables"):
        store = {array.name.rsplit("/", 1)[-1]: read(array) for array in arrays}
        found.after.append(lambda: layer.load_own_variables(store))
        found.pairs.update({v: (v.value, place) for v in own_weights(layer) if v not in found.pairs})
    elif arrays:
        found.add(own_weights(layer), arrays, f"{place}/vars")
    if hasattr(layer, "predict"):
        skipped |= set(STATE)
        for name in OPTIMIZERS:
            if holds(group, name) and isinstance(getattr(layer, "optimizer", None), Optimizer):
                _visit_optimizer(member(group, name), layer.optimizer, f"{place}/{name}", found)
    for name in subgroups(group):
        if name not in skipped:
            _visit_child(member(group, name), layer, name, f"{place}/{name}", found)


def _visit_optimizer(group: Place, optimizer: Optimizer, place: str, found: Assignments) -> None:
    """The state of an optimizer that is built; that of another optimizer is left out, with a warning, as in Keras."""
    arrays = _arrays(group)
    variables = optimizer.variables
    if type(optimizer).load_own_variables is not Optimizer.load_own_variables:
        store = {array.name.rsplit("/", 1)[-1]: read(array) for array in arrays}
        found.after.append(lambda: optimizer.load_own_variables(store))
    elif all(map(fits, variables, arrays)) and (len(arrays) == len(variables) or unbuilt(arrays, variables)):
        found.add(variables[:len(arrays)], arrays, place)
    elif arrays:
        found.notes.append(f"The state of optimizer {optimizer.name!r} begins anew: it has {len(variables)} variables, the file's, at "
                           f"{place}, has {len(arrays)}, or others in shape.")
    for name in subgroups(group):
        inner = getattr(optimizer, name, None)
        if isinstance(inner, Optimizer):
            _visit_optimizer(member(group, name), inner, f"{place}/{name}", found)


def unbuilt(arrays: Sequence[Any], variables: Sequence[Any]) -> bool:
    """Whether arrays are all that an optimizer has before its first step: counters and rates."""
    return len(arrays) < len(variables) and not any(array.shape for array in arrays)


def _visit_child(group: Place, layer: Any, name: str, place: str, found: Assignments) -> None:
    child = list(layer.layers) if name in LISTS and hasattr(layer, "layers") else getattr(layer, name, None)
    if child is None:
        child = getattr(layer, f"_{name}", None)
    if not _visit_value(group, child, place, found) and any(True for _ in arrays_below(group)):
        found.problem(
            f"{place}: the file holds weights there, but the model's {type(layer).__name__} {layer.name!r} has no layer {name!r}."
        )


def _visit_value(group: Place, value: Any, place: str, found: Assignments) -> bool:
    """Whether it is something that a group may be for."""
    if isinstance(value, Layer):
        _visit(group, value, place, found)
    elif isinstance(value, SeedGenerator):
        found.add([value.state], _arrays(group), place)
    elif isinstance(value, Optimizer):
        _visit_optimizer(group, value, place, found)
    elif isinstance(value, (list, tuple, dict)):
        _visit_listed(group, value, place, found)
    else:
        return False
    return True


def named_items(value: Any) -> Iterator[tuple[str, Any]]:
    """What of a list, tuple or dict has groups: objects under their class's name, lists in it under "container", counted."""
    counts: dict[str, int] = defaultdict(int)
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (*SAVED, list, tuple, dict)):
            name = snake_case(own_class(item).__name__) if isinstance(item, SAVED) else "container"
            yield f"{name}_{counts[name]}" if counts[name] else name, item
            counts[name] += 1


def own_class(thing: Any) -> type:
    """The class as the user wrote it."""
    return thing._own_class() if hasattr(thing, "_own_class") else type(thing)


def _visit_listed(group: Place, value: Any, place: str, found: Assignments) -> None:
    """The objects of a list; files of early Keras 3 have them under their own names."""
    used = set()
    for counted, item in named_items(value):
        name = counted if holds(group, counted) else getattr(item, "name", "")
        if holds(group, name):
            used.add(name)
            _visit_value(member(group, name), item, f"{place}/{name}", found)
    extra = [
        name
        for name in subgroups(group)
        if name not in used and any(True for _ in arrays_below(member(group, name)))
    ]
    if extra:
        found.problem(
            f"{place}: the file holds weights of {len(extra)} layer(s) that the model does not have, the first being "
            f"{extra[0]!r}."
        )


def arrays_below(group: Place) -> Iterator[str]:
    """The names of all arrays of weights in a group and the groups below it.

    FileFormatError where they are no tree, as files that are written by Keras are, or a very deep one.
    """
    waiting, seen = [(group, 0)], set[tuple[int, int]]()
    while waiting:
        group, depth = waiting.pop()
        where = addresses(group)
        if where & seen or depth > DEEPEST:
            raise FileFormatError(f"{group.name[:80]} is reached by several ways, or lies more than {DEEPEST} groups deep. Nothing was changed.")
        seen |= where
        for name, is_group in links(group).items():
            if not is_group:
                yield name
            elif name not in ("seed_generator", *STATE):
                waiting.append((member(group, name), depth + 1))
