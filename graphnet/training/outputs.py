"""Which loss, metrics, targets and weights belong to which output of a model: one rule for all of them.

Each may be given once for all outputs, as a list in the order of the outputs, as a dict by the outputs' names, or in the nested
structure of the outputs themselves.
"""
from collections.abc import Mapping, Sequence
from typing import Any

from graphnet import tree
from graphnet.errors import DataError
from graphnet.identifiers import did_you_mean


def names_of(y_pred: Any, output_names: Sequence[str] | None) -> list[str | None]:
    """A name for each output, in the order of `tree.flatten`: keys of dicts, else the model's own names, else None."""
    leaves = tree.flatten(y_pred)
    if isinstance(y_pred, Mapping):
        return _keys(y_pred, ())
    if output_names and len(output_names) == len(leaves):
        seen: dict[str, int] = {}
        return [numbered(name, seen) for name in output_names]
    return [None] * len(leaves)


def _keys(structure: Any, path: tuple[Any, ...]) -> list[str | None]:
    if isinstance(structure, Mapping):
        return [name for key in sorted(structure) for name in _keys(structure[key], (*path, key))]
    if isinstance(structure, (list, tuple)):
        return [name for i, part in enumerate(structure) for name in _keys(part, (*path, i))]
    return ["/".join(map(str, path))]


def numbered(name: str, seen: dict[str, int]) -> str:
    """The name, with a number behind it where it was there before; `seen` keeps count."""
    count = seen[name] = seen.get(name, -1) + 1
    return f"{name}_{count}" if count else name


def spread(given: Any, y_pred: Any, names: Sequence[str | None], what: str, spare: Sequence[bool] | None = None) -> list[Any]:
    """What was given for each output, in the order of `tree.flatten`; None for an output for which nothing was.

    Arguments: ``given`` a value for all outputs, a list, a dict or a nested structure; ``what`` names it in errors; ``spare``
    tells which outputs may be left out of a list (those without a loss need no target).
    Raises DataError, which lists the names of the outputs.
    """
    count = len(names)
    if isinstance(given, Mapping):
        return _by_name(given, y_pred, names, what)
    if not isinstance(given, (list, tuple)):
        return [given] * count
    if isinstance(y_pred, (list, tuple, Mapping)) and _same_structure(given, y_pred):
        return _entries(given, y_pred)
    if len(given) == count:
        return list(given)
    if spare is not None and len(given) == count - sum(spare):
        values = iter(given)
        return [None if skipped else next(values) for skipped in spare]
    raise DataError(f"{what} expects one entry for each of the {count} outputs{_listed(names)}; received {len(given)}.")


def _by_name(given: Mapping[str, Any], y_pred: Any, names: Sequence[str | None], what: str) -> list[Any]:
    if isinstance(y_pred, Mapping) and _same_structure(given, y_pred):
        return _entries(given, y_pred)
    unknown = [key for key in given if key not in names]
    if unknown:
        near = did_you_mean(str(unknown[0]), [n for n in names if n])
        raise DataError(f"{what} names {', '.join(map(repr, unknown))}, which is no output of the model{_listed(names)}.{near}")
    return [given.get(name) if name is not None else None for name in names]


def _listed(names: Sequence[str | None]) -> str:
    known = [name for name in names if name]
    return f" ({', '.join(known)})" if known else ""


def _entries(given: Any, y_pred: Any) -> list[Any]:
    """What stands in one structure at the places of the other's leaves: a value, or a list of metrics."""
    if isinstance(y_pred, Mapping):
        return [entry for key in sorted(y_pred) for entry in _entries(given[key], y_pred[key])]
    if isinstance(y_pred, (list, tuple)):
        return [entry for part, place in zip(given, y_pred, strict=True) for entry in _entries(part, place)]
    return [given]


def _same_structure(a: Any, b: Any) -> bool:
    """Whether two structures have the same lists and keys; a leaf of `b` may be a list of metrics in `a`."""
    if isinstance(b, Mapping):
        return isinstance(a, Mapping) and set(a) == set(b) and all(_same_structure(a[k], b[k]) for k in b)
    if isinstance(b, (list, tuple)):
        return isinstance(a, (list, tuple)) and len(a) == len(b) and all(map(_same_structure, a, b))
    return True
