"""Values as plain data and back: numbers, structures, extents, specs, ops and their fields. Only data is made, and ops by name.

    value = null | true | whole number | float | text | [value...] | {"tuple": [...]} | {"dict": [[key, value]...]} | {"float": "nan"}
          | {"dim": terms} | {"spec": [shape, dtype, name]} | {"object": number} | {"op": name, ...} | {"graph": graph}
"""
import math
import types
import typing
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.dims import Compound, Dim, Symbol, maximum
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.functions.signature import TensorSpec
from graphnet.graph import Spec
from graphnet.identifiers import did_you_mean
from graphnet.op import OPS, Op
from graphnet.ops.subgraphs import Body

DEPTH, TERMS, LARGEST = 12, 64, 2**62  # of extents: how deep they nest, how many terms they have; of whole numbers
DEEPEST = 200  # levels of lists and dicts in a file
PLACES = 1 << 20  # in all lists and tuples of a file together


class Unsaved(ValueError):
    """A value that no file can hold."""


class Malformed(ValueError):
    """Data of a file that means nothing."""


def require(condition: Any, text: str) -> None:
    """Raises Malformed where the condition does not hold."""
    if not condition:
        raise Malformed(text)


def whole(value: Any, below: int = LARGEST, least: int = 0) -> int:
    """A whole number of a file, within its range."""
    require(type(value) is int and least <= value < below, f"{str(value)[:40]} is no whole number from {least} to {below - 1}")
    return value  # type: ignore[no-any-return]


def shallow(data: Any) -> Any:
    """The data, if they do not nest deeper than DEEPEST levels: nothing that reads them recurses further."""
    level = [data]
    for _ in range(DEEPEST):
        level = [inner for item in level if isinstance(item, (list, dict)) for inner in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return data
    raise Malformed(f"it is nested deeper than {DEEPEST} levels")


def text(value: Any) -> str:
    require(isinstance(value, str), f"{str(value)[:40]} is no text")
    return value  # type: ignore[no-any-return]


class Encoder:
    """Values to data. `symbols` are the unknown extents met so far; `graph` writes graphs inside of ops, `objects` numbers objects."""

    def __init__(self, graph: Callable[[Any, "Encoder"], Any] | None = None, objects: Callable[[Any], int | None] = lambda thing: None) -> None:
        self.symbols: dict[Symbol, int] = {}
        self.graph, self.objects = graph, objects

    def __call__(self, value: Any) -> Any:
        """Raises Unsaved for what is no data."""
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if isinstance(value, (int, np.integer)) and not isinstance(value, np.bool_):
            if not -LARGEST <= int(value) < LARGEST:
                raise Unsaved(f"a saved model holds whole numbers from {-LARGEST} to {LARGEST - 1}, larger ones in arrays alone; received {value}")
            return int(value)
        if isinstance(value, (float, np.floating)):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if kind is Dim:
            return {"dim": self._dim(value)}
        if kind is TensorSpec:
            return {"spec": [[self(s) for s in value.shape], value.dtype, value.name]}
        if isinstance(value, dict):
            return {"dict": [[self(k), self(v)] for k, v in value.items()]}
        if isinstance(value, tuple):
            return {"tuple": [self(v) for v in value]}
        if isinstance(value, list):
            return [self(v) for v in value]
        if isinstance(value, Body) and self.graph is not None:
            return {"graph": self.graph(value.graph, self)}
        if isinstance(value, Op):
            return self.op(value)
        number = self.objects(value)
        if number is None:
            raise Unsaved(f"{value!r} ({kind.__name__}) is no plain data")
        return {"object": number}

    def op(self, op: Op) -> dict[str, Any]:
        """An op by its name, with those fields that differ from their defaults."""
        name = type(op).__name__
        if OPS.get(name) is not type(op) or not known(type(op)):
            raise UnsupportedError(f"A saved model holds graphnet's own ops alone; this graph has {name!r} of {type(op).__module__}, which no "
                                   "program without that module could run. Write it in graphnet.ops.")
        found = {f.name: self(getattr(op, f.name)) for f in fields(op)}
        return {"op": name, **({"fields": found} if found else {})}

    def spec(self, spec: Spec) -> list[Any]:
        return [[self(s) for s in spec.shape], spec.dtype]

    def _dim(self, dim: Dim) -> list[Any]:
        return [[self(c), *[self._atom(a) for a in monomial]] for monomial, c in dim.terms.items()]

    def _atom(self, atom: Any) -> Any:
        if isinstance(atom, Symbol):
            return self.symbols.setdefault(atom, len(self.symbols))
        return [atom.kind, *[self(part) for part in atom.parts]]


class Decoder:
    """Data to values; all of it is checked. Raises Malformed."""

    def __init__(self, symbols: list[str] | None = None, graph: Callable[[Any, "Decoder"], Any] | None = None,
                 objects: Callable[[int], Any] | None = None) -> None:
        self.dims = [Dim.unknown(name) for name in symbols or ()]
        self.graph, self.objects = graph, objects

    def __call__(self, data: Any) -> Any:
        if data is None or isinstance(data, (bool, str)):
            return data
        if isinstance(data, int):
            return whole(data, least=-LARGEST)
        if isinstance(data, float):
            require(math.isfinite(data), "a number that is not finite is written as text")
            return data
        if isinstance(data, list):
            return [self(item) for item in data]
        if "op" in data:
            return self.op(data)
        require(len(data) == 1, f"a value has one kind, not {list(data)[:4]}")
        (kind, inner), = data.items()
        read = getattr(self, f"_of_{kind}", None) if kind in ("float", "dim", "spec", "dict", "tuple", "graph", "object") else None
        require(read is not None, f"there is no kind of value {kind[:40]!r}")
        return read(inner)  # type: ignore[misc]

    def _of_float(self, data: Any) -> float:
        require(data in ("nan", "inf", "-inf"), f"{str(data)[:40]!r} is no number")
        return float(data)

    def _of_tuple(self, data: Any) -> tuple[Any, ...]:
        require(isinstance(data, list), "a tuple is written as a list")
        return tuple([self(item) for item in data])

    def _of_dict(self, data: Any) -> dict[Any, Any]:
        require(isinstance(data, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in data), "a dict is written as pairs")
        found = {}
        for key, value in data:
            require(key is None or isinstance(key, (str, int, float)), "keys of a dict are texts and numbers")
            found[key] = self(value)
        return found

    def _of_object(self, data: Any) -> Any:
        require(self.objects is not None, "an object has no place here")
        return self.objects(whole(data))  # type: ignore[misc]

    def _of_graph(self, data: Any) -> Body:
        require(self.graph is not None, "a graph has no place here")
        return Body(self.graph(data, self))  # type: ignore[misc]

    def _of_spec(self, data: Any) -> TensorSpec:
        require(isinstance(data, list) and len(data) == 3 and isinstance(data[0], list), "a spec is [shape, dtype, name]")
        require(data[2] is None or isinstance(data[2], str), "a spec's name is text")
        return TensorSpec(tuple([None if s is None else whole(s) for s in data[0]]), dtype_name(data[1]), data[2])

    def _of_dim(self, data: Any, depth: int = 0) -> Any:
        require(isinstance(data, list) and 0 < len(data) <= TERMS and depth <= DEPTH, "an extent is a list of terms, neither long nor deep")
        total: Any = 0
        for term in data:
            require(isinstance(term, list) and 0 < len(term) <= TERMS, "a term of an extent is a list")
            value: Any = whole(term[0], least=-LARGEST)
            for atom in term[1:]:
                value = value * self._atom(atom, depth)
            total = total + value
        return total

    def _atom(self, data: Any, depth: int) -> Any:
        if isinstance(data, int):
            return self.dims[whole(data, len(self.dims))]
        require(isinstance(data, list) and len(data) == 3 and data[0] in ("//", "max"), "an extent's part is a number, or // or max of two")
        a, b = [self._of_dim(part["dim"], depth + 1) if isinstance(part, dict) and set(part) == {"dim"} else whole(part, least=-LARGEST)
                for part in data[1:]]
        if data[0] == "max":
            return maximum(a, b)
        require(isinstance(b, Dim) or b > 0, "an extent is divided by positive ones")
        return a // b if isinstance(a, Dim) or isinstance(b, int) else Dim({(Compound("//", (a, b)),): 1})

    def extent(self, data: Any) -> Any:
        found = self._of_dim(data["dim"]) if isinstance(data, dict) and set(data) == {"dim"} else data
        return found if isinstance(found, Dim) else whole(found)

    def spec(self, data: Any) -> Spec:
        require(isinstance(data, list) and len(data) == 2 and isinstance(data[0], list), "a spec is [shape, dtype]")
        return Spec(tuple([self.extent(s) for s in data[0]]), dtype_name(data[1]))

    def op(self, data: Any) -> Op:
        """The op of that name; each field has the kind of value that the op's class says."""
        name, given = text(data["op"]), data.get("fields", {})
        kind = OPS.get(name)
        if kind is None or not known(kind):
            raise Malformed(f"there is no op {name[:40]!r} in this graphnet.{did_you_mean(name[:40], OPS)}")
        require(isinstance(given, dict) and set(data) <= {"op", "fields"}, f"op {name} is malformed")
        expected = hints(kind)
        require(set(given) <= set(expected), f"op {name} has the fields {sorted(expected)}, not {sorted(map(str, given))[:8]}")
        values = {key: self(value) for key, value in given.items()}
        for key, value in values.items():
            require(is_a(value, expected[key]), f"field {key!r} of op {name} expects {shown(expected[key])}; received {str(value)[:60]!r}")
        try:
            return kind(**values)
        except TypeError as error:
            raise Malformed(f"op {name} cannot be made: {error}") from None


def known(kind: type[Op]) -> bool:
    """Whether an op is one that graphs have before any pass, and graphnet's own."""
    return kind.__module__.startswith("graphnet.ops.")


def dtype_name(value: Any) -> str:
    require(value in dtypes.ALL if isinstance(value, str) else False, f"{str(value)[:40]!r} is no dtype")
    return value  # type: ignore[no-any-return]


@cache
def hints(kind: Any) -> dict[str, Any]:
    """The kinds of an op's fields."""
    found = typing.get_type_hints(kind)
    return {f.name: found[f.name] for f in fields(kind)}


def shown(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)


def is_a(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that an annotation means; Any is an extent, None or an op."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value is None or type(value) in (int, Dim) or isinstance(value, Op)
    if origin in (typing.Union, types.UnionType):
        return any(is_a(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inner) == 2 and inner[1] is Ellipsis:
            return all(is_a(item, inner[0]) for item in value)
        return len(value) == len(inner) and all(is_a(item, one) for item, one in zip(value, inner, strict=True))
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, bool, str):
        return type(value) is hint
    return value is None if hint is type(None) else isinstance(value, hint)


def damaged(source: Any, what: str) -> FileFormatError:
    """The error for a saved model that cannot be read."""
    return FileFormatError(f"Saved model {source}: {what}. Nothing was loaded. Save it again, or take another copy.")
