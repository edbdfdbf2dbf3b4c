"""extract: a model of intermediate features, named by layer, glob, path into nested models, or call of a shared layer."""
import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

from graphnet import tree
from graphnet.graph import Node
from graphnet.models.networkx_graph import call_names
from graphnet.op import outputs_of


def extract(model: Any, names: Sequence[str]) -> Any:
    """The model behind `Model.extract`."""
    from graphnet.models.functional import Functional
    if not names:
        raise ValueError(f"extract expects names of layers of model {model.name!r}; received none.")
    flat = flattened(model)
    found = []
    for pattern in names:
        if not isinstance(pattern, str):
            raise TypeError(f"extract expects names, as in model.extract('block3_pool'); received {pattern!r}.")
        hits = [name for name in flat if fits(name, pattern)]
        if not hits:
            raise ValueError(unknown(model, pattern, list(flat)))
        found += [t for name in hits for t in tree.flatten(flat[name])]
    structure = found[0] if len(found) == 1 else found
    needed = model._inputs_structure
    return Functional(needed, structure, name=f"{model.name}_features")


def fits(name: str, pattern: str) -> bool:
    """Whether a call's path fits a pattern: equal, by glob, or by glob without the number of the call."""
    if "/" not in pattern and "/" in name:
        return False
    if name == pattern or (any(c in pattern for c in "*?[") and name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)):
        return True
    if pattern.endswith(":0"):
        return name == pattern[:-2]
    return False


def unknown(model: Any, pattern: str, names: list[str]) -> str:
    import difflib
    near = difflib.get_close_matches(pattern, names, 3, 0.5)
    return (f"extract: nothing in model {model.name!r} is called {pattern!r}. " + (f"Did you mean {' or '.join(near)}? " if near else "")
            + f"There are: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}. Globs (conv*), paths (encoder/conv2d) and calls (name:1) fit too.")


def flattened(model: Any) -> dict[str, Any]:
    """The outputs of every call by its path, those inside nested models too: each nested call is replayed on the outer tensors once."""
    out: dict[str, Any] = {}
    names = call_names(model._nodes)
    for node in model._nodes:
        for path, result in _visit(node, names[node]):
            out[path] = result
    return out


def _visit(node: Node, path: str) -> Iterator[tuple[str, Any]]:
    """Outer model: its own tensors as they are, and lazily those within nested models."""
    result = outputs_of(node)
    yield path, result
    inner = getattr(node.op, "_functional", None) or node.op
    if getattr(inner, "_nodes", None) is not None:
        yield from inner_tensors(inner, node, path)


def inner_tensors(inner: Any, node: Node, path: str) -> Iterator[tuple[str, Any]]:
    """The tensors of a nested model as tensors of the outer one: its calls made again on the outer inputs, sharing all layers."""
    from graphnet.tracing import restore
    args, _ = restore(node.arguments, node.inputs)
    given = inner._match(args[0])
    values: dict[Any, Any] = {t.key: v for t, v in zip(inner._input_tensors, given, strict=True)}
    names = call_names(inner._nodes)
    for call in inner._nodes:
        if (call, 0) in values:
            yield f"{path}/{names[call]}", values[call, 0]
            continue
        call_args, call_kwargs = restore(call.arguments, [values[t.key] for t in call.inputs])
        operation = call.op
        result = operation.symbolic_call(*call_args, **call_kwargs) if hasattr(operation, "symbolic_call") else operation(*call_args, **call_kwargs)
        for i, t in enumerate(tree.flatten(result)):
            values[call, i] = t
        for offset, i in enumerate(call.structure[1]):
            values[call, len(tree.flatten(result)) + offset] = tree.flatten(result)[i].mask
        yield f"{path}/{names[call]}", result
        deeper = getattr(operation, "_functional", None) or operation
        if getattr(deeper, "_nodes", None) is not None:
            yield from inner_tensors(deeper, tree.flatten(result)[0].node, f"{path}/{names[call]}")
