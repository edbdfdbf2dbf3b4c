"""Module: finds the variables and modules among its attributes, in the order in which they were set, each once."""
from collections.abc import Iterator
from typing import Any

from graphnet.graph import Variable


def members(value: Any, kind: Any) -> Iterator[Any]:
    """What of `kind` lies in a value: itself, or inside of its lists, tuples, sets of a dict's values."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from members(item, kind)
    elif isinstance(value, dict):
        for item in value.values():
            yield from members(item, kind)


class Module:
    """Base of everything that holds variables: attributes are searched through lists, tuples and dicts.

    Example:

        >>> import graphnet
        >>> class Line(graphnet.Module):
        ...     def __init__(self):
        ...         self.slope, self.rest = graphnet.Variable(2.0), [graphnet.Variable(1.0, trainable=False)]
        >>> len(Line().variables), len(Line().trainable_variables)
        (2, 1)
    """

    _is_part = True  # whether its variables are among those of the module whose attribute it is

    def _attributes(self) -> Iterator[Any]:
        """The attributes that are searched, in order."""
        return iter([value for name, value in vars(self).items() if not name.startswith("_untracked")])

    def _own_variables(self) -> list[Variable]:
        return _unique(v for value in self._attributes() for v in members(value, Variable))

    def _children(self) -> list["Module"]:
        return _unique(m for value in self._attributes() for m in members(value, Module) if m is not self and m._is_part)

    @property
    def submodules(self) -> list["Module"]:
        """All modules below this one, each once, nearer ones first of each branch."""
        found: list[Module] = []
        seen = {id(self)}
        stack = self._children()[::-1]
        while stack:
            module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                found.append(module)
                stack.extend(module._children()[::-1])
        return found

    @property
    def variables(self) -> list[Variable]:
        """The variables of this module and of all below it, each once."""
        return _unique(v for module in (self, *self.submodules) for v in module._own_variables())

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of `variables` that training changes."""
        return [v for v in self.variables if v.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Those of `variables` that training leaves to the layers."""
        return [v for v in self.variables if not v.trainable]


def _unique(items: Any) -> list[Any]:
    seen: set[int] = set()
    return [item for item in items if not (id(item) in seen or seen.add(id(item)))]  # type: ignore[func-returns-value]
