"""Nested lists, tuples and dicts of leaves: flatten, rebuild, map. Dicts are taken in the order of their keys, as in Keras."""
from collections.abc import Callable, Iterator
from typing import Any


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def iterate(structure: Any) -> Iterator[Any]:
    """The leaves, in order.

    Example:

        >>> import graphnet
        >>> [2 * leaf for leaf in graphnet.tree.iterate([1, (2, 3)])]
        [2, 4, 6]
    """
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from iterate(structure[key])
    elif isinstance(structure, (list, tuple)):
        for item in structure:
            yield from iterate(item)
    else:
        yield structure


def flatten(structure: Any) -> list[Any]:
    """The leaves as a list.

    Example:

        >>> import graphnet
        >>> graphnet.tree.flatten({"b": [2, 3], "a": 1})
        [1, 2, 3]
    """
    return list(iterate(structure))


def map_structure(func: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """The same structure, with func(leaf, leaves of the others...) in each place.

    Example:

        >>> import graphnet
        >>> graphnet.tree.map_structure(lambda x: 2 * x, {"a": (1, 2)})
        {'a': (2, 4)}
    """
    if isinstance(structure, dict):
        return type(structure)((k, map_structure(func, v, *(o[k] for o in others))) for k, v in structure.items())
    if _is_namedtuple(structure):
        return type(structure)(*(map_structure(func, *parts) for parts in zip(structure, *others, strict=True)))
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(func, *parts) for parts in zip(structure, *others, strict=True))
    return func(structure, *others)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The structure with its leaves replaced, in the order of `flatten`.

    Example:

        >>> import graphnet
        >>> graphnet.tree.pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
        {'a': 1, 'b': (2, 3)}
    """
    return _rebuild(structure, iter(flat_sequence))


# no closure that holds itself: leaves are freed without the collector
def _rebuild(part: Any, remaining: Iterator[Any]) -> Any:
    if isinstance(part, dict):
        done = {key: _rebuild(part[key], remaining) for key in sorted(part)}
        return type(part)((key, done[key]) for key in part)
    if _is_namedtuple(part):
        return type(part)(*(_rebuild(item, remaining) for item in part))
    if isinstance(part, (list, tuple)):
        return type(part)(_rebuild(item, remaining) for item in part)
    return next(remaining)


__all__ = [
    "flatten", "iterate", "map_structure", "pack_sequence_as",
]
