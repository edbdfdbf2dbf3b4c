"""Scalars, histograms, images and text, as the messages that the tensorboard package's own plugins make of them."""
from typing import Any

import numpy as np

from graphnet.errors import DTypeError, ShapeError
from graphnet.summary.writer import record, tag_of
from graphnet.visualization.events import EventWriter, pixels_of, png, tensorboard_protocol


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Records a number.

    Arguments: ``name``, which becomes the tag, behind the names of the name scopes around; ``data`` a real number; ``step``,
    by default the one that was set; ``description``, which TensorBoard shows as Markdown. Gives True, or False where nothing
    is recorded: there is no default writer, or `record_if` says no. Raises ShapeError for more than one number, DTypeError
    for what is no real number, ValueError where there is no step. Source:
    https://www.tensorflow.org/api_docs/python/tf/summary/scalar

    Example:

        >>> import graphnet
        >>> graphnet.summary.scalar("loss", 0.5, step=0)  # there is no default writer
        False
    """
    def write(events: EventWriter, at: int) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        value = numbers(data, "scalar", name)
        if value.shape != ():
            raise ShapeError(f"graphnet.summary.scalar expects one number for {name!r}; received shape {value.shape}. "
                             "Record its mean, or graphnet.summary.histogram.")
        events.summary(scalar_pb(tag_of(name), value, description), at)
    return record("scalar", step, write)


def histogram(name: str, data: Any, step: Any = None, buckets: int | None = None, description: str | None = None) -> bool:
    """Records how an array's numbers are distributed; NaN and inf are left out.

    Arguments: ``data`` numbers of any shape; ``buckets`` how many, of equal width, 30 by default; else, and what it gives and
    raises, as in `scalar`. Source: https://www.tensorflow.org/api_docs/python/tf/summary/histogram

    Example:

        >>> import graphnet
        >>> graphnet.summary.histogram("weights", [0.1, 0.2], step=0)
        False
    """
    def write(events: EventWriter, at: int) -> None:
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb
        values = numbers(data, "histogram", name).astype("float64").ravel()
        events.summary(histogram_pb(tag_of(name), values[np.isfinite(values)], buckets, description), at)
    return record("histogram", step, write)


def image(name: str, data: Any, step: Any = None, max_outputs: int = 3, description: str | None = None) -> bool:
    """Records pictures.

    Arguments: ``data`` of shape (pictures, height, width, channels) with 1 (grey), 3 (colours) or 4 channels (and opacity),
    bytes, or floats from 0 to 1; ``max_outputs`` of them are kept; else, and what it gives, as in `scalar`. Raises ShapeError
    for other shapes, ValueError where there is no step. Source: https://www.tensorflow.org/api_docs/python/tf/summary/image

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.summary.image("digits", np.zeros((10, 28, 28, 1)), step=0)
        False
    """
    def write(events: EventWriter, at: int) -> None:
        from tensorboard.plugins.image.metadata import create_summary_metadata
        pictures = numbers(data, "image", name)
        if pictures.ndim != 4:
            raise ShapeError(f"graphnet.summary.image expects shape (pictures, height, width, channels) for {name!r}; received "
                             f"shape {pictures.shape}. Add an axis for one picture: data[None].")
        protocol = tensorboard_protocol()
        height, width = pictures.shape[1:3]
        kept = [png(pixels_of(picture, f"graphnet.summary.image {name!r}")) for picture in pictures[:max_outputs]]
        tensor = protocol.Tensor(dtype=protocol.types.DT_STRING, string_val=[str(width).encode(), str(height).encode(), *kept])
        tensor.tensor_shape.dim.add(size=len(tensor.string_val))
        value = protocol.Summary.Value(tag=tag_of(name), tensor=tensor, metadata=create_summary_metadata(None, description))
        events.summary(protocol.Summary(value=[value]), at)
    return record("image", step, write)


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Records a text, or an array of up to two axes of texts; TensorBoard shows them as Markdown, an array as a table.

    Arguments, what it gives: as in `scalar`. Raises DTypeError for what is no text, ValueError where there is no step.
    Source: https://www.tensorflow.org/api_docs/python/tf/summary/text

    Example:

        >>> import graphnet
        >>> graphnet.summary.text("note", "*first* run", step=0)
        False
    """
    def write(events: EventWriter, at: int) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb
        texts = np.asarray(data)
        if texts.dtype.kind not in "USTO" or not all(isinstance(item, (str, bytes)) for item in texts.astype(object).ravel()):
            raise DTypeError(f"graphnet.summary.text expects text for {name!r}; received {data!r}.")
        events.summary(text_pb(tag_of(name), texts.astype(object), description), at)
    return record("text", step, write)


def numbers(data: Any, who: str, name: str) -> np.ndarray:
    """The data as an array of real numbers; DTypeError where it is none."""
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"graphnet.summary.{who} expects real numbers for {name!r}; received {type(data).__name__} of "
                         f"dtype {array.dtype}.")
    return array


__all__ = ["histogram", "image", "scalar", "text"]
