"""plot_model and model_to_dot."""
import os
import pathlib
import tempfile
from typing import Any

import graphviz

from graphnet.visualization.plot import dot_source, render


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


def model_to_dot(model: Any, show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = True, rankdir: str = "TB",
                 expand_nested: bool = False, dpi: int = 200, subgraph: bool = False, show_layer_activations: bool = False,
                 show_trainable: bool = False, splines: str = "spline", **kwargs: Any) -> graphviz.Digraph:
    """The picture of a model as a `graphviz.Digraph`, for changes of one's own; arguments as for `plot_model`.

    Source: https://keras.io/api/utils/model_plotting_utils/
    """
    if kwargs.pop("layer_range", None) is not None or kwargs:
        raise ValueError(f"model_to_dot does not take {', '.join(kwargs) or 'layer_range'}. To draw a part, cut the model: model.extract(name).")
    if not hasattr(model, "graph"):
        raise ValueError(f"plot_model expects a model; received {model!r}.")
    return dot_source(model.graph, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations, show_trainable, splines)


def plot_model(model: Any, to_file: Any = "model.png", show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = True,
               rankdir: str = "TB", expand_nested: bool = False, dpi: int = 200, show_layer_activations: bool = False, show_trainable: bool = False,
               splines: str = "spline", **kwargs: Any) -> Picture:
    """Draws a model's graph into a file; the ending of its name says the format: png, svg, pdf or dot.

    Arguments: ``show_shapes``, ``show_dtype``, ``show_layer_names``, ``show_layer_activations``, ``show_trainable`` add to the boxes; ``rankdir`` "TB"
    (downwards) or "LR" (to the right); ``expand_nested`` draws nested models in frames; ``dpi`` dots an inch. Returns what a notebook shows.
    Raises ValueError for another format, RuntimeError where a program is missing. Source: https://keras.io/api/utils/model_plotting_utils/
    """
    path = pathlib.Path(to_file)
    dot = model_to_dot(model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, False, show_layer_activations, show_trainable, splines, **kwargs)
    data = render(dot, path.suffix or "png")
    path = path if path.suffix else path.with_suffix(".png")
    handle, beside = tempfile.mkstemp(dir=path.parent or ".", suffix=path.suffix)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.replace(beside, path)
    return Picture(path, data)
