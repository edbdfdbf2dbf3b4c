"""A graph of primitive ops, as networkx and as one Python function to be read."""

import keyword
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnet import tree
from graphnet.dims import Dim
from graphnet.graph import Constant, Graph, Leaf, Node, Placeholder, Read, Spec, Tensor

if TYPE_CHECKING:
    import networkx as nx

_SIGNS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "true_divide": "/",
    "floor_divide": "//",
    "mod": "%",
    "power": "**",
    "mat_mul": "@",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
}
_SMALL = 8  # elements of a constant that is written out


def names_of(graph: Graph) -> dict[Node, str]:
    """A name for each input and node, a Python identifier: of inputs and variables their own, of ops the op's, numbered."""
    taken: set[str] = set()
    names: dict[Node, str] = {}

    def give(node: Node, wanted: str, number: int = 0) -> None:
        base = re.sub(r"\W+", "_", wanted).strip("_") or "value"
        base = f"_{base}" if base[0].isdigit() or keyword.iskeyword(base) else base
        name = f"{base}_{number}" if number else base
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names[node] = name

    for tensor in graph.inputs:
        give(tensor.node, tensor.name)
    for node in graph.nodes:
        if isinstance(node.op, Read):
            give(node, node.op.variable.path)
        elif node not in names:
            give(node, node.op.name, 1)  # numbers from the first on, so that no name hides its function in `to_source`
    return names


def to_networkx(graph: Graph) -> "nx.MultiDiGraph":
    """The graph as a frozen networkx MultiDiGraph, of a node for each input, variable, constant and op.

    Nodes have ``kind`` ("input", "variable", "constant", "op"), ``op`` its name, ``attributes`` its static fields, ``scope``
    the layers around it, ``shapes`` (None for an unknown extent) and ``dtypes`` of what it gives; a variable's also ``path``.
    Edges have the operand's position as key, and ``output``: which of the producer's outputs it is. The graph has
    ``inputs`` and ``outputs``, pairs of node and output, and ``updates``, pairs of a variable's path and such a pair.

    Example:

        >>> import graphnet
        >>> concrete = graphnet.function(lambda x: x @ x).get_concrete_function(graphnet.TensorSpec((3, 3)))
        >>> sorted(concrete.graph.edges(keys=True))
        [('x', 'mat_mul_1', 0), ('x', 'mat_mul_1', 1)]
    """
    import networkx as nx  # here, because importing it takes long and only this needs it

    names = names_of(graph)

    def place(tensor: Tensor) -> tuple[str, int]:
        return names[tensor.node], tensor.index

    out = nx.MultiDiGraph(
        name=graph.name,
        inputs=tuple([place(t) for t in graph.inputs]),
        outputs=tuple([place(t) for t in graph.outputs]),
        updates=tuple([(v.path, place(t)) for v, t in graph.updates.items()]),
    )
    for node, name in names.items():
        out.add_node(name, **_about(node))
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            out.add_edge(names[tensor.node], names[node], key=position, output=tensor.index)
    return nx.freeze(out)


def _about(node: Node) -> dict[str, Any]:
    op = node.op
    kind = (
        "input"
        if isinstance(op, Placeholder)
        else "variable"
        if isinstance(op, Read)
        else "constant"
        if isinstance(op, Leaf)
        else "op"
    )
    about = {
        "kind": kind,
        "op": kind if isinstance(op, Leaf) else op.name,
        "attributes": _attributes(op),
        "scope": node.scope,
        "shapes": tuple([_shape(s) for s in node.specs]),
        "dtypes": tuple([s.dtype for s in node.specs]),
    }
    return {**about, "path": op.variable.path} if isinstance(op, Read) else about


def _attributes(op: Any) -> dict[str, Any]:
    return {f.name: getattr(op, f.name) for f in fields(op)} if is_dataclass(op) else {}


def _shape(spec: Spec) -> tuple[int | None, ...]:
    return tuple([None if isinstance(s, Dim) else s for s in spec.shape])


def _shown(specs: tuple[Spec, ...]) -> str:
    return ", ".join([f"{s.dtype}[{', '.join([str(e) for e in _shape(s)])}]" for s in specs])


def to_source(graph: Graph, structure: Any = None) -> str:
    """The graph as one Python function: a line for each op, with dtype, shape and the layer that it belongs to behind.

    Arguments: ``structure`` of the result, with positions among the graph's outputs as leaves.
    """
    names = names_of(graph)

    def value(tensor: Tensor) -> str:
        return names[tensor.node] if len(tensor.node.specs) == 1 else f"{names[tensor.node]}[{tensor.index}]"

    lines = [
        (
            f"def {_identifier(graph.name)}({', '.join([names[t.node] for t in graph.inputs])}):",
            _shown(tuple([t.spec for t in graph.inputs])),
        )
    ]
    for node in graph.nodes:
        if isinstance(node.op, Placeholder):
            continue
        about = _shown(node.specs) + (f"  {node.scope}" if node.scope else "")
        lines.append((f"    {names[node]} = {_expression(node, [value(t) for t in node.inputs])}", about))
    for variable, tensor in graph.updates.items():
        lines.append((f"    assign({variable.path!r}, {value(tensor)})", ""))
    if structure is None and graph.outputs:
        structure = tuple(range(len(graph.outputs)))
    result = tree.map_structure(lambda i: None if i is None else _Name(value(graph.outputs[i])), structure)
    lines.append((f"    return {result!r}", ""))
    width = min(76, max([len(code) for code, about in lines if about], default=0) + 2)
    return "\n".join([f"{code:{width}}# {about}" if about else code for code, about in lines])


class _Name(str):
    """A name, which shows itself without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _identifier(name: str) -> str:
    name = re.sub(r"\W+", "_", name)
    return f"_{name}" if not name or name[0].isdigit() or keyword.iskeyword(name) else name


def _expression(node: Node, inputs: list[str]) -> str:
    op = node.op
    if isinstance(op, Read):
        return f"read({op.variable.path!r})"
    if isinstance(op, Constant):
        return _constant(op.value)
    attributes = [f"{name}={_literal(v)}" for name, v in _attributes(op).items()]
    if op.name in _SIGNS and len(inputs) == 2 and not attributes:
        return f"{inputs[0]} {_SIGNS[op.name]} {inputs[1]}"
    return f"{op.name}({', '.join([*inputs, *attributes])})"


def _constant(value: np.ndarray) -> str:
    if value.size <= _SMALL:
        return f"constant({value.tolist()!r})".replace("nan", "float('nan')").replace("inf", "float('inf')")
    return "constant(...)"


def _literal(value: Any) -> str:
    """An attribute as text that Python reads: unknown extents as expressions, what has no such text in quotes."""
    if isinstance(value, (tuple, list)):
        inner = ", ".join([_literal(v) for v in value])
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, (bool, int, float, str, type(None))):
        return repr(value) if not (isinstance(value, float) and value - value != 0) else f"float('{value}')"
    return repr(str(value))


__all__ = ["names_of", "to_networkx", "to_source"]
