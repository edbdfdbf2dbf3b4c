"""What `model.summary()` shows, gathered from the model: a row for each layer, and totals."""
from collections.abc import Callable, Sequence
from typing import Any

from graphnet.models.config import call_numbers
from graphnet.visualization.summary import Row, Totals, show, summary_text


def summary(model: Any, line_length: int | None = None, positions: Sequence[float] | None = None, print_fn: Callable[[str], Any] | None = None,
            expand_nested: bool = False, show_trainable: bool = False, layer_range: Sequence[str] | None = None) -> None:
    """Prints the table of `Model.summary`."""
    rows = list(_rows(model, expand_nested, 0))
    if layer_range is not None:
        rows = _between(rows, layer_range, model.name)
    graph = _topology(model)
    connections = graph is not None and not _is_chain(graph)
    show(summary_text(model.name, rows, totals(model), line_length, connections, show_trainable, positions), print_fn)


def totals(model: Any) -> Totals:
    """Numbers of values and bytes, each variable counted once."""
    trainable = {id(v) for v in model.trainable_weights}
    groups = (model.weights, [v for v in model.weights if id(v) in trainable], [v for v in model.weights if id(v) not in trainable])
    return Totals(tuple(sum(v.size for v in g) for g in groups), tuple(sum(v.value.nbytes for v in g) for g in groups))  # type: ignore[arg-type]


def _topology(model: Any) -> Any:
    """The functional graph of a model, or None."""
    inner = getattr(model, "_functional", None)
    return inner if inner is not None else model if getattr(model, "_nodes", None) else None


def _is_chain(model: Any) -> bool:
    """Whether each layer is called once, on the output of the one before."""
    counts = call_numbers(model)
    return len(model.inputs) == 1 and not any(counts.values()) and all(
        len(n.inputs) <= 1 and (not n.inputs or n.inputs[0].node is before) for before, n in zip([None, *model._nodes[:-1]], model._nodes, strict=True))


def _rows(model: Any, expand: bool, depth: int) -> Any:
    graph = _topology(model)
    from graphnet.models.sequential import Sequential
    listed = model.layers if graph is None or isinstance(model, Sequential) else graph._operations
    connected = _connections(graph) if graph is not None else {}
    shapes = _shapes(graph) if graph is not None else {}
    for op in listed:
        weights = getattr(op, "weights", [])
        built = getattr(op, "built", True)
        kind = type(op).__name__ if hasattr(op, "built") else op.class_name
        yield Row(op.name, kind, shapes.get(op, "?"), sum(v.size for v in weights) if built else None,
                  connected.get(op, ()), op.trainable if weights else None, depth)
        if expand and getattr(op, "layers", None):
            yield from _rows(op, expand, depth + 1)


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
        shapes = [tuple(None if not isinstance(s, int) else s for s in spec.shape) for spec in node.specs[:len(node.specs) - len(node.structure[1])]]
        text = str(shapes[0]) if len(shapes) == 1 else f"[{', '.join(map(str, shapes))}]"
        if text not in found.get(node.op, text):
            text = f"{found[node.op]}, {text}"  # a shared layer, called on other shapes
        found[node.op] = text if node.op not in found or len(text) > len(found[node.op]) else found[node.op]
    return found


def _between(rows: list[Row], layer_range: Sequence[str], name: str) -> list[Row]:
    if len(layer_range) != 2:
        raise ValueError(f"summary expects layer_range as two names or patterns; received {layer_range!r}.")
    import re
    first, last = (next((i for i in order if re.fullmatch(pattern, rows[i].name)), None)
                   for pattern, order in zip(layer_range, (range(len(rows)), range(len(rows) - 1, -1, -1)), strict=True))
    if first is None or last is None:
        raise ValueError(f"summary of model {name!r}: layer_range={list(layer_range)} fits no layer. Layers: {', '.join(r.name for r in rows)}.")
    return rows[min(first, last):max(first, last) + 1]
