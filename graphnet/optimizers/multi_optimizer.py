"""MultiOptimizer: different optimizers for different variables, chosen by their paths."""
import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from graphnet.graph import Variable
from graphnet.optimizers.loss_scale_optimizer import LossScaleOptimizer
from graphnet.optimizers.optimizer import Optimizer
from graphnet.optimizers.wrapper import Wrapper, read, written
from graphnet.registry import builtin


@builtin("optimizers", "optimizermap")
class OptimizerMap(MutableMapping[str, Optimizer]):
    """Which optimizer a variable gets: that of the regular expression that its whole path matches, else the default.

    Args:
        default_optimizer: the optimizer of variables that no expression matches.
        optimizer_map: a dict of regular expressions to optimizers.

    Raises TypeError for other things than optimizers, ValueError where several expressions match one path.

    Example:

        >>> from graphnet import Variable, optimizers
        >>> chosen = optimizers.OptimizerMap(optimizers.Adam(), {".*bias": optimizers.SGD()})
        >>> type(chosen["dense/bias"]).__name__, type(chosen["dense/kernel"]).__name__
        ('SGD', 'Adam')
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap expects default_optimizer to be an optimizer; received {default_optimizer!r}.")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap expects optimizer_map to be a dict of regular expressions to optimizers; "
                            f"received {optimizer_map!r}.")
        self.default_optimizer, self._map = default_optimizer, dict(optimizer_map or {})

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._map:
            return self._map[key]
        matching = [pattern for pattern in self._map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"OptimizerMap expects one expression at most to match a variable's path; {matching} match "
                             f"{key!r}.")
        return self._map[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if key in self._map:
            raise ValueError(f"OptimizerMap has an optimizer for {key!r} already ({self._map[key].name}). Delete it first.")
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap expects a regular expression as key; received {key!r}.")
        self._map[key] = _plain(optimizer, key)

    def __delitem__(self, key: str) -> None:
        del self._map[key]

    def __len__(self) -> int:
        return len(self._map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._map)

    def __call__(self, variable: Variable) -> Optimizer:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        return {"default_optimizer": written(self.default_optimizer),
                "optimizer_map": {k: written(v) for k, v in self._map.items()}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "OptimizerMap":
        """The map that a config describes."""
        inner = {k: read(v, custom_objects) for k, v in config["optimizer_map"].items()}
        return cls(read(config["default_optimizer"], custom_objects), inner)


@builtin("optimizers", "multioptimizer")
class MultiOptimizer(Wrapper):
    """Lets the optimizers of a map make the steps, each for its variables; clipping and all else are theirs.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a variable to its optimizer.
        loss_scale_factor: see `Optimizer`; it is given to all of them.
        name: its name.

    Source: https://keras.io/api/optimizers/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> kernel, bias = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
        >>> step = optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.5), {"bias": optimizers.SGD(0.25)}))
        >>> step.apply([np.ones(1, "float32"), np.ones(1, "float32")], [kernel, bias])
        >>> kernel.numpy(), bias.numpy()
        (array([0.5], dtype=float32), array([0.75], dtype=float32))
    """

    def __init__(self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None) -> None:
        if not callable(optimizer_map):
            raise TypeError("MultiOptimizer expects optimizer_map to be an OptimizerMap or a function from a variable to its "
                            f"optimizer; received {optimizer_map!r}.")
        self._inner: list[Optimizer] = []
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._map = optimizer_map
        if isinstance(optimizer_map, OptimizerMap):
            for each in (*optimizer_map._map.values(), optimizer_map.default_optimizer):
                self._adopt(each)

    def _adopt(self, optimizer: Optimizer) -> None:
        if not any(optimizer is known for known in self._inner):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self._inner.append(optimizer)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers that make the steps."""
        return self._inner

    def _groups(self, variables: Sequence[Variable]) -> list[tuple[Optimizer, list[int]]]:
        """Each inner optimizer that has any of the variables, with their places."""
        chosen = [_plain(self._map(v), v.path) for v in variables]
        for each in chosen:
            self._adopt(each)
        groups = [(inner, [i for i, each in enumerate(chosen) if each is inner]) for inner in self._inner]
        return [(inner, places) for inner, places in groups if places]

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        for inner, places in self._groups(variables):
            inner.build([variables[i] for i in places])
        super().build(variables)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        if len(grads) == 0:
            return
        variables = self._known(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"Optimizer {self.name!r} expects one gradient for each of the {len(variables)} variables; "
                             f"received {len(grads)}.")
        for inner, places in self._groups(variables):
            inner.apply([grads[i] for i in places], [variables[i] for i in places])
        self.assign(self._iterations, self._iterations + 1)

    @property
    def iterations(self) -> Any:
        """How many steps were made."""
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """Has none: each of `optimizers` has its own. Raises AttributeError."""
        raise AttributeError(f"MultiOptimizer {self.name!r} has no learning rate; its `optimizers` have.")

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        raise AttributeError(f"MultiOptimizer {self.name!r} has no learning rate; its `optimizers` have.")

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        for inner, places in self._groups(var_list):
            inner.finalize_variable_values([var_list[i] for i in places])

    def get_config(self) -> dict[str, Any]:
        return {"optimizer_map": written(self._map), "loss_scale_factor": self.loss_scale_factor, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "MultiOptimizer":
        config = dict(config)
        return cls(read(config.pop("optimizer_map"), custom_objects), **config)


def _plain(optimizer: Any, key: str) -> Optimizer:
    """An optimizer that makes its steps itself; ValueError for anything else."""
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise ValueError(f"A MultiOptimizer expects for {key!r} an optimizer that is neither a LossScaleOptimizer nor a "
                         f"MultiOptimizer; received {optimizer!r}.")
    return optimizer
