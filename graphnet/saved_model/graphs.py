"""Primitive graphs as data and back, with the arrays that are constants in them.

    graph = {"name", "inputs": [[spec, name]...], "nodes": [node...], "outputs": [value...], "updates": [[variable, value]...]}
    node  = {"op", "fields", "in": [value...], "out": [spec...], "name", "scope"} | {"read": variable, ...} | {"constant": number, ...}
    value = a number: the inputs are counted first, then the results of the nodes
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet.dims import Dim
from graphnet.errors import FileFormatError
from graphnet.graph import Constant, Graph, Node, Read, Spec, Tensor, Variable
from graphnet.op import Op
from graphnet.saved_model.ranges import check_ranges
from graphnet.saved_model.values import Decoder, Encoder, Malformed, dtype_name, require, text, whole
from graphnet.tracing import placeholder

SMALL = 64  # elements of a constant that stands in the JSON text itself
FAILURES = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError, RecursionError, MemoryError)


class Constants:
    """The constant arrays of all graphs, each once: small ones as numbers, others by the key of a safetensors file."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[Any, int] = {}

    def number(self, array: np.ndarray) -> int:
        """The number of an array among the constants; equal ones are one."""
        array = np.asarray(array, order="C")
        key = (array.dtype.str, array.shape, array.tobytes() if array.size <= SMALL else id(array))
        if key not in self._known:
            self._known[key] = number = len(self.entries)
            entry: dict[str, Any] = {"dtype": array.dtype.name, "shape": list(array.shape)}
            if array.size <= SMALL:
                entry["values"] = [value if type(value) is int else Encoder()(value) for value in array.reshape(-1).tolist()]
            else:
                entry["key"] = str(number)
                self.arrays[entry["key"]] = array
            self.entries.append(entry)
        return self._known[key]


def read_constants(entries: Any, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The constants that data and the arrays of the safetensors file mean."""
    require(isinstance(entries, list), "the constants are a list")
    return [_constant(entry, arrays) for entry in entries]


def _constant(entry: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
    dtype, shape = dtype_name(entry["dtype"]), tuple([whole(s) for s in entry["shape"]])
    if "key" in entry:
        array = arrays.get(text(entry["key"]))
        require(array is not None and array.shape == shape and array.dtype == dtype, f"constant {entry['key'][:20]!r} is not as the text says")
        return array  # type: ignore[return-value]
    values = entry["values"]
    require(isinstance(values, list) and len(values) == int(np.prod(shape, dtype=object)) <= SMALL, "a constant has another number of values")
    decoded = [value if type(value) is int else Decoder()(value) for value in values]
    require(all(isinstance(v, (bool, int, float)) for v in decoded), "a constant's values are numbers")
    kinds = {bool} if dtype == "bool" else {float} if dtype.startswith("float") else {int}
    require({type(v) for v in decoded} <= kinds, f"a constant of {dtype} has values of another kind")
    if kinds == {int}:
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        require(all(least <= v <= most for v in decoded), f"a constant of {dtype} has values that are not from {least} to {most}")
    return np.array(decoded, dtype).reshape(shape)


# ---- writing

def encode_graph(graph: Graph, variables: Callable[[Variable], int], constants: Constants) -> dict[str, Any]:
    """A graph as data; `variables` numbers them."""
    def one(graph: Graph, encoder: Encoder) -> dict[str, Any]:
        places: dict[Any, int] = {t.key: i for i, t in enumerate(graph.inputs)}
        nodes = []
        for node in graph.nodes:
            nodes.append(_node(node, places, encoder, variables, constants))
            for i in range(len(node.specs)):
                places[node, i] = len(places)
        return {"name": graph.name, "inputs": [[encoder.spec(t.spec), t.name] for t in graph.inputs], "nodes": nodes,
                "outputs": [places[t.key] for t in graph.outputs],
                "updates": [[variables(v), places[t.key]] for v, t in graph.updates.items()]}

    encoder = Encoder(one)
    return {**one(graph, encoder), "symbols": [symbol.name for symbol in encoder.symbols]}


def _node(node: Node, places: dict[Any, int], encoder: Encoder, variables: Callable[[Variable], int], constants: Constants) -> dict[str, Any]:
    if isinstance(node.op, Read):
        what: dict[str, Any] = {"read": variables(node.op.variable)}
    elif isinstance(node.op, Constant):
        what = {"constant": constants.number(node.op.value)}
    else:
        what = {**encoder.op(node.op), "in": [places[t.key] for t in node.inputs]}
    what["out"] = [encoder.spec(spec) for spec in node.specs]
    return {**what, "name": node.name, **({"scope": node.scope} if node.scope else {})}


# ---- reading

def decode_graph(data: Any, variables: Sequence[Variable], constants: Sequence[np.ndarray]) -> Graph:
    """The graph that data mean: each op infers its results anew, and they are what the file says. Raises Malformed."""
    def one(data: Any, decoder: Decoder) -> Graph:
        inputs = [placeholder(decoder.spec(spec), text(name)) for spec, name in data["inputs"]]
        values, name = list(inputs), text(data["name"])
        for number, entry in enumerate(data["nodes"]):
            label = str(entry.get("name", "?"))[:60] if isinstance(entry, dict) else "?"
            try:
                node = _read_node(entry, values, decoder, variables, constants)
            except FAILURES as error:
                what = str(error) if isinstance(error, (Malformed, FileFormatError)) else f"{type(error).__name__}: {error}"
                raise Malformed(f"graph {name[:60]!r}, node {number} ({label!r}): {what}") from error
            values += [Tensor(node, i) for i in range(len(node.specs))]
        outputs = [values[whole(i, len(values))] for i in data["outputs"]]
        updates = {}
        for variable, i in data["updates"]:
            variable, tensor = variables[whole(variable, len(variables))], values[whole(i, len(values))]
            require(tensor.spec == variable.spec, f"graph {name[:60]!r} assigns {tensor.spec} to variable {variable.path!r} of {variable.spec}")
            updates[variable] = tensor
        return Graph(inputs, outputs, updates, name)

    symbols = data["symbols"]
    require(isinstance(symbols, list), "the symbols are a list")
    return one(data, Decoder([text(name) for name in symbols], one)).verify()


def _read_node(data: Any, values: list[Tensor], decoder: Decoder, variables: Sequence[Variable], constants: Sequence[np.ndarray]) -> Node:
    name, scope, said = text(data["name"]), text(data.get("scope", "")), [decoder.spec(spec) for spec in data["out"]]
    inputs: tuple[Tensor, ...] = ()
    op: Any
    if "read" in data:
        op = Read(variables[whole(data["read"], len(variables))])
    elif "constant" in data:
        op = Constant(constants[whole(data["constant"], len(constants))])
    else:
        op = decoder.op({key: data[key] for key in ("op", "fields") if key in data})
        inputs = tuple([values[whole(i, len(values))] for i in data["in"]])
        check_ranges(op, tuple([t.spec for t in inputs]))
    inferred = op.infer(*[t.spec for t in inputs])
    specs = inferred if isinstance(inferred, tuple) else (inferred,)
    require(len(specs) == len(said) and all(map(_agree, specs, said)), f"it gives {', '.join(map(str, specs))}; the file says {', '.join(map(str, said))}")
    return Node(op, inputs, specs, name, scope)


def _agree(a: Spec, b: Spec) -> bool:
    """Whether two specs may be of one value; unknown extents are compared when it runs."""
    return a.dtype == b.dtype and len(a.shape) == len(b.shape) and all(
        i == j if type(i) is type(j) is int else type(i) is type(j) is Dim for i, j in zip(a.shape, b.shape, strict=True))


def ops_of(graph: Graph) -> int:
    """How many ops a graph has, without leaves."""
    return sum(isinstance(node.op, Op) for node in graph.nodes)
