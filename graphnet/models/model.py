"""Model: a layer that can be called on data, predicted with, summed up, drawn and cut."""
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnet import tree
from graphnet.compiler import Executable, plain
from graphnet.errors import GraphError, UnsupportedError
from graphnet.graph import Tensor, path_scope
from graphnet.layers.layer import Layer, edits
from graphnet.layers.serialization import serialize
from graphnet.models import data
from graphnet.registry import builtin
from graphnet.tracing import current, fresh_spec, has_tensor, placeholder, trace_function, tracing
from graphnet.training.predict import predict as run_predict
from graphnet.training.trainer import STATE, Trainer

if TYPE_CHECKING:
    import networkx as nx

_FUNCTIONAL = ("inputs", "outputs")


def _functional_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or all(k in kwargs for k in _FUNCTIONAL)


@builtin("models")
class Model(Trainer, Layer):
    """A model: ``Model(inputs, outputs)`` from symbolic tensors (also lists or dicts of them), or a subclass with its own
    ``call``.

    Arguments: ``inputs``, ``outputs``, ``name``, ``trainable``. Raises GraphError where the outputs do not follow from the
    inputs.
    Source: https://keras.io/api/models/model/

    Example:

        >>> import numpy as np, graphnet
        >>> x = graphnet.Input((3,))
        >>> model = graphnet.Model(x, graphnet.layers.Dense(2)(x))
        >>> model(np.ones((4, 3), "float32")).shape
        (4, 2)
    """

    _untracked_seen: tuple[int, list[int]] = (-1, [])
    _unwatched = STATE

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _functional_arguments(args, kwargs):
            from graphnet.models.functional import Functional
            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from graphnet.models.functional import Functional
        if not isinstance(self, Functional) and _functional_arguments(args, kwargs):
            self.__class__ = _mixed(type(self), Functional)
            Functional.__init__(self, *args, **kwargs)  # type: ignore[arg-type]
            return
        if args or not set(_FUNCTIONAL).isdisjoint(kwargs):
            received = [f"{len(args)} positional argument(s)"] * bool(args) + [f"{name}=" for name in kwargs]
            raise TypeError(f"{type(self).__name__} expects inputs and outputs together, or neither; received "
                            f"{', '.join(received)}.")
        super().__init__(**kwargs)
        self._untracked_executables: dict[Any, Any] = {}

    def _of_this_object(self) -> dict[str, Any]:
        return {**super()._of_this_object(), "_untracked_executables": {}, "_untracked_seen": (-1, [])}

    def _own_class(self) -> type:
        """The user's class, which can be found by its name."""
        return next((kind for kind, mixed in _mixes.items() if mixed is type(self)), type(self))

    # ---- parts

    @property
    def layers(self) -> list[Layer]:
        """The layers of this model, not those inside of them."""
        return self._layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index; a path "encoder/conv2d_1" looks into nested models. Raises ValueError."""
        if (name is None) == (index is None):
            raise ValueError(f"get_layer expects a name or an index; received name={name!r}, index={index!r}.")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"Model {self.name!r} has {len(self.layers)} layers; get_layer received index={index}.")
            return self.layers[index]
        found: Layer | None = next((layer for layer in self.layers if layer.name == name), None)
        if found is None and "/" in str(name):
            head, rest = str(name).split("/", 1)
            inner = next((layer for layer in self.layers if layer.name == head), None)
            if isinstance(inner, Model):
                return inner.get_layer(rest)
        if found is None:
            import difflib
            names = [layer.name for layer in self.layers]
            near = difflib.get_close_matches(str(name), names, 3)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Its layers: {', '.join(names)}."
            raise ValueError(f"Model {self.name!r} has no layer {name!r}. {hint}")
        return found

    # ---- building

    def build(self, input_shape: Any) -> None:
        """Makes the variables of a subclassed model, by calling it on symbolic inputs of that shape; a list or dict of shapes
        for several inputs.
        """
        if self.built:
            return
        several = isinstance(input_shape, (list, dict)) and not all(s is None or isinstance(s, int) for s in input_shape)
        shapes = input_shape if several else [input_shape]
        named = shapes.items() if isinstance(shapes, dict) else enumerate(shapes)
        inputs = {key: placeholder(fresh_spec(tuple(shape), self.dtype, "input")) for key, shape in named}
        self.built = True
        token = path_scope.set(path_scope.get()[:-1])  # the call adds this model's name itself
        try:
            with tracing(None):
                self.symbolic_call(inputs if isinstance(shapes, dict) else list(inputs.values()) if several else inputs[0])
        except Exception:
            self.built = False
            raise
        finally:
            path_scope.reset(token)

    def _build(self, takes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if type(self).build is Model.build:
            self.built = True  # the call that is under way builds the layers
        else:
            super()._build(takes, args, kwargs)

    # ---- running

    def _trace(self, tensors: Sequence[Tensor], pack: Callable[[list[Any]], Any], training: bool) -> Any:
        def body(*values: Any) -> Any:
            return self._run(pack(list(values)), training=training)
        return trace_function(body, tensors, training, self.name, outer=1)

    def _settle(self) -> None:
        """Forgets what was compiled if an attribute of a layer was set since: `trainable`, an activation, a rate."""
        if self._untracked_seen[0] != edits[0]:
            marks = self._marks()
            if self._untracked_executables and marks != self._untracked_seen[1]:
                self.drop_executables()
            self._untracked_seen = edits[0], marks

    def _marks(self) -> list[int]:
        """How often attributes were set, of each layer."""
        return [m.__dict__.get("_untracked_version", 0) for m in (self, *self.submodules)]

    def drop_executables(self) -> None:
        """Forgets what was compiled: the next call traces the model anew, with its layers as they then are."""
        self._untracked_executables.clear()

    def _traced_run(self, x: Any, training: bool) -> Any:
        """A subclassed model's results for one batch, traced once for each structure, rank and dtype of its inputs."""
        leaves = [plain(np.asarray(leaf)) for leaf in tree.flatten(x)]
        leaves = [leaf.astype(self.dtype) if leaf.dtype == np.float64 else leaf for leaf in leaves]
        key = (training, str(tree.map_structure(lambda _: 0, x)), tuple((leaf.shape[1:], leaf.dtype.name) for leaf in leaves))
        self._settle()
        entry = self._untracked_executables.get(key)
        if entry is None:
            if not self.built:
                self(x, training=training)
            tensors = [placeholder(fresh_spec((None, *leaf.shape[1:]), leaf.dtype.name, f"input_{i}"), f"input_{i}")
                       for i, leaf in enumerate(leaves)]
            graph, structure = self._trace(tensors, lambda values: tree.pack_sequence_as(x, values), training)
            entry = self._untracked_executables[key] = (Executable(graph), structure)
            self._untracked_seen = edits[0], self._marks()  # what the trace itself has set needs no other
        executable, structure = entry
        results = executable(leaves)
        return tree.map_structure(lambda i: None if i is None else results[i], structure)

    def _batch(self, x: Any) -> Any:
        """The results for one batch of data."""
        return self(x, training=False) if self.run_eagerly else self._traced_run(x, False)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None,
                callbacks: Any = None) -> Any:
        """Results for x, computed in batches: numpy arrays, in the structure of the model's outputs.

        Arguments: ``x`` an array, a list or dict of arrays, a generator of batches or a PyDataset; ``batch_size`` rows at once
        (32); ``verbose`` "auto", 0, 1 or 2; ``steps`` batches to take of a generator. Raises DataError where x does not fit the
        inputs.
        Source: https://keras.io/api/models/model_training_apis/#predict-method
        """
        return run_predict(self, x, batch_size, verbose, steps, callbacks)

    def predict_on_batch(self, x: Any) -> Any:
        """Results for one batch, all at once."""
        return self._batch(x)

    # ---- looking at it

    def _repr_svg_(self) -> str | None:
        """The picture that a notebook shows; none for a model without a graph."""
        from graphnet.visualization.plot import Style, dot_source
        from graphnet.visualization.render import render
        try:
            graph = self.graph
        except (GraphError, AttributeError):
            return None
        return render(dot_source(graph, Style(shapes=True, names=True, dpi=72)), "svg").decode()

    @property
    def graph(self) -> "nx.MultiDiGraph":
        """The model as a frozen networkx graph of layer calls; subclassed models have none."""
        raise GraphError(f"Model {self.name!r} ({type(self).__name__}) computes in its own call method, so it has no graph of "
                         "layers. Build it from Input and Model(inputs, outputs) to have one.")

    def summary(self, line_length: int | None = None, positions: Sequence[float] | None = None,
                print_fn: Callable[[str], Any] | None = None, expand_nested: bool = False, show_trainable: bool = False,
                layer_range: Sequence[str] | None = None) -> None:
        """Prints the layers with their output shapes and numbers of parameters.

        Source: https://keras.io/api/models/model/#summary-method
        """
        from graphnet.models.overview import summary
        summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def profile(self, x: Any, runs: int = 20, threads: int | None = None) -> Any:
        """The time of each layer for one batch, beside what the machine could do: print it, or draw it.

        Arguments: ``x`` a batch as for `predict_on_batch`; ``runs`` of which the shortest count; ``threads`` (as settings
        allow). Gives a profile with ``layers()``, ``steps``, ``to_chrome_trace(path)``; `utils.plot_model(model, profile=...)`
        colours layers by their share.

        Example:

            >>> import numpy as np, graphnet
            >>> model = graphnet.Sequential([graphnet.Input((64,)), graphnet.layers.Dense(32, name="d")])
            >>> [row.layer for row in model.profile(np.ones((8, 64), "float32"), runs=2).layers()]
            ['d']
        """
        from graphnet.models.profiling import profile
        return profile(self, x, runs, threads)

    def _profiled(self, x: Any) -> tuple[Executable, list[np.ndarray]]:
        """What runs a batch, and the batch as it takes it."""
        self._batch(x)
        raise GraphError(f"profile expects a functional or Sequential model; {self.name!r} ({type(self).__name__}) computes in "
                         "its own call method. Build it from Input and Model(inputs, outputs).")

    def load_weights(self, filepath: Any, by_name: bool = False, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads weights from a `.weights.h5`, `.weights.json`, `.keras` or legacy `.h5` file; nothing is changed where it does not fit."""
        from graphnet.saving import load_weights
        load_weights(self, filepath, by_name=by_name, skip_mismatch=skip_mismatch, **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes the model to a `.keras` file, one of the old `.h5` layout, or without an ending to a directory: a saved model.

        See `graphnet.saving.save_model`, `graphnet.saved_model.save`.
        """
        from graphnet.saving import save_model
        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None) -> None:
        """Writes the weights, and the optimizer's state, to a `.weights.h5` file; see `graphnet.saving.save_weights`."""
        from graphnet.saving import save_weights
        save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was given, as plain data; empty for a model that was not compiled.

        A class with a `compile` of its own overrides it.

        Example:

            >>> import graphnet
            >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> model.get_compile_config()["loss"], model.get_compile_config()["optimizer"]["class_name"]
            ('mse', 'SGD')
        """
        from graphnet.saving.compilation import compile_config
        return compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` tells, and makes the optimizer's variables."""
        from graphnet.saving.compilation import compile_arguments
        if type(self).compile is not Trainer.compile:
            warnings.warn(f"{type(self).__name__} has a compile of its own, which was not called. Call it, or define "
                          "get_compile_config and compile_from_config as well.", stacklevel=2)
            return
        self.compile(**compile_arguments(config))
        if self.optimizer is not None and self.built:
            self._build_optimizer()

    def export(self, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Is not there: raises UnsupportedError, which says what is."""
        raise UnsupportedError(f"Model {self.name!r}: export writes files of TensorFlow, ONNX and the like, which graphnet "
                               "does not. Use save(\"model.keras\"), which Keras reads, and export it there.")

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds with the shapes that a file recorded."""
        if "input_shape" in config:
            self.build(config["input_shape"])

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A model with that configuration and new weights; a functional one from its graph of layers."""
        if {"layers", "input_layers", "output_layers"} <= set(config) and (
            cls.__init__ is Model.__init__ or issubclass(cls, _functional())
        ):
            from graphnet.models.rebuild import functional_from_config
            return functional_from_config(cls, config, custom_objects)
        return super().from_config(config)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON text, without weights: `graphnet.models.model_from_json` reads it.

        Arguments as for `json.dumps`.

        Example:

            >>> import graphnet
            >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
            >>> graphnet.models.model_from_json(model.to_json()).count_params()
            15
        """
        return json.dumps(serialize(self), **kwargs)


def _functional() -> Any:
    from graphnet.models.functional import Functional
    return Functional


_mixes: dict[Any, type] = {}


def _mixed(kind: type, functional: type) -> type:
    """The class of a Model subclass whose constructor was given inputs and outputs: the same, and Functional."""
    if kind not in _mixes:
        _mixes[kind] = type(kind.__name__, (kind, functional), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    return _mixes[kind]


def symbolic(values: Any) -> bool:
    """Whether a call is one on symbolic tensors, or inside a trace."""
    return current() is not None or has_tensor(values)


def leaves_of(structure: Any) -> Iterator[Any]:
    return tree.iterate(structure)


__all__ = ["Model", "data", "symbolic"]
