"""The errors that graphnet raises; each is also the built-in kind that a Keras user catches."""


class GraphError(ValueError):
    """A graph that cannot be built or run as asked: disconnected, ambiguous, malformed."""


class ShapeError(GraphError):
    """Operands whose shapes do not fit; says what was expected, what was received, and where it was made."""


class DTypeError(TypeError):
    """An operand of a kind of number that the operation does not take."""


class SymbolicTensorError(TypeError):
    """A value was asked of a symbolic tensor, which has none until a model runs."""


class DataError(ValueError):
    """Data handed to a model that does not fit its inputs; nothing has run."""


class OutOfRangeError(IndexError, ValueError):
    """An index in the data lies outside the table that it looks into."""


class FileFormatError(ValueError):
    """A file that cannot be read as what it was taken for; nothing was changed."""


class UnsupportedError(ValueError, NotImplementedError):
    """Something that graphnet does not do; the text says what to do instead."""


class RetracingWarning(UserWarning):
    """A traced function is traced at most of its calls."""


class MaskDroppedWarning(UserWarning):
    """A mask reached a layer that does not take one, and was dropped, as Keras drops it."""

__all__ = [
    "DTypeError", "DataError", "FileFormatError", "GraphError", "MaskDroppedWarning", "OutOfRangeError", "RetracingWarning",
    "ShapeError", "SymbolicTensorError", "UnsupportedError",
]
