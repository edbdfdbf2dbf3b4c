"""The call of a layer or model as a traced function: in training and in inference, for any batch of what it was built for."""
import inspect
from typing import Any

from graphnet import tree
from graphnet.errors import GraphError
from graphnet.functions import Function, TensorSpec
from graphnet.graph import Spec
from graphnet.layers.layer import Layer
from graphnet.ops.shape import shown
from graphnet.tracing import current


def call_function(layer: Layer) -> tuple[Function, list[str]]:
    """A function that was traced in both phases, and the layers that add losses, which are no part of what it gives.

    Raises GraphError for a layer that was not called, and what its call raises.
    """
    args, kwargs = _specs(layer)
    names = [p.name for p in inspect.signature(type(layer).call).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][1:]
    names = [n for n in names if n != "training"][:len(args)]
    if len(names) < len(args):  # of call(self, *args)
        names = [f"input_{i}" for i in range(len(args))]

    adding: set[str] = set()

    def call(*values: Any, training: bool = False, **named: Any) -> Any:
        result = layer(*values, training=training, **named)
        adding.update(part.name for part, _ in current().losses)
        return result

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in names]
    parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in kwargs]
    parameters.insert(len(names), inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=False))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function = Function(call, name=layer.name)
    for training in (False, True):
        try:
            function.get_concrete_function(*args, training=training, **kwargs)
        except (GraphError, TypeError, ValueError):
            if not _open(args):
                raise
            function.get_concrete_function(*_specs(layer, False)[0], training=training, **kwargs)  # it needs its batch's extent
    return function, sorted(adding)


def _open(args: Any) -> bool:
    return any(isinstance(leaf, TensorSpec) and leaf.shape[:1] == (None,) for leaf in tree.iterate(args))


def _specs(layer: Layer, any_batch: bool = True) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, with specs in the places of arrays: those of the model's inputs, or of its first call."""
    try:
        structure = layer.input if getattr(layer, "inputs", None) else None  # of functional and sequential models
    except AttributeError:
        structure = None
    if structure is not None and hasattr(layer, "predict_on_batch"):
        return (tree.map_structure(lambda t: TensorSpec(t.shape, t.dtype, t.name), structure),), {}

    def spec(leaf: Any) -> Any:
        if not isinstance(leaf, Spec):
            return leaf
        shape = shown(leaf.shape)
        return TensorSpec((None, *shape[1:]) if any_batch and shape else shape, leaf.dtype)
    seen = layer.__dict__.get("_untracked_first_call")
    if seen is not None:
        return tree.map_structure(spec, seen[0]), tree.map_structure(spec, seen[1])
    shapes = layer._untracked_build_shapes
    if shapes is None or shapes[1] or len(shapes[0]) != 1:
        raise GraphError(f"{type(layer).__name__} {layer.name!r} was never called, so there is no graph of it to be saved. Call it on data first, or "
                         "build(input_shape).")
    return (_of_shapes(shapes[0][0], layer.dtype, any_batch),), {}


def _of_shapes(shape: Any, dtype: str, any_batch: bool) -> Any:
    if isinstance(shape, dict):
        return {name: _of_shapes(inner, dtype, any_batch) for name, inner in shape.items()}
    if isinstance(shape, (list, tuple)) and shape and isinstance(shape[0], (list, tuple, dict)):
        return [_of_shapes(inner, dtype, any_batch) for inner in shape]
    return TensorSpec((None, *shape[1:]) if any_batch else tuple(shape), dtype)
