"""The objects that a checkpoint goes through, as a graph whose edges have names: attributes, dict keys, places in lists."""
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphnet.graph import Variable
from graphnet.trackable import Trackable

VALUE, STATE = ".ATTRIBUTES/VARIABLE_VALUE", ".ATTRIBUTES/py_state"


class PythonState:
    """Base of Python objects that checkpoints hold beside variables: ``serialize()`` gives a str or bytes,
    ``deserialize(value)`` takes them back.

    Data alone is written and read, nothing is unpickled. A `deserialize` that raises stops the restore; nothing is changed
    then. Source: https://www.tensorflow.org/api_docs/python/tf/train/experimental/PythonState

    Example:

        >>> import graphnet, json, os, tempfile
        >>> class Seen(graphnet.train.PythonState):
        ...     def __init__(self):
        ...         self.files = []
        ...     def serialize(self):
        ...         return json.dumps(self.files)
        ...     def deserialize(self, value):
        ...         self.files = json.loads(value)
        >>> seen, again = Seen(), Seen()
        >>> seen.files.append("a.csv")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = graphnet.train.Checkpoint(seen=seen).write(os.path.join(folder, "run"))
        ...     status = graphnet.train.Checkpoint(seen=again).restore(path)
        >>> again.files
        ['a.csv']
    """

    def serialize(self) -> str | bytes:
        """The state as data."""
        raise NotImplementedError(f"{type(self).__name__} has no serialize(self), which gives its state as str or bytes. "
                                  "Define it.")

    def deserialize(self, value: Any) -> None:
        """Takes the state back."""
        raise NotImplementedError(f"{type(self).__name__} has no deserialize(self, value), which takes back what serialize "
                                  "gave. Define it.")


def is_leaf(thing: Any) -> bool:
    """Whether a checkpoint holds a value for it."""
    return isinstance(thing, (Variable, PythonState))


def is_container(thing: Any) -> bool:
    return isinstance(thing, (list, tuple, dict))


def _is_part(thing: Any) -> bool:
    return isinstance(thing, (Variable, PythonState, Trackable, list, tuple, dict))


def parts_of(thing: Any) -> dict[str, Any]:
    """Its parts by name, in the order of their names.

    Raises ValueError for a dict whose keys are no names, where it has parts.
    """
    if is_leaf(thing):
        return {}
    if isinstance(thing, (list, tuple)):
        return {str(i): item for i, item in enumerate(thing) if _is_part(item)}
    if not isinstance(thing, dict):
        thing = thing._named_parts()
    found = {}
    for key, value in thing.items():
        if _is_part(value):
            if not isinstance(key, (str, int)):
                if has_leaf(value):
                    raise ValueError("A checkpoint expects strings or whole numbers as keys of a dict that holds variables; "
                                     f"received {key!r} ({type(key).__name__}). Rename the key.")
                continue
            if str(key) in found:
                raise ValueError(f"A checkpoint cannot tell the keys {key!r} and {str(key)!r} of a dict apart. Rename one.")
            found[str(key)] = value
    return dict(sorted(found.items()))


def reached(root: Any) -> Iterator[tuple[Any, str]]:
    """The root and all below it, each once by its shortest path; the path's names are escaped as TensorFlow escapes them."""
    return ((thing, path) for thing, path, _ in walk(root))


def walk(root: Any) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """`reached`, with the parts of each; lists and dicts among these may be made for the walk, and live as long as it does."""
    seen = {id(root): root}
    waiting = deque([(root, "")])
    while waiting:
        thing, path = waiting.popleft()
        parts = parts_of(thing)
        yield thing, path, parts
        for name, part in parts.items():
            if id(part) not in seen:
                seen[id(part)] = part
                waiting.append((part, f"{path}/{escaped(name)}" if path else escaped(name)))


def has_leaf(thing: Any) -> bool:
    return any(is_leaf(part) for part, _ in reached(thing))


def escaped(name: str) -> str:
    """A name as part of a key: a dot is two, a slash is ``.S``."""
    return name.replace(".", "..").replace("/", ".S")


def describe(root: Any) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """What a checkpoint of an object holds: the nodes of the object graph, the root first, and the values by their keys.

    A node has the numbers of its ``children`` by name, and where it has a value, ``value``, its key; for a PythonState also
    ``state``, the kind of value. Parts without any value below them are left out.
    """
    walked = list(walk(root))
    kept = _above_leaves({id(thing): [id(part) for part in parts.values()] for thing, _, parts in walked},
                         {id(thing) for thing, _, _ in walked if is_leaf(thing)}) | {id(root)}
    walked = [entry for entry in walked if id(entry[0]) in kept]
    numbers = {id(thing): number for number, (thing, _, _) in enumerate(walked)}
    nodes: list[dict[str, Any]] = []
    values: dict[str, np.ndarray] = {}
    for thing, path, parts in walked:
        node: dict[str, Any] = {}
        children = {name: numbers[id(part)] for name, part in parts.items() if id(part) in numbers}
        if children:
            node["children"] = children
        if is_leaf(thing):
            node["value"] = f"{path}/{VALUE if isinstance(thing, Variable) else STATE}"
            values[node["value"]], kind = encoded(thing)
            if kind:
                node["state"] = kind
        nodes.append(node)
    return nodes, values


def _above_leaves(below: dict[int, Any], leaves: set[int]) -> set[int]:
    """What leads to a leaf, and the leaves."""
    above: dict[int, list[int]] = {}
    for parent, children in below.items():
        for child in children:
            above.setdefault(child, []).append(parent)
    found, waiting = set(leaves), list(leaves)
    while waiting:
        for parent in above.get(waiting.pop(), ()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def encoded(leaf: Any) -> tuple[np.ndarray, str | None]:
    """A leaf's value as an array, and of a PythonState the kind of value that it was."""
    if isinstance(leaf, Variable):
        return np.asarray(leaf.value, order="C"), None
    value = leaf.serialize()
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{type(leaf).__name__}.serialize is expected to give a str or bytes; it gave {value!r} "
                        f"({type(value).__name__}).")
    data = value.encode() if isinstance(value, str) else value
    return np.frombuffer(data, "uint8"), type(value).__name__


def decoded(array: np.ndarray, state: str) -> str | bytes:
    """What a PythonState had given. Raises UnicodeDecodeError, a ValueError, where it is no text."""
    data = array.tobytes()
    return data.decode() if state == "str" else data
