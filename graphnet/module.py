"""Module: finds the variables and modules among its attributes, in the order in which they were set, each once."""
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from graphnet.graph import Variable, current_trace, path_scope
from graphnet.identifiers import snake_case
from graphnet.trackable import Trackable


def members(value: Any, kind: Any) -> Iterator[Any]:
    """What of `kind` lies in a value: itself, or inside of its lists, tuples and dicts' values; each of these is looked into once."""
    return _members(value, kind, set())


def _members(value: Any, kind: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple, dict)) and id(value) not in seen:
        seen.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            yield from _members(item, kind, seen)


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Variables made in this context have the name in their paths, and nodes of a graph that is traced have it in their scopes.

    Gives the whole path. Source: https://keras.io/api/utils/

    Example:

        >>> import graphnet
        >>> with graphnet.name_scope("outer"):
        ...     with graphnet.name_scope("inner"):
        ...         v = graphnet.Variable(1.0, name="v")
        >>> v.path
        'outer/inner/v'
    """
    trace = current_trace.get()
    token = path_scope.set((*path_scope.get(), name))
    if trace is not None:
        trace.scope.append(name)
    try:
        yield "/".join(path_scope.get())
    finally:
        path_scope.reset(token)
        if trace is not None:
            trace.scope.pop()


class _DefaultName:
    """The name of a module whose constructor gave it none: that of its class, in snake case."""

    def __get__(self, module: Any, owner: type) -> Any:
        return self if module is None else snake_case(type(module).__name__)


class Module(Trackable):
    """Base of everything that holds variables: attributes are searched through lists, tuples and dicts.

    Arguments: ``name`` a Python identifier, by default the class's name in snake case. Raises ValueError for another name.
    Variables and modules are found in the order in which attributes were set, each once; modules may hold each other.
    Source: https://www.tensorflow.org/guide/intro_to_modules

    Example:

        >>> import graphnet
        >>> class Line(graphnet.Module):
        ...     def __init__(self, name=None):
        ...         super().__init__(name=name)
        ...         self.slope, self.rest = graphnet.Variable(2.0), [graphnet.Variable(1.0, trainable=False)]
        ...     def __call__(self, x):
        ...         return self.slope * x + self.rest[0]
        >>> line = Line()
        >>> line.name, float(line(3.0)), len(line.variables), len(line.trainable_variables)
        ('line', 7.0, 2, 1)
    """

    _is_part = True  # whether its variables are among those of the module whose attribute it is
    name: Any = _DefaultName()  # of those that do not call super().__init__()

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"{type(self).__name__} expects name to be a Python identifier; received name={name!r}.")
        self.name = name or snake_case(type(self).__name__)

    @property
    def name_scope(self) -> Any:
        """A context in which variables and nodes of a graph are made under this module's name: `graphnet.name_scope` of it.

        Example:

            >>> import graphnet
            >>> part = graphnet.Module(name="part")
            >>> with part.name_scope:
            ...     v = graphnet.Variable(1.0, name="v")
            >>> v.path
            'part/v'
        """
        return name_scope(self.name)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """A decorator of methods, whose calls then run in the module's `name_scope`.

        Example:

            >>> import graphnet
            >>> class Scale(graphnet.Module):
            ...     @graphnet.Module.with_name_scope
            ...     def __call__(self, x):
            ...         if not hasattr(self, "w"):
            ...             self.w = graphnet.Variable(2.0, name="w")
            ...         return x * self.w
            >>> scale = Scale(name="double")
            >>> float(scale(3.0)), scale.w.path
            (6.0, 'double/w')
        """
        @functools.wraps(method)
        def call(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)
        return call

    def _attributes(self) -> Iterator[Any]:
        """The attributes that are searched, in order."""
        return iter([value for name, value in vars(self).items() if not name.startswith("_untracked")])

    def _own_variables(self) -> list[Variable]:
        return _unique(v for value in self._attributes() for v in members(value, Variable))

    def _children(self) -> list["Module"]:
        return _unique(m for value in self._attributes() for m in members(value, Module) if m is not self and m._is_part)

    def _below(self, without: Any = ()) -> list["Module"]:
        """The modules below this one, each once; those of the kinds `without`, and what they alone hold, are left out."""
        found: list[Module] = []
        seen, stack = {id(self)}, self._children()[::-1]
        while stack:
            module = stack.pop()
            if id(module) not in seen and not isinstance(module, without):
                seen.add(id(module))
                found.append(module)
                stack.extend(module._children()[::-1])
        return found

    @property
    def submodules(self) -> tuple["Module", ...]:
        """All modules below this one, each once: the first and what is below it, then the next."""
        return tuple(self._below())

    @property
    def variables(self) -> Sequence[Variable]:
        """The variables of this module and of all below it, each once."""
        return tuple(_unique(v for module in (self, *self.submodules) for v in module._own_variables()))

    @property
    def trainable_variables(self) -> Sequence[Variable]:
        """Those of `variables` that training changes."""
        return _some(self.variables, True)

    @property
    def non_trainable_variables(self) -> Sequence[Variable]:
        """Those of `variables` that training leaves as they are."""
        return _some(self.variables, False)


def _unique(items: Any) -> list[Any]:
    seen: set[int] = set()
    return [item for item in items if not (id(item) in seen or seen.add(id(item)))]  # type: ignore[func-returns-value]


def _some(variables: Any, trainable: bool) -> Any:
    """Those that are trainable, or are not, in a sequence of the same kind: layers, metrics and optimizers give lists."""
    return type(variables)([v for v in variables if v.trainable is trainable])
