"""What TensorBoard shows, as TensorFlow 2 users write it: scalars, histograms, images, text, graphs, traces of functions.

A writer is made for a folder, and is the default in a context; without a default writer nothing is recorded. The event files
need the package tensorboard (``pip install graphnet[tensorboard]``), and no TensorFlow. ``%load_ext tensorboard`` and
``%tensorboard --logdir logs`` show the folder in a notebook.

Example:

    >>> import importlib.util, tempfile
    >>> import graphnet
    >>> graphnet.summary.scalar("loss", 0.5, step=0)  # no default writer
    False
    >>> if importlib.util.find_spec("tensorboard"):
    ...     with tempfile.TemporaryDirectory() as folder, graphnet.summary.create_file_writer(folder).as_default():
    ...         done = graphnet.summary.scalar("loss", 0.5, step=0)
"""
from graphnet.summary import experimental as experimental
from graphnet.summary.graphs import graph as graph
from graphnet.summary.graphs import trace_export as trace_export
from graphnet.summary.graphs import trace_off as trace_off
from graphnet.summary.graphs import trace_on as trace_on
from graphnet.summary.records import histogram as histogram
from graphnet.summary.records import image as image
from graphnet.summary.records import scalar as scalar
from graphnet.summary.records import text as text
from graphnet.summary.writer import SummaryWriter as SummaryWriter
from graphnet.summary.writer import create_file_writer as create_file_writer
from graphnet.summary.writer import flush as flush
from graphnet.summary.writer import record_if as record_if
from graphnet.summary.writer import should_record_summaries as should_record_summaries

__all__ = [
    "SummaryWriter", "create_file_writer", "experimental", "flush", "graph", "histogram", "image", "record_if", "scalar",
    "should_record_summaries", "text", "trace_export", "trace_off", "trace_on",
]
