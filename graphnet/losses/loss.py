"""Loss: per-sample values of labels and predictions, weighted, and reduced to a number."""
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from graphnet import identifiers, ops, tree
from graphnet.losses.matching import (
    automatic_name,
    compute_dtype,
    expect_broadcast,
    holds_none,
    scope,
    squeeze_or_expand_to_same_rank,
)
from graphnet.masking import get_mask
from graphnet.registry import builtin

KIND = "losses"
REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def standardize_reduction(reduction: Any) -> Any:
    """The reduction itself; ValueError, which lists them, where there is none of that name."""
    if not isinstance(reduction, (str, type(None))) or reduction not in REDUCTIONS:
        near = identifiers.did_you_mean(reduction, [r for r in REDUCTIONS if r]) if isinstance(reduction, str) else ""
        raise ValueError(f"A loss expects a reduction among {', '.join(map(repr, REDUCTIONS))}; received "
                         f"reduction={reduction!r}.{near}")
    return reduction


class Loss:
    """Base of losses: subclasses define ``call(y_true, y_pred)``, which gives a value for each sample.

    Arguments: ``name``; ``reduction``: "sum_over_batch_size" or "mean" (the sum over the number of values), "sum",
    "mean_with_sample_weight" (the sum over the sum of the weights), "none" or None (the values as they are); ``dtype`` in which
    it computes, by default `graphnet.config.floatx()`.
    Calling it takes labels, predictions (or structures of them, which go to ``call`` as they are) and weights of samples. A
    mask
    that the predictions carry leaves masked values out, of the mean as well.
    Raises ValueError for another reduction, ShapeError where shapes do not fit.
    Source: https://keras.io/api/losses/

    Example:

        >>> from graphnet import losses, ops
        >>> class Distance(losses.Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.mean(ops.absolute(y_pred - y_true), axis=-1)
        >>> Distance()([[0.0, 1.0]], [[1.0, 3.0]])
        array(1.5, dtype=float32)
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None) -> None:
        self.name = name or automatic_name(type(self))
        self.reduction = standardize_reduction(reduction)
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """The dtype in which it computes."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mask = get_mask(y_pred)
        with scope(self.name):
            y_true, y_pred = (tree.map_structure(self._cast, _arrays(y)) for y in (y_true, y_pred))
            values = self.call(y_true, y_pred)
            own = get_mask(values)
            if own is not None:
                mask = own if mask is None else ops.logical_and(mask, own)
            return reduce_weighted_values(values, sample_weight, mask, self.reduction, self.dtype, self.name)

    def _cast(self, x: Any) -> Any:
        return ops.cast(x, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values of the samples, in ops."""
        raise NotImplementedError(f"{type(self).__name__} has no call(self, y_true, y_pred) method. Define it.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The loss that a config describes."""
        return cls(**config)


def _arrays(structure: Any) -> Any:
    """A nested list of numbers is one array; a list or dict of tensors stays one."""
    if isinstance(structure, (list, tuple)) and not any(hasattr(leaf, "shape") for leaf in tree.iterate(structure)):
        return ops.convert_to_tensor(structure)
    return structure


@builtin(KIND)
class LossFunctionWrapper(Loss):
    """The loss of a function ``fn(y_true, y_pred, **kwargs)`` that gives a value for each sample.

    Labels and predictions whose ranks differ by a last axis of extent 1 are brought to one rank before.
    Source: https://keras.io/api/losses/

    Example:

        >>> from graphnet import losses
        >>> from graphnet.losses.loss import LossFunctionWrapper
        >>> LossFunctionWrapper(losses.huber, delta=2.0)([[0.0]], [[1.0]])
        array(0.5, dtype=float32)
    """

    rarely: ClassVar[dict[str,
                          Any]] = {}  # arguments that Keras leaves out of configs, and their defaults: written if they differ

    def __init__(self, fn: Callable[..., Any], reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name, reduction, dtype)
        self.fn, self._fn_kwargs = fn, kwargs

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_fn_kwargs", ()):
            return self._fn_kwargs[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if hasattr(y_true, "shape") and hasattr(y_pred, "shape"):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        else:
            leaves = zip(tree.flatten(y_true), tree.flatten(y_pred), strict=True)
            pairs = [squeeze_or_expand_to_same_rank(*pair) for pair in leaves]
            y_true, y_pred = (tree.pack_sequence_as(y, [pair[i] for pair in pairs]) for i, y in enumerate((y_true, y_pred)))
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        arguments = {k: plain(v) for k, v in self._fn_kwargs.items()}
        if type(self) is LossFunctionWrapper:
            return {**super().get_config(), "fn": function_config(KIND, self.fn), **arguments}
        return {**super().get_config(), **{k: v for k, v in arguments.items() if k not in self.rarely or v != self.rarely[k]}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "fn" in config:
            config = {**config, "fn": identifiers.deserialize(KIND, config["fn"])}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r}, reduction={self.reduction!r}, arguments={self._fn_kwargs}>"


class FunctionLoss(LossFunctionWrapper):
    """Base of the losses whose function takes nothing but labels and predictions; they are named as it is."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None:
        function = type(self).function
        super().__init__(function, reduction, name or function.__name__, dtype)


def plain(value: Any) -> Any:
    """A value as a file may hold it: arrays as lists, numpy's numbers as Python's."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def function_config(kind: str, thing: Any) -> Any:
    """What a file holds of a function or an object: Keras writes both as a dict."""
    found = identifiers.serialize(kind, thing)
    if isinstance(found, str) and not isinstance(thing, str):
        return {"module": "builtins", "class_name": "function", "config": found, "registered_name": "function"}
    return found


# ---- weights and reductions

def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: Any) -> Any:
    """Weights in which masked values weigh nothing; for means the others weigh more, so that the mean is over them alone."""
    if mask is None:
        return sample_weight
    weights = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        count = ops.cast(math.prod(ops.shape(mask)), dtype)
        weights = ops.multiply(weights, ops.divide_no_nan(count, ops.sum(weights)))
    if sample_weight is None:
        return weights
    weights, sample_weight = squeeze_or_expand_to_same_rank(weights, ops.cast(sample_weight, dtype))
    expect_broadcast("A loss or metric of values with a mask", weights, sample_weight, "mask and sample_weight")
    return ops.multiply(sample_weight, weights)


def reduce_weighted_values(values: Any, sample_weight: Any = None, mask: Any = None, reduction: Any = "sum_over_batch_size",
                           dtype: Any = None, who: str = "A loss") -> Any:
    """Values times weights, reduced. Raises ShapeError where they do not fit."""
    values = ops.convert_to_tensor(values, dtype)
    sample_weight = None if sample_weight is None else ops.cast(sample_weight, values.dtype)
    weights = apply_mask(sample_weight, mask, values.dtype, reduction)
    if weights is not None:
        values, weights = squeeze_or_expand_to_same_rank(values, weights)
        expect_broadcast(who, values, weights, "values and sample_weight")
        values = ops.multiply(values, weights)
    shape = ops.shape(values)
    if reduction in (None, "none") or shape in ((), (0,)):
        return values
    if reduction == "mean_with_sample_weight" and weights is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(weights))
    if reduction == "sum" or holds_none(shape):  # the mean of no values is 0, as the sum is
        return ops.sum(values)
    return ops.mean(values)
