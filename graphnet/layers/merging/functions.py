"""The merging layers as functions: add([x, y]) is Add()([x, y])."""
from collections.abc import Callable, Sequence
from typing import Any

from graphnet.layers.merging.base import Merge
from graphnet.layers.merging.concatenate import Concatenate
from graphnet.layers.merging.dot import Dot
from graphnet.layers.merging.elementwise import Add, Average, Maximum, Minimum, Multiply, Subtract

_DOC = """``{name}()(inputs)``: {what} of a list of inputs. Further arguments are those of `{name}`.

    Source: https://keras.io/api/layers/merging_layers/

    Example:

        >>> import graphnet
        >>> x, y = graphnet.Input((3,)), graphnet.Input((3,))
        >>> graphnet.layers.{function}([x, y]).shape
        (None, 3)
    """


def _function(kind: type[Merge], what: str) -> Callable[..., Any]:
    def merged(inputs: Sequence[Any], **kwargs: Any) -> Any:
        return kind(**kwargs)(inputs)
    merged.__name__ = merged.__qualname__ = kind.__name__.lower()
    merged.__doc__ = _DOC.format(name=kind.__name__, function=merged.__name__, what=what)
    return merged


add = _function(Add, "the sum")
subtract = _function(Subtract, "the difference")
multiply = _function(Multiply, "the product")
average = _function(Average, "the mean")
maximum = _function(Maximum, "the largest")
minimum = _function(Minimum, "the smallest")


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """``Concatenate(axis)(inputs)``: inputs one behind the other.

    Source: https://keras.io/api/layers/merging_layers/concatenate/

    Example:

        >>> import graphnet
        >>> graphnet.layers.concatenate([graphnet.Input((3,)), graphnet.Input((4,))]).shape
        (None, 7)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """``Dot(axes)(inputs)``: products of two inputs, summed over an axis of each.

    Source: https://keras.io/api/layers/merging_layers/dot/

    Example:

        >>> import graphnet
        >>> graphnet.layers.dot([graphnet.Input((3,)), graphnet.Input((3,))]).shape
        (None, 1)
    """
    return Dot(axes=axes, **kwargs)(inputs)
