"""One step on one batch: the model's `train_step` or `test_step`, traced once for each kind of data, compiled as one plan.

    data -> placeholders -> model, losses, gradients, optimizer, metrics -> logs and updates of variables
"""
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.compiler import Executable, plain
from graphnet.dims import Dim
from graphnet.errors import GraphError
from graphnet.graph import Graph, Spec
from graphnet.layers.layer import edits
from graphnet.tracing import placeholder, trace_function, tracing
from graphnet.training.batch import pack_x_y_sample_weight

Signature = Any  # of data: nested tuples of shapes without the batch axis, and dtypes


def run_step(model: Any, kind: str, data: tuple[Any, Any, Any]) -> dict[str, Any]:
    """The logs of one step, as arrays; variables are updated.

    Arguments: ``kind`` is "train" or "test"; ``data`` (x, y, sample_weight), structures of arrays that agree on their rows.
    """
    if model.run_eagerly and kind == "test":  # as it stands, on arrays; of a training step the gradients need the graph
        return tree.map_structure(np.asarray, _checked(model, kind, model.test_step(pack_x_y_sample_weight(*data))))
    leaves = [plain(leaf) for leaf in tree.iterate(data) if leaf is not None]
    if model.run_eagerly:
        executable, structure, specs = _trace(model, kind, data, None)
    else:
        model._settle()
        traced, key = model._untracked_executables, (kind, signature(data))
        entry = traced.get(key) or _widened(traced, kind, data)
        if entry is None:
            entry = traced[key] = _trace(model, kind, data, _related(traced, kind, data))
            traced[kind, "widest", _form(data)] = entry
            model._untracked_seen = edits[0], model._marks()  # what the trace itself has set needs no other
        executable, structure, specs = entry
    results = executable(leaves)
    return tree.map_structure(lambda i: None if i is None else results[i], structure)


def signature(data: Any) -> Signature:
    """What a trace is made for: structure, and of each array its dtype and all extents but the first."""
    if data is None:
        return None
    if isinstance(data, np.ndarray):
        return data.shape[1:], data.ndim, data.dtype.num
    if isinstance(data, Mapping):
        return tuple([(key, signature(data[key])) for key in sorted(data)])
    return tuple(map(signature, data))


def _form(data: Any) -> Any:
    """What two signatures must share for one trace with unknown extents to serve both."""
    return str(tree.map_structure(lambda a: None if a is None else (a.ndim, a.dtype.num), data))


def _related(traced: Mapping[Any, Any], kind: str, data: Any) -> list[Spec] | None:
    """The specs of the trace before this one that differs from the data in extents alone."""
    entry = traced.get((kind, "widest", _form(data)))
    return None if entry is None else entry[2]


def _widened(traced: Mapping[Any, Any], kind: str, data: Any) -> Any:
    """A trace with unknown extents that fits the data."""
    entry = traced.get((kind, "widest", _form(data)))
    if entry is None:
        return None
    leaves = [leaf for leaf in tree.iterate(data) if leaf is not None]
    fits = all(type(s) is not int or s == n for spec, leaf in zip(entry[2], leaves, strict=True)
               for s, n in zip(spec.shape[1:], leaf.shape[1:], strict=True))
    return entry if fits else None


def _specs(model: Any, data: Any, before: list[Spec] | None) -> list[Spec]:
    """Specs of the placeholders.

    The batch is one extent, known where all of the model's inputs know theirs. Further ones are unknown where the inputs, or
    two batches, leave them open.
    """
    opened = model._open_extents(data[0])
    fixed = bool(opened) and not any(0 in axes for axes in opened.values())
    batch = tree.flatten(data[0])[0].shape[0] if fixed else Dim.unknown("batch")
    specs = []
    for number, leaf in enumerate(leaf for leaf in tree.iterate(data) if leaf is not None):
        shape: list[Any] = [batch if axis == 0 else extent for axis, extent in enumerate(leaf.shape)]
        for axis in range(1, leaf.ndim):
            changed = before is not None and before[number].shape[axis] != leaf.shape[axis]
            if changed or axis in opened.get(id(leaf), ()):
                shape[axis] = Dim.unknown(f"data{number}_{axis}")
        specs.append(Spec(tuple(shape), leaf.dtype.name))
    return specs


def _trace(model: Any, kind: str, data: Any, before: list[Spec] | None) -> tuple[Executable, Any, list[Spec]]:
    specs = _specs(model, data, before)
    _prepare(model, kind, data, specs)
    step = model.train_step if kind == "train" else model.test_step

    def body(*values: Any) -> Any:
        return _checked(model, kind, step(pack_x_y_sample_weight(*_pack(data, values))))

    stand_ins = [placeholder(s, f"data_{i}") for i, s in enumerate(specs)]
    graph, structure = trace_function(body, stand_ins, None, f"{model.name}_{kind}", outer=1)
    # the last layers' gradients are there first: taken in that order, what they are made of is soon free again
    updates = dict(reversed(graph.updates.items()))
    return Executable(Graph(stand_ins, graph.outputs, updates, graph.name)), structure, specs


def _checked(model: Any, kind: str, logs: Any) -> Any:
    if not isinstance(logs, Mapping):
        raise GraphError(f"{kind}_step of model {model.name!r} ({type(model).__name__}) expects to return a dict of logs; it "
                         f"returned {logs!r}. " + ("Is a `return` missing?" if logs is None else "Give each value a name."))
    return logs


def _pack(data: Any, values: Any) -> Any:
    """The structure of the data with the values in the places of its arrays."""
    remaining = iter(values)
    return tree.pack_sequence_as(data, [None if leaf is None else next(remaining) for leaf in tree.iterate(data)])


def _prepare(model: Any, kind: str, data: Any, specs: list[Spec]) -> None:
    """Makes the model's variables, where its first call does, and the optimizer's."""
    if not model.built:
        stand_ins = [placeholder(s, f"data_{i}") for i, s in enumerate(specs[:len(tree.flatten(data[0]))])]
        trace_function(lambda *values: model(_pack(data[0], values), training=kind == "train"), stand_ins, None, model.name)
    if kind == "train":
        with tracing(None):
            model._build_optimizer()
