"""load: a saved model's directory, checked, as objects. Data alone is read: ops are named, and known; nothing of a file is executed."""
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays

from graphnet.compiler import Executable
from graphnet.errors import FileFormatError
from graphnet.functions.signature import Held
from graphnet.graph import Graph, Variable
from graphnet.saved_model.directory import CONSTANTS, FORMAT, LARGEST_TEXT, TEXT, VARIABLES, VERSION, contents, expect_plain, is_saved_model
from graphnet.saved_model.functions import LoadedFunction, decode_function
from graphnet.saved_model.graphs import FAILURES, decode_graph, read_constants
from graphnet.saved_model.objects import CALL, KINDS, Loaded, LoadedLayer
from graphnet.saved_model.values import PLACES, Malformed, damaged, require, shallow, text, whole
from graphnet.saved_model.variables import checked_value, decode_variable
from graphnet.train.reading import exists, read

_BODY = b'"body":\n'
_ATTEMPTS = 5


def load(path: Any) -> Any:
    """The object that `save` wrote: its functions as graphs, its parts, its variables. No class and no code of it is needed.

    It has the functions under their names, is called where the object was, takes the signatures that were saved and refuses others;
    ``signatures`` are a dict. Its variables are assigned as before; it can be called in functional models, other layers and traced
    functions, trained there, and saved again. A model is loaded as one that can be compiled.
    Raises FileNotFoundError; FileFormatError for a directory that is damaged, of another kind, or of a newer graphnet.
    Source: https://www.tensorflow.org/guide/saved_model

    Example:

        >>> import numpy as np, graphnet, os, tempfile
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.saved_model.save(model, os.path.join(folder, "model"))
        ...     loaded = graphnet.saved_model.load(os.path.join(folder, "model"))
        >>> bool((loaded(np.ones((2, 4), "float32")) == model(np.ones((2, 4), "float32"))).all())
        True
    """
    return read_contents(path).root()


def read_contents(path: Any) -> "Contents":
    """All that a directory holds, checked. Raises FileNotFoundError, FileFormatError."""
    return read_files(path).contents()


def read_files(path: Any) -> "Files":
    """The files of a directory, whole as their checksums say, and all of one: another may take its place meanwhile.

    Raises FileNotFoundError, FileFormatError.
    """
    folder = os.path.expanduser(os.fspath(path))
    for attempt in range(_ATTEMPTS):
        before = _identity(folder)
        try:
            found = _read_files(folder)
            if _identity(folder) == before:
                return found
        except (FileFormatError, OSError):
            if attempt + 1 == _ATTEMPTS or _identity(folder) == before:
                raise
    raise FileFormatError(f"Saved model {folder}: others replace the directory again and again while it is read. Nothing was loaded. Load it again.")


def _identity(folder: str) -> tuple[int, ...] | None:
    """Which directory has that name; a new one may have the number of one that was deleted, and is younger then."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _read_files(folder: str) -> "Files":
    if not is_saved_model(folder):
        what = f"it has no file {TEXT}" if os.path.isdir(folder) else "there is no such directory"
        raise (FileFormatError if os.path.isdir(folder) else FileNotFoundError)(f"{folder!r} is no saved model of graphnet's: {what}.")
    expect_plain(folder)
    body = _body(contents(folder, TEXT, LARGEST_TEXT), folder)
    prefix = os.path.join(folder, VARIABLES, "variables")
    if not exists(prefix):
        raise damaged(folder, f"its checkpoint {VARIABLES}/variables is missing")
    with _telling(folder):
        arrays = load_arrays(contents(folder, CONSTANTS)) if any("key" in entry for entry in body["constants"]) else {}
        return Files(folder, shallow(body), read(prefix)[1], arrays)


@contextmanager
def _telling(folder: str) -> Iterator[None]:
    """Whatever is wrong becomes one FileFormatError that names the directory."""
    try:
        yield
    except FileFormatError:
        raise
    except SafetensorError as error:
        raise damaged(folder, f"its {CONSTANTS} is damaged ({error})") from error
    except FAILURES as error:
        raise damaged(folder, str(error) if isinstance(error, Malformed) else f"it is malformed ({type(error).__name__}: {str(error)[:200]})") from error


def _body(raw: bytes, folder: str) -> dict[str, Any]:
    """What the text holds: of this format or an older one, and with its checksum."""
    head, mark, rest = raw.partition(_BODY)
    body = rest.rstrip()[:-1]
    try:
        header = json.loads(head + _BODY + b"null}") if mark else json.loads(raw)
        if not isinstance(header, dict) or header.get("format") != FORMAT or type(header.get("version")) is not int or header["version"] < 1:
            raise Malformed(f"its {TEXT} is not of the format {FORMAT}")
        if header["version"] > VERSION:
            raise FileFormatError(f"Saved model {folder} has format {header['version']}, of a newer graphnet; this one reads formats up to {VERSION}. "
                                  "Update graphnet.")
        if header.get("crc32") != zlib.crc32(body):
            raise Malformed(f"its {TEXT} was changed or is damaged: its checksum is not that of its contents")
        found = json.loads(body)
        require(isinstance(found, dict), "its body is no object")
        return found  # type: ignore[no-any-return]
    except FileFormatError:
        raise
    except Malformed as error:
        raise damaged(folder, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise damaged(folder, f"its {TEXT} is no JSON ({type(error).__name__})") from error


@dataclass
class Files:
    """What the files of a saved model hold: the text as data, and arrays by their keys."""

    folder: str
    body: dict[str, Any]
    values: dict[str, np.ndarray]
    arrays: dict[str, np.ndarray]

    def contents(self) -> "Contents":
        """The objects, with their graphs. Raises FileFormatError."""
        with _telling(self.folder):
            return Contents.of(self.body, self.values, self.arrays)

    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for found in (self.values, self.arrays) for array in found.values())

    def variables(self, numbers: Any) -> list[np.ndarray]:
        """The values of different variables by their numbers. Raises Malformed."""
        entries = [self.body["variables"][whole(i, len(self.body["variables"]))] for i in numbers]
        require(len({text(entry["key"]) for entry in entries}) == len(entries), "a variable, or its value, is named twice")
        return [checked_value(entry, self.values) for entry in entries]

    def constants(self) -> list[np.ndarray]:
        """The arrays that are constants in graphs, or states of metrics. Raises Malformed."""
        return read_constants(self.body["constants"], self.arrays)


def _expect_bounded(body: dict[str, Any]) -> None:
    """Raises Malformed where objects would take memory that the files do not have: values are copied, lists filled with None."""
    keys = [text(entry["key"]) for entry in body["variables"]]
    require(len(set(keys)) == len(keys), "two variables have one value")
    places = sum(whole(entry["length"]) for entry in body["objects"] if entry["kind"] in ("list", "tuple"))
    require(places <= PLACES, f"its lists and tuples have {places} places; the most is {PLACES}")


@dataclass
class Contents:
    """A saved model as objects in the making."""

    body: dict[str, Any]
    variables: list[Variable]
    constants: list[np.ndarray]
    graphs: list[Graph]
    objects: list[Any]
    executables: dict[int, Executable]

    @classmethod
    def of(cls, body: dict[str, Any], values: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> "Contents":
        _expect_bounded(body)
        variables = [decode_variable(entry, values) for entry in body["variables"]]
        constants = read_constants(body["constants"], arrays)
        graphs = [decode_graph(data, variables, constants) for data in body["graphs"]]
        made = cls(body, variables, constants, graphs, [], {})
        made.objects = [made._object(entry) for entry in body["objects"]]
        require(made.objects and isinstance(made.objects[0], Loaded), "its first object is no module")
        made._fill()
        return made

    def root(self) -> Any:
        return self.objects[0]

    def _object(self, entry: dict[str, Any]) -> Any:
        """The object without its parts; tuples, which cannot be filled, are made by `_fill`."""
        kind = text(entry["kind"])
        if kind == "variable":
            return self.variables[whole(entry["variable"], len(self.variables))]
        if kind in ("list", "tuple"):
            return [None] * entry["length"]  # small, and of all of them together: see `_expect_bounded`
        if kind == "dict":
            return {}
        require(kind in KINDS, f"there is no kind of object {kind[:40]!r}")
        require((kind == "module") == (CALL not in entry.get("functions", {})), f"an object of kind {kind} has {CALL} or not")
        made = KINDS[kind](text(entry["name"]))  # type: ignore[call-arg]  # all kinds take a name alone
        if entry.get("is_part", True) is not True:
            made._is_part = False
        return made

    def _function(self, data: Any) -> LoadedFunction:
        return decode_function(data, self.graphs, self.executables, self._held)

    def _held(self, number: int) -> Any:
        require(number < len(self.objects), "there is no such object")
        return Held(self.objects[number])

    def _fill(self) -> None:
        """Gives the objects their parts and functions."""
        entries = self.body["objects"]
        tuples = {number: self.objects[number] for number, entry in enumerate(entries) if entry["kind"] == "tuple"}
        for entry, made in zip(entries, self.objects, strict=True):
            parts = {text(name): self.objects[whole(part, len(self.objects))] for name, part in entry.get("parts", {}).items()}
            if isinstance(made, list):
                for name, part in parts.items():
                    require(name.isdecimal(), "a place in a list is a number")
                    made[whole(int(name), len(made))] = part
            elif isinstance(made, dict):
                made.update({int(name) if name in entry.get("numbers", ()) else name: part for name, part in parts.items()})
            elif isinstance(made, Loaded):
                require(not any(name.startswith(("__", "_untracked")) for name in parts), "a part has a name that none may have")
                made._untracked_parts.update(parts)
                made._untracked_functions.update({text(name): self._function(f) for name, f in entry.get("functions", {}).items()})
        self._freeze(tuples)
        root, model = self.objects[0], self.body["model"]
        root._untracked_signatures.update({text(name): self._function(f) for name, f in self.body["signatures"].items()})
        if isinstance(root, LoadedLayer) and model is not None:
            root._untracked_weights = [self.variables[whole(i, len(self.variables))] for i in model["weights"]]

    def _freeze(self, tuples: dict[int, list[Any]]) -> None:
        """Puts tuples in the places of the lists that stood for them; those inside of others first."""
        done: dict[int, tuple[Any, ...]] = {}

        def frozen(value: Any, around: tuple[int, ...] = ()) -> Any:
            if id(value) not in stand_ins:
                return value
            require(id(value) not in around, "a tuple holds itself")
            if id(value) not in done:
                done[id(value)] = tuple([frozen(item, (*around, id(value))) for item in value])
            return done[id(value)]
        stand_ins = {id(made) for made in tuples.values()}
        for number, made in enumerate(self.objects):
            if number in tuples:
                continue
            if isinstance(made, list):
                made[:] = [frozen(item) for item in made]
            elif isinstance(made, (dict, Loaded)):
                parts = made if isinstance(made, dict) else made._untracked_parts
                parts.update({name: frozen(part) for name, part in parts.items()})
        for number, made in tuples.items():
            self.objects[number] = frozen(made)
