"""Arguments that many layers share: tuples of extents, padding, and what decides the start and the limits of a weight."""
from collections.abc import Iterable, Sequence
from typing import Any

from graphnet import constraints, initializers, regularizers
from graphnet.graph import Variable
from graphnet.layers.layer import Layer


def whole_numbers(value: Any, n: int, name: str, who: str, zero: bool = False) -> tuple[int, ...]:
    """An argument as n whole numbers: one number stands for all.

    Positive ones, or not negative ones where `zero` is allowed.
    """
    listed = (
        (value,) * n
        if isinstance(value, int)
        else tuple(value)
        if isinstance(value, Iterable) and not isinstance(value, str)
        else ()
    )
    if len(listed) != n or not all(hasattr(v, "__index__") for v in listed) or any(v < (0 if zero else 1) for v in listed):
        least = "not negative" if zero else "positive"
        raise ValueError(f"{who} expects {name} to be a whole number or {n} of them, {least}; received {name}={value!r}.")
    return tuple([int(v) for v in listed])


def window_padding(value: Any, who: str, causal: bool = False) -> str:
    """The padding argument of a layer with windows: "valid", "same", and "causal" where that has a meaning."""
    allowed = ("valid", "same", "causal") if causal else ("valid", "same")
    chosen = value.lower() if isinstance(value, str) else value
    if chosen not in allowed:
        raise ValueError(f"{who} expects padding to be one of {', '.join(map(repr, allowed))}; received padding={value!r}.")
    return str(chosen)


def margins(value: Any, rank: int, name: str, who: str) -> tuple[tuple[int, ...], ...]:
    """What is added or cut on each of `rank` axes, as pairs (before, after): from one number, a number an axis, or a pair an
    axis.
    """
    if isinstance(value, int):
        value = (value,) * rank
    if not isinstance(value, Sequence) or len(value) != rank:
        raise ValueError(f"{who} expects {name} to be a whole number, {rank} of them, or {rank} pairs (before, after); "
                         f"received {name}={value!r}.")
    return tuple([whole_numbers(v, 2, f"each entry of {name}", who, zero=True) for v in value])


class WeightOptions(Layer):
    """A layer whose weights have arguments ``<role>_initializer``, ``<role>_regularizer`` and ``<role>_constraint``."""

    def _take_options(self, options: dict[str, Any], *roles: str) -> None:
        """Sets those attributes, from the constructor's arguments."""
        for role in roles:
            setattr(self, f"{role}_initializer", initializers.get(options[f"{role}_initializer"]))
            setattr(self, f"{role}_regularizer", regularizers.get(options[f"{role}_regularizer"]))
            setattr(self, f"{role}_constraint", constraints.get(options[f"{role}_constraint"]))

    def _make_weight(self, role: str, shape: Sequence[int], name: str | None = None) -> Variable:
        return self.add_weight(tuple(shape), getattr(self, f"{role}_initializer"), name=name or role,
                               regularizer=getattr(self, f"{role}_regularizer"), constraint=getattr(self, f"{role}_constraint"))

    def _options_config(self, *roles: str) -> dict[str, Any]:
        """Those attributes as plain data, in Keras's order: initializers, regularizers, constraints."""
        return {
            **{f"{role}_initializer": initializers.serialize(getattr(self, f"{role}_initializer")) for role in roles},
            **{f"{role}_regularizer": regularizers.serialize(getattr(self, f"{role}_regularizer")) for role in roles},
            **{f"{role}_constraint": constraints.serialize(getattr(self, f"{role}_constraint")) for role in roles},
        }
