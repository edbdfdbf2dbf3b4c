"""graphnet.function: a Python function over arrays, variables and modules, traced into one compiled graph for each signature.

    call -> arguments in their places -> key of the signature -> ConcreteFunction (traced where it is new) -> Executable

Python code runs while a graph is traced, and at no other time; within a trace the function's code becomes a part of that graph.
"""

import functools
import re
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet import dtypes, tree
from graphnet.compiler import Executable
from graphnet.errors import GraphError, RetracingWarning
from graphnet.functions import signature as signatures
from graphnet.functions.concrete import Arguments, ConcreteFunction
from graphnet.functions.signature import TensorSpec
from graphnet.graph import Tensor, Variable, at_line, current_trace, user_line, watching
from graphnet.identifiers import snake_case
from graphnet.layers.layer import training_now
from graphnet.module import Module
from graphnet.tracing import has_tensor, placeholder, trace_function

ALIASES = 4096  # signatures that a function remembers beside those that it was traced for
OFTEN, WITHIN = 5, 10  # so many traces within so many calls are reported
listeners: list[Callable[[ConcreteFunction], None]] = []  # told of each graph that is run: what records them for TensorBoard


class Traces:
    """The graphs of one function, or of one method of one object."""

    def __init__(self, function: "Function", bound: bool) -> None:
        self.function, self.name = function, function.name
        self.arguments = Arguments(function.python_function, bound, function.input_signature, self.who)
        self.expected = function.input_signature
        self.known: dict[Any, ConcreteFunction] = {}
        self.concretes: dict[Any, ConcreteFunction] = {}  # by the signatures that they were traced for
        self.lock = threading.RLock()
        self.begun = self.reported = False
        self.calls, self.marks = 0, [0]

    @property
    def who(self) -> str:
        return f"function {self.name!r}"

    def python(self, instance: Any) -> Callable[..., Any]:
        """The user's function, or the instance's method."""
        function = self.function.python_function
        return function if instance is None else types.MethodType(function, instance)

    def __call__(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if current_trace.get() is not None:
            return self.python(instance)(*args, **kwargs)
        self.calls += 1
        leaves: list[Any] = []
        placed = self.arguments(args, kwargs)
        concrete = self.known.get(self.key(placed, leaves))
        if concrete is None:
            if has_tensor(args) or has_tensor(kwargs.values()):  # a functional model is being made
                return self.python(instance)(*args, **kwargs)
            concrete = self.find(instance, placed, True)
        if listeners:
            for listener in listeners:
                listener(concrete)
        return concrete.run(leaves)

    def key(self, placed: tuple[Any, ...], leaves: list[Any]) -> Any:
        """The key of a call's signature; its arrays are added to the leaves."""
        if self.expected is not None:
            if has_tensor(placed):
                return None
            for name, expected, value in zip(self.arguments.names, self.expected, placed, strict=False):
                signatures.conform(expected, value, name, self.who, leaves)
            return training_now(), dtypes.floatx()
        key: list[Any] = [training_now(), dtypes.floatx()]
        for value in placed:
            if type(value) is np.ndarray:
                leaves.append(value)
                key.append((value.shape, value.dtype.num))
            else:
                try:
                    key.append(signatures.key_of(value, leaves))
                except TypeError as error:
                    name = self.arguments.names[len(key) - 2]
                    raise signatures.refuse_unhashable(self.who, name, error) from error
        return tuple(key)

    def find(self, instance: Any, placed: tuple[Any, ...], called: bool) -> ConcreteFunction:
        """The graph for these arguments: one that was traced for extents left open, or a new one."""
        if self.expected is not None:
            for name, expected, value in zip(self.arguments.names, self.expected, placed, strict=False):
                signatures.conform(expected, value, name, self.who, [])
            placed = (*self.expected, *placed[len(self.expected) :])
        leaves: list[Any] = []
        key = self.key(placed, leaves)
        with self.lock:
            found = self.known.get(key) or self._open(key, leaves)
            if found is None:
                before = next(reversed(self.concretes), None)
                if self.function.reduce_retracing and self._related(key) is not None:
                    placed, key, leaves = self._widened(placed, key)
                found = self.concretes[key] = self._trace(instance, placed, leaves)
                self._forget_with(placed, key)
                if called:
                    self._report(before, key)
            if len(self.known) - len(self.concretes) > ALIASES:
                self.known = dict(self.concretes)
            self.known[key] = found
        return found

    # ---- extents left open

    def _open(self, key: Any, leaves: list[Any]) -> ConcreteFunction | None:
        """A graph whose open extents these shapes fill; of several, that with the fewest."""
        loose = signatures.loosened(key)
        fitting = [
            c
            for k, c in self.concretes.items()
            if c.open
            and signatures.loosened(k) == loose
            and all(signatures.fits(s.shape, x.shape) for s, x in zip(c.specs, leaves, strict=True))
        ]
        return min(fitting, key=lambda c: c.open, default=None)

    def _related(self, key: Any) -> ConcreteFunction | None:
        loose = signatures.loosened(key)
        return next((c for k, c in reversed(self.concretes.items()) if signatures.loosened(k) == loose), None)

    def _widened(self, placed: tuple[Any, ...], key: Any) -> tuple[tuple[Any, ...], Any, list[Any]]:
        """The arguments as specs that leave those extents open in which they differ from a call before."""
        related = self._related(key)
        assert related is not None
        before = iter(related.specs)

        def widen(leaf: Any) -> Any:
            if not signatures.array_of(leaf):
                return leaf
            spec, other = signatures.spec_of(leaf, "", self.who), next(before)
            return TensorSpec(tuple([a if a == b else None for a, b in zip(spec.shape, other.shape, strict=True)]), spec.dtype)

        widened = tree.pack_sequence_as(placed, [widen(leaf) for leaf in tree.iterate(placed)])
        leaves: list[Any] = []
        return widened, self.key(widened, leaves), leaves

    # ---- tracing

    def _trace(self, instance: Any, placed: tuple[Any, ...], leaves: list[Any]) -> ConcreteFunction:
        """Traces; a first trace may make variables, and then a second one, in which they are there already, gives the graph."""
        if not self.begun:
            made: list[Variable] = []
            with watching(made.append):
                concrete = self._trace_once(instance, placed)
            self.begun = True
            if not made:
                return concrete
        with watching(self._refuse_variable):
            return self._trace_once(instance, placed)

    def _refuse_variable(self, variable: Variable) -> None:
        raise GraphError(
            f"{self.who} makes the variable {variable.path!r} at a trace that is not its first. Variables are made at the "
            "first call alone, and kept: `if self.w is None: self.w = graphnet.Variable(...)`, or make it (a layer, a metric, "
            "an optimizer) "
            f"outside of the function.{at_line()}"
        )

    def _trace_once(self, instance: Any, placed: tuple[Any, ...]) -> ConcreteFunction:
        python, stand_ins, specs = self.python(instance), [], []
        for name, value in zip(self.arguments.names, placed, strict=True):
            for path, leaf in signatures.named_leaves(value, name):
                if signatures.array_of(leaf):
                    spec = signatures.spec_of(leaf, path, self.who)
                    label = spec.name or re.sub(r"\W+", "_", path).strip("_")
                    specs.append(spec)
                    stand_ins.append(placeholder(spec.spec(label), label))

        def body(*values: Any) -> Any:
            rest = iter(values)
            filled = tree.pack_sequence_as(
                placed, [next(rest) if signatures.array_of(leaf) else leaf for leaf in tree.iterate(placed)]
            )
            args, kwargs = self.arguments.split(filled)
            return self._checked(python(*args, **kwargs))

        graph, structure = trace_function(body, stand_ins, training_now(), self.name)
        return ConcreteFunction(self.name, Executable(graph), structure, self.arguments, placed, specs)

    def _checked(self, result: Any) -> Any:
        """The result with numbers as arrays; TypeError for what no graph can give."""

        def leaf(x: Any) -> Any:
            if x is None or isinstance(x, (Tensor, Variable)):
                return x
            array = dtypes.as_array(x)
            if array.dtype.name not in dtypes.ALL:
                raise TypeError(
                    f"{self.who} expects to return tensors, arrays, numbers, None, or lists, tuples and dicts of them; "
                    f"it returned {x!r}."
                )
            return array

        return tree.map_structure(leaf, result)

    def _forget_with(self, placed: tuple[Any, ...], key: Any) -> None:
        """Lets the graph go with the first of the modules that it was traced for."""
        traces = weakref.ref(self)

        def forget() -> None:
            alive = traces()
            if alive is not None:
                alive.concretes.pop(key, None)
                alive.known.pop(key, None)

        for leaf in tree.iterate(placed):
            if isinstance(leaf, (Module, Variable)):
                weakref.finalize(leaf, forget).atexit = False

    def _report(self, before: Any, key: Any) -> None:
        """Warns, once, where most calls trace anew."""
        self.marks.append(self.calls)
        if self.reported or len(self.marks) <= OFTEN or self.calls - self.marks[-OFTEN] >= WITHIN or before is None:
            return
        self.reported = True
        texts = [
            text
            for name, a, b in zip(self.arguments.names, before[2:], key[2:], strict=False)
            for text in signatures.differences(name, a, b)
        ]
        file, line = user_line() or (__file__, 0)
        warnings.warn_explicit(
            f"{self.who} was traced {OFTEN} times in its last {self.calls - self.marks[-OFTEN] + 1} calls; a trace takes far "
            f"longer than a run. What differed: {'; '.join(texts) or 'the training phase or the default float type'}. "
            "Pass numbers that change as arrays (np.asarray(n)); "
            "for extents that change give input_signature=[graphnet.TensorSpec((None, ...))], or reduce_retracing=True.",
            RetracingWarning,
            file,
            line,
        )


class Traceable:
    """What a traced function and a method of it have in common."""

    _traces: Traces
    _instance: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._traces(self._instance, args, kwargs)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The graph for arguments like these: arrays, or TensorSpecs in their places. With an input_signature none are needed.

        Example:

            >>> import graphnet
            >>> double = graphnet.function(lambda x: 2 * x)
            >>> concrete = double.get_concrete_function(graphnet.TensorSpec((None,), "float32"))
            >>> concrete.structured_outputs
            TensorSpec(shape=(None,), dtype='float32')
        """
        traces = self._traces
        if traces.expected is not None and not args and not kwargs:
            args = tuple(traces.expected)
        return traces.find(self._instance, traces.arguments(args, kwargs), False)

    @property
    def concrete_functions(self) -> list[ConcreteFunction]:
        """The graphs that were traced so far, in order."""
        return list(self._traces.concretes.values())

    def pretty_printed_concrete_signatures(self) -> str:
        """What the graphs that were traced so far take and give, as text.

        Example:

            >>> import numpy as np, graphnet
            >>> double = graphnet.function(lambda x: 2 * x, name="double")
            >>> y = double(np.ones(3, "float32"))
            >>> print(double.pretty_printed_concrete_signatures())
            double(x: float32[3]) -> float32[3]
        """
        return "\n".join([str(concrete) for concrete in self.concrete_functions])


class BoundFunction(Traceable):
    """A traced method of one object."""

    __slots__ = ("_instance", "_traces", "function")

    def __init__(self, function: "Function", instance: Any, traces: Traces) -> None:
        self.function, self._instance, self._traces = function, instance, traces

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return f"<graphnet.function {self.function.name} of {self._instance!r}>"


class Function(Traceable):
    """A traced function: what `graphnet.function` gives. As an attribute of a class it is a method, traced for each object."""

    def __init__(
        self,
        python_function: Callable[..., Any],
        input_signature: Sequence[Any] | None = None,
        reduce_retracing: bool = False,
        name: str | None = None,
    ) -> None:
        if isinstance(python_function, Traceable):
            python_function = python_function._traces.python(python_function._instance)
        if isinstance(python_function, (classmethod, staticmethod)) or not callable(python_function):
            raise TypeError(
                f"graphnet.function expects a function; received {python_function!r}."
                + (" Write @classmethod or @staticmethod above it." if not callable(python_function) else "")
            )
        if input_signature is not None and not isinstance(input_signature, (list, tuple)):
            raise TypeError(
                "graphnet.function expects input_signature to be a list of a spec for each argument; received "
                f"{input_signature!r}."
            )
        functools.update_wrapper(self, python_function, updated=())
        self.python_function, self.reduce_retracing = python_function, reduce_retracing
        self.input_signature = (
            None if input_signature is None else tuple([signatures.as_specs(spec) for spec in input_signature])
        )
        self.name = name or _name_of(python_function)
        self._of_objects: dict[int, tuple[Any, Traces]] = {}
        self._own: Traces | None = None
        self._lock, self._instance = threading.Lock(), None

    @property
    def _traces(self) -> Traces:  # type: ignore[override]  # made when it is first called, not for a method's class
        if self._own is None:
            with self._lock:
                if self._own is None:
                    self._own = Traces(self, False)
        return self._own

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        entry = self._of_objects.get(id(instance))
        return BoundFunction(self, instance, entry[1] if entry is not None and entry[0]() is instance else self._bind(instance))

    def _bind(self, instance: Any) -> Traces:
        number = id(instance)
        with self._lock:
            entry = self._of_objects.get(number)
            if entry is None or entry[0]() is not instance:
                try:
                    ref = weakref.ref(instance, lambda ref: self._unbind(number, ref))
                except TypeError:
                    raise TypeError(
                        f"function {self.name!r}: an object of class {type(instance).__name__} keeps no weak references, so "
                        "its traced methods have nowhere to be kept. Add '__weakref__' to its __slots__."
                    ) from None
                entry = self._of_objects[number] = ref, Traces(self, True)
        return entry[1]

    def _unbind(self, number: int, ref: Any) -> None:
        entry = self._of_objects.get(number)
        if entry is not None and entry[0] is ref:
            del self._of_objects[number]

    def __reduce__(self) -> Any:  # a copy is traced anew
        return Function, (self.python_function, self.input_signature, self.reduce_retracing, self.name)

    def __repr__(self) -> str:
        return f"<graphnet.function {self.name}>"


def _name_of(function: Any) -> str:
    name = getattr(function, "__name__", None) or getattr(function, "name", None) or snake_case(type(function).__name__)
    return "function" if name == "<lambda>" else str(name)


def function(
    func: Callable[..., Any] | None = None,
    *,
    input_signature: Sequence[Any] | None = None,
    reduce_retracing: bool = False,
    name: str | None = None,
) -> Any:
    """Traces a Python function into a graph for each signature, and runs that: a decorator, with or without arguments.

    Arguments: ``func`` speaks ops of arrays, variables, layers and modules, also nested in lists, tuples and dicts;
    ``input_signature`` a `TensorSpec` (or a pair ``((None, 3), "float32")``) for each argument: then there is one graph, and
    other arguments are refused; ``reduce_retracing`` leaves those extents open that change from call to call; ``name``.
    The signature of a call is the structure of its arguments, of arrays shape and dtype, of all else the value itself: numbers
    and strings by value, modules and variables by what they are. A new signature is traced: Python code runs then only.
    Variables may be read and assigned, and made at the first call; assignments happen all or, where the run fails, not at all.
    A method has graphs of its own for each object, which go with it. Called within a trace it becomes a part of that.
    Raises SymbolicTensorError for a branch on a value, with the line and the op to use; ShapeError and DTypeError for arguments
    that do not fit the input_signature; GraphError where a later trace makes variables.
    Source: https://www.tensorflow.org/guide/function

    Example:

        >>> import numpy as np, graphnet
        >>> from graphnet import ops
        >>> @graphnet.function(input_signature=[graphnet.TensorSpec((None, 3), "float32")])
        ... def total(x):
        ...     print("traced")
        ...     return ops.sum(x, axis=0)
        >>> total(np.ones((5, 3), "float32"))
        traced
        array([5., 5., 5.], dtype=float32)
        >>> total(np.ones((2, 3), "float32"))
        array([2., 2., 2.], dtype=float32)
    """
    if func is None:
        return lambda func: Function(func, input_signature, reduce_retracing, name)
    return Function(func, input_signature, reduce_retracing, name)


__all__ = ["BoundFunction", "ConcreteFunction", "Function", "TensorSpec", "function"]
