"""load_model, load_weights and model_from_json: which kind of file it is, then its configuration and its weights."""
import pathlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import h5py

from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.layers.serialization import deserialize
from graphnet.layers.sharing import sharing
from graphnet.registry import custom_object_scope
from graphnet.saved_model.directory import is_saved_model
from graphnet.saving import compilation, legacy_h5, weights_h5
from graphnet.saving.archive import Weights, opened_archive, parse
from graphnet.saving.assignment import Assignments
from graphnet.saving.directory import load_directory
from graphnet.saving.fresh import Fresh
from graphnet.saving.hdf5 import Joined, Place, holds, names
from graphnet.saving.limits import limited
from graphnet.saving.shards import opened_shards
from graphnet.saving.unzipped import is_unzipped, opened_folder, size_of

NEWEST = 3  # major version of Keras whose files are known
# what code that expects a right configuration raises for a wrong one
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


def load_model(
    filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """A model from a `.keras` file or its unpacked folder, an HDF5 file of Keras 1, 2 or 3, or the directory of a saved model.

    Arguments: ``filepath``; ``custom_objects`` maps names in the file to your classes and functions; ``compile`` compiles the
    model as it was (`Model.get_compile_config` tells how) and gives the optimizer its state, so that training goes on; an
    optimizer of Keras 1 or 2 begins anew. ``safe_mode`` is always in force: nothing in a file is executed, a Lambda is refused by
    name. Raises FileNotFoundError, FileFormatError for a file that is damaged or of another kind, UnsupportedError for an unknown
    layer, loss, metric or optimizer. Source: https://keras.io/api/models/model_saving_apis/model_saving_and_loading/
    """
    if is_saved_model(pathlib.Path(filepath).expanduser()):
        return load_directory(pathlib.Path(filepath).expanduser(), custom_objects, compile)
    path = _existing(filepath)
    fresh = Fresh()
    with limited(str(path), size_of(path) if path.is_dir() else path.stat().st_size, fresh):
        with _opened(path) as (config, training, source):
            with _configuration(str(path)), sharing():
                model = deserialize(config, custom_objects)
                if not hasattr(model, "predict"):
                    raise FileFormatError(f"it holds a {type(model).__name__}, not a model")
                _build(model, config)
            if compile and training:
                _compile(model, training, custom_objects, str(path))
            found = Assignments(str(path), False, "The file contradicts its own configuration: it was changed, or an object of "
                                                  "custom_objects is not the one saved.", fresh)
            _apply(source, model, found)
    return model


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model of the architecture that `Model.to_json`, graphnet's or that of a Keras of any era, wrote; its weights are new.

    Arguments: ``json_string``; ``custom_objects`` maps names in it to your classes and functions. Raises FileFormatError,
    UnsupportedError. Source: https://keras.io/api/models/model_saving_apis/model_config_serialization/

    Example:

        >>> import graphnet
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> graphnet.models.model_from_json(model.to_json()).output_shape
        (None, 3)
    """
    with _configuration("model_from_json"), sharing():
        config = parse(json_string)
        model = deserialize(config, custom_objects)
        _build(model, config)
    return model


def load_weights(model: Any, filepath: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """Gives a model the weights of a `.weights.h5`, `.weights.json`, `.keras` or legacy `.h5` file; nothing is changed where they do not fit.

    Arguments: ``by_name`` takes, from a legacy file, the layers whose names agree; ``skip_mismatch`` leaves out what does not
    fit, with a warning. Raises FileNotFoundError, FileFormatError. Source:
    https://keras.io/api/models/model_saving_apis/weights_saving_and_loading/
    """
    path = _existing(filepath, True)
    if not model.built:
        raise ValueError(f"Model {model.name!r} has no weights yet: call it on data, or build(input_shape), before load_weights.")
    held = sum(variable.value.nbytes for variable in model.variables)  # what the model has, its file may have
    found = Assignments(str(path), skip_mismatch, "Build the model as it was saved, or pass skip_mismatch=True.")
    if path.suffix == ".json":
        with opened_shards(path) as (joined, size), limited(str(path), size + held):
            _apply(joined, model, found, by_name)
        return
    with limited(str(path), path.stat().st_size + held):
        if _is_archive(path):
            with opened_archive(path) as (_, version, weights):
                _check_version(version, path)
                _apply(weights, model, found, by_name)
        else:
            with _open(path) as file:
                _apply(file, model, found, by_name)


def _existing(filepath: Any, weights: bool = False) -> pathlib.Path:
    path = pathlib.Path(filepath).expanduser()
    if not path.exists():
        near = (
            sorted(p.name for p in path.parent.glob("*") if p.name.startswith(path.name.split(".")[0]))[:3]
            if path.parent.is_dir()
            else []
        )
        raise FileNotFoundError(
            f"There is no file {str(path)!r}." + (f" In that folder there are {', '.join(near)}." if near else "")
        )
    if path.is_dir() and (weights or not is_unzipped(path)):
        raise FileFormatError(f"{str(path)!r} is a folder. " + (
            "Weights are read from a file: .weights.h5, .weights.json, .keras, .h5 or .hdf5." if weights else
            "A model file ends in .keras, .h5 or .hdf5; of folders graphnet's own saved models and unpacked .keras files are read; TensorFlow's "
            "SavedModel is not."))
    return path


def _is_archive(path: pathlib.Path) -> bool:
    """Whether it is a zip file, or the beginning of one."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" or zipfile.is_zipfile(path)


@contextmanager
def _opened(path: pathlib.Path) -> Iterator[tuple[Any, Any, Weights | h5py.File]]:
    """Configuration, that of `compile`, and where the weights are."""
    if path.is_dir() or _is_archive(path):
        with opened_folder(path) if path.is_dir() else opened_archive(path) as (config, version, weights):
            _check_version(version, path)
            yield config, config.get("compile_config"), weights
    else:
        with _open(path) as file:
            yield *_configurations(file, path), file


def _check_version(version: Any, path: Any) -> None:
    major = str(version).split(".")[0]
    if major.isdecimal() and int(major[:9]) > NEWEST:
        raise FileFormatError(
            f"{path}: written by Keras {version}; this graphnet reads files of Keras 1 to {NEWEST}. Update graphnet."
        )


def _open(path: pathlib.Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except (*MALFORMED, OSError, RuntimeError) as error:
        raise FileFormatError(f"{path}: not an HDF5 file, or a truncated one ({error}).") from error


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _configurations(file: h5py.File, path: pathlib.Path) -> tuple[Any, Any]:
    try:
        if "keras_version" in file.attrs:
            _check_version(_text(file.attrs["keras_version"]), path)
        if "model_config" not in file.attrs:
            raise FileFormatError(
                f"{path}: the file holds weights alone, no model configuration. Build the model and call "
                f"model.load_weights({path.name!r})."
            )
        config = parse(_text(file.attrs["model_config"]))
        return config, compilation.of_legacy(parse(_text(file.attrs["training_config"]))) if "training_config" in file.attrs else None
    except FileFormatError:
        raise
    except (*MALFORMED, OSError, RuntimeError) as error:
        raise FileFormatError(f"{path}: its configuration is damaged ({error}).") from error


@contextmanager
def _configuration(source: str) -> Iterator[None]:
    """Whatever is wrong in a configuration becomes one FileFormatError that names the file."""
    try:
        yield
    except UnsupportedError:
        raise
    except MALFORMED as error:
        if isinstance(error, FileFormatError) and str(error).startswith(source):
            raise
        said = {RecursionError: "it is nested too deeply", MemoryError: "it asks for more memory than there is"}.get(type(error))
        what = said or (f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
        raise FileFormatError(f"{source}: no model can be built from its configuration: {what[:1000]}") from error


def _build(model: Any, config: Mapping[str, Any]) -> None:
    """Builds a model that does not know its shapes from its graph, by those that the file recorded."""
    build = config.get("build_config") or {}
    shape = build.get("input_shape") or (build.get("shapes_dict") or {}).get("input_shape")
    if not model.built and shape:
        model.build_from_config(
            {"input_shape": shape if isinstance(shape, dict) or isinstance(shape[0], (list, tuple)) else tuple(shape)}
        )


def _compile(model: Any, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None, source: str) -> None:
    """Compiles the model as the file says."""
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(config)
    except FileFormatError:
        raise
    except MALFORMED as error:
        raise UnsupportedError(f"{source}: the model cannot be compiled as the file says: {error or type(error).__name__} Pass "
                               "custom_objects for a loss, metric or optimizer of your own, or compile=False.") from error


def _apply(source: Weights | Place, model: Any, found: Assignments, by_name: bool = False) -> None:
    """Gives the variables of a model the values that a file has."""
    try:
        if isinstance(source, Weights):
            found.buffer = source.buffer if source.buffer.flags.writeable else None
            with source.opened() as file:
                _collect(file, model, found, by_name)
                found.apply()
        else:
            _collect(source, model, found, by_name)
            found.apply()
    except FileFormatError as error:
        if str(error).startswith(found.source):
            raise
        raise FileFormatError(f"{found.source}: {error}") from None
    except (*MALFORMED, OSError, RuntimeError) as error:
        raise FileFormatError(f"{found.source}: the file is damaged or incomplete ({error}). Nothing was changed.") from error


def _collect(file: Place, model: Any, found: Assignments, by_name: bool) -> None:
    if model.optimizer is not None and any(holds(file, name) for name in (*weights_h5.OPTIMIZERS, "optimizer_weights")):
        model._build_optimizer()  # its state has somewhere to go
    if not isinstance(file, Joined) and legacy_h5.is_legacy_file(file):
        legacy_h5.collect(file, model, found, by_name)
        legacy_h5.collect_optimizer(file, model.optimizer, found)
    elif by_name:
        raise FileFormatError("by_name=True is for legacy .h5 files; Keras 3's files are matched by the model's structure.")
    elif weights_h5.is_weights_file(file):
        weights_h5.collect(file, model, found)
    elif model.weights:
        raise FileFormatError(f"holds neither Keras 3's weights nor older ones; its groups are {sorted(names(file))[:5]}.")
