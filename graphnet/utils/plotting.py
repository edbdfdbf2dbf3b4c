"""plot_model and model_to_dot."""
import os
import pathlib
from typing import Any

import graphviz

from graphnet.errors import GraphError
from graphnet.visualization.plot import Style, dot_source
from graphnet.visualization.render import render


class Picture:
    """A picture in a file, that a notebook shows."""

    def __init__(self, path: pathlib.Path, data: bytes) -> None:
        self.path, self.data = path, data

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        kind = self.path.suffix.lower()
        if kind == ".svg":
            return {"image/svg+xml": self.data.decode("utf-8")}
        return {"image/png": self.data} if kind == ".png" else {"text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<picture in {self.path}>"


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    profile: Any = None,
    **kwargs: Any,
) -> graphviz.Digraph:
    """The picture of a model as a `graphviz.Digraph`, for changes of one's own.

    Arguments as for `plot_model`; ``subgraph`` makes it a cluster that another Digraph may take in. Source:
    https://keras.io/api/utils/model_plotting_utils/

    Example:

        >>> import graphnet
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> graphnet.utils.model_to_dot(model).source.count("->")
        1
    """
    _refuse_others(kwargs)
    return dot_source(
        _graph(model),
        Style(show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations, show_trainable,
              splines, _shares(profile)),
        subgraph)


def _refuse_others(arguments: dict[str, Any]) -> None:
    names = [name for name, value in arguments.items() if name != "layer_range" or value is not None]
    if names:
        raise ValueError(f"plot_model does not take {', '.join(names)}. To draw a part of a model, cut it: "
                         "model.extract(name).")


def _shares(profile: Any) -> Any:
    return None if profile is None else profile.shares()


def _graph(model: Any) -> Any:
    try:
        return model.graph
    except AttributeError as error:
        if hasattr(model, "built"):
            raise GraphError(f"plot_model: {error}") from None
        raise ValueError(f"plot_model expects a model; received {model!r}.") from None


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    profile: Any = None,
    **kwargs: Any,
) -> Picture:
    """Draws a model's graph into a file whose ending says the format: png, svg, jpg or dot; with Graphviz installed pdf and ps.

    Arguments: ``show_shapes``, ``show_dtype``, ``show_layer_names``, ``show_layer_activations``, ``show_trainable`` add to the
    boxes; ``rankdir`` "TB" (downwards) or "LR" (to the right); ``expand_nested`` draws nested models in frames; ``dpi`` dots an
    inch; ``splines`` how edges run ("ortho", "spline", "polyline", "curved"; where a shared layer has a pin for each call,
    "ortho" becomes "spline"); ``profile`` what `Model.profile` gave, for the time of each layer, the redder the more. Returns
    what a notebook shows. Raises ValueError for another format, GraphError for a model without a graph, RuntimeError where a
    program is missing. Source: https://keras.io/api/utils/model_plotting_utils/

    Example:

        >>> import graphnet, os, tempfile
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     picture = graphnet.utils.plot_model(model, os.path.join(folder, "model.dot"), show_shapes=True)
        >>> b"(None, 3)" in picture.data
        True
    """
    path = pathlib.Path(to_file).expanduser()
    path = path if path.suffix else path.with_suffix(".png")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"plot_model: there is no folder {str(path.parent)!r} to write {path.name!r} into.")
    _refuse_others(kwargs)
    style = Style(show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations,
                  show_trainable, splines, _shares(profile))
    data = render(dot_source(_graph(model), style), path.suffix)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)
    return Picture(path, data)
