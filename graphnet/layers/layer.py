"""Layer: `build` makes variables, `call` speaks ops; calling a layer on symbolic tensors makes a node of the graph."""
import contextvars
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphnet import constraints, dtypes, initializers, regularizers, tree
from graphnet.errors import GraphError
from graphnet.graph import CallList, Node, Tensor, Variable, path_scope
from graphnet.identifiers import did_you_mean
from graphnet.layers.input_spec import InputSpec, check_arguments, check_inputs, specs_of
from graphnet.layers.penalties import Penalized
from graphnet.layers.signature import Signature, parameters_of, signature_of, snake_case
from graphnet.masking import drops, get_mask, set_mask, warn_dropped, without_masks
from graphnet.metrics import Metric
from graphnet.module import members
from graphnet.op import NAMES, outputs_of, symbolic_call
from graphnet.ops.elementwise import cast
from graphnet.ops.shape import shape as shape_of
from graphnet.ops.shape import shown
from graphnet.optimizers import Optimizer
from graphnet.tracing import current, fresh_spec, has_tensor, placeholder, restore, tracing
from graphnet.trackable import resume

_training: contextvars.ContextVar[bool | None] = contextvars.ContextVar("graphnet_training", default=None)
_MADE_BY_INIT = {"autocast", "built", "dtype", "input_spec", "name", "_trainable", "_untracked_executables", "_weights"}
training_now = _training.get  # the phase of the call that is under way: True, False, or None where it does not say
edits = [0]  # rises with every attribute that is set on a built layer; a model compares this before it looks at its layers


class Layer(Penalized):
    """A callable with variables. Subclasses define ``build(input_shape)``, to make them by `add_weight`, and ``call(inputs)``.

    Arguments: ``activity_regularizer``, ``trainable``, ``dtype`` (of computation and variables), ``autocast`` (float inputs are
    cast to dtype), ``name``.
    Calling it on symbolic tensors checks shapes at once and gives symbolic tensors; on arrays it computes.
    Source: https://keras.io/api/layers/base_layer/

    Example:

        >>> import numpy as np, graphnet
        >>> class Scale(graphnet.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        ...     def call(self, inputs):
        ...         return inputs * self.scale
        >>> Scale()(np.ones((2, 3), "float32")).shape
        (2, 3)
    """

    supports_masking = False
    _auto_config: dict[str, Any]
    _unwatched: frozenset[str] = frozenset()  # attributes that change nothing of what a call computes

    def __new__(cls, *args: Any, **kwargs: Any) -> "Layer":
        if args and type(args[0]) is Tensor and cls.__module__.startswith("graphnet.layers."):
            raise TypeError(f"{cls.__name__}(...) makes a layer, which is then called on the tensor {args[0].name!r}: "
                            f"{cls.__name__}()(x).")
        layer = super().__new__(cls)
        try:
            bound = parameters_of(cls.__init__).bind(layer, *args, **kwargs)
        except TypeError:
            return layer  # __init__ itself says what is wrong
        config = dict(list(bound.arguments.items())[1:])
        config.update(config.pop("kwargs", {}))
        object.__setattr__(layer, "_untracked_auto_config", config)
        return layer

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _remember_build(cls.__dict__["build"])  # type: ignore[method-assign]

    def __init__(self, *, activity_regularizer: Any = None, trainable: bool = True, dtype: Any = None, autocast: bool = True,
                 name: str | None = None, **kwargs: Any) -> None:
        input_shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        batch = kwargs.pop("batch_size", None)
        self._untracked_batch_shape = kwargs.pop("batch_shape", kwargs.pop("batch_input_shape", None)) or (
            (batch, *input_shape) if input_shape is not None else None)
        kwargs.pop("weights", None)
        if kwargs:
            near = did_you_mean(next(iter(kwargs)), parameters_of(type(self).__init__).parameters)
            raise TypeError(f"{type(self).__name__} does not take the argument(s) {', '.join(map(repr, kwargs))}.{near} See "
                            f"help({type(self).__name__}).")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{type(self).__name__} expects name to be a string; received name={name!r}.")
        self.name = name or NAMES.unique(snake_case(type(self).__name__))
        self.dtype = dtypes.standardize_dtype(dtype["config"]["name"] if isinstance(dtype, dict) else dtype)
        self.autocast, self.built, self._trainable = autocast, False, bool(trainable)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self._weights: list[Variable] = []
        self._untracked_calls = CallList()
        self._untracked_build_shapes: Any = None
        self._untracked_path, self._untracked_mask_warned = self.name, False

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        state = self.__dict__
        if state.get("built") and not name.startswith("_untracked") and name not in self._unwatched:
            state["_untracked_version"] = state.get("_untracked_version", 0) + 1
            edits[0] += 1  # models compiled with the layer as it was are traced anew
        if "_untracked_pending" in state:
            resume(self)

    def _named_parts(self) -> dict[str, Any]:
        parts = super()._named_parts()
        weights = parts.pop("_weights", [])
        named = {id(v) for part in parts.values() for v in members(part, Variable)}
        return parts | {"_weights": {str(i): v for i, v in enumerate(weights) if id(v) not in named}}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, **self._of_this_object()}

    def _of_this_object(self) -> dict[str, Any]:
        """What a copy begins anew: calls, and what was compiled."""
        return {"_untracked_calls": CallList()}

    def __getattr__(self, name: str) -> Any:
        if name in _MADE_BY_INIT and "_untracked_calls" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ does not call super().__init__(); call it there first.")
        return object.__getattribute__(self, name)  # again the error that led here, with its own text

    # ---- variables

    def add_weight(self, shape: Sequence[int] | None = None, initializer: Any = None, dtype: Any = None, trainable: bool = True,
                   autocast: bool = True, regularizer: Any = None, constraint: Any = None, aggregation: str = "none",
                   overwrite_with_gradient: bool = False, name: str | None = None) -> Variable:
        """Makes a variable of this layer: without an ``initializer`` ``glorot_uniform`` for floats, zeros for other dtypes."""
        if isinstance(shape, str):
            raise ValueError(f"Layer {self.name!r} ({type(self).__name__}): add_weight expects a shape first; received "
                             f"{shape!r}. Write add_weight(shape=..., name={shape!r}).")
        dtype = dtypes.standardize_dtype(dtype or self.dtype)
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(s is None for s in shape):
            raise GraphError(f"Layer {self.name!r} ({type(self).__name__}) makes a weight of shape {shape}, which has an "
                             "unknown extent. Give that extent in Input(shape=...).")
        initializer = initializers.get(initializer or ("glorot_uniform" if dtype in dtypes.FLOATS else "zeros"))
        variable = Variable(initializer, shape, dtype, trainable, name or "variable")
        variable.path = "/".join((*path_scope.get(), variable.name)) if path_scope.get() else f"{self.name}/{variable.name}"
        variable.regularizer, variable.constraint = regularizers.get(regularizer), constraints.get(constraint)
        self._weights.append(variable)
        return variable

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._held_variables():
            if getattr(variable, "starts_trainable", variable.trainable) or variable.trainable:
                variable.starts_trainable = True  # type: ignore[attr-defined]
                variable.trainable = self._trainable
        for layer in self._layers:
            layer.trainable = self._trainable

    def _held_variables(self) -> list[Variable]:
        """The variables of the layer and of plain modules inside it; layers, metrics and optimizers keep their own."""
        found = [v for part in (self, *self._below((Layer, Metric, Optimizer))) for v in part._own_variables()]
        return list({id(v): v for v in found if not getattr(v, "is_seed", False)}.values())

    @property
    def _layers(self) -> list["Layer"]:
        return [m for m in self._children() if isinstance(m, Layer)]

    @property
    def weights(self) -> list[Variable]:
        """All variables of this layer and of those inside it, trainable ones of each layer first."""
        own = self._held_variables()
        ordered = sorted(own, key=lambda v: not getattr(v, "starts_trainable", v.trainable))
        for layer in self._layers:
            ordered += layer.weights
        return list({id(v): v for v in ordered if not getattr(v, "is_seed", False)}.values())

    @property
    def variables(self) -> list[Variable]:
        return list({id(v): v for v in [*self.weights, *super().variables]}.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, in the order of `weights`."""
        return [v.value.copy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assigns all weights, in the order of `weights`; checks all shapes before the first is changed."""
        variables = self.weights
        arrays = [np.asarray(w) for w in weights]
        if len(arrays) != len(variables):
            raise ValueError(f"Layer {self.name!r} has {len(variables)} weights; set_weights received {len(arrays)}."
                             + ("" if self.built else " The layer is not built yet: call it, or build(input_shape), first."))
        for v, array in zip(variables, arrays, strict=True):
            if v.shape != array.shape:
                raise ValueError(f"Layer {self.name!r}: weight {v.path!r} expects shape {v.shape}; received {array.shape}.")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array.astype(variable.dtype, copy=False))

    def count_params(self) -> int:
        """The number of values in all weights."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no weights yet: call it, or build(input_shape), before count_params().")
        return sum(v.size for v in self.weights)

    # ---- building and calling

    @property
    def path(self) -> str:
        return self._untracked_path

    @property
    def compute_dtype(self) -> str:
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        return self.dtype

    def build(self, input_shape: Any) -> None:
        """Makes the variables; `input_shape` has None for unknown extents, and is a list or dict for several inputs."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation, in ops."""
        raise NotImplementedError(f"Layer {self.name!r} ({type(self).__name__}) has no call(self, inputs) method. Define it.")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output; by default that of the input where the layer supports masking."""
        return previous_mask

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shape for an input's shape, found by a trace."""
        shapes = args[0] if args else next(iter(kwargs.values()))

        def stand_in(shape: Any) -> Any:
            if isinstance(shape, dict):
                return {name: stand_in(inner) for name, inner in shape.items()}
            if shape and isinstance(shape[0], (list, tuple)):
                return [stand_in(inner) for inner in shape]
            return placeholder(fresh_spec(tuple(shape), self.dtype, "input"))
        return tree.map_structure(lambda t: t.shape, self.symbolic_call(stand_in(shapes)))

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The call on symbolic tensors, without a note of it on the layer."""
        return symbolic_call(self, args, kwargs, self._run)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current() is None and (has_tensor(args) or (kwargs and has_tensor(kwargs.values()))):
            return self._make_node(args, kwargs)
        return self._run(*args, **kwargs)

    def _make_node(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = symbolic_call(self, args, kwargs, self._run)
        outputs = [t for t in tree.flatten(result) if type(t) is Tensor]
        if not outputs:
            raise GraphError(f"Layer {self.name!r} ({type(self).__name__}) expects its call to return tensors; it returned "
                             f"{result!r}. Is a `return` missing?")
        node = outputs[0].node
        number = self._untracked_calls.add(node)
        node.name = f"{self.name}:{number}" if number else self.name
        return result

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """The call itself: inside a trace, or on arrays."""
        takes = signature_of(type(self).call)
        if not args and takes.names and takes.names[0] in kwargs:
            args = (kwargs.pop(takes.names[0]),)
        trace = current()
        args = self._cast(args)
        inputs = args[0] if args else None
        who = f"layer {self.name!r} ({type(self).__name__})"
        if not self.built or inputs is None or type(inputs) is str or len(args) > 1:
            check_arguments(type(self).call, args, {k: v for k, v in kwargs.items() if k != "training"}, who)
        check_inputs(self.input_spec, inputs, who)
        if trace is not None:
            trace.scope.append(self.name)
        path_token = path_scope.set((*path_scope.get(), self.name))
        training = kwargs.pop("training", None)
        training = _training.get() if training is None else training
        training_token = _training.set(training)
        try:
            if not self.built:
                self._untracked_path, self._untracked_first_call = "/".join(path_scope.get()), specs_of(args, kwargs)
                self._build(takes, args, kwargs)
                check_inputs(self.input_spec, inputs, who)
            if takes.training and training is not None:
                kwargs["training"] = training
            masks = self._find_masks(takes, args, kwargs)
            if trace is None and self._untracked_losses:
                self._untracked_losses = ()
            result = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                self._penalize(result)
            return self._attach_masks(inputs, masks, result)
        finally:
            _training.reset(training_token)
            path_scope.reset(path_token)
            if trace is not None:
                trace.scope.pop()

    def _cast(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.autocast:
            return args

        def one(x: Any) -> Any:
            if isinstance(x, (Tensor, np.ndarray, np.generic)):
                if str(x.dtype) in dtypes.FLOATS and str(x.dtype) != self.dtype:
                    mask, x = get_mask(x), cast(x, self.dtype)
                    if mask is not None:
                        set_mask(x, mask)
                return x
            if isinstance(x, Layer):
                raise TypeError(f"Layer {self.name!r} expects tensors; received the layer object {x.name!r} itself. "
                                f"Call that layer on its input first and pass the result: {self.name}({x.name}(x)).")
            return x
        return tuple([self._nested_numbers(a) if isinstance(a, list) else a for a in args]) if not args else tuple(
            [tree.map_structure(one, self._nested_numbers(a)) if isinstance(a, (list, tuple, dict)) else one(a) for a in args])

    @staticmethod
    def _nested_numbers(value: Any) -> Any:
        """A nested list of numbers is one array."""
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, (int, float, bool)) for v in tree.iterate(value)):
            return dtypes.as_array(value)
        return value

    def _build(self, takes: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        def shapes(value: Any) -> Any:
            return tree.map_structure(lambda x: shown(shape_of(x)) if hasattr(x, "shape") else None, value)
        wants = [n for n, p in parameters_of(self.build).parameters.items()
                 if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        given = {**dict(zip(takes.names, args, strict=False)), **kwargs}
        named = {f"{n}_shape": v for n, v in given.items()}
        if len(wants) > 1 or (wants and wants[0] != "input_shape" and wants[0] in named):
            found = {n: shapes(named[n]) for n in wants if named.get(n) is not None}
            with tracing(None):  # variables are made and filled now, whatever is traced around
                self.build(**found)
        else:
            first = shapes(args[0] if args else next(iter(given.values()), None))
            with tracing(None):
                self.build(first)
            if self._untracked_build_shapes is None and first is not None:
                self._untracked_build_shapes = ((first,), {})
        self.built = True

    def _find_masks(self, takes: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Masks of the first argument; those that `call` asks for and were not given are put into kwargs.

        As in Keras, `mask` is that of the only tensor argument; where there are several, each has its own ``<argument>_mask``.
        """
        def masks_of(value: Any) -> Any:
            found = tree.map_structure(get_mask, value)
            return found if any(m is not None for m in tree.flatten(found)) else None
        if takes.masks:
            given = {**dict(zip(takes.names, args, strict=False)), **kwargs}
            tensors = {n: v for n, v in given.items()
                       if any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in tree.iterate(v))}
            for name, value in tensors.items():
                wanted = "mask" if len(tensors) == 1 else f"{name}_mask"
                if wanted in takes.masks and given.get(wanted) is None and (found := masks_of(value)) is not None:
                    kwargs[wanted] = found
        mask = kwargs.get("mask")
        return mask if mask is not None else masks_of(args[0]) if args else None

    def _passes_masks(self) -> bool:
        """Whether the layer says what becomes of masks: by the flag, or by a compute_mask of its own."""
        return self.supports_masking or type(self).compute_mask is not Layer.compute_mask

    @property
    def takes_mask(self) -> bool:
        """Whether `call` has an argument mask."""
        return "mask" in signature_of(type(self).call).masks

    def _attach_masks(self, inputs: Any, masks: Any, result: Any) -> Any:
        """The result, with the masks that `compute_mask` gives for it; a layer that does not support masking gives none."""
        default = type(self).compute_mask is Layer.compute_mask
        present = [m for m in tree.flatten(masks) if m is not None]
        if default and not present:
            return result
        if not self._passes_masks():
            source = next((x for x in tree.flatten(inputs) if get_mask(x) is not None), None)
            if present and not self._untracked_mask_warned and drops(signature_of(type(self).call).masks, present, result):
                self._untracked_mask_warned = True
                warn_dropped(f"Layer {self.name!r} ({type(self).__name__})", source)
            return without_masks(result, inputs)
        computed = self.compute_mask(inputs, masks)
        for x, mask in zip(tree.flatten(result), tree.flatten(computed), strict=False):
            if mask is not None and get_mask(x) is None:
                set_mask(x, mask)
        return result

    # ---- the calls that were made

    @property
    def calls(self) -> list[Node]:
        """The nodes of this layer's calls on symbolic tensors that are still in use, in order."""
        return self._untracked_calls.alive()

    def _sole_call(self, what: str) -> Node:
        calls = self.calls
        if len(calls) == 1:
            return calls[0]
        if not calls:
            raise AttributeError(f"Layer {self.name!r} was not called on symbolic tensors, or none of the results is in use, "
                                 f"so it has no {what}. Call it on an Input first.")
        listed = "; ".join(f"{n.name!r} {shown(n.specs[0].shape)} at {n.source[0]}:{n.source[1]}" if n.source else repr(n.name)
                           for n in calls)
        raise AttributeError(f"Layer {self.name!r} was called {len(calls)} times, so it has no single {what}. Its calls: "
                             f"{listed}. Choose one: model.extract({calls[-1].name!r}), or layer.calls[i].")

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's one call; AttributeError where there is none or more than one."""
        return outputs_of(self._sole_call("output"))

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's one call; AttributeError where there is none or more than one."""
        node = self._sole_call("input")
        args, kwargs = restore(node.arguments, node.inputs)
        return args[0] if args else next(iter(kwargs.values()))

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make an equal layer, as plain data."""
        base = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            base["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config and type(self).__init__ is not Layer.__init__:
            auto = dict(self._untracked_auto_config)  # type: ignore[attr-defined]
            plain = (int, float, str, bool, list, tuple, dict, type(None))
            odd = [k for k, v in auto.items() if not isinstance(v, plain)]
            if odd:
                raise NotImplementedError(
                    f"Layer {self.name!r} ({type(self).__name__}) takes constructor arguments that are not plain data "
                    f"({', '.join(odd)}). Define get_config(self) -> dict, and from_config where the values must be rebuilt.")
            takes = parameters_of(type(self).__init__).parameters
            open_ended = any(p.kind is p.VAR_KEYWORD for p in takes.values())
            return {**auto, **{k: v for k, v in base.items() if open_ended or k in takes}}
        return base

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """A layer with that configuration, and weights of its own."""
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.from_config: the constructor does not take the configuration {config}: {error}. "
                            "get_config and __init__ must agree.") from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


@contextmanager
def within(name: str) -> Iterator[None]:
    """Variables made in this context have that name in their paths, once."""
    path = path_scope.get()
    token = path_scope.set(path if path and path[-1] == name else (*path, name))
    try:
        yield
    finally:
        path_scope.reset(token)


def _remember_build(build: Any) -> Any:
    @functools.wraps(build)
    def run(self: Layer, *args: Any, **kwargs: Any) -> None:
        with within(self.name):  # a layer that builds those inside it does not call them: its name is still in the path
            self._untracked_path = "/".join(path_scope.get())
            build(self, *args, **kwargs)
        if not self.trainable:
            self.trainable = False  # also for what was made just now
        self.built = True
        self._untracked_build_shapes = (args, kwargs)
    return run


__all__ = ["InputSpec", "Layer", "Signature", "signature_of", "snake_case"]
