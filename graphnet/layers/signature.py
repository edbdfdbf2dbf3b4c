"""What a layer's `call` takes, and the names that layers get by themselves."""
import functools
import inspect
import re
import weakref
from typing import Any, NamedTuple

_of_functions: weakref.WeakKeyDictionary[Any, inspect.Signature] = weakref.WeakKeyDictionary()
_of_methods: weakref.WeakKeyDictionary[Any, inspect.Signature] = weakref.WeakKeyDictionary()


class Signature(NamedTuple):
    """What `call` takes: names of its arguments, and whether training and masks are among them."""

    names: tuple[str, ...]
    training: bool
    masks: tuple[str, ...]  # arguments named mask or <argument>_mask
    any_keyword: bool


@functools.cache
def signature_of(function: Any) -> Signature:
    parameters = dict(list(inspect.signature(function).parameters.items())[1:])  # without self, whatever its name
    names = tuple(n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    masks = tuple(n for n in names if n == "mask" or n.endswith("_mask"))
    return Signature(names, "training" in names, masks, any(p.kind is p.VAR_KEYWORD for p in parameters.values()))


def parameters_of(function: Any) -> inspect.Signature:
    """What `inspect.signature`, which is slow, says of a function, or of a class's method for one object: once for each."""
    known, key = (_of_methods, function.__func__) if inspect.ismethod(function) else (_of_functions, function)
    try:
        if key not in known:
            known[key] = inspect.signature(function)
        return known[key]
    except TypeError:  # a callable that nothing can refer to weakly
        return inspect.signature(function)


def snake_case(name: str) -> str:
    """Keras's automatic names: Conv2DTranspose -> conv2d_transpose, LSTM -> lstm."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
