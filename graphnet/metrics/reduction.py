"""Metrics that add up: sums, means, and means of a function of labels and predictions."""
from collections.abc import Callable
from typing import Any, ClassVar, Self

from graphnet import identifiers, losses, ops, registry
from graphnet.losses.loss import apply_mask, function_config, plain
from graphnet.losses.matching import expect_broadcast, squeeze_or_expand_to_same_rank
from graphnet.masking import get_mask
from graphnet.metrics.metric import KIND, Metric, snapshot
from graphnet.registry import builtin

FUNCTIONS = "metric functions"  # the registry's kind: under "metrics" the same names mean classes


def samplewise(who: str, values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str) -> tuple[Any, Any]:
    """Values times weights, reduced to one number for each sample, and the weights likewise (None where there are none).

    Values of a higher rank than the weights are reduced to theirs before. Raises ShapeError where they do not fit.
    """
    mask = get_mask(values)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        weights = apply_mask(ops.cast(sample_weight, dtype), mask, dtype, "sum")
        values, weights = squeeze_or_expand_to_same_rank(values, weights)
        rank = len(weights.shape)
        if len(values.shape) > rank:
            values = reduce(values, tuple(range(rank, len(values.shape))))
        expect_broadcast(who, values, weights, "values and sample_weight")
        if ops.shape(weights) != ops.shape(values):
            weights = ops.broadcast_to(weights, ops.shape(values))
        values = ops.multiply(values, weights)
        sample_weight = reduce(weights, tuple(range(1, rank))) if rank > 1 else weights
    if len(values.shape) > 1:
        values = reduce(values, tuple(range(1, len(values.shape))))
    return values, sample_weight


@builtin(KIND, "sum")
class Sum(Metric):
    """The sum of all values, times their weights.

    Source: https://keras.io/api/metrics/reduction_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.Sum()([1.0, 3.0, 5.0])
        array(9., dtype=float32)
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = samplewise(self.name, values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        return snapshot(self.total)


@builtin(KIND, "mean")
class Mean(Metric):
    """The sum of all values times their weights, over the sum of the weights; 0 before the first value.

    Values of several numbers for each sample count with their mean. Source: https://keras.io/api/metrics/reduction_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.Mean()([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0])
        array(2., dtype=float32)
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), "zeros", self.dtype, name="total")
        self.count = self.add_variable((), "zeros", self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weights = samplewise(self.name, values, sample_weight, ops.mean, self.dtype)
        self.total.assign_add(ops.sum(values))
        count = (ops.shape(values) or (1,))[0] if weights is None else ops.sum(weights)
        self.count.assign_add(ops.cast(count, self.dtype))

    def result(self) -> Any:
        return ops.divide_no_nan(self.total, self.count)


@builtin(KIND, "mean_metric_wrapper")
class MeanMetricWrapper(Mean):
    """The mean of a function ``fn(y_true, y_pred, **kwargs)`` that gives a value for each sample.

    A mask that the predictions carry leaves masked values out. Source: https://keras.io/api/metrics/reduction_metrics/

    Example:

        >>> from graphnet import losses, metrics
        >>> metrics.MeanMetricWrapper(losses.huber, delta=2.0)([[0.0]], [[1.0]])
        array(0.5, dtype=float32)
    """

    rarely: ClassVar[dict[str,
                          Any]] = {}  # arguments that Keras leaves out of configs, and their defaults: written if they differ

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name, dtype)
        self._fn, self._fn_kwargs = fn, kwargs
        if isinstance(fn, losses.Loss) or registry.find_builtin("losses", getattr(fn, "__name__", "")) is fn:
            self._direction = "down"

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_fn_kwargs", ()):
            return self._fn_kwargs[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    # labels and predictions take the place of values, as Keras has it
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        mask = get_mask(y_pred)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        super().update_state(values, apply_mask(sample_weight, mask, self.dtype, "sum"))

    def get_config(self) -> dict[str, Any]:
        arguments = {k: plain(v) for k, v in self._fn_kwargs.items()}
        if type(self) is MeanMetricWrapper:
            return {**super().get_config(), "fn": _config_of(self._fn), **arguments}
        return {**super().get_config(), **{k: v for k, v in arguments.items() if k not in self.rarely or v != self.rarely[k]}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "fn" in config:
            config = {**config, "fn": _function_of(config["fn"])}
        return cls(**config)


def _config_of(fn: Any) -> Any:
    kind = FUNCTIONS if registry.find_builtin(FUNCTIONS, getattr(fn, "__name__", "")) is fn else "losses"
    return function_config(kind, fn)


def _function_of(config: Any) -> Any:
    if not isinstance(config, (str, dict)):
        return config
    name = config if isinstance(config, str) else config.get("config")
    known = isinstance(name, str) and registry.find_builtin(FUNCTIONS, name) is not None
    return identifiers.deserialize(FUNCTIONS if known else "losses", config)


class FunctionMetric(MeanMetricWrapper):
    """Base of the means whose function takes nothing but labels and predictions; they are named as it is, or as `called`
    says."""

    function: ClassVar[Callable[..., Any]]
    called: ClassVar[str] = ""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        function = type(self).function
        super().__init__(function, name or self.called or function.__name__, dtype)
