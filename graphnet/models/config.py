"""Functional and Sequential models as plain data in Keras's form, and back, from files of every era."""
from collections.abc import Mapping
from typing import Any

from graphnet import tree
from graphnet.errors import FileFormatError
from graphnet.graph import Node, Tensor
from graphnet.layers.core.input_layer import InputLayer
from graphnet.layers.layer import Layer
from graphnet.layers.serialization import deserialize, plain_data, serialize, special
from graphnet.op import symbolic_call
from graphnet.tracing import restore


def call_numbers(model: Any) -> dict[Node, int]:
    """The number of each call among those of its layer, within this model."""
    counts: dict[Any, int] = {}
    numbers = {}
    for node in model._nodes:
        numbers[node] = counts.get(node.op, 0)
        counts[node.op] = numbers[node] + 1
    return numbers


# ---- to plain data

def functional_config(model: Any) -> dict[str, Any]:
    """The graph of layers: each with its configuration and its calls, whose operands are [layer, call, output]."""
    numbers = call_numbers(model)

    def reference(tensor: Tensor) -> list[Any]:
        return [tensor.node.op.name, numbers[tensor.node], tensor.index]

    given = {t.key for t in model.inputs}
    layers = []
    for op in model._operations:
        calls = [_call_config(n, reference) for n in model._nodes if n.op is op and n.inputs and not any((n, i) in given for i in range(len(n.specs)))]
        layers.append({**serialize(op), "name": op.name, "inbound_nodes": calls})
    return {"name": model.name, "trainable": model.trainable, "layers": layers,
            "input_layers": _references(model._inputs_structure, reference), "output_layers": _references(model._outputs_structure, reference)}


def _references(structure: Any, reference: Any) -> Any:
    return tree.map_structure(reference, structure)


def _call_config(node: Node, reference: Any) -> dict[str, Any]:
    args, kwargs = restore(node.arguments, node.inputs)

    def data(value: Any) -> Any:
        if type(value) is Tensor:
            return {"class_name": "__keras_tensor__", "config": {"shape": list(value.shape), "dtype": value.dtype, "keras_history": reference(value)}}
        if isinstance(value, (list, tuple)):
            return [data(v) for v in value]
        if isinstance(value, dict):
            return {k: data(v) for k, v in value.items()}
        if isinstance(value, slice):
            return {"class_name": "__slice__", "config": {"start": data(value.start), "stop": data(value.stop), "step": data(value.step)}}
        return plain_data(value)
    return {"args": [data(a) for a in args], "kwargs": {k: data(v) for k, v in kwargs.items()}}


def sequential_config(model: Any) -> dict[str, Any]:
    """The layers in order, an InputLayer first where the shape is known."""
    return {"name": model.name, "trainable": model.trainable, "layers": [serialize(layer) for layer in model._chain],
            "build_input_shape": list(model.inputs[0].shape) if model._functional is not None else None}


# ---- from plain data

def sequential_from_config(cls: Any, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A Sequential from its configuration; in old files that is the bare list of layers."""
    listed = config if isinstance(config, list) else config["layers"]
    name = None if isinstance(config, list) else config.get("name")
    layers = [deserialize(item, custom_objects, name or "sequential") for item in listed]
    model = cls(layers, name=name)
    shape = None if isinstance(config, list) else config.get("build_input_shape")
    if shape and not model.built:
        model.build(tuple(shape))
    return model


def functional_from_config(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A functional model from its configuration: layers are made, then called as soon as their operands are there."""
    from graphnet.models.functional import Functional
    name = config.get("name")
    layers: dict[str, Any] = {}
    waiting: list[tuple[str, int, Any]] = []
    values: dict[tuple[str, int], list[Tensor]] = {}
    for item in config["layers"]:
        inner_name = item.get("name") or item["config"].get("name")
        layer = layers[inner_name] = deserialize(item, custom_objects, name or "model")
        layer.name = inner_name  # a class of the user's may leave it out of its configuration
        if isinstance(layer, InputLayer):
            values[inner_name, 0] = [Tensor(layer._node)]
        waiting += [(inner_name, number, call) for number, call in enumerate(item.get("inbound_nodes") or ())]
    _run_calls(layers, waiting, values, name or "model")

    def tensor(reference: Any) -> Tensor:
        return values[reference[0], _first(values, reference)][reference[2]]
    inputs, outputs = (_structure(config[key], tensor) for key in ("input_layers", "output_layers"))
    return Functional(inputs, outputs, name=name, trainable=config.get("trainable", True))


def _first(values: dict[tuple[str, int], list[Tensor]], reference: Any) -> int:
    """The call that a reference means: old files number calls over all models that share the layer."""
    if (reference[0], reference[1]) in values:
        return reference[1]
    known = sorted(number for name, number in values if name == reference[0])
    if not known:
        raise FileFormatError(f"The configuration refers to a call of layer {reference[0]!r} that it does not hold.")
    return known[-1]


def _is_reference(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int) and isinstance(value[2], int)


def _structure(value: Any, tensor: Any) -> Any:
    if _is_reference(value):
        return tensor(value)
    if isinstance(value, dict):
        return {k: _structure(v, tensor) for k, v in value.items()}
    found = [_structure(v, tensor) for v in value]
    return found


def _run_calls(layers: dict[str, Any], waiting: list[Any], values: dict[tuple[str, int], list[Tensor]], name: str) -> None:
    """Calls each layer when its operands are known; calls of one layer keep their order."""
    offsets: dict[str, int] = {}
    while waiting:
        later = []
        held: set[str] = set()
        for layer, number, call in waiting:
            arguments = None if layer in held else _arguments(call, values)
            if arguments is None:
                later.append((layer, number, call))
                held.add(layer)
                continue
            args, kwargs = arguments
            operation = layers[layer]
            result = operation(*args, **kwargs) if isinstance(operation, Layer) else symbolic_call(operation, args, kwargs)
            values[layer, number + offsets.get(layer, 0)] = [t for t in tree.flatten(result) if type(t) is Tensor]
        if len(later) == len(waiting):
            raise FileFormatError(f"The configuration of model {name!r} is not a graph: {sorted({item[0] for item in later})} wait for operands that nothing gives.")
        waiting = later


def _arguments(call: Any, values: dict[tuple[str, int], list[Tensor]]) -> Any:
    """(args, kwargs) of a recorded call; None while an operand is not there yet."""
    missing = False

    def find(reference: Any) -> Any:
        nonlocal missing
        key = (reference[0], reference[1])
        if key not in values:
            missing = True
            return None
        return values[key][reference[2]]

    def rebuild(value: Any) -> Any:
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            return find(value["config"]["keras_history"])
        if isinstance(value, dict) and "class_name" not in value:
            return {k: rebuild(v) for k, v in value.items()}
        if isinstance(value, list):
            return [rebuild(v) for v in value]
        return special(value)

    if isinstance(call, dict):
        args, kwargs = [rebuild(a) for a in call["args"]], {k: rebuild(v) for k, v in call.get("kwargs", {}).items()}
        kwargs = {k: v for k, v in kwargs.items() if not (k in ("mask", "training") and v is None)}
    else:  # before Keras 3: a list of [layer, call, output, {kwargs}], or one of them
        references = [call] if _is_reference(call) else call
        flat = [find(r) for r in references] if not isinstance(references, dict) else {k: find(r) for k, r in references.items()}
        kwargs = {}
        for r in references if isinstance(references, list) else ():
            if len(r) > 3 and isinstance(r[3], dict):
                kwargs.update({k: find(v) if _is_reference(v) else [find(x) for x in v] if isinstance(v, list) and v and _is_reference(v[0]) else v
                               for k, v in r[3].items() if v is not None})
        args = [flat[0] if isinstance(flat, list) and len(flat) == 1 else flat]
    return None if missing else (tuple(args), kwargs)
