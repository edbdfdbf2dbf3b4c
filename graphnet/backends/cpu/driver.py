"""From a graph and the shapes of its inputs to a plan: where each tensor lies, and which kernel computes it."""
import importlib
import math
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from graphnet.backends.cpu import kernels, weights
from graphnet.backends.cpu.blocks import in_blocks
from graphnet.backends.cpu.kernels.convolution import required_halo
from graphnet.backends.cpu.lanes import Lanes
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Plan
from graphnet.backends.cpu.updating import InPlace, in_place
from graphnet.backends.numpy.interpreter import bind_extents
from graphnet.dims import Symbol
from graphnet.errors import GraphError
from graphnet.graph import Constant, Graph, Leaf, Node, Read, Spec, Tensor
from graphnet.op import View
from graphnet.ops.layout import BroadcastTo, Concatenate, Reshape, Slice, StopGradient, Transpose
from graphnet.passes.fuse import Epilogue
from graphnet.passes.fuse_bottleneck import Bottleneck
from graphnet.passes.fuse_separable import Separable
from graphnet.settings import settings

KNOWN = 1024  # elements of a constant that is computed while the plan is made

for _module in pkgutil.iter_modules(kernels.__path__):
    importlib.import_module(f"{kernels.__name__}.{_module.name}")


def lower_graph(graph: Graph, shapes: Sequence[tuple[int, ...]], threads: int, parts: Any = None,
                lanes: Lanes | None = None) -> Plan:
    """The plan of a graph for inputs of these shapes; no user code runs, and nothing is compiled that another plan has used.

    Args:
        parts: a mapping that keeps the plans of the graph's parts for those of other shapes.
        lanes: the memory that those parts run on.
    """
    driver = Driver(graph, shapes, threads)
    cut = in_blocks(graph, driver.specs, driver.extents)
    if cut is not None:
        driver = Driver(cut, shapes, threads)
    driver.builder.parts, driver.builder.lanes = {} if parts is None else parts, lanes
    return driver.plan()


def lower_part(graph: Graph, shapes: Sequence[tuple[int, ...]], threads: int, extents: Mapping[Symbol, int]) -> Plan:
    """The plan of a part of a graph, as one whole; its inputs alone may not tell all unknown extents."""
    return Driver(graph, shapes, threads, extents).plan()


class Driver:
    """One lowering: extents filled in, destinations chosen, steps added."""

    def __init__(self, graph: Graph, shapes: Sequence[tuple[int, ...]], threads: int,
                 extents: Mapping[Symbol, int] | None = None) -> None:
        self.graph, self.builder = graph, Builder(threads=threads)
        self.values: dict[Any, Operand] = {}
        self.targets: dict[Any, Operand] = {}
        self.ops: dict[Node, Any] = {}
        self.specs: dict[Any, Any] = {}  # a Spec each, every extent known
        self.extents = {**(extents or {}), **bind_extents(graph, shapes)}
        self._bind(shapes, self.extents)

    def _bind(self, shapes: Sequence[tuple[int, ...]], extents: Mapping[Symbol, int]) -> None:
        """Known shapes for every tensor; what could not be proven equal before is checked here."""
        for tensor, shape in zip(self.graph.inputs, shapes, strict=True):
            self.specs[tensor.key] = Spec(tuple(shape), tensor.dtype)
        for node in self.graph.nodes:
            if isinstance(node.op, Leaf):
                self.specs[node, 0] = node.specs[0]
                continue
            op = self.ops[node] = node.op.bind(extents)
            try:
                inferred = op.infer(*[self.specs[t.key] for t in node.inputs])
            except GraphError as error:
                raise type(error)(f"{error}\n  in layer {node.scope or node.name!r}, for inputs of shapes {', '.join(map(str, shapes))}") from None
            for i, spec in enumerate(inferred if type(inferred) is tuple else (inferred,)):
                self.specs[node, i] = spec

    def plan(self) -> Plan:
        builder, graph = self.builder, self.graph
        for tensor in graph.inputs:
            spec = self.specs[tensor.key]
            self.values[tensor.key] = builder.input(spec.shape, spec.dtype)
        outputs = [builder.output(self.specs[t.key].shape, self.specs[t.key].dtype) for t in graph.outputs]
        late = in_place(graph) if graph.updates else {}
        self._place(outputs)
        for node in graph.nodes:
            if node not in late:
                builder.label = node.scope or node.name
                self._emit(node)
        builder.label = "output"
        for tensor, output in zip(graph.outputs, outputs, strict=True):
            value = self.values[tensor.key]
            if value is not output and (value.buffer is not output.buffer):
                builder.copy(value, output)
        if graph.updates:
            self._update(late)
        return builder.finish()

    def _update(self, late: InPlace) -> None:
        """The last stretch, which writes variables, and runs only if nothing before it failed: a step happens whole or not at all."""
        builder = self.builder
        builder.label = "update"
        written = {variable for variables in late.values() for variable in variables}
        values = {}
        for variable, tensor in self.graph.updates.items():
            if variable not in written:
                value = self.values[tensor.key]
                if value.buffer.kind == "variable":  # it may be overwritten before it is read
                    source, value = value, builder.temporary(value.shape, value.dtype)
                    builder.copy(source, value)
                values[variable] = value
        builder.barrier()
        for node, variables in late.items():
            builder.label = node.scope or node.name
            self.targets |= {(node, i): builder.variable(variable) for i, variable in enumerate(variables)}
            self._emit(node)
        builder.label = "update"
        for variable, value in values.items():
            builder.copy(value, builder.variable(variable))

    # ---- where results are written

    def _place(self, outputs: Sequence[Operand]) -> None:
        """Chooses destinations, readers first: an output's own array, a part of a concatenation, a buffer with the halo its reader wants."""
        for tensor, output in zip(self.graph.outputs, outputs, strict=True):
            self._aim(tensor, output)
        for node in reversed(self.graph.nodes):
            op = self.ops.get(node)
            if isinstance(op, Concatenate) and self.specs[node, 0].dtype == "float32":
                self._place_parts(node, op)
            if len(node.inputs) > 1:
                self._place_padded(node, op.producer if isinstance(op, Epilogue | Separable | Bottleneck) else op)

    def _place_padded(self, node: Node, contraction: Any) -> None:
        source, window = node.inputs[:2]
        spec = self.specs[source.key]
        if spec.dtype == "float32" and self._computed(source) and source.key not in self.targets:  # other dtypes have no kernel
            halo = required_halo(contraction, spec.shape, self.specs[window.key].shape)
            if halo is not None:
                self.targets[source.key] = self.builder.temporary(spec.shape, spec.dtype, halo)

    def _place_parts(self, node: Node, op: Concatenate) -> None:
        spec = self.specs[node, 0]
        whole = self.targets.get((node, 0))
        if whole is None:
            whole = self.targets[node, 0] = self.builder.temporary(spec.shape, spec.dtype)
        at = 0
        for t in node.inputs:
            extent = self.specs[t.key].shape[op.axis]
            starts = tuple([at if i == op.axis else 0 for i in range(len(spec.shape))])
            stops = tuple([at + extent if i == op.axis else s for i, s in enumerate(spec.shape)])
            self._aim(t, whole.slice(starts, stops))
            at += extent

    def _aim(self, tensor: Tensor, target: Operand) -> None:
        """Lets a tensor be computed into a target; through reshapes, to what they are views of."""
        while isinstance(self.ops.get(tensor.node), Reshape) and target.contiguous:
            tensor = tensor.node.inputs[0]
            target = target.reshape(self.specs[tensor.key].shape)  # type: ignore[assignment]
        if self._computed(tensor) and tensor.key not in self.targets and target.dtype == self.specs[tensor.key].dtype:
            self.targets[tensor.key] = target

    def _computed(self, tensor: Tensor) -> bool:
        op = self.ops.get(tensor.node)
        return op is not None and not isinstance(op, View)

    # ---- steps

    def _emit(self, node: Node) -> None:
        op, builder = self.ops.get(node), self.builder
        if op is None:
            self.values[node, 0] = self._leaf(node.op)
            return
        inputs = [self.values[t.key] for t in node.inputs]
        if self._known(node, inputs):
            result = op.reference(*[x.constant for x in inputs])
            self.values[node, 0] = builder.constant(result[0] if isinstance(result, tuple) else result)
            return
        if isinstance(op, View):
            self.values[node, 0] = self._view(op, inputs[0], self.specs[node, 0].shape)
            return
        used = self._used()
        outputs: list[Any] = []
        for i in range(len(node.specs)):
            spec = self.specs[node, i]
            if (node, i) not in used and len(node.specs) > 1:
                outputs.append(None)
                continue
            target = self.targets.get((node, i))
            outputs.append(builder.temporary(spec.shape, spec.dtype) if target is None else target)
            self.values[node, i] = outputs[-1]
        if all(y is None or y.size == 0 for y in outputs):
            return
        for y in outputs:
            if y is not None:
                builder.clear_halo(y.buffer)  # now: kernels that check indices have their step's number beforehand
        lower = lowering_of(op.producer if isinstance(op, Epilogue) else op)
        if lower is not None and all(x.size for x in inputs):
            done = lower(op.producer, inputs, outputs, builder, op) if isinstance(op, Epilogue) else lower(op, inputs, outputs, builder)
            if done is not False:
                return
        outputs = [builder.temporary(self.specs[node, i].shape, self.specs[node, i].dtype) if y is None else y for i, y in enumerate(outputs)]
        builder.python_step(op.reference, inputs, outputs, builder.label)

    def _known(self, node: Node, inputs: Sequence[Operand]) -> bool:
        """Whether a result is a small constant, now that all extents are known."""
        spec = self.specs[node, 0]
        small = len(node.specs) == 1 and math.prod(spec.shape) <= KNOWN and not isinstance(self.ops[node], View)
        return small and all(x.buffer.kind == "constant" for x in inputs)

    def _used(self) -> set[Any]:
        if not hasattr(self, "_used_keys"):
            self._used_keys = {t.key for n in self.graph.nodes for t in n.inputs} | {t.key for t in self.graph.roots}
        return self._used_keys

    def _leaf(self, op: Leaf) -> Operand:
        if isinstance(op, Read):
            return self._weight(op.variable) if op.variable not in self.graph.updates else self.builder.variable(op.variable)
        if isinstance(op, Constant):
            return self.builder.constant(op.value)
        sources = op.variables  # type: ignore[attr-defined]
        spec = op.infer()
        return self._weight(weights.derived(sources, ("folded", op), lambda *_: op.compute(), (spec.shape, spec.dtype)))  # type: ignore[arg-type]

    def _weight(self, source: weights.Source) -> Operand:
        """As a weight, of which packed copies are kept; else as a variable, which each call reads anew."""
        return self.builder.weight(source) if settings.packed else self.builder.variable(source)

    def _view(self, op: View, x: Operand, shape: tuple[int, ...]) -> Operand:
        if isinstance(op, Reshape):
            seen = x.reshape(shape)
            return self.builder.contiguous(x).reshape(shape) if seen is None else seen  # type: ignore[return-value]
        if isinstance(op, Transpose):
            return x.transpose(op.axes)
        if isinstance(op, BroadcastTo):
            return x.broadcast(shape)
        if isinstance(op, Slice):
            bounds = [slice(a, b, c).indices(s) for a, b, c, s in zip(op.starts, op.stops, op.steps, x.shape, strict=True)]
            return x.slice(*(tuple(v) for v in zip(*bounds, strict=True))) if bounds else x
        if isinstance(op, StopGradient):
            return x
        raise AssertionError(f"no view for {op}")
