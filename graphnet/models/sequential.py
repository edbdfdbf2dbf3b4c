"""Sequential: layers one after the other."""
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphnet.errors import DataError, GraphError
from graphnet.graph import Tensor
from graphnet.layers.core.input_layer import Input, InputLayer
from graphnet.layers.layer import Layer, within
from graphnet.models.copying import reduced
from graphnet.models.functional import Functional, _all_arrays
from graphnet.models.model import Model
from graphnet.registry import builtin
from graphnet.tracing import current, tracing

if TYPE_CHECKING:
    import networkx as nx


@builtin("models")
class Sequential(Model):
    """Layers one after the other, each called on what the one before gave.

    Arguments: ``layers`` (an `Input` may come first; without one, the first call tells the shape), ``trainable``, ``name``.
    Source: https://keras.io/api/models/sequential/

    Example:

        >>> import graphnet
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3), graphnet.layers.Dense(2)])
        >>> model.count_params()
        23
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None,
                 **kwargs: Any) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        self._chain: list[Layer] = []
        self._functional: Functional | None = None
        self.autocast = False
        if isinstance(layers, Layer):
            raise TypeError(f"Sequential {self.name!r} expects a list of layers; received the layer {layers.name!r}. Put "
                            "brackets around them: [...].")
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()

    def _attributes(self) -> Any:
        return iter([self._chain])

    def _named_parts(self) -> dict[str, Any]:
        return {n: part for n, part in super()._named_parts().items() if not n.startswith("_")} | {"layers": self.layers}

    @property
    def supports_masking(self) -> bool:  # type: ignore[override]
        return True

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer, or an `Input` as the first, at the end."""
        if type(layer) is Tensor:
            layer = layer.node.op
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential {self.name!r} expects layers; received {layer!r} ({type(layer).__name__}). Did you "
                            "forget to make it: Dense(10)?")
        if any(known.name == layer.name for known in self._chain):
            raise ValueError(f"Sequential {self.name!r} expects layers with different names; it has {layer.name!r} already. "
                             "Name one of them: name='...'.")
        if isinstance(layer, InputLayer) and self._chain:
            raise ValueError(f"Sequential {self.name!r} has layers already; an Input comes first. Received Input "
                             f"{layer.name!r}.")
        if not self._chain and not isinstance(layer, InputLayer):
            shape = layer._untracked_batch_shape
            if shape is not None:
                self._chain.append(Input(batch_shape=shape).node.op)
            elif isinstance(layer, Functional):
                self._chain.append(Input(batch_shape=layer.inputs[0].shape, dtype=layer.inputs[0].dtype).node.op)
        self._chain.append(layer)
        if rebuild:
            self._rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer off."""
        if not self.layers:
            raise ValueError(f"Sequential {self.name!r} has no layer to take off.")
        layer = self._chain.pop()
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self) -> None:
        self._functional, self.built = None, False
        self.drop_executables()
        if len(self._chain) > 1 and isinstance(self._chain[0], InputLayer):
            x = first = Tensor(self._chain[0]._node)
            with within(self.name), tracing(None):  # a graph of its own, also where a trace of another model builds it
                for layer in self._chain[1:]:
                    x = layer(x)
                self._functional = Functional(first, x, name=self.name)
            self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Builds for inputs of that shape (with the batch axis)."""
        if self._functional is not None or input_shape is None:
            return
        if not self.layers:
            raise GraphError(f"Sequential {self.name!r} expects at least one layer before it is built or called; it has none. "
                             "Use add(layer).")
        if isinstance(input_shape, (list, dict)) or (input_shape and isinstance(input_shape[0], (tuple, list))):
            raise GraphError(f"Sequential {self.name!r} takes one input; received input_shape={input_shape}. Use Model(inputs, "
                             "outputs).")
        dtype = "int32" if type(self._chain[0]).__name__ == "Embedding" else None
        self._chain.insert(0, Input(batch_shape=(None, *tuple(input_shape)[1:]), dtype=dtype,
                                    name=f"{self.name}_input").node.op)
        self._rebuild()

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in self._chain if not isinstance(layer, InputLayer)]

    @property
    def _layers(self) -> list[Layer]:
        return self.layers

    def _graph_model(self) -> Functional:
        if self._functional is None:
            raise AttributeError(f"Sequential {self.name!r} does not know its input's shape yet: begin it with "
                                 "Input(shape=...), or call it on data.")
        return self._functional

    @property
    def _nodes(self) -> Any:
        return self._functional._nodes if self._functional is not None else None

    @property
    def inputs(self) -> list[Tensor]:
        return self._graph_model().inputs

    @property
    def outputs(self) -> list[Tensor]:
        return self._graph_model().outputs

    @property
    def input(self) -> Any:
        return self._graph_model().input

    @property
    def output(self) -> Any:
        return self._graph_model().output

    @property
    def input_shape(self) -> Any:
        return self._graph_model().input_shape

    @property
    def output_shape(self) -> Any:
        return self._graph_model().output_shape

    @property
    def input_names(self) -> list[str]:
        return self._graph_model().input_names

    @property
    def output_names(self) -> list[str]:
        return self._graph_model().output_names

    @property
    def graph(self) -> "nx.MultiDiGraph":
        return self._graph_model().graph

    def extract(self, *names: str) -> Model:
        """A model that gives intermediate features by name; as `Functional.extract`."""
        return self._graph_model().extract(*names)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if self._functional is None:
            self.build(inputs.shape)
        return self._graph_model().call(inputs, training=training, mask=mask)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """None: the outputs carry the masks that the layers inside gave them."""
        return None

    def _cast(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current() is None and args and _all_arrays(args[0]) and set(kwargs) <= {"training"}:
            if self._functional is None:
                self.build(_shape_of(args[0]))
            return self._graph_model()(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _batch(self, x: Any) -> Any:
        if self._functional is None:
            self.build(_shape_of(x))
        return self._graph_model()._batch(x)

    def _profiled(self, x: Any) -> Any:
        self._batch(x)
        return self._graph_model()._profiled(x)

    def cost(self) -> Any:
        """Multiply-adds, bytes and memory of each layer, as `Functional.cost` gives them."""
        return self._graph_model().cost()

    def _prepare(self, x: Any) -> Any:
        return x if self._functional is None else self._functional._prepare(x)

    def _open_extents(self, x: Any) -> dict[int, set[int]]:
        return {} if self._functional is None else self._functional._open_extents(x)

    def drop_executables(self) -> None:
        super().drop_executables()
        if self._functional is not None:
            self._functional.drop_executables()

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def get_config(self) -> dict[str, Any]:
        from graphnet.models.config import sequential_config
        return sequential_config(self)

    @classmethod
    def from_config(cls, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        from graphnet.models.rebuild import sequential_from_config
        return sequential_from_config(cls, config, custom_objects)


def _shape_of(x: Any) -> tuple[Any, ...]:
    import numpy as np
    if isinstance(x, dict) or (isinstance(x, (list, tuple)) and len(x) > 1 and all(np.ndim(part) > 1 for part in x)):
        raise DataError(f"A Sequential takes one array; received a {type(x).__name__} of {len(x)}. Use Model(inputs, outputs) "
                        "for several inputs.")
    return (None, *np.shape(x)[1:])
