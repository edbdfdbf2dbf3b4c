"""InputSpec: what a layer expects of an input; checked before the layer runs."""
import inspect
from collections.abc import Mapping
from typing import Any

from graphnet import tree
from graphnet.errors import GraphError, ShapeError
from graphnet.graph import Spec
from graphnet.ops.shape import shape as shape_of
from graphnet.ops.shape import shown


class InputSpec:
    """Expected dtype, shape, number of axes (`ndim`, `min_ndim`, `max_ndim`) and extents (`axes`: axis -> extent) of an input.

    Source: https://keras.io/api/layers/base_layer/

    Example:

        >>> import graphnet
        >>> layer = graphnet.layers.Identity()
        >>> layer.input_spec = graphnet.InputSpec(ndim=2, axes={-1: 2})
        >>> layer(graphnet.Input((3,)))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        graphnet.errors.ShapeError: Input 0 of ...: expected axis -1 to have extent 2, received extent 3 ...
    """

    def __init__(self, dtype: str | None = None, shape: tuple[Any, ...] | None = None, ndim: int | None = None,
                 max_ndim: int | None = None, min_ndim: int | None = None, axes: Mapping[int, int | None] | None = None,
                 allow_last_axis_squeeze: bool = False, name: str | None = None, optional: bool = False) -> None:
        self.dtype, self.shape, self.max_ndim, self.min_ndim = (
            dtype,
            None if shape is None else tuple(shape),
            max_ndim,
            min_ndim,
        )
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional

    def check(self, x: Any, who: str, position: int) -> None:
        """Raises ShapeError where x does not fit."""
        extents = shape_of(x)
        received = f"received ndim={len(extents)}, shape {shown(extents)}"
        start = f"Input {position} of {who} does not fit: expected "
        if self.ndim is not None and len(extents) != self.ndim:
            raise ShapeError(f"{start}ndim={self.ndim}, {received}.{_mend_ndim(len(extents), self.ndim)}")
        if self.max_ndim is not None and len(extents) > self.max_ndim:
            raise ShapeError(f"{start}max_ndim={self.max_ndim}, {received}. Flatten or reshape it first.")
        if self.min_ndim is not None and len(extents) < self.min_ndim:
            raise ShapeError(f"{start}min_ndim={self.min_ndim}, {received}.{_mend_ndim(len(extents), self.min_ndim)}")
        wanted = dict(self.axes)
        if self.shape is not None:
            wanted |= dict(enumerate(self.shape))
        for axis, extent in wanted.items():
            if extent is None or not -len(extents) <= axis < len(extents):
                continue
            given = extents[axis]
            if isinstance(given, int) and given != extent:
                raise ShapeError(f"{start}axis {axis} to have extent {extent}, received extent {given} (shape "
                                 f"{shown(extents)}).{_mend_axis(extents, axis, extent)}")


def _mend_ndim(given: int, wanted: int) -> str:
    if given == 2 and wanted >= 3:
        return " A layer of this kind takes images or sequences: put Reshape before it, or give Input the full shape."
    if given == wanted - 1:
        return " Is the batch axis or the channels axis missing? expand_dims or Reshape adds one."
    return " Flatten, GlobalAveragePooling or Reshape before it changes ndim." if given > wanted else ""


def _mend_axis(extents: Any, axis: int, wanted: int) -> str:
    if len(extents) >= 3 and axis == -1 and extents[1] == wanted:
        return " Its axis 1 has that extent: the data looks channels_first; transpose it, or set data_format='channels_first'."
    if len(extents) >= 3 and axis == 1 and extents[-1] == wanted:
        return " Its last axis has that extent: the data looks channels_last; transpose it, or set data_format='channels_last'."
    if len(extents) > 2 and all(isinstance(s, int) for s in extents[1:]):
        size = 1
        for s in extents[1:]:
            size *= s
        if size == wanted:
            return " Flattened, it would have that many: a Flatten layer seems to be missing before it."
    return " A layer has one set of weights: to take another extent, make a new layer."


def check_arguments(call: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], who: str) -> None:
    """Checks that the arguments are those of `call`, and that the first is a tensor; training and masks may still come."""
    parameters = list(inspect.signature(call).parameters.values())[1:]
    takes = f"Its call takes ({', '.join(str(p) for p in parameters)})."
    try:
        given = inspect.Signature([p.replace(annotation=p.empty) for p in parameters]).bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{who}: {error}. {takes}") from None
    for p in parameters:
        needed = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if needed and p.name not in given and p.name not in ("training", "mask") and not p.name.endswith("_mask"):
            raise TypeError(f"{who} expects the argument {p.name!r}; it was not given. {takes}")
    if len(args) > 1 and hasattr(given.get("training"), "shape"):
        raise TypeError(f"{who} expects its inputs as one argument, and training to be True or False; received a second tensor "
                        "or array. Put several inputs in brackets: [a, b].")
    first = parameters[0] if parameters else None
    if args and (isinstance(args[0], str) or (args[0] is None and first is not None and first.default is first.empty)):
        raise GraphError(f"{who} expects a tensor or an array; received {args[0]!r}.")


def check_inputs(specs: Any, inputs: Any, who: str) -> None:
    """Checks each input of a call against its InputSpec."""
    if specs is None:
        return
    if isinstance(specs, Mapping) and isinstance(inputs, Mapping):
        names = list(specs)
        missing = [n for n in names if n not in inputs]
        if missing:
            raise ShapeError(f"{who} expects inputs named {names}; received {list(inputs)}.")
        specs, values = [specs[n] for n in names], [inputs[n] for n in names]
    else:
        if isinstance(specs, InputSpec) and isinstance(inputs, (list, tuple)) and any(hasattr(x, "shape") for x in inputs):
            raise ShapeError(f"{who} expects one input; received a {type(inputs).__name__} of {len(inputs)}. Pass it without "
                             "brackets, or join several by Concatenate or Add first.")
        specs, values = tree.flatten(specs), tree.flatten(inputs)
    if len(specs) != len(values):
        raise ShapeError(f"{who} expects {len(specs)} input(s); received {len(values)}.")
    for position, (spec, value) in enumerate(zip(specs, values, strict=True)):
        if value is not None and spec is not None and hasattr(value, "shape"):
            spec.check(value, who, position)


def specs_of(args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    """The arguments of a call with a Spec in the place of each array, without phase and masks; None where others than data are
    among them.
    """
    def leaf(x: Any) -> Any:
        return Spec(tuple(shape_of(x)), str(x.dtype)) if hasattr(x, "shape") and hasattr(x, "dtype") else x
    found = tree.map_structure(leaf,
                               (args, {name: value for name, value in kwargs.items() if name not in ("training", "mask")}))
    plain = all(x is None or isinstance(x, (Spec, bool, int, float, str)) for x in tree.iterate(found))
    return found if plain else None
