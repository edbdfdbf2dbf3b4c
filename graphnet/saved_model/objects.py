"""Loaded objects: what a saved model's modules, layers and models become. They have parts and functions, and no code of their own."""
from collections.abc import Iterator
from typing import Any

from graphnet.errors import UnsupportedError
from graphnet.graph import Variable
from graphnet.layers.layer import Layer, training_now
from graphnet.module import Module
from graphnet.saved_model.functions import LoadedFunction
from graphnet.tracing import has_tensor
from graphnet.trackable import Trackable

CALL = "__call__"
KINDS: dict[str, type["Loaded"]] = {}  # module, layer; and model, which a room above adds


class Loaded(Module):
    """What loaded objects share: parts by the names of the attributes that held them, functions by theirs, signatures."""

    _untracked_parts: dict[str, Any]
    _untracked_functions: dict[str, LoadedFunction]
    _untracked_signatures: dict[str, LoadedFunction]
    _untracked_weights: list[Variable]

    def _begin(self) -> None:
        """Makes it empty; the reader fills it."""
        self._untracked_parts, self._untracked_functions, self._untracked_signatures, self._untracked_weights = {}, {}, {}, []

    @property
    def signatures(self) -> dict[str, LoadedFunction]:
        """The functions that `save` was given as signatures; ``serving_default`` is what a call without training runs."""
        return self._untracked_signatures

    def _attributes(self) -> Iterator[Any]:
        yield from super()._attributes()
        yield from self._untracked_parts.values()

    def _named_parts(self) -> dict[str, Any]:
        own = {name: part for name, part in super()._named_parts().items()  # what was set since; a new optimizer
               if isinstance(part, (Variable, Trackable)) or (isinstance(part, (list, tuple, dict)) and part)}
        return {**self._untracked_parts, **own}

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        for table in ("_untracked_functions", "_untracked_parts"):
            if name in state.get(table, ()):
                return state[table][name]
        return super().__getattr__(name) if hasattr(super(), "__getattr__") else object.__getattribute__(self, name)  # type: ignore[misc]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._untracked_functions, *self._untracked_parts})

    def __reduce__(self) -> Any:
        raise UnsupportedError(f"The loaded object {self.name!r} is neither pickled nor copied. Save it by graphnet.saved_model.save, and load that.")


class LoadedModule(Loaded):
    """A loaded object that is not called itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._begin()


class LoadedLayer(Loaded, Layer):
    """A loaded object that can be called: on arrays, in functional models, inside of other layers and traced functions."""

    def __init__(self, name: str) -> None:
        Layer.__init__(self, name=name)
        self._begin()
        self.autocast, self.built = False, True

    def _held_variables(self) -> list[Variable]:
        held = super()._held_variables()
        return list({id(v): v for v in [*self._untracked_weights, *held] if not getattr(v, "is_seed", False)}.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_tensor(args) or has_tensor(kwargs.values()):
            return Layer.__call__(self, *args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the graph that these arguments fit, or puts its ops into the trace that runs."""
        function = self._untracked_functions[CALL]
        if "training" in function.arguments.names and kwargs.get("training") is None:
            phase = training_now()
            kwargs = {name: value for name, value in kwargs.items() if name != "training"}
            if phase is not None and len(args) < len(function.arguments.names):
                kwargs["training"] = bool(phase)
        return function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Is not there: raises UnsupportedError, as a loaded object is a graph and has no configuration."""
        raise UnsupportedError(f"The loaded object {self.name!r} is a graph without the code that made it, so it has no configuration to be saved or "
                               "cloned by. Save what contains it as a saved model: model.save(\"name\"), without an ending.")


KINDS.update(module=LoadedModule, layer=LoadedLayer)
