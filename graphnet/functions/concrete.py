"""ConcreteFunction: one graph of a traced function, for one signature; and how the arguments of a call find their places."""

import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnet import tree
from graphnet.compiler import Executable, plain
from graphnet.functions import signature as signatures
from graphnet.functions.signature import TensorSpec
from graphnet.graph import Graph, Spec, Variable
from graphnet.module import Module
from graphnet.ops.convert import shown
from graphnet.tracing import Slot

if TYPE_CHECKING:
    import networkx as nx

_writing = threading.RLock()  # of two runs that write variables, one waits: what is read and added to is not lost
_KINDS = inspect.Parameter


class Arguments:
    """The parameters of a function, and a value for each of them from the arguments of a call.

    Defaults are filled in, names resolved. ``*args`` is one value, a tuple, and ``**kwargs`` another, a dict.
    """

    def __init__(self, function: Callable[..., Any], bound: bool, expected: Sequence[Any] | None, who: str) -> None:
        parameters = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
        self.signature, self.parameters, self.who = inspect.Signature(parameters), parameters, who
        self.names = [p.name for p in parameters]
        ordinary = all(p.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD) for p in parameters)
        self.count = len(parameters) if ordinary and expected is None else -1
        self.specified = len(parameters) if expected is None else len(expected)
        if self.specified > len(parameters):
            raise TypeError(
                f"{who}: the input_signature has {self.specified} specs; the function takes {len(parameters)} argument(s): "
                f"{', '.join(self.names)}."
            )
        self._orders: dict[Any, list[Any]] = {}

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """A value for each parameter; TypeError for arguments that the function does not take."""
        if not kwargs and len(args) == self.count:
            return args
        form = (len(args), *kwargs)
        order = self._orders.get(form) or self._order(form)
        return tuple([args[at] if type(at) is Slot else kwargs[at] if type(at) is str else at(args, kwargs) for at in order])

    def _order(self, form: tuple[Any, ...]) -> list[Any]:
        """Where each parameter's value comes from: a Slot among the args, a name among the kwargs, or a function of both."""
        count, *names = form
        try:
            bound = self.signature.bind(*range(count), **{name: name for name in names})
        except TypeError as error:
            raise TypeError(f"{self.who}: {error}. It takes {self.signature}.") from None
        given = dict(bound.arguments)
        order: list[Any] = []
        for number, p in enumerate(self.parameters):
            if number >= self.specified and p.name in given:
                raise TypeError(
                    f"{self.who}: argument {p.name} has no place in the input_signature, which has {self.specified} spec(s)."
                )
            if p.kind is p.VAR_POSITIONAL:
                order.append(functools.partial(_some_args, given.get(p.name, ())))
            elif p.kind is p.VAR_KEYWORD:
                order.append(functools.partial(_some_kwargs, tuple(given.get(p.name, {}))))
            elif p.name in given:
                order.append(given[p.name] if isinstance(given[p.name], str) else Slot(given[p.name]))
            else:
                order.append(functools.partial(_default, p.default))
        self._orders[form] = order
        return order

    def split(self, placed: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The values as arguments of a call."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for p, value in zip(self.parameters, placed, strict=True):
            if p.kind is p.VAR_POSITIONAL:
                args.extend(value)
            elif p.kind is p.VAR_KEYWORD:
                kwargs.update(value)
            elif p.kind is p.KEYWORD_ONLY:
                kwargs[p.name] = value
            else:
                args.append(value)
        return args, kwargs


def _some_args(places: Sequence[int], args: Any, kwargs: Any) -> Any:
    return tuple([args[i] for i in places])


def _some_kwargs(names: Sequence[str], args: Any, kwargs: Any) -> Any:
    return {name: kwargs[name] for name in names}


def _default(value: Any, args: Any, kwargs: Any) -> Any:
    return value


class ConcreteFunction:
    """A traced function for one signature: callable with arguments that fit it.

    Attributes:
        name: of the function.
        primitive: its `Graph` of primitive ops. Its inputs are the arrays among the arguments, in the order of `tree.flatten`
            of `structured_input_signature`; its outputs are the leaves of `structured_outputs` but for None, in that order; its
            updates are the variables that a run assigns.
        structured_input_signature: (args, kwargs), with a TensorSpec in the place of each array, and what else was a part of
            the signature as it is; modules and variables as marks of themselves.
        structured_outputs: the structure of the result, a TensorSpec in the place of each array.
        variables: what the graph reads or assigns, in the order of its nodes.

    Example:

        >>> import numpy as np, graphnet
        >>> v = graphnet.Variable(2.0, name="v")
        >>> concrete = graphnet.function(lambda x: x * v, name="scale").get_concrete_function(graphnet.TensorSpec((None,)))
        >>> print(concrete.source)
        def scale(x):           # float32[None]
            v = read('v')       # float32[]
            multiply_1 = x * v  # float32[None]
            return multiply_1
        >>> concrete(np.ones(2, "float32")), concrete.variables
        (array([2., 2.], dtype=float32), (<Variable path=v, shape=(), dtype=float32, value=2.>,))
    """

    def __init__(
        self,
        name: str,
        executable: Executable,
        structure: Any,
        arguments: Arguments,
        placed: Sequence[Any],
        specs: Sequence[TensorSpec],
    ) -> None:
        self.name, self.executable, self.specs = name, executable, list(specs)
        self.primitive: Graph = executable.graph
        self.open = sum(extent is None for spec in specs for extent in spec.shape)  # how many extents any call may choose
        rest = iter(specs)
        self._arguments = arguments
        self._placed = tree.pack_sequence_as(
            tuple(placed),
            [
                next(rest)
                if signatures.array_of(leaf)
                else signatures.Held(leaf)
                if isinstance(leaf, (Variable, Module))
                else leaf
                for leaf in tree.iterate(tuple(placed))
            ],
        )
        self._structure = structure
        self._sole = structure if type(structure) is int else -1
        self._several = (
            len(structure) if type(structure) in (tuple, list) and list(structure) == list(range(len(structure))) else -1
        )
        simple = len(self.specs) == 1 and self._sole == 0 and not self.primitive.updates
        self._fast: Any = executable.fast(self._first) if simple else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves: list[Any] = []
        who = f"function {self.name!r}, traced for ({self._shown_inputs()})"
        for name, expected, value in zip(self._arguments.names, self._placed, self._arguments(args, kwargs), strict=True):
            signatures.conform(expected, value, name, who, leaves)
        return self.run(leaves)

    def run(self, leaves: Sequence[np.ndarray]) -> Any:
        """The result for arrays that fit the signature, in the order of the graph's inputs."""
        if self._fast is not None:
            return self._fast(leaves[0])
        arrays = [plain(x) for x in leaves]
        if self.primitive.updates:
            with _writing:
                results = self.executable(arrays)
        else:
            results = self.executable(arrays)
        if self._sole >= 0:
            return results[self._sole]
        if self._several >= 0:
            return type(self._structure)(results)
        return tree.map_structure(lambda i: None if i is None else results[i], self._structure)

    def _first(self, x: np.ndarray) -> np.ndarray:
        """The long way of a function of one array: at the first call of a shape, or where x does not lie as kernels read it."""
        array = plain(x)
        self._fast.add(self.executable.runner((array.shape,)))
        return self.executable([array])[0]

    @property
    def structured_input_signature(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = self._arguments.split(self._placed)
        return tuple(args), kwargs

    @property
    def structured_outputs(self) -> Any:
        outputs = [_as_tensor_spec(t.spec) for t in self.primitive.outputs]
        return tree.map_structure(lambda i: None if i is None else outputs[i], self._structure)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(dict.fromkeys([*self.primitive.variables, *self.primitive.updates]))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """Those of `variables` that training changes."""
        return tuple([v for v in self.variables if v.trainable])

    @property
    def graph(self) -> "nx.MultiDiGraph":
        """The graph as a frozen networkx graph: `graphnet.visualization.primitive.to_networkx` says what stands on it."""
        from graphnet.visualization.primitive import to_networkx

        return to_networkx(self.primitive)

    @property
    def source(self) -> str:
        """The graph as one Python function, to be read."""
        from graphnet.visualization.primitive import to_source

        return to_source(self.primitive, self._structure)

    def _shown_inputs(self) -> str:
        def leaf(x: Any) -> Any:
            return _Text(str(_with_none(x))) if isinstance(x, TensorSpec) else x

        return ", ".join(
            [
                f"{name}: {tree.map_structure(leaf, value)!r}"
                for name, value in zip(self._arguments.names, self._placed, strict=True)
            ]
        )

    def __str__(self) -> str:
        outputs = tree.map_structure(
            lambda spec: None if spec is None else _Text(str(_with_none(spec))), self.structured_outputs
        )
        return f"{self.name}({self._shown_inputs()}) -> {outputs!r}"

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self}>"


class _Text(str):
    """Text that shows itself without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _as_tensor_spec(spec: Spec) -> TensorSpec:
    return TensorSpec(shown(spec.shape), spec.dtype)


def _with_none(spec: TensorSpec) -> str:
    return f"{spec.dtype}[{', '.join([str(s) for s in spec.shape])}]"


__all__ = ["Arguments", "ConcreteFunction"]
