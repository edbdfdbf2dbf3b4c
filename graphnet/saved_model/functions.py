"""LoadedFunction: a function of a saved model, as graphs alone; callable on arrays, and within traces, where its graph becomes a part."""
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphnet import dtypes, tree
from graphnet.compiler import Executable
from graphnet.dims import Dim, Symbol, renamed
from graphnet.errors import DTypeError, GraphError, ShapeError
from graphnet.functions import ConcreteFunction, TensorSpec
from graphnet.functions import signature as signatures
from graphnet.functions.concrete import Arguments
from graphnet.graph import Constant, Graph, Read, Tensor, Variable
from graphnet.layers.layer import training_now
from graphnet.op import FunctionCall, symbolic_call
from graphnet.ops.elementwise import cast
from graphnet.saved_model.values import Decoder, Encoder, Unsaved, require, text, whole
from graphnet.tracing import current, has_tensor

KINDS = {kind.name: kind for kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL,
                                      inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)}
REMEMBERED = 1024  # signatures of calls for which a function knows the graph at once
Form = tuple[bool | None, ConcreteFunction]  # the phase that it was traced in, and the graph


class LoadedFunction:
    """A function that was saved: its graphs, one for each signature that it was traced for; other calls are refused.

    Attributes: ``name``; ``concrete_functions``; ``converts``, whether numbers of another kind are made what the graph takes, as
    models do. Raises ShapeError (a ValueError) for a call that no graph fits, with the list of those that there are.
    """

    def __init__(self, name: str, arguments: Arguments, forms: Sequence[Form], converts: bool = False) -> None:
        self.name, self.arguments, self.forms, self.converts = name, arguments, list(forms), converts
        self._known: dict[Any, ConcreteFunction] = {}

    @property
    def concrete_functions(self) -> list[ConcreteFunction]:
        return [concrete for _, concrete in self.forms]

    def pretty_printed_concrete_signatures(self) -> str:
        """What the graphs take and give, as text."""
        return "\n".join(dict.fromkeys([str(concrete) for concrete in self.concrete_functions]))

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The graph for arguments like these, arrays or TensorSpecs; of a function with one graph, that one, without any."""
        if not args and not kwargs and len(self.forms) == 1:
            return self.concrete_functions[0]
        return self.find(self.arguments(args, kwargs))[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current() is not None:
            return self.inlined(args, kwargs)
        if has_tensor(args) or has_tensor(kwargs.values()):  # a functional model is being made
            return symbolic_call(FunctionCall(self.__call__, self.name), args, kwargs)
        placed = self.arguments(args, kwargs)
        leaves: list[Any] = []
        try:
            key = (training_now(), *[signatures.key_of(value, leaves) for value in placed])
        except (TypeError, ValueError):  # what cannot be a part of a signature fits none, and is refused by name
            key = None
        concrete = self._known.get(key)
        if concrete is None:
            concrete, leaves = self.find(placed)
            if key is not None and _same_kinds(placed, concrete):
                if len(self._known) >= REMEMBERED:
                    self._known = {}
                self._known[key] = concrete
        return concrete.run(leaves)

    def find(self, placed: tuple[Any, ...]) -> tuple[ConcreteFunction, list[Any]]:
        """The graph that these arguments fit, and the arrays among them: of several that of this phase, and that with fewest open extents."""
        errors: list[Exception] = []
        training = training_now()
        for convert in (False, True) if self.converts else (False,):
            for _, concrete in sorted(self.forms, key=lambda form: (form[0] != training, bool(form[0]) != bool(training), form[1].open)):
                leaves: list[Any] = []
                try:
                    given = _converted(placed, concrete) if convert else placed
                    for name, expected, value in zip(self.arguments.names, concrete._placed, given, strict=True):
                        signatures.conform(expected, value, name, f"function {self.name!r}", leaves)
                except (ValueError, TypeError) as error:
                    errors.append(error)
                else:
                    return concrete, leaves
        raise self._refusal(errors)

    def _refusal(self, errors: list[Exception]) -> Exception:
        if not self.forms:
            return GraphError(f"function {self.name!r} was saved without any graph: it had not been called. Call it once, or give it an "
                              "input_signature, before it is saved.")
        error = next((e for e in errors if isinstance(e, ValueError)), errors[0])
        listed = "\n  ".join(self.pretty_printed_concrete_signatures().splitlines())
        kind = ShapeError if isinstance(error, ValueError) else DTypeError
        return kind(f"{error}\nA loaded function runs the signatures that were saved, and no others:\n  {listed}")

    # ---- within a trace

    def inlined(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result as tensors of the trace that runs: the graph's ops are a part of it, and gradients flow through them."""
        stand_ins: dict[str, Any] = {}  # by the names of the specs that take their places while a graph is looked for

        def swap(leaf: Any) -> Any:
            if not isinstance(leaf, (Tensor, Variable)):
                return leaf
            name = str(len(stand_ins))
            stand_ins[name] = leaf
            return TensorSpec.from_tensor(leaf, name)
        placed = tree.map_structure(swap, self.arguments(args, kwargs))
        concrete, leaves = self.find(placed)
        values = [stand_ins[leaf.name] if isinstance(leaf, TensorSpec) else leaf for leaf in leaves]
        values = [value if str(value.dtype) == spec.dtype else cast(value, spec.dtype) for value, spec in zip(values, concrete.specs, strict=True)]
        results = replay(concrete.primitive, values)
        return tree.map_structure(lambda i: None if i is None else results[i], concrete._structure)

    def __repr__(self) -> str:
        return f"<graphnet.saved_model function {self.name} with {len(self.forms)} graph(s)>"


class _Renamed(dict[Symbol, Any]):
    """What the unknown extents of a graph are called in the trace that it becomes a part of; others keep their names."""

    def __missing__(self, symbol: Symbol) -> Any:
        return Dim({(symbol,): 1})


def replay(graph: Graph, values: Sequence[Any]) -> list[Any]:
    """The outputs of a graph's ops on other values, in the trace that runs; what it assigns is assigned there."""
    trace = current()
    assert trace is not None, "a graph is replayed within a trace"
    known: dict[Any, Any] = {}
    extents = _Renamed()
    for tensor, value in zip(graph.inputs, values, strict=True):
        lifted = known[tensor.key] = trace.lift(value)
        extents.update(renamed(tensor.spec.shape, lifted.spec.shape))
    for node in graph.nodes:
        if isinstance(node.op, Read):
            results: Any = trace.lift(node.op.variable)
        elif isinstance(node.op, Constant):
            results = trace.lift(node.op.value)
        else:
            trace.scope += [node.scope] if node.scope else []
            try:
                results = trace.emit(node.op.bind(extents), [known[t.key] for t in node.inputs])
            finally:
                del trace.scope[len(trace.scope) - bool(node.scope):]
        for i, result in enumerate(results if isinstance(results, tuple) else (results,)):
            known[node, i] = result
    for variable, tensor in graph.updates.items():
        variable.assign(known[tensor.key])
    return [known[t.key] for t in graph.outputs]


def _pairs(placed: Any, concrete: ConcreteFunction) -> Iterator[tuple[Any, Any]]:
    return itertools.zip_longest(tree.iterate(placed), tree.iterate(concrete._placed))


def _same_kinds(placed: Any, concrete: ConcreteFunction) -> bool:
    """Whether the arrays of a call are what the graph takes, without any conversion."""
    return all(type(value) is np.ndarray and value.dtype == expected.dtype
               for value, expected in _pairs(placed, concrete) if isinstance(expected, TensorSpec))


def _converted(placed: Any, concrete: ConcreteFunction) -> Any:
    """The arguments with numbers of other kinds as those that the graph takes: floats of another width, whole numbers as floats."""
    flat, expected = list(tree.iterate(placed)), list(tree.iterate(concrete._placed))
    if len(flat) != len(expected):
        return placed

    def one(value: Any, spec: Any) -> Any:
        if not isinstance(spec, TensorSpec) or not hasattr(value, "dtype") or str(value.dtype) not in dtypes.ALL:
            return value
        if str(value.dtype) == spec.dtype or (spec.dtype not in dtypes.FLOATS and str(value.dtype) in dtypes.FLOATS):
            return value
        return TensorSpec(value.shape, spec.dtype, value.name) if isinstance(value, TensorSpec) else np.asarray(value).astype(spec.dtype)
    return tree.pack_sequence_as(placed, [one(*pair) for pair in zip(flat, expected, strict=True)])


# ---- as data

def encode_function(name: str, arguments: Arguments, forms: Sequence[Form], converts: bool, graph: Callable[[Graph], int],
                    objects: Callable[[Any], int | None]) -> tuple[dict[str, Any], list[str]]:
    """A function as data, and why those of its graphs that cannot be called without their program were left out."""
    encoder, written, left = Encoder(objects=objects), [], []
    for training, concrete in forms:
        try:
            placed = [encoder(tree.map_structure(_thing, value)) for value in concrete._placed]
        except Unsaved as error:
            left.append(f"{concrete.name}: {error}")
            continue
        written.append({"training": training, "graph": graph(concrete.primitive), "arguments": placed, "result": encoder(concrete._structure)})
    parameters = [_parameter(p, encoder) for p in arguments.parameters]
    return {"name": name, "parameters": parameters, "specified": arguments.specified, "converts": converts, "graphs": written}, left


def _thing(leaf: Any) -> Any:
    return leaf.ref() if isinstance(leaf, signatures.Held) else leaf


def _parameter(parameter: inspect.Parameter, encoder: Encoder) -> dict[str, Any]:
    found: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind.name}
    if parameter.default is not parameter.empty:
        try:
            found["default"] = encoder(parameter.default)
        except Unsaved:
            found["default"] = None  # no graph that was saved has this value, so that leaving it out is refused
    return found


def decode_function(data: Any, graphs: Sequence[Graph], executables: dict[int, Executable], objects: Callable[[int], Any]) -> LoadedFunction:
    """The function that data mean. Raises Malformed, or what the data's own disorder raises."""
    decoder, name = Decoder(objects=objects), text(data["name"])
    parameters = []
    for entry in data["parameters"]:
        label = text(entry["name"])
        require(label.isidentifier() and entry["kind"] in KINDS, f"function {name[:40]!r} has a parameter {label[:40]!r} that is none")
        default = decoder(entry["default"]) if "default" in entry else inspect.Parameter.empty
        parameters.append(inspect.Parameter(label, KINDS[entry["kind"]], default=default))

    def stand_in() -> None:
        """Has the signature of the function that was saved."""
    stand_in.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    arguments = Arguments(stand_in, False, None, f"function {name!r}")
    arguments.specified = whole(data["specified"], len(parameters) + 1)
    forms: list[Form] = []
    for entry in data["graphs"]:
        number = whole(entry["graph"], len(graphs))
        graph, placed = graphs[number], [decoder(value) for value in entry["arguments"]]
        specs = [leaf for leaf in tree.iterate(tuple(placed)) if isinstance(leaf, TensorSpec)]
        structure = decoder(entry["result"])
        require(entry["training"] in (None, True, False) and len(placed) == len(parameters), f"function {name[:40]!r} is malformed")
        require(len(specs) == len(graph.inputs) and all(
            s.dtype == t.dtype and s.shape == t.shape for s, t in zip(specs, graph.inputs, strict=True)),
            f"function {name[:40]!r} takes other arrays than its graph")
        places = [i for i in tree.iterate(structure) if i is not None]
        require(places == list(range(len(graph.outputs))), f"function {name[:40]!r} gives other results than its graph")
        executable = executables.setdefault(number, Executable(graph))
        forms.append((entry["training"], ConcreteFunction(name, executable, structure, arguments, placed, specs)))
    return LoadedFunction(name, arguments, forms, data["converts"] is True)
