"""clone_model: the same architecture with new layers and new weights."""
from collections.abc import Callable
from typing import Any

from graphnet import tree
from graphnet.dims import renamed
from graphnet.graph import Tensor
from graphnet.layers.core.input_layer import Input, InputLayer
from graphnet.layers.layer import Layer
from graphnet.models.functional import Functional
from graphnet.models.sequential import Sequential
from graphnet.op import symbolic_call
from graphnet.tracing import restore


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of the same layers, each made anew, so with weights of its own; shared layers stay shared.

    Arguments: ``input_tensors`` to build on; ``clone_function(layer) -> layer`` in place of from_config(get_config());
    ``call_function(layer, *args)`` in place of layer(*args); ``recursive`` also takes nested models through clone_function.
    Source: https://keras.io/api/models/model/

    Example:

        >>> import graphnet
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> graphnet.models.clone_model(model).count_params()
        15
    """
    def clone(layer: Layer) -> Layer:
        if recursive and isinstance(layer, (Functional, Sequential)):
            return clone_model(layer, clone_function=clone_function, call_function=call_function, recursive=True)
        return clone_function(layer) if clone_function is not None else type(layer).from_config(layer.get_config())

    if isinstance(model, Sequential):
        return _clone_sequential(model, clone, input_tensors)
    if not isinstance(model, Functional):
        raise ValueError(
            f"clone_model expects a functional or Sequential model; {model.name!r} is a {type(model).__name__}, whose call is "
            "its own code. "
            "Make it anew by its constructor."
        )
    copies: dict[Any, Any] = {}
    values: dict[Any, Any] = {}
    given = (
        tree.flatten(input_tensors)
        if input_tensors is not None
        else [Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs]
    )
    extents: dict[Any, Any] = {}
    for old, new in zip(model.inputs, given, strict=True):
        values[old.key] = new
        extents.update(renamed(old.spec.shape, new.spec.shape))
    for node in model._nodes:
        if (node, 0) in values:
            continue
        args, kwargs = restore(node.arguments, [values[t.key] for t in node.inputs], extents)
        if node.op not in copies:
            copies[node.op] = clone(node.op) if isinstance(node.op, Layer) else node.op
        copy = copies[node.op]
        if not isinstance(copy, Layer):
            result = symbolic_call(copy, args, kwargs)
        else:
            result = call_function(copy, *args, **kwargs) if call_function is not None else copy(*args, **kwargs)
        for i, t in enumerate(t for t in tree.flatten(result) if type(t) is Tensor):
            values[node, i] = t
    fill = iter(given)
    inputs = (
        tree.map_structure(lambda _: next(fill), model._inputs_structure)
        if not isinstance(model._inputs_structure, dict)
        else tree.pack_sequence_as(model._inputs_structure, given)
    )
    return Functional(inputs, tree.map_structure(lambda t: values[t.key], model._outputs_structure), name=model.name)


def _clone_sequential(model: Sequential, clone: Callable[[Layer], Layer], input_tensors: Any) -> Sequential:
    layers = [clone(layer) for layer in model.layers]
    head = model._chain[0] if model._chain and isinstance(model._chain[0], InputLayer) else None
    if input_tensors is not None:
        first: list[Any] = [tree.flatten(input_tensors)[0]]
    else:
        first = [Input(batch_shape=head.batch_shape, dtype=head.dtype, name=head.name)] if head is not None else []
    return Sequential([*first, *layers], name=model.name)
