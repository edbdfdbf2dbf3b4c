"""Looking into checkpoints and folders of them, without the objects that they are for."""
import os
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.train.folder import NAME, read_state
from graphnet.train.layout import GRAPH
from graphnet.train.parts import decoded
from graphnet.train.reading import exists, read, read_index


def resolved(path: Any) -> str:
    """The prefix that a path means: itself; of a folder the latest checkpoint in it, or of a saved model its variables."""
    prefix = os.path.expanduser(os.fspath(path))
    if not os.path.isdir(prefix) or exists(prefix):
        return prefix
    inner = os.path.join(prefix, "variables", "variables")
    found = inner if exists(inner) else latest_checkpoint(prefix)
    if found is None:
        raise FileNotFoundError(f"There is no checkpoint in the folder {prefix}: its file {NAME!r} names none. Pass the path "
                                "that save or write gave.")
    return found


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The path of the checkpoint that was saved last in a folder, None where there is none.

    Arguments: ``latest_filename``, another name of the file ``checkpoint``. Raises FileFormatError where that is damaged.
    Source: https://www.tensorflow.org/api_docs/python/tf/train/latest_checkpoint

    Example:

        >>> import graphnet, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.train.latest_checkpoint(folder) is None
        True
    """
    folder = os.path.expanduser(os.fspath(checkpoint_dir))
    state = read_state(folder, latest_filename or NAME)
    paths = [os.path.join(folder, name) for name in reversed(state.names)] if state else []
    return next(filter(exists, paths), None)


def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """Key and shape of each value in a checkpoint, in the order of the keys; the object graph's entry first.

    Arguments: a checkpoint's path, or a folder: then the latest in it. Raises FileNotFoundError, FileFormatError.
    Source: https://www.tensorflow.org/api_docs/python/tf/train/list_variables

    Example:

        >>> import graphnet, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = graphnet.train.Checkpoint(v=graphnet.Variable([1.0, 2.0])).write(os.path.join(folder, "run"))
        ...     graphnet.train.list_variables(path)
        [('_CHECKPOINTABLE_OBJECT_GRAPH', []), ('v/.ATTRIBUTES/VARIABLE_VALUE', [2])]
    """
    index = read_index(resolved(ckpt_dir_or_file))
    states = {node["value"] for node in index.nodes if node["state"]}
    shapes = {key: [] if key in states else list(entry.shape) for key, entry in sorted(index.tensors.items())}
    return [(GRAPH, []), *shapes.items()]


def load_variable(ckpt_dir_or_file: Any, name: str) -> Any:
    """The value of a key: an array, or what a `PythonState` gave. Of ``_CHECKPOINTABLE_OBJECT_GRAPH`` the nodes.

    Arguments: a checkpoint's path or a folder, and a key that `list_variables` gives. Raises ValueError for another key.
    Source: https://www.tensorflow.org/api_docs/python/tf/train/load_variable

    Example:

        >>> import graphnet, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = graphnet.train.Checkpoint(v=graphnet.Variable([1.0, 2.0])).write(os.path.join(folder, "run"))
        ...     graphnet.train.load_variable(path, "v/.ATTRIBUTES/VARIABLE_VALUE")
        array([1., 2.], dtype=float32)
    """
    path = resolved(ckpt_dir_or_file)
    if name == GRAPH:
        return read_index(path).nodes
    index, values = read(path, name)
    state = next((node["state"] for node in index.nodes if node["value"] == name), None)
    try:
        return values[name].copy() if state is None else decoded(values[name], state)
    except ValueError as error:
        raise FileFormatError(f"Checkpoint {path}: {name!r} is no text.") from error
