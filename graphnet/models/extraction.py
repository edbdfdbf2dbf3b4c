"""extract: a model of intermediate features, named by layer, glob, path into nested models, or call of a shared layer."""
import difflib
import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

from graphnet import tree
from graphnet.graph import Node, Tensor, reach
from graphnet.layers.layer import Layer
from graphnet.models.networkx_graph import call_names
from graphnet.op import outputs_of, symbolic_call
from graphnet.tracing import restore


def extract(model: Any, names: Sequence[str]) -> Any:
    """The model behind `Model.extract`."""
    from graphnet.models.functional import Functional
    if not names:
        raise ValueError(f"extract expects names of layers of model {model.name!r}; received none.")
    listed: dict[str, tuple[Scope, Node]] = {}
    for name, scope, node in Scope(model).calls():
        if (
            name not in listed or scope.parent is None
        ):  # a model of features may hold a call of a nested model twice: taken out, and inside of it
            listed[name] = scope, node
    found = []
    for pattern in names:
        if not isinstance(pattern, str):
            raise TypeError(f"extract expects names, as in model.extract('block3_pool'); received {pattern!r}.")
        hits = [call for name, call in listed.items() if fits(name, pattern)]
        if not hits:
            raise ValueError(unknown(model, pattern, list(listed)))
        found += [t for scope, node in hits for t in tree.flatten(scope.result(node)) if t is not None]
    return Functional(model._inputs_structure, found[0] if len(found) == 1 else found, name=f"{model.name}_features")


def fits(name: str, pattern: str) -> bool:
    """Whether a call's path fits a pattern: equal, with ":0" for the first call, or as a glob of as many parts."""
    if name == pattern or (pattern.endswith(":0") and name == pattern[:-2]):
        return True
    return name.count("/") == pattern.count("/") and any(c in pattern for c in "*?[") and fnmatch.fnmatchcase(name, pattern)


def unknown(model: Any, pattern: str, names: list[str]) -> str:
    """What to say of a pattern that nothing fits."""
    near = difflib.get_close_matches(pattern, names, 3, 0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    listed = f"{', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
    return (f"extract: nothing in model {model.name!r} is called {pattern!r}. {meant}There are: {listed}. "
            "Globs (conv*), paths (encoder/conv2d) and calls (name:1) fit too.")


class Scope:
    """The calls of a model.

    Those of a nested one become tensors of the outer one when they are asked for, with what they need and no more.
    """

    def __init__(self, model: Any, path: str = "", parent: "Scope | None" = None, call: Node | None = None) -> None:
        self.model = getattr(model, "_functional", None) or model
        self.path, self.parent, self.call = path, parent, call
        self.values: dict[Any, Any] = {}
        self.extents: dict[Any, Any] = {}
        self.results: dict[Node, Any] = {}

    def calls(self) -> Iterator[tuple[str, "Scope", Node]]:
        """All calls by path, those inside of nested models behind the models' own."""
        for node, name in call_names(self.model._nodes).items():
            path = f"{self.path}/{name}" if self.path else name
            yield path, self, node
            inner = getattr(node.op, "_functional", None) or node.op
            if getattr(inner, "_nodes", None) is not None:
                yield from Scope(inner, path, self, node).calls()

    def result(self, node: Node) -> Any:
        """A call's outputs, as tensors of the outermost model."""
        if self.parent is None:
            return outputs_of(node)
        self._begin()
        if (node, 0) in self.values and node not in self.results:
            return self.values[node, 0]  # an input of the nested model
        given = {t.key for t in self.model.inputs}
        for needed in reach([Tensor(node)], given):
            if needed not in self.results:
                self.model._replay(needed, self.values, self.extents, self._run)
        return self.results[node]

    def _begin(self) -> None:
        """Takes the operands of the nested model's call, once."""
        if self.values or self.parent is None or self.call is None:
            return
        args, kwargs = restore(self.call.arguments, [self.parent.tensor(t) for t in self.call.inputs])
        self.values, self.extents = self.model._start(args[0] if args else kwargs.pop("inputs"), kwargs.get("mask"))

    def tensor(self, tensor: Tensor) -> Any:
        """A tensor of this model as one of the outermost."""
        if self.parent is None:
            return tensor
        self.result(tensor.node)
        return self.values[tensor.key]

    def _run(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        """The call on the outer tensors: its node says from which nested model it comes, and the layer takes no note of it."""
        operation = node.op
        result = (
            operation.symbolic_call(*args, **kwargs) if isinstance(operation, Layer) else symbolic_call(operation, args, kwargs)
        )
        made = next(t for t in tree.flatten(result) if type(t) is Tensor).node
        made.scope, made.name = self.path, f"{self.path}/{node.name}"
        self.results[node] = result
        return result
