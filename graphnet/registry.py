"""Public names to classes and functions: the only way from a name in a file to code."""
import contextvars
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_custom: dict[str, Any] = {}  # "Package>Name" -> object
_names: dict[Any, str] = {}
_builtin: dict[tuple[str, str], Any] = {}  # (kind, class name) -> object; kinds: layers, models, initializers, ...
_scope: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("graphnet_custom_objects",
                                                                        default={})  # noqa: B039 (never mutated)


def builtin(kind: str, *names: str) -> Callable[[Any], Any]:
    """Registers a class of graphnet's own under its Keras name, and further names that files may hold."""
    def register(thing: Any) -> Any:
        for name in (thing.__name__, *names):
            _builtin[kind, name] = thing
        return thing
    return register


def find_builtin(kind: str, name: str) -> Any:
    """The class of that kind and name, or None."""
    return _builtin.get((kind, name))


def spellings_of(kind: str) -> list[str]:
    """All names registered for a kind, sorted."""
    return sorted(name for k, name in _builtin if k == kind)


def names_of(kind: str) -> list[str]:
    """The names registered for a kind, sorted; of what has several the one in lower case, the longest of these."""
    spellings: dict[int, list[str]] = {}
    for (k, name), thing in _builtin.items():
        if k == kind:
            spellings.setdefault(id(thing), []).append(name)
    return sorted(max(names, key=lambda name: (name.islower(), len(name))) for names in spellings.values())


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Decorator: files may name this class or function, as ``package>name``.

    Raises ValueError where a class has no ``get_config``. Source:
    https://keras.io/api/models/model_saving_apis/serialization_utils/

    Example:

        >>> import graphnet
        >>> @graphnet.saving.register_keras_serializable("my_package")
        ... def double(x):
        ...     return 2 * x
        >>> graphnet.saving.get_registered_name(double)
        'my_package>double'
    """
    def register(thing: Any) -> Any:
        full = f"{package}>{name or thing.__name__}"
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ValueError(f"register_keras_serializable expects a class with get_config; {thing.__name__} has none. Add "
                             "get_config(self) -> dict.")
        _custom[full], _names[thing] = thing, full
        return thing
    return register


def get_registered_name(obj: Any) -> str:
    """The name under which files know it: ``package>name``, or its own name.

    Example:

        >>> import graphnet
        >>> graphnet.saving.get_registered_name(graphnet.layers.Dense)
        'Dense'
    """
    return _names.get(obj, obj.__name__)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None,
                          module_objects: Mapping[str, Any] | None = None) -> Any:
    """What files mean by a name: looked up in the scope, the given objects, and what was registered; None where it is unknown.

    Example:

        >>> import graphnet
        >>> graphnet.saving.get_registered_object("triple", {"triple": lambda x: 3 * x})(2)
        6
    """
    found = lookup(name, custom_objects, module_objects)
    if found is not None:
        return found
    short = name.split(">")[-1]
    for table in (_scope.get(), custom_objects or {}):
        if short in table:
            return table[short]
    if any(known == short for _, known in _builtin):  # "relu" is not what someone registered as "my_package>relu"
        return None
    named = [thing for full, thing in _custom.items() if full.split(">")[-1] == short]
    return named[0] if len(named) == 1 else None


def lookup(name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None) -> Any:
    """What stands under exactly that name among custom objects; None where there is none."""
    for table in (_scope.get(), custom_objects or {}, _custom, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """The table of what was registered; may be changed.

    Example:

        >>> import graphnet
        >>> table = graphnet.saving.get_custom_objects()
        >>> table["shop>halve"] = lambda x: x / 2
        >>> graphnet.activations.get("shop>halve")(3.0)
        1.5
        >>> del table["shop>halve"]
    """
    return _custom


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Within this context files may also name these objects.

    Example:

        >>> import graphnet
        >>> with graphnet.saving.custom_object_scope({"twice": lambda x: 2 * x}):
        ...     graphnet.saving.get_registered_object("twice")(4)
        8
    """
    token = _scope.set({**_scope.get(), **custom_objects})
    try:
        yield
    finally:
        _scope.reset(token)


CustomObjectScope = custom_object_scope
