"""Keras 3's weights, written: a tree of groups that follows the objects' attributes as Keras walks them."""
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphnet.errors import UnsupportedError
from graphnet.optimizers import Optimizer
from graphnet.random import SeedGenerator
from graphnet.saving.outline import Outline
from graphnet.saving.weights_h5 import SAVED, named_items, own_weights

BASES = ("graphnet.layers.layer", "graphnet.layers.penalties", "graphnet.module", "graphnet.models", "graphnet.training", "builtins")

HIDDEN = {"_chain", "_functional", "_nodes", "_operations"}  # of models: layers in other places than `layers`


Entry = tuple[str, str, dict[str, np.ndarray]]  # the group of an object, its name, its arrays


def write_weights(outline: Outline, model: Any, optimizer: bool = True) -> None:
    """Writes the weights of a model, the states of its generators of seeds and, where it has one, of its optimizer."""
    for entry in entries(model, optimizer):
        write_entry(outline, entry)


def write_entry(outline: Outline, entry: Entry) -> None:
    """Makes the group of an object, with its arrays."""
    path, name, arrays = entry
    group = outline.file.create_group(path)
    group.attrs["name"] = name
    for key, value in arrays.items():
        outline.put(group, key, value)


def entries(model: Any, optimizer: bool = True) -> Iterator[Entry]:
    """What a file holds of a model, object by object; each is there once, where the walk meets it first."""
    yield from _Walk(optimizer).visit(model, "")


class _Walk:
    """The walk, which remembers whom it has met."""

    def __init__(self, optimizer: bool) -> None:
        self.optimizer = optimizer
        self.seen: set[int] = set()

    def visit(self, thing: Any, path: str) -> Iterator[Entry]:
        if id(thing) in self.seen or (isinstance(thing, Optimizer) and not self.optimizer):
            return
        self.seen.add(id(thing))
        yield f"{path}/vars" if path else "vars", thing.name, own_arrays(thing)
        for name, child in attributes(thing):
            yield from self._visit_value(child, f"{path}/{name}" if path else name)

    def _visit_value(self, value: Any, path: str, around: tuple[int, ...] = ()) -> Iterator[Entry]:
        if isinstance(value, SAVED):
            yield from self.visit(value, path)
        elif isinstance(value, (list, tuple, dict)) and id(value) not in around:
            for name, item in named_items(value):
                yield from self._visit_value(item, f"{path}/{name}", (*around, id(value)))


def own_arrays(thing: Any) -> dict[str, np.ndarray]:
    """The arrays that an object itself keeps, by the names that files have for them."""
    if hasattr(thing, "save_assets"):
        raise UnsupportedError(f"Layer {thing.name!r} ({type(thing).__name__}) keeps further files (save_assets), which graphnet does not "
                               "write. Keep them as attributes that get_config gives.")
    if hasattr(thing, "save_own_variables"):  # all optimizers; layers that say themselves what is to be kept
        store: dict[str, Any] = {}
        thing.save_own_variables(store)
        return {name: np.asarray(value) for name, value in store.items()}
    variables = [thing.state] if isinstance(thing, SeedGenerator) else own_weights(thing)
    return {str(number): variable.value for number, variable in enumerate(variables)}


def attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """The attributes in the order of Keras's walk: by name, private ones last; the layers of a model before its other attributes."""
    if isinstance(thing, SeedGenerator):
        return
    if isinstance(thing, Optimizer):
        names = {name for name in vars(thing) if not name.startswith("_")}
    else:
        bases = {name for kind in type(thing).__mro__ if kind.__module__.startswith(BASES) for name in vars(kind)}
        names = {name for name in dir(thing) if not name.startswith(("__", "_untracked"))} - bases - HIDDEN
    if hasattr(thing, "predict") and hasattr(thing, "layers"):
        names |= {"layers", "optimizer"}
        if hasattr(thing, "_functional") or hasattr(thing, "_operations"):
            yield "layers", thing.layers
    for name in sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name):
        try:
            value = getattr(thing, name)
        except Exception:  # noqa: BLE001 - a property of a user's class may fail in any way, and is no part then
            continue
        yield name, value
