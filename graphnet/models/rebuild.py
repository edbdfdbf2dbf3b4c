"""Functional and Sequential models from plain data, as files of every era hold it."""
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from graphnet import registry, tree
from graphnet.errors import FileFormatError
from graphnet.graph import Tensor
from graphnet.layers.core.input_layer import InputLayer
from graphnet.layers.layer import Layer
from graphnet.layers.op_nodes import RecordedCall, is_op_without_module
from graphnet.layers.serialization import deserialize, special
from graphnet.layers.sharing import sharing
from graphnet.op import symbolic_call

CONSTANT = "_CONSTANT_VALUE"  # in place of a layer's name: the operand is that number


def sequential_from_config(cls: Any, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A Sequential from its configuration; in old files that is the bare list of layers."""
    listed = config if isinstance(config, list) else config["layers"]
    name = None if isinstance(config, list) else config.get("name")
    with sharing():
        layers = [deserialize(_any_batch(item, listed), custom_objects, name or "sequential") for item in listed]
    model = cls(layers, name=name)
    shape = None if isinstance(config, list) else config.get("build_input_shape")
    if shape and not model.built and layers:
        model.build(tuple(shape))
    if not isinstance(config, list) and config.get("trainable") is False:
        model.trainable = False
    return model


def _any_batch(item: Mapping[str, Any], listed: list[Any]) -> Mapping[str, Any]:
    """An InputLayer that takes any number of rows.

    Keras records the batch that a Sequential was built on, and does not hold to it.
    """
    shape = item["config"].get("batch_shape") if item["class_name"] == "InputLayer" else None
    if not shape or any(other["config"].get("stateful") for other in listed if isinstance(other["config"], Mapping)):
        return item
    return {**item, "config": {**item["config"], "batch_shape": [None, *shape[1:]]}}


def functional_from_config(cls: Any, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A functional model from its configuration: layers are made, then called as soon as their operands are there."""
    rebuild = _Rebuild(config.get("name") or "model")
    with sharing():
        for item in config["layers"]:
            rebuild.add_layer(item, custom_objects)
    rebuild.number_calls([*references(config["input_layers"]), *references(config["output_layers"])])
    rebuild.run_calls()
    inputs, outputs = (rebuild.ends(config[key]) for key in ("input_layers", "output_layers"))
    return cls(inputs, outputs, name=config.get("name"), trainable=config.get("trainable", True))


def is_reference(value: Any) -> bool:
    """Whether it is [layer, call, output], with or without keyword arguments behind."""
    return (isinstance(value, (list, tuple)) and len(value) in (3, 4) and isinstance(value[0], str) and type(value[1]) is int
            and (type(value[2]) is int or value[0] == CONSTANT))


def references(value: Any) -> Iterator[Any]:
    """All references in a recorded call, or in the structure of a model's ends.

    Those that a dict of Keras 3 holds are its history.
    """
    if is_reference(value):
        if value[0] != CONSTANT:
            yield value
        if len(value) > 3:
            yield from references(value[3])
    elif isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"]
        else:
            for item in value.values():
                yield from references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


Call = tuple[str, int]  # a layer's name, and the number of its call in this model


class _Rebuild:
    """Layers by name, the calls that wait for operands, and the tensors that calls gave."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.layers: dict[str, Any] = {}
        self.recorded: dict[Call, Any] = {}
        self.values: dict[Call, list[Tensor]] = {}
        self.counts: dict[str, int] = {}
        self.ranks: dict[
            str, dict[int, int]
        ] = {}  # of layers whose calls are not numbered from 0: number in the file -> number here
        self.modern = False  # Keras 3

    def add_layer(self, item: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> None:
        if not isinstance(item, Mapping) or not isinstance(item.get("config"), (Mapping, list)):
            raise FileFormatError(f"Model {self.name!r}: a layer's configuration is a dict; the file has {str(item)[:80]}.")
        inner = item["config"]
        name = item.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
        if not isinstance(name, str) or name in self.layers:
            raise FileFormatError(f"Model {self.name!r}: each layer expects a name of its own; the file has {name!r}.")
        if isinstance(inner, Mapping) and registry.find_builtin("layers", str(item.get("class_name"))) is not None:
            item = {**item, "config": {**inner, "name": name}}
        if isinstance(inner, Mapping) and is_op_without_module(item):
            item = {**item, "module": "keras.ops"}
        layer = self.layers[name] = deserialize(item, custom_objects, self.name)
        if isinstance(layer, Layer):
            layer.name = name  # a class of the user's may leave it out of its configuration
        calls = item.get("inbound_nodes") or []
        self.counts[name] = len(calls)
        if isinstance(layer, InputLayer):
            self.values[name, 0], self.counts[name] = [Tensor(layer._node)], 1
            return
        for number, call in enumerate(calls):
            self.recorded[name, number] = call
            self.modern |= isinstance(call, Mapping) and "args" in call

    def number_calls(self, ends: list[Any]) -> None:
        """Learns how the file numbers calls: old ones count a nested model's from 1, and some count those of other models too.

        Keras 3 counts from 0, and at the model's ends alone from 1 for a nested functional model.
        """
        used: dict[str, set[int]] = {}
        for call in self.recorded.values():
            for reference in references(call):
                used.setdefault(reference[0], set()).add(reference[1])
        for reference in () if self.modern else ends:
            used.setdefault(reference[0], set()).add(reference[1])
        for name, numbers in used.items():
            count = self.counts.get(name, 0)
            if count and max(numbers) >= count:
                ordered = sorted(numbers)
                first = count - len(ordered) if len(ordered) <= count else 0
                self.ranks[name] = {number: first + rank for rank, number in enumerate(ordered)}

    def call_of(self, reference: Any) -> Call:
        name, number = reference[0], reference[1]
        number = self.ranks.get(name, {}).get(number, number)
        if (name, number) not in self.recorded and (name, number) not in self.values:
            raise FileFormatError(
                f"Model {self.name!r}: the configuration refers to call {number} of layer {name!r}, which it does not hold."
            )
        return name, number

    def tensor(self, reference: Any) -> Any:
        if reference[0] == CONSTANT:
            return reference[2]
        outputs = self.values[self.call_of(reference)]
        if not 0 <= reference[2] < len(outputs):
            raise FileFormatError(
                f"Model {self.name!r}: layer {reference[0]!r} has {len(outputs)} outputs; the configuration refers to number "
                f"{reference[2]}."
            )
        return outputs[reference[2]]

    def ends(self, value: Any) -> Any:
        """The model's inputs or outputs, in their structure."""
        if is_reference(value):
            nested = self.modern and getattr(self.layers.get(value[0]), "_operations", None) is not None
            return self.tensor([value[0], value[1] - nested, value[2]])
        if isinstance(value, Mapping):
            return {k: self.ends(v) for k, v in value.items()}
        if not isinstance(value, (list, tuple)):
            raise FileFormatError(
                f"Model {self.name!r}: its inputs and outputs are lists of [layer, call, output]; the file has {value!r}."
            )
        return [self.ends(v) for v in value]

    def run_calls(self) -> None:
        """Calls each layer when its operands are known; calls of one layer keep their order."""
        missing: dict[Call, int] = {}
        readers: dict[Call, list[Call]] = {}
        for call, recorded in self.recorded.items():
            needs = {self.call_of(r) for r in references(recorded)} | ({(call[0], call[1] - 1)} if call[1] else set())
            needs -= self.values.keys()
            missing[call] = len(needs)
            for need in needs:
                readers.setdefault(need, []).append(call)
        ready = deque(call for call, count in missing.items() if not count)
        done = 0
        while ready:
            call = ready.popleft()
            self.run(call)
            done += 1
            for reader in readers.get(call, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
        if done < len(self.recorded):
            waiting = sorted({name for (name, number), count in missing.items() if count})
            raise FileFormatError(
                f"Model {self.name!r}: the configuration is not a graph: {', '.join(waiting)} wait for each other."
            )

    def run(self, call: Call) -> None:
        layer, recorded = self.layers[call[0]], self.recorded[call]
        modern = isinstance(recorded, Mapping) and "args" in recorded
        args, kwargs = self.modern_arguments(recorded) if modern else self.legacy_arguments(recorded, layer)
        result = (
            symbolic_call(layer, *layer.merged(args, kwargs)) if isinstance(layer, RecordedCall) else layer(*args, **kwargs)
        )
        self.values[call] = [t for t in tree.flatten(result) if type(t) is Tensor]

    def modern_arguments(self, recorded: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Keras 3: args and kwargs, tensors in them by their history."""
        def value_of(value: Any) -> Any:
            if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
                return self.tensor(value["config"]["keras_history"])
            if isinstance(value, Mapping) and "class_name" not in value:
                return {k: value_of(v) for k, v in value.items()}
            if isinstance(value, Mapping) and value["class_name"] == "__slice__":
                return slice(*(value_of(value["config"][k]) for k in ("start", "stop", "step")))
            return [value_of(v) for v in value] if isinstance(value, list) else special(value)
        kwargs = {k: value_of(v) for k, v in (recorded.get("kwargs") or {}).items()}
        return [value_of(a) for a in recorded["args"]], {
            k: v for k, v in kwargs.items() if v is not None or k not in ("mask", "training")
        }

    def legacy_arguments(self, recorded: Any, layer: Any) -> tuple[list[Any], dict[str, Any]]:
        """Before Keras 3: a structure of [layer, call, output, {keyword arguments}], which is the first argument."""
        kwargs: dict[str, Any] = {}

        def value_of(value: Any) -> Any:
            if is_reference(value):
                return self.tensor(value)
            if isinstance(value, Mapping):
                return {k: value_of(v) for k, v in value.items()}
            return [value_of(v) for v in value] if isinstance(value, (list, tuple)) else value

        def operand(value: Any) -> Any:
            if is_reference(value):
                if len(value) > 3 and isinstance(value[3], Mapping):
                    kwargs.update({k: value_of(v) for k, v in value[3].items() if v is not None})
                return self.tensor(value)
            if isinstance(value, Mapping):
                return {k: operand(v) for k, v in value.items()}
            if not isinstance(value, (list, tuple)):
                raise FileFormatError(
                    f"Model {self.name!r}: a call's operands are lists of [layer, call, output]; the file has {value!r}."
                )
            return [operand(v) for v in value]
        first = operand(recorded)
        if isinstance(first, list) and len(first) == 1:
            first = first[0]
        elif isinstance(first, list) and "initial_state" not in kwargs and getattr(layer, "return_state", None) is not None:
            first, kwargs["initial_state"] = first[0], first[1:]  # a recurrent layer: its states stood behind its input
        return [first], kwargs
