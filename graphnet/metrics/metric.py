"""Metric: variables that gather what batches tell, and a result from them."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from graphnet import initializers, ops
from graphnet.graph import Variable
from graphnet.losses.matching import automatic_name, compute_dtype, scope
from graphnet.module import Module, members
from graphnet.ops.convert import assign_in_trace
from graphnet.registry import builtin
from graphnet.tracing import current

KIND = "metrics"


def snapshot(variable: Variable) -> Any:
    """A variable's value as it is now, which later updates leave alone; inside a trace, the tensor that it is."""
    trace = current()
    return variable.value.copy() if trace is None else trace.lift(variable)


@builtin(KIND, "metric")
class Metric(Module):
    """Base of metrics: ``update_state`` adds a batch to the variables, ``result`` computes from them, ``reset_state`` begins
    anew.

    Arguments: ``dtype`` in which it computes, by default `graphnet.config.floatx()`; ``name``.
    Calling it updates and gives the result. Written in `graphnet.ops`, it runs on arrays and as part of a training step's
    graph.
    Source: https://keras.io/api/metrics/base_metric/

    Example:

        >>> from graphnet import metrics, ops
        >>> class Positives(metrics.Metric):
        ...     def __init__(self, name="positives", **kwargs):
        ...         super().__init__(name=name, **kwargs)
        ...         self.count = self.add_variable(shape=(), initializer="zeros", name="count")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.count.assign_add(ops.sum(ops.cast(y_pred > 0.5, self.dtype)))
        ...     def result(self):
        ...         return self.count + 0.0
        >>> float(Positives()([1.0, 0.0], ops.array([0.7, 0.6])))
        2.0
    """

    _direction: str  # "up" where more is better, "down" where less is; not there where neither

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or automatic_name(type(self))
        self._dtype = compute_dtype(dtype)
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """The dtype in which it computes."""
        return self._dtype

    def add_variable(self, shape: Sequence[int], initializer: Any, dtype: Any = None, aggregation: str = "sum",
                     name: str | None = None) -> Variable:
        """Makes a variable of this metric, of the default float type unless `dtype` says otherwise."""
        self._check_initialized()
        initializer = initializers.get("zeros" if initializer is None else initializer)
        name = name or "variable"
        variable = Variable(initializer, tuple(shape), dtype, False, name, f"{self.name.replace('/', '>')}/{name}")
        self._variables.append(variable)
        return variable

    def add_weight(self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None,
                   name: str | None = None) -> Variable:
        """The same as `add_variable`, with zeros in a single number by default."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """Its variables in the order in which they were made, then those of metrics inside of it."""
        inner = [m for value in self._attributes() for m in members(value, Metric) if m is not self]
        return list({id(v): v for v in [*self._own_variables(), *(v for m in inner for v in m.variables)]}.values())

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch to the variables."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state(self, y_true, y_pred, sample_weight=None). "
                                  "Define it.")

    def result(self) -> Any:
        """What the variables tell: a tensor, or a dict of them."""
        raise NotImplementedError(f"{type(self).__name__} has no result(self). Define it.")

    def reset_state(self) -> None:
        """Sets all variables to zero."""
        for variable in self.variables:
            assign_in_trace(variable, np.zeros(variable.shape, variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_initialized()
        with scope(self.name):
            self.update_state(*args, **kwargs)
            return self.result()

    # ---- without state: values in, values out

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """The values that variables of these values have after an update; the variables themselves stay as they are."""
        with self._holding(metric_variables) as values:
            self.update_state(*args, **kwargs)
            return values()

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """The result for variables of these values; the variables themselves stay as they are."""
        with self._holding(metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """The values that variables have after a reset; the variables themselves stay as they are."""
        with self._holding(self.variables) as values:
            self.reset_state()
            return values()

    @contextmanager
    def _holding(self, given: Sequence[Any]) -> Iterator[Any]:
        """The variables hold the given values within, and their own again behind."""
        variables = self.variables
        if len(given) != len(variables):
            raise ValueError(f"Metric {self.name!r} has {len(variables)} variables ({', '.join(v.name for v in variables)}); "
                             "received "
                             f"{len(given)} values.")
        before = [snapshot(v) for v in variables]
        try:
            for variable, value in zip(variables, given, strict=True):
                assign_in_trace(variable, ops.convert_to_tensor(value, variable.dtype))
            yield lambda: [snapshot(v) for v in variables]
        finally:
            for variable, value in zip(variables, before, strict=True):
                assign_in_trace(variable, value)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The metric that a config describes."""
        return cls(**config)

    def _check_initialized(self) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ does not call super().__init__(); put that call on its first "
                               "line.")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
