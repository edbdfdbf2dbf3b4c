"""What `model.summary()` shows, gathered from the model: a row for each layer, and totals."""
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graphnet.models.config import call_numbers
from graphnet.visualization.summary import Row, Totals, show, summary_text


def summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Prints the table of `Model.summary`."""
    graph = _topology(model)
    connected = {} if graph is None or _is_chain(graph) else _connections(graph)
    listed = _between(_listed(model), layer_range, model.name)
    rows = list(_rows(listed, graph, connected, expand_nested, 0))
    text = summary_text(
        model.name,
        rows,
        totals(model),
        line_length or _width(bool(connected), show_trainable),
        bool(connected),
        show_trainable,
        positions,
    )
    show(text, print_fn)


def _width(connections: bool, trainable: bool) -> int:
    """Characters of a line: as many as are of use, and as a terminal has room for."""
    width = (108 if connections else 88) + (12 if trainable else 0)
    return min(width, shutil.get_terminal_size().columns - 4) if sys.stdout.isatty() else width


def totals(model: Any) -> Totals:
    """Numbers of values and bytes, each variable counted once."""
    trainable = {id(v) for v in model.trainable_weights}
    groups = (
        model.weights,
        [v for v in model.weights if id(v) in trainable],
        [v for v in model.weights if id(v) not in trainable],
    )
    return Totals(tuple(sum(v.size for v in g) for g in groups),
                  tuple(sum(v.value.nbytes for v in g) for g in groups))  # type: ignore[arg-type]


def _topology(model: Any) -> Any:
    """The functional graph of a model, or None."""
    inner = getattr(model, "_functional", None)
    return inner if inner is not None else model if getattr(model, "_nodes", None) else None


def _is_chain(model: Any) -> bool:
    """Whether each layer is called once, on the output of the one before."""
    counts = call_numbers(model)
    return (
        len(model.inputs) == 1
        and not any(counts.values())
        and all(
            len(n.inputs) <= 1 and (not n.inputs or n.inputs[0].node is before)
            for before, n in zip([None, *model._nodes[:-1]], model._nodes, strict=True)
        )
    )


def _listed(model: Any) -> list[Any]:
    """The layers and ops of a model, each once; a Sequential does not show its Input."""
    operations = None if getattr(model, "_functional", None) is not None else getattr(model, "_operations", None)
    return list(model.layers if operations is None else operations)


def _rows(listed: list[Any], graph: Any, connected: dict[Any, tuple[str, ...]], expand: bool, depth: int) -> Iterator[Row]:
    shapes = _shapes(graph) if graph is not None else {}
    for op in listed:
        weights = getattr(op, "weights", [])
        layer = hasattr(op, "built")
        params = sum(v.size for v in weights) if not layer or op.built else None
        yield Row(op.name, type(op).__name__ if layer else op.class_name, shapes[op] if op in shapes else _built_for(op),
                  params, connected.get(op, ()), op.trainable if weights else None, depth)
        if expand and getattr(op, "layers", None):
            yield from _rows(list(op.layers), _topology(op), connected, expand, depth + 1)


def _built_for(layer: Any) -> str:
    """The output's shape of a layer that a model of one's own calls, for the input that it was built for.

    "?" where that is not known.
    """
    args, kwargs = getattr(layer, "_untracked_build_shapes", None) or ((), {})
    if _topology(layer) is not None:
        return str(layer.output_shape)
    if not args and not kwargs:
        return "?"
    try:
        return str(layer.compute_output_shape(*args, **kwargs))
    except (ValueError, TypeError, NotImplementedError, AttributeError):  # its own code, on an input that it is not made for
        return "?"


def _connections(graph: Any) -> dict[Any, tuple[str, ...]]:
    numbers = call_numbers(graph)
    given = {t.key for t in graph.inputs}
    found: dict[Any, list[str]] = {}
    for node in graph._nodes:
        if not any((node, i) in given for i in range(len(node.specs))):
            found.setdefault(node.op, []).extend(f"{t.node.op.name}[{numbers[t.node]}][{t.index}]" for t in node.inputs)
    return {op: tuple(names) for op, names in found.items()}


def _shapes(graph: Any) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for node in graph._nodes:
        shapes = [
            tuple(None if not isinstance(s, int) else s for s in spec.shape)
            for spec in node.specs[: len(node.specs) - len(node.structure[1])]
        ]
        text = str(shapes[0]) if len(shapes) == 1 else f"[{', '.join(map(str, shapes))}]"
        if text not in found.get(node.op, text):
            text = f"{found[node.op]}, {text}"  # a shared layer, called on other shapes
        found[node.op] = text if node.op not in found or len(text) > len(found[node.op]) else found[node.op]
    return found


def _between(listed: list[Any], layer_range: Sequence[str] | None, name: str) -> list[Any]:
    """The layers from the first that fits the first pattern to the last that fits the second.

    Patterns fit the beginnings of names.
    """
    if layer_range is None:
        return listed
    if isinstance(layer_range, str) or len(layer_range) != 2 or not all(isinstance(pattern, str) for pattern in layer_range):
        raise ValueError(f"summary expects layer_range as two names or patterns; received {layer_range!r}.")
    first, last = ([i for i, op in enumerate(listed) if re.match(pattern, op.name)] for pattern in layer_range)
    if not first or not last:
        raise ValueError(
            f"summary of model {name!r}: layer_range={list(layer_range)} fits no layer. Layers: "
            f"{', '.join(op.name for op in listed)}."
        )
    return listed[first[0]:last[-1] + 1] if first[0] <= last[-1] else listed[last[0]:first[-1] + 1]
