"""EventWriter: TensorBoard's event files, by the tensorboard package's own messages and records; TensorFlow is not needed."""
import os
import socket
import struct
import time
import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np

from graphnet.errors import ShapeError

_BUCKETS = 30  # of a histogram, as many as TensorFlow's have
_opened = [0]  # files of this process: their names differ even within one second


def tensorboard_protocol() -> SimpleNamespace:
    """The messages and the record writer of the tensorboard package.

    Raises ImportError, which says how to install it, where it is missing.
    """
    try:
        from tensorboard.compat.proto import config_pb2, event_pb2, function_pb2, graph_pb2, summary_pb2, tensor_pb2, types_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise ImportError("TensorBoard's files need the package tensorboard: pip install graphnet[tensorboard]") from error

    def dtype(name: str) -> int:
        word = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}.get(name, name.upper())
        return int(getattr(types_pb2, f"DT_{word}", types_pb2.DT_INVALID))

    return SimpleNamespace(
        Event=event_pb2.Event, Function=function_pb2.FunctionDef, GraphDef=graph_pb2.GraphDef,
        Histogram=summary_pb2.HistogramProto, RecordWriter=RecordWriter, RunMetadata=config_pb2.RunMetadata,
        Summary=summary_pb2.Summary, SummaryMetadata=summary_pb2.SummaryMetadata, Tensor=tensor_pb2.TensorProto,
        dtype=dtype, types=types_pb2,
    )


class EventWriter:
    """Writes one event file into a folder, which TensorBoard shows as one run: ``tensorboard --logdir=...``.

    Scalars, histograms and images are written in the form that every version of TensorBoard reads, and that the package's
    ``EventAccumulator`` gives back by ``Scalars(tag)``, ``Histograms(tag)`` and ``Images(tag)``.

    Arguments: ``log_dir``, made where it is not there; ``suffix`` of the file's name. Raises ImportError where the package
    tensorboard is missing. Source of the format: https://github.com/tensorflow/tensorboard (compat/proto/event.proto).

    Example:

        >>> import importlib.util, tempfile
        >>> from graphnet.visualization.events import EventWriter
        >>> if importlib.util.find_spec("tensorboard"):
        ...     with tempfile.TemporaryDirectory() as folder, EventWriter(folder) as writer:
        ...         writer.scalar("epoch_loss", 0.5, step=0)
    """

    def __init__(self, log_dir: Any, suffix: str = "") -> None:
        self._protocol = tensorboard_protocol()
        self.log_dir = os.fspath(log_dir)
        os.makedirs(self.log_dir, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{_opened[0]}{suffix}"
        _opened[0] += 1
        self.path = os.path.join(self.log_dir, name)
        self._records = self._protocol.RecordWriter(open(self.path, "xb"))
        self._write(self._protocol.Event(wall_time=now, file_version="brain.Event:2"))
        self.flush()

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """A number, at a step."""
        self._summary(step, tag=tag, simple_value=float(value))

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """How an array's numbers are distributed, in 30 equal buckets from the least to the greatest; NaN and inf are left
        out.
        """
        numbers = np.asarray(values, "float64").ravel()
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            counts, edges = np.histogram(numbers, _BUCKETS)
            histogram = self._protocol.Histogram(
                min=numbers.min(), max=numbers.max(), num=numbers.size, sum=numbers.sum(), sum_squares=np.square(numbers).sum(),
                bucket_limit=edges[1:].tolist(), bucket=counts.tolist(),
            )
        else:
            histogram = self._protocol.Histogram(bucket_limit=[0.0], bucket=[0.0])
        self._summary(step, tag=tag, histo=histogram)

    def image(self, tag: str, image: Any, step: int) -> None:
        """A picture: (height, width) or (height, width, channels), 1 (grey), 3 (colours) or 4 (and opacity); bytes, or floats
        from 0 to 1. Raises ShapeError for other shapes.
        """
        pixels = pixels_of(image, f"EventWriter.image {tag!r}")
        height, width, channels = pixels.shape
        self._summary(step, tag=tag, image=self._protocol.Summary.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=png(pixels)))

    def text(self, tag: str, text: str, step: int) -> None:
        """A text, which TensorBoard shows as Markdown."""
        self._strings(tag, text, step, plugin="text", shape=(1,))

    def graph(self, graph: Any) -> None:
        """A GraphDef, such as `graphnet.visualization.event_graph.graph_def` makes of ``model.graph``."""
        self._write(self._protocol.Event(wall_time=time.time(), graph_def=graph.SerializeToString()))

    def keras_model(self, json: str, tag: str = "keras", step: int = 0) -> None:
        """A model as ``model.to_json()`` has it, of which TensorBoard's page of graphs makes the one called "Keras"."""
        self._strings(tag, json, step, plugin="graph_keras_model", content=b"1")

    def traced_graphs(self, tag: str, graphs: Any, step: int) -> None:
        """GraphDefs of what was traced, which TensorBoard's page of graphs offers under the tag."""
        metadata = self._protocol.RunMetadata()
        for graph in graphs:
            metadata.function_graphs.add().pre_optimization_graph.CopyFrom(graph)
        self._strings(tag, metadata.SerializeToString(), step, plugin="graph_run_metadata_graph", content=b"1")

    def summary(self, summary: Any, step: int) -> None:
        """A Summary message, such as those that the tensorboard package's plugins make."""
        self._write(self._protocol.Event(wall_time=time.time(), step=int(step), summary=summary))

    def flush(self) -> None:
        """Hands what was written to the system, so that TensorBoard sees it."""
        if not self._records.closed:
            self._records.flush()

    def close(self) -> None:
        """Ends the file; closing it again does nothing."""
        if not self._records.closed:
            self._records.close()

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _strings(self, tag: str, text: str | bytes, step: int, plugin: str, content: bytes = b"",
                 shape: tuple[int, ...] = ()) -> None:
        value = text if isinstance(text, bytes) else text.encode()
        tensor = self._protocol.Tensor(dtype=self._protocol.types.DT_STRING, string_val=[value])
        for extent in shape:
            tensor.tensor_shape.dim.add(size=extent)
        metadata = self._protocol.SummaryMetadata()
        metadata.plugin_data.plugin_name, metadata.plugin_data.content = plugin, content
        self._summary(step, tag=tag, tensor=tensor, metadata=metadata)

    def _summary(self, step: int, **value: Any) -> None:
        summary = self._protocol.Summary(value=[self._protocol.Summary.Value(**value)])
        self.summary(summary, step)

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())


def pixels_of(image: Any, who: str) -> np.ndarray:
    """A picture as bytes of shape (height, width, channels); ShapeError where it is none."""
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise ShapeError(f"{who} expects shape (height, width) or (height, width, 1, 3 or 4); received shape "
                         f"{np.shape(image)}.")
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(np.nan_to_num(pixels.astype("float64")), 0, 1) * 255).astype("uint8")
    return pixels


def png(pixels: np.ndarray) -> bytes:
    """Bytes of shape (height, width, channels) as a PNG file. Source: https://www.w3.org/TR/png-3/

    Example:

        >>> import numpy as np
        >>> from graphnet.visualization.events import png
        >>> png(np.zeros((2, 3, 1), "uint8"))[:4]
        b'\\x89PNG'
    """
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), "uint8")  # each begins with the number of its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b""))


__all__ = ["EventWriter", "pixels_of", "png", "tensorboard_protocol"]
