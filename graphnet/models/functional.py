"""Functional: a model made of a graph of layer calls between inputs and outputs."""
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnet import tree
from graphnet.compiler import Executable, plain
from graphnet.dims import renamed
from graphnet.errors import GraphError
from graphnet.graph import Node, Tensor
from graphnet.layers.core.input_layer import InputLayer
from graphnet.layers.layer import Layer, _training, edits
from graphnet.masking import get_mask, set_mask
from graphnet.models import data
from graphnet.models.copying import reduced
from graphnet.models.extraction import extract
from graphnet.models.model import Model
from graphnet.models.networkx_graph import to_networkx
from graphnet.models.topology import check_connected, walk
from graphnet.registry import builtin
from graphnet.tracing import current, restore

if TYPE_CHECKING:
    import networkx as nx


@builtin("models", "Model")
class Functional(Model):
    """A model whose graph is known: it can be drawn, cut anywhere, and runs as one plan. Made by ``Model(inputs, outputs)``.

    Example:

        >>> import graphnet
        >>> x = graphnet.Input((3,))
        >>> model = graphnet.Model(x, graphnet.layers.Dense(2)(x))
        >>> isinstance(model, graphnet.Functional), model.output_shape
        (True, (None, 2))
    """

    supports_masking = True

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True, **kwargs: Any) -> None:
        Layer.__init__(self, name=name, trainable=True, **kwargs)
        self._untracked_executables: dict[Any, Any] = {}
        self._untracked_fast: Any = None
        self._inputs_structure, self._outputs_structure = inputs, outputs
        self._input_tensors, self._output_tensors = (
            _tensors(inputs, "inputs", self.name),
            _tensors(outputs, "outputs", self.name),
        )
        self._check_inputs_unique()
        self._nodes, self._operations = walk(self._input_tensors, self._output_tensors)
        check_connected(self._input_tensors, self._output_tensors, self._nodes, self.name)
        self._check_names_unique()
        self.built, self.autocast = True, False
        if not trainable:
            self.trainable = False

    def _check_inputs_unique(self) -> None:
        keys = [t.key for t in self._input_tensors]
        names = [t.name for t in self._input_tensors]
        if len(set(keys)) < len(keys):
            raise GraphError(f"Model {self.name!r} expects each input once; received {names}.")

    def _check_names_unique(self) -> None:
        seen: dict[Any, Any] = {}
        scopes = {node.op: node.scope for node in self._nodes}  # of calls that an extracted model takes from nested ones
        for op in self._operations:
            if seen.setdefault((scopes.get(op), op.name), op) is not op:
                raise GraphError(f"Model {self.name!r} expects its layers to have different names; two are called {op.name!r}. "
                                 "Rename one: name='...'.")

    def _attributes(self) -> Any:
        return iter([self._operations])

    def _named_parts(self) -> dict[str, Any]:
        return {n: part for n, part in super()._named_parts().items() if not n.startswith("_")} | {"layers": self.layers}

    @property
    def inputs(self) -> list[Tensor]:
        """The symbolic inputs, in order."""
        return list(self._input_tensors)

    @property
    def outputs(self) -> list[Tensor]:
        """The symbolic outputs, in order."""
        return list(self._output_tensors)

    @property
    def input(self) -> Any:
        return self._inputs_structure

    @property
    def output(self) -> Any:
        return self._outputs_structure

    @property
    def input_shape(self) -> Any:
        shapes = tree.map_structure(lambda t: t.shape, self._inputs_structure)
        return shapes[0] if isinstance(shapes, list) and len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        shapes = tree.map_structure(lambda t: t.shape, self._outputs_structure)
        return shapes[0] if isinstance(shapes, list) and len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        return [t.name for t in self._input_tensors]

    @property
    def output_names(self) -> list[str]:
        """A name for each output: that of the layer that made it."""
        return [t.node.op.name for t in self._output_tensors]

    @property
    def layers(self) -> list[Layer]:
        return [op for op in self._operations if isinstance(op, Layer)]

    @property
    def _layers(self) -> list[Layer]:
        return self.layers

    @functools.cached_property
    def _untracked_graph(self) -> "nx.MultiDiGraph":
        return to_networkx(self)

    @property
    def graph(self) -> "nx.MultiDiGraph":
        """The model as a frozen `networkx.MultiDiGraph`: a node for each call, an edge for each operand.

        Node attributes: ``kind`` ("input", "layer", "op", "model"), ``layer`` (its name), ``class_name``, ``call`` (number of
        the call), ``input_shapes``, ``output_shapes``, ``output_dtypes``, ``params``, ``trainable``, ``activation``, ``graph``
        (of a nested model). An edge's key is the operand's position, its attribute ``output`` which output of the producer it
        is. Graph attributes: ``name``, ``inputs`` and ``outputs``, as (node, output).

        Example:

            >>> import graphnet, networkx
            >>> x = graphnet.Input((3,), name="x")
            >>> model = graphnet.Model(x, graphnet.layers.Dense(2, name="d")(x))
            >>> list(networkx.topological_sort(model.graph))
            ['x', 'd']
        """
        return self._untracked_graph

    def extract(self, *names: str) -> Model:
        """A model that gives intermediate features by name, and computes only what they need.

        Names are those of layers, globs ("block5_conv*"), paths into nested models ("encoder/conv2d_1"), and calls of shared
        layers ("name:1").
        The result is one array for one name that fits one call, else a list in the order asked for. Raises ValueError for what
        fits nothing.
        """
        return extract(self, names)

    # ---- running

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Replays the graph of calls on other values."""
        values, extents = self._start(inputs, mask)
        for node in self._nodes:
            if (node, 0) not in values:
                self._replay(node, values, extents)
        results = self._outputs_structure
        if isinstance(results, list) and len(results) == 1:
            results = results[0]  # as in Keras: a list of one output is given as that output
        return tree.map_structure(lambda t: values[t.key], results)

    def _start(self, inputs: Any, mask: Any = None) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """The values at which a replay begins, and what the unknown extents of the model's inputs are called in them."""
        values: dict[Any, Any] = {}
        given = self._match(inputs)
        extents: dict[Any, Any] = {}
        for tensor, value in zip(self._input_tensors, given, strict=True):
            extents.update(renamed(tensor.spec.shape, value.spec.shape if isinstance(value, Tensor) else np.shape(value)))
        masks = tree.flatten(mask) if mask is not None else [None] * len(given)
        for tensor, value, m in zip(self._input_tensors, given, masks, strict=True):
            if m is not None:
                set_mask(value, m)
            values[tensor.key] = value
        return values, extents

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """None: the outputs carry the masks that the layers inside gave them."""
        return None

    def _match(self, inputs: Any) -> list[Any]:
        return data.match(self._input_tensors, self._inputs_structure, inputs, f"model {self.name!r}")

    def _replay(self, node: Node, values: dict[Any, Any], extents: dict[Any, Any],
                run: Callable[..., Any] | None = None) -> None:
        args, kwargs = restore(node.arguments, [values[t.key] for t in node.inputs], extents)
        if len(args) == 1 and not kwargs and len(node.inputs) == 1 and getattr(node.op, "takes_mask", False):
            # Keras fixes it when the model is built, for calls on one tensor and nothing else
            mask = _mask_when_built(node.inputs[0], values)
            kwargs = {} if mask is None else {"mask": mask}
        result = node.op(*args, **kwargs) if run is None else run(node, *args, **kwargs)
        results = [r for r in tree.flatten(result) if r is not None]
        for i, result in enumerate(results):
            values[node, i] = result
        for offset, i in enumerate(node.structure[1]):
            mask = get_mask(results[i])
            # taken off an operand since the model was built: what reads this later still needs it
            if mask is None and isinstance(node.op, Layer):
                masks = tree.map_structure(lambda t: _mask_when_built(t, values), restore(node.arguments, node.inputs)[0][0])
                mask = tree.flatten(node.op.compute_mask(args[0], masks))[i]
            values[node, len(results) + offset] = mask

    def _cast(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args  # each layer inside casts for itself

    def executable(self, training: bool = False) -> tuple[Executable, Any]:
        """What runs the model on arrays, and the structure of its results (leaves are positions)."""
        self._settle()
        entry = self._untracked_executables.get(training)
        if entry is None:
            from graphnet.tracing import placeholder
            stand_ins = [placeholder(t.spec, t.name) for t in self._input_tensors]
            graph, structure = self._trace(stand_ins, lambda values: values, training)
            entry = self._untracked_executables.setdefault(training, (Executable(graph), structure))  # of callers at once the first one's
            self._untracked_seen = edits[0], self._marks()  # what the trace itself has set needs no other
        return entry

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs:
            x = args[0]
            if (
                type(x) is np.ndarray
                and self._untracked_fast is not None
                and self._untracked_seen[0] == edits[0]
                and current() is None
                and not _training.get()
            ):
                return self._untracked_fast(x)
            if current() is None and _all_arrays(x):
                return self._compiled(x, False)
        elif current() is None and len(args) == 1 and _all_arrays(args[0]) and set(kwargs) <= {"training"}:
            return self._compiled(args[0], bool(kwargs["training"]))
        return super().__call__(*args, **kwargs)

    def _compiled(self, x: Any, training: bool) -> Any:
        training = bool(_training.get()) or training
        executable, structure = self.executable(training)
        who = f"model {self.name!r}"
        arrays = [plain(data.convert(value, tensor.spec, tensor.name, who))
                  for tensor, value in zip(self._input_tensors, self._match(x), strict=True)]
        results = executable(arrays)
        if not training and len(arrays) == 1 and structure == 0:
            if self._untracked_fast is None:
                self._untracked_fast = executable.fast(lambda x: self._compiled(x, False))
            self._untracked_fast.add(executable.runner((arrays[0].shape,)))
        return results[structure] if type(structure) is int else tree.map_structure(lambda i: results[i], structure)

    def _profiled(self, x: Any) -> tuple[Executable, list[np.ndarray]]:
        executable, _ = self.executable()
        pairs = zip(self._input_tensors, self._match(x), strict=True)
        return executable, [data.convert(value, tensor.spec, tensor.name, f"model {self.name!r}") for tensor, value in pairs]

    def cost(self) -> Any:
        """Multiply-adds, bytes and memory of each layer, before anything runs; the batch, and what else is unknown, as a name.

        Gives a cost with ``layers``, ``total`` and ``at(batch=32)``, which puts in values.

        Example:

            >>> import graphnet
            >>> model = graphnet.Sequential([graphnet.Input((64,)), graphnet.layers.Dense(32, name="d")])
            >>> print(model.cost().total.multiply_adds, model.cost().at(batch=10).total.multiply_adds)
            2080*batch 20800
        """
        from graphnet.models.profiling import cost
        return cost(self)

    def _batch(self, x: Any) -> Any:
        return self(x) if type(x) is np.ndarray else self._compiled(x, False)

    def _prepare(self, x: Any) -> Any:
        """x with the arrays that are inputs of the model converted to their dtypes, and checked."""
        who = f"model {self.name!r}"
        inputs = {id(value): tensor for tensor, value in zip(self._input_tensors, self._match(x), strict=True)}
        return tree.map_structure(
            lambda leaf: data.convert(leaf, inputs[id(leaf)].spec, inputs[id(leaf)].name, who) if id(leaf) in inputs else leaf,
            x)

    def _open_extents(self, x: Any) -> dict[int, set[int]]:
        return {id(value): {axis for axis, extent in enumerate(tensor.shape) if extent is None}
                for tensor, value in zip(self._input_tensors, self._match(x), strict=True)}

    def drop_executables(self) -> None:
        super().drop_executables()
        self._untracked_fast = None

    # ---- configuration

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def get_config(self) -> dict[str, Any]:
        """The graph of layers as plain data, in Keras's form."""
        from graphnet.models.config import functional_config

        if (
            type(self).__init__ is not Functional.__init__
            and type(self).__module__ != Functional.__module__
            and not type(self).__dict__.get("get_config")
        ):
            base = {"name": self.name, "trainable": self.trainable}
            return {**base, **functional_config(self)}
        return functional_config(self)


def _mask_when_built(tensor: Any, values: dict[Any, Any]) -> Any:
    """The value of the mask that a tensor had when the model was built; None without one."""
    return None if type(tensor) is not Tensor or tensor.mask is None else values.get(tensor.mask.key)


def _tensors(structure: Any, what: str, name: str) -> list[Tensor]:
    """The tensors of a structure; a clear error for anything else in it."""
    leaves = tree.flatten(structure)
    if not leaves:
        raise GraphError(f"Model {name!r} expects at least one tensor in {what}; received {structure!r}.")
    for leaf in leaves:
        if isinstance(leaf, Layer):
            raise GraphError(f"Model {name!r} expects symbolic tensors in {what}; received the layer {leaf.name!r} itself. "
                             f"Call it on a tensor and pass the result, or pass {leaf.name}.output.")
        if type(leaf) is not Tensor:
            raise GraphError(f"Model {name!r} expects symbolic tensors in {what}; received {type(leaf).__name__}. Begin with "
                             "graphnet.Input(shape=...).")
    return leaves


def _all_arrays(x: Any) -> bool:
    kind = type(x)
    if kind is np.ndarray:
        return True
    if kind in (list, tuple):
        return all(_all_arrays(v) for v in x)
    if kind is dict:
        return all(_all_arrays(v) for v in x.values())
    return kind is not Tensor and not isinstance(x, Layer)


def input_layers(model: Functional) -> Sequence[InputLayer]:
    return [t.node.op for t in model.inputs if isinstance(t.node.op, InputLayer)]
