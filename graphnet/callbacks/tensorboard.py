"""TensorBoard: metrics, weights and the model's graph in files that TensorBoard shows."""
import contextlib
import os
import time
from typing import Any

import numpy as np

from graphnet import profiler
from graphnet.callbacks import projector
from graphnet.callbacks.callback import Callback
from graphnet.callbacks.learning_rate import log_rates
from graphnet.errors import GraphError
from graphnet.visualization.event_graph import graph_def
from graphnet.visualization.events import EventWriter, tensorboard_protocol


class TensorBoard(Callback):
    """Writes what TensorBoard shows (``tensorboard --logdir=logs``), with Keras's tags, in the runs "train" and "validation".

    ``epoch_<name>`` for each name in an epoch's logs and ``epoch_learning_rate``, at the epoch; ``batch_<name>`` at the batch;
    ``evaluation_<name>_vs_iterations`` at the optimizer's iterations; ``<weight's path>/histogram`` and ``/image``; the
    graph of the model's calls, and the model as JSON under the tag "keras". It needs the package tensorboard, and no
    TensorFlow.

    Arguments:
        log_dir: folder of this run of training, and of no other.
        histogram_freq: every how many epochs histograms of the weights are written; 0: never.
        write_graph: whether the model's graph is; a subclassed model has none.
        write_images: whether weights are written as pictures too, with the histograms; the least weight is black.
        write_steps_per_second: whether ``epoch_steps_per_second`` and ``batch_steps_per_second`` are.
        update_freq: "epoch"; "batch", or a number of batches after which the metrics so far are written too.
        profile_batch: the batch, or the first and the last batch, counted from 1 over all epochs, that `graphnet.profiler`
            records: 2, (2, 5) or "2,5". They take longer than others. 0: none.
        embeddings_freq: every how many epochs the tables of Embedding layers are written for the projector; 0: never.
        embeddings_metadata: file with the words of a table's rows, or a dict of such files by the layers' names.

    Raises ImportError where tensorboard is missing, ValueError for other frequencies or batches, or for layers in
    ``embeddings_metadata`` that are no Embedding. Source: https://keras.io/api/callbacks/tensorboard/

    Example:

        >>> import importlib.util
        >>> import graphnet
        >>> if importlib.util.find_spec("tensorboard"):
        ...     board = graphnet.callbacks.TensorBoard("logs", histogram_freq=1)
    """

    def __init__(self, log_dir: Any = "logs", histogram_freq: int = 0, write_graph: bool = True, write_images: bool = False,
                 write_steps_per_second: bool = False, update_freq: Any = "epoch", profile_batch: Any = 0,
                 embeddings_freq: int = 0, embeddings_metadata: Any = None) -> None:
        super().__init__()
        tensorboard_protocol()  # an error now, not when training has begun
        self._profiled, self._profiling = _batches(profile_batch), False
        if update_freq not in ("batch", "epoch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(f"TensorBoard expects update_freq 'epoch', 'batch' or a number of batches; "
                             f"received {update_freq!r}.")
        self.log_dir, self.histogram_freq, self.embeddings_freq = os.fspath(log_dir), histogram_freq, embeddings_freq
        self.write_graph, self.write_images, self.write_steps_per_second = write_graph, write_images, write_steps_per_second
        self.update_freq, self.embeddings_metadata = 1 if update_freq == "batch" else update_freq, embeddings_metadata
        self._writers: dict[str, EventWriter] = {}
        self._in_fit = self._graph_due = False
        self._batch = self._epoch_iterations = 0
        self._batch_start = self._epoch_start = 0.0

    @property
    def wants_batch_logs(self) -> bool:
        return self._records(self._batch)

    def release(self) -> None:
        if self._profiling:
            self._profiling = False
            profiler.stop()
        for writer in self._writers.values():
            writer.close()
        self._writers, self._in_fit = {}, False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.release()
        self._in_fit, self._batch = True, 0
        self._graph_due = self.write_graph
        self._write_graph()
        if self.embeddings_freq:
            projector.configure(self.model, self.log_dir, self.embeddings_metadata)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.release()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batch += 1
        if self._batch == self._profiled[0]:
            profiler.start(self.log_dir)
            self._profiling = True
        self._batch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._profiling and self._batch == self._profiled[1]:
            self._profiling = False
            profiler.stop()
        if not self._records(self._batch):
            return
        writer = self._writer("train")
        if self.write_steps_per_second:
            writer.scalar("batch_steps_per_second", 1 / (time.perf_counter() - self._batch_start), self._batch)
        for name, value in (logs or {}).items():
            writer.scalar(f"batch_{name}", value, self._batch)
        writer.flush()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if getattr(self.model, "optimizer", None) is not None:
            for name, value in (logs or {}).items():
                self._writer("validation").scalar(f"evaluation_{name}_vs_iterations", value, self._iterations())
        if not self._in_fit:
            self.release()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_start, self._epoch_iterations = time.perf_counter(), self._iterations()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._write_graph()
        self._write_epoch(epoch, logs or {})
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            projector.write_tables(self.model, self.log_dir)
        for writer in self._writers.values():
            writer.flush()

    def _records(self, batch: int) -> bool:
        return self.update_freq != "epoch" and batch % self.update_freq == 0

    def _writer(self, run: str) -> EventWriter:
        """The writer of a run, whose file is made when it is first needed."""
        if run not in self._writers:
            self._writers[run] = EventWriter(os.path.join(self.log_dir, run))
        return self._writers[run]

    def _iterations(self) -> int:
        return int(getattr(getattr(self.model, "optimizer", None), "iterations", 0))

    def _write_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        if logs:
            log_rates(self.model, train)
        if self.write_steps_per_second:
            steps = self._iterations() - self._epoch_iterations
            train["steps_per_second"] = steps / (time.perf_counter() - self._epoch_start)
        for name, value in train.items():
            self._writer("train").scalar(f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                self._writer("validation").scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)

    def _write_graph(self) -> None:
        """Once in a run, and only when the model is built; a subclassed model has no graph."""
        if not self._graph_due or not self.model.built:
            return
        self._graph_due = False
        with contextlib.suppress(GraphError):
            self._writer("train").graph(graph_def(self.model.graph))
            with contextlib.suppress(TypeError, ValueError, NotImplementedError):  # a layer of one's own, without get_config
                self._writer("train").keras_model(self.model.to_json())

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for layer in self.model.layers:
            for weight in layer.weights:
                name, value = weight.path.replace(":", "_"), np.asarray(weight)
                writer.histogram(f"{name}/histogram", value, epoch)
                if self.write_images:
                    for suffix, picture in _pictures(value):
                        writer.image(f"{name}/image{suffix}", picture, epoch)


def _batches(profile_batch: Any) -> tuple[int, int]:
    """The first and the last batch of a profile; (0, 0) for none."""
    given = profile_batch.split(",") if isinstance(profile_batch, str) else profile_batch
    try:
        numbers = [int(number) for number in given] if isinstance(given, (list, tuple)) else [int(given or 0)]
        first, last = numbers * 2 if len(numbers) == 1 else numbers
    except (TypeError, ValueError):
        first, last = 1, 0
    if not 0 <= first <= last:
        raise ValueError("TensorBoard expects profile_batch to be the number of a batch, or a pair of the first and the last "
                         f"one, such as (2, 5) or '2,5'; received {profile_batch!r}.")
    return first, last


def _pictures(weight: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Up to three pictures of a weight, grey from its least number to its greatest: a vector as a line, a matrix, each kernel
    of a one-dimensional convolution; none of weights with more axes.
    """
    values = np.squeeze(weight)
    if values.ndim not in (1, 2, 3) or not values.size or not np.isfinite(values).all():
        return []
    low, high = float(values.min()), float(values.max())
    grey = (values - low) / ((high - low) or 1)
    if grey.ndim == 1:
        return [("", grey[:, None])]
    if grey.ndim == 2:
        return [("", grey if grey.shape[0] <= grey.shape[1] else grey.T)]
    return [(f"/{index}", grey[:, :, index]) for index in range(min(3, grey.shape[2]))]
