"""Graphs: of models and of traced functions, and of all functions that run between `trace_on` and `trace_export`."""
import threading
import warnings
from typing import Any

from graphnet import profiler
from graphnet.functions import ConcreteFunction
from graphnet.functions.function import listeners
from graphnet.summary.writer import default_writer, should_record_summaries, step_or_default, tag_of
from graphnet.visualization.event_graph import graph_def
from graphnet.visualization.event_primitive import primitive_graph_def
from graphnet.visualization.events import EventWriter


def graph(graph_data: Any) -> bool:
    """Records a graph, as the one of the writer's run; it has no step.

    Arguments: ``graph_data`` a model, a `ConcreteFunction`, the networkx graph of either (``model.graph``,
    ``concrete.graph``), or a GraphDef. Gives True, or False where nothing is recorded. Raises TypeError for anything else,
    GraphError for a model that has no graph. Source: https://www.tensorflow.org/api_docs/python/tf/summary/graph

    Example:

        >>> import importlib.util, tempfile
        >>> import graphnet
        >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(2)])
        >>> if importlib.util.find_spec("tensorboard"):
        ...     with tempfile.TemporaryDirectory() as folder, graphnet.summary.create_file_writer(folder).as_default():
        ...         done = graphnet.summary.graph(model)
    """
    if not should_record_summaries():
        return False
    writer = default_writer.get()
    assert writer is not None
    definition = _definition(graph_data)
    writer.write(lambda events: events.graph(definition))
    writer.has_graph = True
    return True


def _definition(data: Any) -> Any:
    """A GraphDef of what has a graph."""
    if hasattr(data, "SerializeToString") and hasattr(data, "node"):
        return data
    found: Any = data if hasattr(data, "nodes") else getattr(data, "graph", None)
    if not hasattr(found, "nodes") or not hasattr(found, "graph"):
        raise TypeError("graphnet.summary.graph expects a model, a concrete function (function.get_concrete_function(...)), "
                        f"the networkx graph of one, or a GraphDef; received {data!r}.")
    if "updates" in found.graph:
        return primitive_graph_def({found.graph.get("name", "graph"): found})
    return graph_def(found)


class _Recording:
    """What runs between trace_on and trace_export."""

    def __init__(self, graph: bool, profile: bool, outdir: Any) -> None:
        self.functions: dict[int, ConcreteFunction] = {}
        self.graph, self.profile, self.outdir = graph, profile, outdir
        if profile:
            profiler.start(outdir)
        if graph:
            listeners.append(self.see)

    def see(self, concrete: ConcreteFunction) -> None:
        self.functions.setdefault(id(concrete), concrete)

    def end(self, save: bool) -> None:
        """Stops; the profile is written or dropped."""
        if self.graph:
            listeners.remove(self.see)
        if self.profile:
            profiler.stop(save)

    def definitions(self) -> dict[str, Any]:
        """The networkx graph of each function, by names that are all different."""
        graphs: dict[str, Any] = {}
        for concrete in self.functions.values():
            name, number = concrete.name, 0
            while name in graphs:
                number += 1
                name = f"{concrete.name}_{number}"
            graphs[name] = concrete.graph
        return graphs


_lock = threading.Lock()
_current: list[_Recording] = []  # one at most


def trace_on(graph: bool = True, profiler: bool = False, profiler_outdir: Any = None) -> None:
    """Begins to note the graphs of the `graphnet.function`s that run, in all threads, until `trace_export` or `trace_off`.

    Arguments: ``graph`` whether graphs are noted; ``profiler`` whether `graphnet.profiler` runs meanwhile, which makes runs
    slower; ``profiler_outdir`` where its files go, unless trace_export says. A trace that is on stays as it is, with a
    warning. Models that are called outside of functions are not noted: `graph` records theirs. Raises RuntimeError where a
    profiler runs already.
    Source: https://www.tensorflow.org/api_docs/python/tf/summary/trace_on

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.summary.trace_on()
        >>> y = graphnet.function(lambda x: 2 * x)(np.ones(3))
        >>> graphnet.summary.trace_off()
    """
    with _lock:
        if _current:
            warnings.warn("A trace is on already; it goes on. End it by graphnet.summary.trace_export or trace_off.",
                          stacklevel=2)
            return
        _current.append(_Recording(graph, profiler, profiler_outdir))


def trace_off() -> None:
    """Ends the trace, if one is on, and drops what it has noted.

    Example:

        >>> import graphnet
        >>> graphnet.summary.trace_off()
    """
    _end(save=False)


def _end(save: bool) -> _Recording | None:
    with _lock:
        recording = _current.pop() if _current else None
        if recording is not None:
            recording.end(save)
        return recording


def trace_export(name: str, step: Any = None, profiler_outdir: Any = None) -> None:
    """Ends the trace and records it: the graphs under a tag, and as the graph of the writer's run where it has none yet.

    Arguments: ``name`` the tag; ``step``, by default the one that was set; ``profiler_outdir`` the folder for the profile's
    files. Without a default writer no graph is recorded. Raises ValueError where no trace is on, where there is no step, and
    where a profile has no folder to go to; in these cases the trace goes on. Source:
    https://www.tensorflow.org/api_docs/python/tf/summary/trace_export

    Example: see `trace_on`.
    """
    if not _current:
        raise ValueError("graphnet.summary.trace_export: no trace is on. Call graphnet.summary.trace_on() before the functions "
                         "run.")
    recording = _current[0]
    recorded = recording.graph and should_record_summaries()
    at = step_or_default(step, "trace_export") if recorded else 0
    if recording.profile:
        folder = recording.outdir if profiler_outdir is None else profiler_outdir
        if folder is None:
            raise ValueError("graphnet.summary.trace_export: the profile has no folder to go to. Give profiler_outdir=...")
        profiler.redirect(folder)
    _end(save=True)
    if not recorded:
        return
    graphs = recording.definitions()
    if not graphs:
        warnings.warn("No graphnet.function ran while the trace was on, so no graph is recorded. Models that are called "
                      "outside of functions are recorded by graphnet.summary.graph(model).", stacklevel=2)
        return
    writer = default_writer.get()
    assert writer is not None
    first, tag, whole = not writer.has_graph, tag_of(name), primitive_graph_def(graphs)

    def write(events: EventWriter) -> None:
        events.traced_graphs(tag, [primitive_graph_def({key: value}) for key, value in graphs.items()], at)
        if first:
            events.graph(whole)
    writer.write(write)
    writer.has_graph = True


__all__ = ["graph", "trace_export", "trace_off", "trace_on"]
