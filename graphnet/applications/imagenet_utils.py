"""What networks trained on ImageNet expect of images, and what their predictions mean."""
import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet import config
from graphnet.ops.elementwise import cast, divide, subtract
from graphnet.ops.shape import flip
from graphnet.settings import settings

CLASS_INDEX = "imagenet_class_index.json"
CLASS_INDEX_ADDRESS = f"https://storage.googleapis.com/download.tensorflow.org/data/{CLASS_INDEX}"
MEANS = {"caffe": (103.939, 116.779, 123.68), "torch": (0.485, 0.456, 0.406)}
DEVIATIONS = (0.229, 0.224, 0.225)


def cached(name: str, address: str, use: str) -> pathlib.Path:
    """The file of that name in Keras's cache or in graphnet's; FileNotFoundError tells where to put it.

    Nothing is downloaded.
    """
    folders = [pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "models",
               pathlib.Path(settings.home) / "models"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{use} expects the file {name} in {folders[0]} or {folders[1]}, and neither has it. graphnet "
                            f"downloads nothing: fetch {address} and put it there.")


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images of 0..255 as a network expects them; the images themselves stay as they are.

    Arguments: ``x`` an array or tensor (..., H, W, 3) of red, green, blue; ``data_format``; ``mode``: "tf": x / 127.5 - 1;
    "torch": x / 255, less the mean and by the deviation of ImageNet's channels; "caffe": blue, green, red less their means.
    Shape: as x, in floats.
    Source: https://keras.io/api/applications/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.applications.imagenet_utils.preprocess_input(np.array([[[0, 127.5, 255]]]), mode="tf")
        array([[[-1.,  0.,  1.]]])
    """
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(f"preprocess_input expects mode 'caffe', 'tf' or 'torch'; received mode={mode!r}.")
    data_format = config.standardize_data_format(data_format)
    x = cast(x, config.floatx()) if "float" not in str(getattr(x, "dtype", "")) else x
    if mode == "tf":
        return subtract(divide(x, 127.5), 1.0)
    first = data_format == "channels_first"
    axis = -3 if first else -1
    if x.shape[axis] != 3:
        raise ValueError(f"preprocess_input expects 3 channels on axis {axis} ({data_format}); received shape "
                         f"{tuple(x.shape)}.")

    def along(values: Sequence[float]) -> np.ndarray:
        return np.asarray(values, str(x.dtype)).reshape((3, 1, 1) if first else (3,))
    if mode == "caffe":
        return subtract(flip(x, axis), along(MEANS["caffe"]))
    return divide(subtract(divide(x, 255.0), along(MEANS["torch"])), along(DEVIATIONS))


@functools.cache
def class_index(path: pathlib.Path) -> list[tuple[str, str]]:
    """WordNet's number and a name for each of the 1000 classes."""
    table = json.loads(path.read_text(encoding="utf-8"))
    return [tuple(table[str(i)]) for i in range(len(table))]  # type: ignore[misc]


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The `top` classes of each prediction, best first: (WordNet's number, name, score).

    Arguments: ``preds`` an array (N, 1000). Raises ValueError for another shape, FileNotFoundError where the file of class
    names is in no cache: its text says which file to put where. Source: https://keras.io/api/applications/
    """
    scores = np.asarray(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError("decode_predictions expects predictions of shape (N, 1000), of a network with its top for ImageNet; "
                         f"received shape {scores.shape}.")
    names = class_index(cached(CLASS_INDEX, CLASS_INDEX_ADDRESS, "decode_predictions"))
    return [[(*names[i], row[i]) for i in np.argsort(-row, kind="stable")[:top]] for row in scores]
