"""Dim: an extent that is not known before a model runs, as an expression over the unknown extents of its inputs.

Grammar, in a normal form in which equal expressions are equal objects:

    Dim   = sum of integer * product of atoms            2*n + n*m - 3
    atom  = Symbol | Dim // Dim | max(Dim, Dim)

An atom's key tells it from others and orders it among them. Sizes are bounded: a few nested products could ask for any amount of memory.
"""
import itertools
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from operator import attrgetter
from typing import Any, NoReturn, Union

from graphnet.errors import ShapeError

LARGEST = 2**63  # below it are all known extents, and all coefficients
MOST = 4096  # parts of a Dim, those of its atoms among them
LONGEST = 1024  # characters of an atom's key, before what is left of it is hashed
_numbers = itertools.count()
_key = attrgetter("key")
Extent = Union[int, "Dim"]


class Symbol:
    """One unknown extent of one input; two symbols are never the same."""

    __slots__ = ("key", "name")
    size = 1

    def __init__(self, name: str) -> None:
        self.name, self.key = name, str((0, next(_numbers)))

    def evaluate(self, extents: Mapping["Symbol", int]) -> int:
        return extents[self]

    def symbols(self) -> set["Symbol"]:
        return {self}

    def __str__(self) -> str:
        return self.name


class Compound:
    """A floor division or a maximum of two extents: an atom of larger expressions."""

    __slots__ = ("key", "kind", "parts", "size")

    def __init__(self, kind: str, parts: tuple[Extent, Extent]) -> None:
        self.kind, self.parts = kind, parts
        self.size = 1 + sum([p.size if isinstance(p, Dim) else 1 for p in parts])
        key = str((1, kind, *(p.key if isinstance(p, Dim) else ("", p) for p in parts)))
        if len(key) > LONGEST:  # each level would double its quotes
            key = key[:LONGEST] + blake2b(key.encode(), digest_size=20).hexdigest()
        self.key = key

    def evaluate(self, extents: Mapping[Symbol, int]) -> int:
        a, b = (evaluate(p, extents) for p in self.parts)
        return a // b if self.kind == "//" else maximum(a, b)  # type: ignore[return-value]

    def symbols(self) -> set[Symbol]:
        return set().union(*(symbols(p) for p in self.parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compound) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        a, b = self.parts
        return f"({a})//{b}" if self.kind == "//" else f"max({a}, {b})"


class Dim:
    """An unknown extent; combines with + - * // % and `maximum`; equal where it can be proven equal."""

    __slots__ = ("_hash", "key", "size", "terms")

    def __init__(self, terms: Mapping[tuple[Any, ...], int]) -> None:
        self.terms = dict(terms)
        size = len(terms)
        for monomial, c in self.terms.items():
            for atom in monomial:
                size += atom.size
            if not -LARGEST < c < LARGEST:
                _refuse_size(f"one with a coefficient of {c.bit_length()} bits")
        if size > MOST:
            _refuse_size(f"one of {size}")
        self.size = size
        self.key = tuple(sorted([(tuple([a.key for a in monomial]), c) for monomial, c in self.terms.items()]))
        self._hash = hash(self.key)

    @staticmethod
    def unknown(name: str) -> "Dim":
        """A new unknown extent."""
        return Dim({(Symbol(name),): 1})

    def __add__(self, other: Extent) -> Extent:
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, c in _terms(other).items():
            terms[monomial] = terms.get(monomial, 0) + c
        return _made(terms)

    __radd__ = __add__

    def __neg__(self) -> Extent:
        return self * -1

    def __sub__(self, other: Extent) -> Extent:
        return self + (-1 * other)

    def __rsub__(self, other: Extent) -> Extent:
        return (self * -1) + other

    def __mul__(self, other: Extent) -> Extent:
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        if isinstance(other, Dim) and len(self.terms) * other.size + len(other.terms) * self.size > MOST:
            _refuse_size(f"a product of one of {self.size} by one of {other.size}")  # before it is multiplied out
        terms: dict[tuple[Any, ...], int] = {}
        for (a, c), (b, d) in itertools.product(self.terms.items(), _terms(other).items()):
            monomial = tuple(sorted(a + b, key=_key))
            terms[monomial] = terms.get(monomial, 0) + c * d
        return _made(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Extent) -> Extent:
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        if isinstance(other, Dim):
            return 1 if self == other else _divided(self, other)
        if other < 0:
            raise ValueError(f"A Dim is divided by positive extents; received {self} // {other}.")
        whole = {m: c // other for m, c in self.terms.items() if c % other == 0}
        rest = _made({m: c for m, c in self.terms.items() if c % other})
        return _made(whole) + (rest // other if isinstance(rest, int) else Dim({(Compound("//", (rest, other)),): 1}))

    def __rfloordiv__(self, other: int) -> Extent:
        return Dim({(Compound("//", (other, self)),): 1})

    def __mod__(self, other: Extent) -> Extent:
        return self - (self // other) * other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self._hash == other._hash and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    def _refuse(self, *_: Any) -> Any:
        raise TypeError(
            f"The extent {self} is not known before the model runs, so it has no value and no order yet. "
            "Give it in Input(shape=...), compute with it by + - * // and graphnet.ops.shape, or repeat something so often by "
            "graphnet.ops.fori_loop or ops.scan.")

    __bool__ = __int__ = __index__ = __float__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __str__(self) -> str:
        parts = []
        for monomial, c in sorted(self.terms.items(), key=lambda item: (-len(item[0]), [a.key for a in item[0]])):
            product = "*".join(str(a) for a in monomial)
            parts.append(str(c) if not monomial else product if c == 1 else f"{c}*{product}")
        return " + ".join(parts)

    __repr__ = __str__


def _refuse_size(received: str) -> NoReturn:
    raise ShapeError(f"Expected an unknown extent of at most {MOST} parts, with coefficients below 2**63; received {received}. "
                     "Give more of the extents in Input(shape=...).")


def _terms(value: Extent) -> Mapping[tuple[Any, ...], int]:
    return value.terms if isinstance(value, Dim) else {(): int(value)}


def _made(terms: Mapping[tuple[Any, ...], int]) -> Extent:
    terms = {m: c for m, c in terms.items() if c}
    if not terms:
        return 0
    return terms[()] if set(terms) == {()} else Dim(terms)


def _divided(whole: Dim, part: Dim) -> Extent:
    """whole // part where part is one product that each term holds; otherwise an atom."""
    if len(part.terms) == 1:
        (divisor, d), quotient = next(iter(part.terms.items())), {}
        for monomial, c in whole.terms.items():
            left = list(monomial)
            if c % d or any(a not in left or left.remove(a) for a in divisor):
                break
            quotient[tuple(left)] = c // d
        else:
            return _made(quotient)
    return Dim({(Compound("//", (whole, part)),): 1})


def maximum(a: Extent, b: Extent) -> Extent:
    """The larger extent; two that cannot be told apart yet give an expression."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    if a == b:
        return a
    parts: list[Extent] = []
    for side in (a, b):
        for part in _maximum_parts(side):
            if part not in parts:
                parts.append(part)
    parts.sort(key=lambda p: str(p.key) if isinstance(p, Dim) else str(p))
    out = parts[0]
    for part in parts[1:]:
        out = Dim({(Compound("max", (out, part)),): 1})
    return out


def _maximum_parts(side: Extent) -> list[Extent]:
    if isinstance(side, Dim) and len(side.terms) == 1:
        (monomial, c), = side.terms.items()
        if c == 1 and len(monomial) == 1 and isinstance(monomial[0], Compound) and monomial[0].kind == "max":
            return [q for p in monomial[0].parts for q in _maximum_parts(p)]
    return [side]


def evaluate(extent: Extent, extents: Mapping[Symbol, int]) -> int:
    """The value of an extent, given those of the symbols in it."""
    if not isinstance(extent, Dim):
        return extent
    total = 0
    for monomial, c in extent.terms.items():
        for atom in monomial:
            c *= atom.evaluate(extents)
        total += c
    return total


class _Others(dict[Symbol, Any]):
    """Values of some symbols; the others stand for themselves."""

    def __missing__(self, symbol: Symbol) -> Extent:
        return Dim({(symbol,): 1})


def substitute(extent: Extent, extents: Mapping[Symbol, Extent]) -> Extent:
    """The extent with other extents in place of some of its symbols."""
    return evaluate(extent, _Others(extents))  # type: ignore[arg-type]


def renamed(before: Iterable[Extent], after: Iterable[Extent]) -> dict[Symbol, Extent]:
    """What the symbols of one shape are called in another: for `substitute`."""
    pairs = [(sole_symbol(a), b) for a, b in zip(before, after, strict=True)]
    return {symbol: b for symbol, b in pairs if symbol is not None}


def symbols(extent: Extent) -> set[Symbol]:
    """The unknowns in an extent."""
    if not isinstance(extent, Dim):
        return set()
    return {s for monomial in extent.terms for atom in monomial for s in atom.symbols()}


def product(extents: Iterable[Extent]) -> Extent:
    out: Extent = 1
    for extent in extents:
        out = out * extent
    return out


def sole_symbol(extent: Extent) -> Symbol | None:
    """The symbol that the extent is, where it is just one."""
    if isinstance(extent, Dim) and len(extent.terms) == 1:
        (monomial, c), = extent.terms.items()
        if c == 1 and len(monomial) == 1 and isinstance(monomial[0], Symbol):
            return monomial[0]
    return None
