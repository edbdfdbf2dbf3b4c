"""save: the functions of an object as graphs, its parts and its variables, written as one directory that is whole or not there."""
import functools
import inspect
import json
import os
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from graphnet.functions import ConcreteFunction, Function
from graphnet.functions.concrete import Arguments
from graphnet.functions.function import Traceable, Traces
from graphnet.graph import Graph, Variable, user_line
from graphnet.layers.layer import Layer
from graphnet.layers.serialization import serialize
from graphnet.meanwhile import meanwhile
from graphnet.module import Module
from graphnet.saved_model.directory import CONSTANTS, FORMAT, TEXT, VERSION, whole_directory
from graphnet.saved_model.forms import call_function
from graphnet.saved_model.functions import Form, LoadedFunction, encode_function
from graphnet.saved_model.graphs import Constants, encode_graph
from graphnet.saved_model.objects import CALL, Loaded
from graphnet.saved_model.values import PLACES
from graphnet.saved_model.variables import encode_variable
from graphnet.trackable import Trackable
from graphnet.train.parts import VALUE, describe, reached, walk
from graphnet.train.writing import write as write_checkpoint

SERVING = "serving_default"


def save(obj: Any, path: Any, signatures: Any = None, include_optimizer: bool = True) -> None:
    """Writes an object as a saved model: a directory with the graphs of its functions as data, and its variables.

    `load` runs it without its classes, without any Python code of its own. Saved are: the methods and functions among the attributes
    that `graphnet.function` decorates, with the graphs that they were traced for; of a layer or model its call, in training and
    inference, for any batch of what it was built for; all modules, variables, lists, tuples and dicts below it.

    Arguments: ``obj`` a Module, Layer or Model; ``path`` of the directory, made anew or replaced as a whole; ``signatures`` a traced
    function, or a dict of them by name, each with one graph; by default ``serving_default``, the call in inference;
    ``include_optimizer`` False leaves out what a model's `compile` was given, and the optimizer's state.
    Raises ValueError for what is no module, GraphError for a model that was never called, UnsupportedError for ops that are not
    graphnet's, FileExistsError where the directory holds other files, OSError where the disk is full; nothing is changed then.
    Source: https://www.tensorflow.org/guide/saved_model

    Example:

        >>> import numpy as np, graphnet, os, tempfile
        >>> class Scale(graphnet.Module):
        ...     def __init__(self):
        ...         self.w = graphnet.Variable(2.0)
        ...     @graphnet.function(input_signature=[((None,), "float32")])
        ...     def __call__(self, x):
        ...         return self.w * x
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.saved_model.save(Scale(), os.path.join(folder, "scale"))
        ...     loaded = graphnet.saved_model.load(os.path.join(folder, "scale"))
        >>> loaded(np.ones(2, "float32"))
        array([2., 2.], dtype=float32)
    """
    if not isinstance(obj, Module):
        raise ValueError(f"saved_model.save expects a graphnet.Module, Layer or Model; received {obj!r} ({type(obj).__name__}). Make a function "
                         "an attribute of one: module = graphnet.Module(); module.f = graphnet.function(f).")
    found = _Found(obj, signatures, include_optimizer)
    with whole_directory(path) as folder:
        prefix = os.path.join(folder, "variables", "variables")
        variables = meanwhile(lambda: write_checkpoint(prefix, found.nodes, found.values), "graphnet-variables")
        try:
            _Encoded(found).write(folder)
        finally:
            variables()  # it writes into the folder, which goes away where either raises


class _Root(Trackable):
    """What the checkpoint of a saved model holds: the object's parts, the variables that its functions hold besides, the metrics."""

    def __init__(self, obj: Any, captured: list[Variable], optimizer: bool) -> None:
        self._untracked_all = (obj, captured, optimizer)

    def _named_parts(self) -> dict[str, Any]:
        obj, captured, optimizer = self._untracked_all
        parts = obj._named_parts()
        if not optimizer:
            parts.pop("optimizer", None)
        return {**parts, **({"_captured": captured} if captured else {})}


class _Found:
    """What there is to write: functions by object and by signature, and all variables."""

    def __init__(self, obj: Any, signatures: Any, optimizer: bool) -> None:
        self.obj, self.optimizer = obj, optimizer and bool(getattr(obj, "compiled", True))
        self.functions = {id(part): functions_of(part, part is obj) for part, _ in reached(obj) if isinstance(part, Module)}
        call = self.functions[id(obj)].get(CALL)
        self.adding = call.adding if call is not None else []
        self.signatures = _signatures(signatures, call)
        everything = [f for found in self.functions.values() for f in found.values()] + list(self.signatures.values())
        self.root = _Root(obj, self._captured(everything), self.optimizer)
        self.nodes, self.values = describe(self.root)

    def _captured(self, functions: list["Saved"]) -> list[Variable]:
        """Variables that graphs use, and that no path of attributes leads to."""
        found = {id(thing) for thing, _ in reached(_Root(self.obj, [], self.optimizer))}
        used = {id(v): v for f in functions for _, concrete in f.forms for v in concrete.variables}
        return [v for number, v in used.items() if number not in found]


class _Encoded:
    """All of it but the variables, as data; made while those are written."""

    def __init__(self, found: _Found) -> None:
        self.found, self.obj = found, found.obj
        self.constants = Constants()
        self.graphs: list[dict[str, Any]] = []
        self._graph_texts: dict[str, int] = {}
        self._graph_numbers: dict[int, tuple[Graph, int]] = {}
        self.left: list[str] = []
        self.variables: dict[int, tuple[int, Variable, str]] = {}
        self.objects, self._numbers = self._tree(found.functions)
        self.signatures = {name: self._function(name, f) for name, f in found.signatures.items()}
        for entry, (_, functions) in zip(self.objects, self._functions, strict=True):
            if functions:
                entry["functions"] = {name: self._function(name, f) for name, f in functions.items()}
        self.model = self._model() if isinstance(self.obj, Layer) else None

    def _tree(self, functions: dict[int, dict[str, "Saved"]]) -> tuple[list[dict[str, Any]], dict[int, int]]:
        """The objects, the root first, as nodes with the numbers of their parts; variables are numbered on the way."""
        root = self.found.root
        walked = [(self.obj if thing is root else thing, path, parts) for thing, path, parts in walk(root)]
        numbers = {id(thing): number for number, (thing, _, _) in enumerate(walked)}
        entries: list[dict[str, Any]] = []
        owned = {id(part) for part in (self.obj, *self.obj.submodules)}
        self._functions: list[tuple[Any, dict[str, Saved]]] = []
        self._keep = walked  # lists that were made for the walk keep their numbers as long as they live
        for thing, path, below in walked:
            entry: dict[str, Any] = {"kind": _kind(thing, functions.get(id(thing), {}))}
            if isinstance(thing, Variable):
                number = len(self.variables)
                self.variables[id(thing)] = number, thing, f"{path}/{VALUE}"
                entry["variable"] = number
            else:
                parts = {name: numbers[id(part)] for name, part in below.items()}
                entry.update({"parts": parts} if parts else {})
                if entry["kind"] in ("list", "tuple"):
                    entry["length"] = len(thing) if parts else 0  # what holds no part is loaded without its places: a vocabulary is long
                elif entry["kind"] == "dict" and any(isinstance(key, int) for key in thing):
                    entry["numbers"] = [str(key) for key in thing if isinstance(key, int)]
            if isinstance(thing, Module):
                entry["name"] = str(thing.name)
                entry.update({} if id(thing) in owned else {"is_part": False})  # a model's optimizer
            entries.append(entry)
            self._functions.append((thing, functions.get(id(thing), {})))
        longest = max(entry.get("length", 0) for entry in entries)
        if sum(entry.get("length", 0) for entry in entries) >= PLACES:
            raise ValueError(f"A saved model holds fewer than {PLACES} places of lists and tuples; this one's have more, the longest {longest}. Keep "
                             "what is no variable or module in lists of its own, or in numpy arrays.")
        return entries, numbers

    def _function(self, name: str, function: "Saved") -> dict[str, Any]:
        data, left = encode_function(name, function.arguments, function.forms, function.converts, self._graph, self._object)
        self.left += left
        return data

    def _object(self, thing: Any) -> int | None:
        return self._numbers.get(id(thing))

    def _graph(self, graph: Graph) -> int:
        """The number of a graph among all that are written; equal ones are one."""
        if id(graph) not in self._graph_numbers:
            data = encode_graph(graph, lambda v: self.variables[id(v)][0], self.constants)
            key = json.dumps({**data, "name": ""}, sort_keys=True)
            if key not in self._graph_texts:
                self._graph_texts[key] = len(self.graphs)
                self.graphs.append(data)
            self._graph_numbers[id(graph)] = graph, self._graph_texts[key]
        return self._graph_numbers[id(graph)][1]

    def _model(self) -> dict[str, Any]:
        """What `load_model` needs beside: the configuration of a model whose classes are known, what `compile` was given."""
        obj, number = self.obj, lambda variables: [self.variables[id(v)][0] for v in variables]
        found: dict[str, Any] = {"weights": number(v for v in obj.variables if id(v) in self.variables)}
        try:
            found["config"] = json.dumps(serialize(obj))
        except (ValueError, TypeError, NotImplementedError, AttributeError):
            found["config"] = None  # it is loaded as a graph then
        if self.found.optimizer and getattr(obj, "compiled", False):
            found["compile"] = json.dumps(obj.get_compile_config())
            found.update({"adding_losses": self.found.adding} if self.found.adding else {})
            if obj.optimizer is not None and obj.optimizer.built:
                found["optimizer"] = number(obj.optimizer.variables)
            found["metrics"] = [[m.name, [self.constants.number(v.value.copy()) for v in m.variables]] for m in obj.metrics]
        return found

    def write(self, folder: str) -> None:
        """Writes all files but the variables' into an empty folder."""
        if self.left:
            source, line = user_line() or (__file__, 0)
            warnings.warn_explicit("Graphs that were traced for objects which a file cannot hold are left out: " + "; ".join(self.left) + ".",
                                   UserWarning, source, line)
        variables = [encode_variable(v, key) for _, v, key in self.variables.values()]
        body = {"objects": self.objects, "variables": variables, "graphs": self.graphs, "constants": self.constants.entries,
                "signatures": self.signatures, "model": self.model}
        text = json.dumps(body, allow_nan=False, separators=(",", ":"), sort_keys=True)
        with open(os.path.join(folder, TEXT), "w", encoding="utf-8") as file:
            file.write(f'{{"format":"{FORMAT}","version":{VERSION},"crc32":{zlib.crc32(text.encode())},"body":\n{text}}}\n')
        if self.constants.arrays:
            save_file({key: np.ascontiguousarray(a) for key, a in self.constants.arrays.items()}, os.path.join(folder, CONSTANTS))


def _kind(thing: Any, functions: Mapping[str, Any]) -> str:
    if isinstance(thing, Variable):
        return "variable"
    if isinstance(thing, (list, tuple, dict)):
        return "dict" if isinstance(thing, dict) else "tuple" if isinstance(thing, tuple) else "list"
    if CALL not in functions:
        return "module"
    return "model" if hasattr(thing, "predict_on_batch") else "layer"


# ---- functions

class Saved:
    """A function that is to be saved; `adding` are the layers whose losses it does not give."""

    def __init__(self, arguments: Arguments, forms: list[Form], converts: bool = False, adding: Sequence[str] = ()) -> None:
        self.arguments, self.forms, self.converts, self.adding = arguments, forms, converts, list(adding)


def functions_of(thing: Any, called: bool) -> dict[str, Saved]:
    """The functions of an object by their names; `called` asks for the call of a layer or model, too."""
    found: dict[str, Saved] = {}
    for name, value in [*((name, getattr(thing, name)) for name in _methods(type(thing))), *vars(thing).items()]:
        if isinstance(value, (Traceable, LoadedFunction)) and not name.startswith("_untracked"):
            found[name] = _saved(value)
    if isinstance(thing, Loaded):
        found.update({name: _saved(function) for name, function in thing._untracked_functions.items()})
    elif called and isinstance(thing, Layer) and CALL not in found:
        function, adding = call_function(thing)
        found[CALL] = Saved(function._traces.arguments, _forms(function._traces), True, adding)
    return found


@functools.lru_cache(1024)
def _methods(kind: Any) -> list[str]:
    """The names of a class's traced methods."""
    return [name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name, None), Function)]


def _saved(function: Any) -> Saved:
    if isinstance(function, LoadedFunction):
        return Saved(function.arguments, function.forms, function.converts)
    if isinstance(function, ConcreteFunction):
        return Saved(function._arguments, [(None, function)])
    traces = function._traces
    if traces.expected is not None and not traces.concretes:
        function.get_concrete_function()
    return Saved(traces.arguments, _forms(traces))


def _forms(traces: Traces) -> list[Form]:
    return [(key[0], concrete) for key, concrete in traces.concretes.items()]


def _signatures(given: Any, call: Saved | None) -> dict[str, Saved]:
    """The functions of the signatures by name, each with one graph."""
    if given is None:
        forms = sorted(call.forms, key=lambda form: bool(form[0])) if call is not None else []
        return {SERVING: Saved(call.arguments, forms[:1], call.converts)} if call is not None and forms else {}
    named = given if isinstance(given, Mapping) else {SERVING: given}
    found = {}
    for name, function in named.items():
        if not isinstance(name, str) or not isinstance(function, (Traceable, LoadedFunction, ConcreteFunction)):
            raise ValueError(f"saved_model.save expects signatures to be a function that graphnet.function traced, or a dict of them by name; "
                             f"received {name!r}: {function!r}.")
        found[name] = _saved(function)
        if len(found[name].forms) != 1:
            raise ValueError(f"saved_model.save expects a signature to have one graph; {name!r} has {len(found[name].forms)}. Choose one: "
                             "function.get_concrete_function(graphnet.TensorSpec((None, 3), \"float32\")).")
    return found
