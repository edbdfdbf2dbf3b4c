"""Wrapper: an optimizer that lets others make the steps."""
from collections.abc import Iterator
from typing import Any

from graphnet import identifiers, registry
from graphnet.graph import Variable
from graphnet.optimizers.optimizer import Optimizer


class Wrapper(Optimizer):
    """Base of optimizers that hold `optimizers`; `variables` are its own, then theirs."""

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers that make the steps."""
        raise NotImplementedError

    def _attributes(self) -> Iterator[Any]:
        return iter([self._variables, self.optimizers])

    def _named_parts(self) -> dict[str, Any]:
        return super()._named_parts() | {"optimizers": self.optimizers}

    @property
    def variables(self) -> list[Variable]:
        return [*self._variables, *(v for inner in self.optimizers for v in inner.variables)]


def written(thing: Any) -> Any:
    """What a file holds of an inner optimizer or a map of them."""
    return identifiers.serialize("optimizers", thing)


def read(config: Any, custom_objects: dict[str, Any] | None) -> Any:
    """The inner optimizer, or map of them, that a file means."""
    with registry.custom_object_scope(custom_objects or {}):
        return identifiers.deserialize("optimizers", config)
