"""Functional and Sequential models as plain data, in Keras's form."""
from typing import Any

from graphnet import tree
from graphnet.graph import Node, Tensor
from graphnet.layers.core.input_layer import InputLayer
from graphnet.layers.op_nodes import op_config, split
from graphnet.layers.serialization import plain_data, serialize
from graphnet.layers.sharing import numbering
from graphnet.op import FunctionCall
from graphnet.tracing import restore


def call_numbers(model: Any) -> dict[Node, int]:
    """The number of each call among those of its layer, within this model."""
    counts: dict[Any, int] = {}
    numbers = {}
    for node in model._nodes:
        numbers[node] = counts.get(node.op, 0)
        counts[node.op] = numbers[node] + 1
    return numbers


def functional_config(model: Any) -> dict[str, Any]:
    """The graph of layers: each with its configuration and its calls, whose operands are [layer, call, output]."""
    with numbering(model):
        return _functional_config(model)


def _functional_config(model: Any) -> dict[str, Any]:
    writer = _Writer(model)
    layers = writer.stand_ins()
    for op in model._operations:
        calls = writer.calls.get(op, [])
        if isinstance(op, FunctionCall):
            for node in calls:
                args, kwargs = restore(node.arguments, node.inputs)
                own, (args, kwargs) = split(op, args, kwargs)
                layers.append({**op_config(op, plain_data(own)), "name": op.name, "inbound_nodes": [writer.call(args, kwargs)]})
        elif calls or isinstance(op, InputLayer):
            inbound = [writer.call(*restore(n.arguments, n.inputs)) for n in calls if n.inputs]
            layers.append({**serialize(op), "name": op.name, "inbound_nodes": inbound})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": tree.map_structure(writer.end, model._inputs_structure),
        "output_layers": tree.map_structure(writer.end, model._outputs_structure),
    }


class _Writer:
    """References to the tensors of one model."""

    def __init__(self, model: Any) -> None:
        self.inputs = {
            t.key: t for t in model.inputs if not isinstance(t.node.op, InputLayer)
        }  # a model may begin at a layer's output
        cut = {node for node, _ in self.inputs}
        self.calls: dict[Any, list[Node]] = {}
        self.numbers: dict[Node, int] = {}
        for node in model._nodes:
            if node not in cut:
                calls = self.calls.setdefault(node.op, [])
                self.numbers[node] = len(calls)
                calls.append(node)
        taken = {op.name for op in self.calls}
        self.names = {}
        for key, tensor in self.inputs.items():
            name = f"{tensor.name}_input"
            while name in taken:
                name += "_"
            taken.add(name)
            self.names[key] = name

    def stand_ins(self) -> list[dict[str, Any]]:
        """An Input for each tensor inside of a larger graph at which the model begins."""
        return [
            {
                **serialize(InputLayer(batch_shape=t.shape, dtype=t.dtype, name=self.names[key])),
                "name": self.names[key],
                "inbound_nodes": [],
            }
            for key, t in self.inputs.items()
        ]

    def reference(self, tensor: Tensor) -> list[Any]:
        if tensor.key in self.inputs:
            return [self.names[tensor.key], 0, 0]
        return [tensor.node.op.name, self.numbers[tensor.node], tensor.index]

    def end(self, tensor: Tensor) -> list[Any]:
        """A reference among the model's inputs and outputs, where Keras counts a nested functional model's calls from 1."""
        name, number, index = self.reference(tensor)
        nested = tensor.key not in self.inputs and getattr(tensor.node.op, "_operations", None) is not None
        return [name, number + nested, index]

    def call(self, args: Any, kwargs: Any) -> dict[str, Any]:
        return {"args": [self.data(a) for a in args], "kwargs": {k: self.data(v) for k, v in kwargs.items()}}

    def data(self, value: Any) -> Any:
        if type(value) is Tensor:
            return {
                "class_name": "__keras_tensor__",
                "config": {"shape": list(value.shape), "dtype": value.dtype, "keras_history": self.reference(value)},
            }
        if isinstance(value, (list, tuple)):
            return [self.data(v) for v in value]
        if isinstance(value, dict):
            return {k: self.data(v) for k, v in value.items()}
        if isinstance(value, slice):
            return {"class_name": "__slice__", "config": {k: self.data(getattr(value, k)) for k in ("start", "stop", "step")}}
        return plain_data(value)


def sequential_config(model: Any) -> dict[str, Any]:
    """The layers in order, an InputLayer first where the shape is known."""
    with numbering(model):
        layers = [serialize(layer) for layer in model._chain]
    return {"name": model.name, "trainable": model.trainable, "layers": layers,
            "build_input_shape": list(model.inputs[0].shape) if model._functional is not None else None}
