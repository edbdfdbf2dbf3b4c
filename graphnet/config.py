"""Process-wide choices, with Keras's names: the float type, epsilon, the image data format."""
from graphnet.dtypes import floatx as floatx
from graphnet.dtypes import set_floatx as set_floatx

_state = {"epsilon": 1e-7, "image_data_format": "channels_last"}


def epsilon() -> float:
    """The small number that keeps divisions away from zero.

    Example:

        >>> import graphnet
        >>> graphnet.config.epsilon()
        1e-07
    """
    return float(_state["epsilon"])


def set_epsilon(value: float) -> None:
    """Sets `epsilon`.

    Example:

        >>> import graphnet
        >>> graphnet.config.set_epsilon(1e-5)
        >>> graphnet.config.epsilon()
        1e-05
        >>> graphnet.config.set_epsilon(1e-7)
    """
    _state["epsilon"] = float(value)


def image_data_format() -> str:
    """The default of layers' data_format: "channels_last" or "channels_first".

    Example:

        >>> import graphnet
        >>> graphnet.config.image_data_format()
        'channels_last'
    """
    return str(_state["image_data_format"])


def set_image_data_format(data_format: str) -> None:
    """Sets `image_data_format`.

    Example:

        >>> import graphnet
        >>> graphnet.config.set_image_data_format("channels_first")
        >>> graphnet.layers.MaxPooling2D().data_format
        'channels_first'
        >>> graphnet.config.set_image_data_format("channels_last")
    """
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"set_image_data_format expects 'channels_last' or 'channels_first'; received {data_format!r}.")
    _state["image_data_format"] = data_format


def standardize_data_format(data_format: str | None) -> str:
    """A layer's data_format argument: None means the default.

    Example:

        >>> import graphnet
        >>> graphnet.config.standardize_data_format(None)
        'channels_last'
    """
    chosen = image_data_format() if data_format is None else data_format
    if chosen not in ("channels_last", "channels_first"):
        raise ValueError(f"data_format expects 'channels_last' or 'channels_first'; received {data_format!r}.")
    return chosen


def backend() -> str:
    """The name of the backend that runs models.

    Example:

        >>> import graphnet
        >>> graphnet.config.backend()
        'numba'
    """
    return "numba"

__all__ = [
    "backend", "epsilon", "floatx", "image_data_format", "set_epsilon", "set_floatx", "set_image_data_format",
    "standardize_data_format",
]
