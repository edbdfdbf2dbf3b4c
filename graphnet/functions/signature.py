"""Signatures: what the arguments of a call have in common with those that a graph was traced for.

argument  = array | structure of arguments | static          a static one is a part of the signature by its value
key       = of an array (shape, dtype), of a structure (kind, keys...), of a static one (type, value)
"""

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dtypes, tree
from graphnet.errors import DTypeError, ShapeError, UnsupportedError
from graphnet.graph import Spec, Tensor, Variable
from graphnet.module import Module
from graphnet.tracing import fresh_spec

_NUMBERS = {np.dtype(name).num: name for name in dtypes.ALL}


@dataclass(frozen=True)
class TensorSpec:
    """What a traced function takes in the place of an array: a shape, in which None stands for any extent, and a dtype.

    Arguments: ``shape`` ints and None; ``dtype``; ``name`` of the graph's input.
    Source: https://www.tensorflow.org/guide/function

    Example:

        >>> import graphnet
        >>> graphnet.TensorSpec((None, 3), "float32")
        TensorSpec(shape=(None, 3), dtype='float32')
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    name: str | None = None

    def __post_init__(self) -> None:
        extents = (self.shape,) if self.shape is None or isinstance(self.shape, int) else tuple(self.shape)
        if not all(s is None or (isinstance(s, (int, np.integer)) and s >= 0) for s in extents):
            raise ShapeError(f"TensorSpec expects a shape of ints and None; received {self.shape!r}.")
        object.__setattr__(self, "shape", tuple([None if s is None else int(s) for s in extents]))
        object.__setattr__(self, "dtype", dtypes.standardize_dtype(self.dtype))

    @classmethod
    def from_tensor(cls, x: Any, name: str | None = None) -> "TensorSpec":
        """The spec of an array, a variable or a symbolic tensor."""
        return cls(tuple(x.shape), str(x.dtype), name)

    def is_compatible_with(self, x: Any) -> bool:
        """Whether an array, or whatever has a shape and a dtype, may take this place."""
        return str(x.dtype) == self.dtype and fits(self.shape, x.shape)

    def spec(self, name: str) -> Spec:
        """A Spec of it, whose unknown extents are new."""
        return fresh_spec(self.shape, self.dtype, name)

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}{name})"


def fits(expected: Sequence[Any], shape: Sequence[Any]) -> bool:
    """Whether a shape is one of those that the expected one, with None for any extent, stands for."""
    return len(expected) == len(shape) and all(e is None or e == s for e, s in zip(expected, shape, strict=True))


class Held:
    """A variable or a module as a part of a signature: that very object, which this does not keep alive."""

    __slots__ = ("__weakref__", "number", "ref", "what")

    def __init__(self, thing: Any) -> None:
        self.ref, self.number = weakref.ref(thing), id(thing)
        self.what = f"{type(thing).__name__} {getattr(thing, 'path', None) or thing.name!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.number == self.number and other.ref() is self.ref() is not None

    def __hash__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f"<{self.what}>"


def key_of(value: Any, leaves: list[Any]) -> Any:
    """What a signature says of an argument; its arrays and specs are added to the leaves, in the order of `tree.iterate`."""
    kind = type(value)
    if kind is np.ndarray:
        leaves.append(value)
        return value.shape, value.dtype.num
    if value is None or kind in (bool, int, str):
        return kind, value
    if kind is float:
        return kind, repr(value)  # 0.0 and -0.0 are two, and nan is one
    if isinstance(value, dict):
        return kind, frozenset(value), *[key_of(value[name], leaves) for name in sorted(value)]
    if isinstance(value, (list, tuple)):
        return kind, *[key_of(item, leaves) for item in value]
    if kind is TensorSpec:
        leaves.append(value)
        return value.shape, np.dtype(value.dtype).num
    if isinstance(value, (Variable, Module)):
        return kind, Held(value)
    if isinstance(value, Tensor):
        return kind, value
    if hasattr(value, "__array__"):  # numpy's scalars, and what other libraries have for arrays
        array = np.asarray(value)
        leaves.append(array)
        return array.shape, array.dtype.num
    hash(value)
    return kind, value


def loosened(key: Any) -> Any:
    """The key with shapes replaced by ranks: what calls that one trace with unknown extents can serve have in common."""
    if type(key) is not tuple:
        return key
    if len(key) == 2 and type(key[0]) is tuple:
        return len(key[0]), key[1]
    return tuple([loosened(part) for part in key])


def array_of(value: Any) -> bool:
    """Whether an argument's leaf is an array or stands for one."""
    return isinstance(value, (np.ndarray, TensorSpec)) or (
        hasattr(value, "__array__") and not isinstance(value, (Variable, Tensor, Module))
    )


def named_leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The leaves of an argument with the paths that lead to them: "x", "x[0]", "x['mask']"; in the order of `tree.iterate`."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from named_leaves(value[key], f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from named_leaves(item, f"{name}[{i}]")
    else:
        yield name, value


def spec_of(leaf: Any, path: str, who: str) -> TensorSpec:
    """The spec of an argument's leaf; DTypeError for arrays of what is no number."""
    if isinstance(leaf, TensorSpec):
        return leaf
    array = np.asarray(leaf)
    if array.dtype.num not in _NUMBERS:
        raise DTypeError(
            f"{who}: argument {path} expects numbers ({', '.join(dtypes.ALL)}); received an array of dtype {array.dtype}."
        )
    return TensorSpec(array.shape, _NUMBERS[array.dtype.num])


# ---- against a signature that the user gave


def as_specs(value: Any) -> Any:
    """An input_signature with its pairs of shape and dtype as TensorSpecs."""
    if isinstance(value, TensorSpec):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2 and _is_shape(value[0]) and _is_dtype(value[1]):
        return TensorSpec(tuple(value[0]), value[1])
    if isinstance(value, dict):
        return {name: as_specs(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        done = [as_specs(item) for item in value]
        return type(value)(*done) if hasattr(value, "_fields") else type(value)(done)
    if isinstance(value, (Variable, Tensor, np.ndarray)):
        return TensorSpec.from_tensor(value)
    raise TypeError(
        "An input_signature expects TensorSpecs, pairs ((None, 3), 'float32'), and lists, tuples and dicts of them; "
        f"received {value!r}."
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(s is None or isinstance(s, int) for s in value)


def _is_dtype(value: Any) -> bool:
    return isinstance(value, (str, np.dtype)) or (
        isinstance(value, type) and (value in (int, float, bool) or issubclass(value, np.generic))
    )


def conform(expected: Any, value: Any, path: str, who: str, leaves: list[Any]) -> None:
    """Adds the arrays of an argument to the leaves, checked against specs; raises an error that says where they do not fit."""
    if type(expected) is TensorSpec:
        leaves.append(_conformed(expected, value, path, who))
    elif isinstance(expected, dict):
        if not isinstance(value, dict) or set(value) != set(expected):
            raise TypeError(
                f"{who}: argument {path} expects a dict with the keys {sorted(expected)}; received {_shown(value)}."
            )
        for name in sorted(expected):
            conform(expected[name], value[name], f"{path}[{name!r}]", who, leaves)
    elif not isinstance(expected, (list, tuple)):
        same = Held(value) == expected if isinstance(value, (Variable, Module)) else key_of(value, []) == key_of(expected, [])
        if not same:
            raise TypeError(f"{who}: argument {path} expects {expected!r}, for which it was traced; received {_shown(value)}.")
    else:
        if not isinstance(value, (list, tuple)) or len(value) != len(expected):
            raise TypeError(
                f"{who}: argument {path} expects a {type(expected).__name__} of {len(expected)}: {expected}; received "
                f"{_shown(value)}."
            )
        for i, (inner, item) in enumerate(zip(expected, value, strict=True)):
            conform(inner, item, f"{path}[{i}]", who, leaves)


def _conformed(expected: TensorSpec, value: Any, path: str, who: str) -> Any:
    if type(value) is not np.ndarray and type(value) is not TensorSpec:
        value = _converted(expected, value, path, who)
    if value.dtype != expected.dtype:
        raise DTypeError(
            f"{who}: argument {path} expects {expected.dtype} of shape {expected.shape}; received {value.dtype} of shape "
            f"{tuple(value.shape)}. Convert it: graphnet.ops.cast({path}, {expected.dtype!r})."
        )
    if not fits(expected.shape, value.shape):
        raise ShapeError(
            f"{who}: argument {path} expects shape {expected.shape} ({expected.dtype}); received shape {tuple(value.shape)}."
        )
    return value


def _converted(expected: TensorSpec, value: Any, path: str, who: str) -> np.ndarray:
    """Variables, numpy's scalars, Python's numbers and lists of them as an array; Python's own take the dtype that is due."""
    if isinstance(value, Variable):
        return value.value
    if value is None or isinstance(value, (str, bytes, dict, Module)):
        raise TypeError(f"{who}: argument {path} expects an array, {expected}; received {_shown(value)}.")
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.num not in _NUMBERS:
        raise TypeError(f"{who}: argument {path} expects an array, {expected}; received {_shown(value)}.")
    own = not hasattr(value, "dtype") and not hasattr(value, "__array__")
    return array.astype(expected.dtype) if own and np.can_cast(array.dtype, expected.dtype, "same_kind") else array


def _shown(value: Any) -> str:
    """A value as an error shows it: its structure, arrays by shape and dtype."""

    def leaf(x: Any) -> Any:
        return TensorSpec(x.shape, x.dtype) if isinstance(x, np.ndarray) and x.dtype.num in _NUMBERS else x

    return f"{tree.map_structure(leaf, value)!r} ({type(value).__name__})"


# ---- what differs between two


def differences(name: str, before: Any, after: Any) -> Iterator[str]:
    """What differs between the keys of one argument at two calls, as text."""
    if before == after:
        return
    a, b = _kind(before), _kind(after)
    if a == b == "array":
        if before[0] != after[0]:
            yield f"{name}: shape {before[0]}, then {after[0]}"
        if before[1] != after[1]:
            yield f"{name}: dtype {_NUMBERS.get(before[1])}, then {_NUMBERS.get(after[1])}"
    elif a == b == "structure" and len(before) == len(after) and before[0] is after[0]:
        labels = sorted(before[1]) if issubclass(before[0], dict) and before[1] == after[1] else range(len(before) - 1)
        start = 2 if issubclass(before[0], dict) else 1
        for label, x, y in zip(labels, before[start:], after[start:], strict=False):
            yield from differences(f"{name}[{label!r}]", x, y)
    else:
        yield f"{name}: {_value(before)}, then {_value(after)}"


def _kind(key: Any) -> str:
    return "array" if type(key[0]) is tuple else "structure" if issubclass(key[0], (list, tuple, dict)) else "static"


def _value(key: Any) -> str:
    kind = _kind(key)
    return (
        f"an array of shape {key[0]}"
        if kind == "array"
        else f"a {key[0].__name__}"
        if kind == "structure"
        else f"{key[0].__name__} {key[1]}"
    )


def refuse_unhashable(who: str, name: str, error: Exception) -> UnsupportedError:
    """The error for an argument that can be no part of a signature."""
    return UnsupportedError(
        f"{who}: argument {name} is neither an array nor a structure of arrays, and cannot be a part of the signature, as it "
        f"is not hashable ({error}). Pass arrays, numbers, strings, variables, modules, or lists, tuples and dicts of them."
    )


__all__ = ["TensorSpec"]
