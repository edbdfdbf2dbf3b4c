"""save_model and save_weights: all but the arrays is made ready first, then written as a file that is whole or not there."""
import datetime
import json
import os
import pathlib
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

from graphnet import saved_model
from graphnet.files import whole_file
from graphnet.layers.serialization import serialize
from graphnet.saving import compilation, legacy_writer
from graphnet.saving.outline import Outline
from graphnet.saving.shards import write_shards
from graphnet.saving.unzipped import write_folder
from graphnet.saving.weights_writer import entries, write_weights

FORMAT = "3.15.1"  # the Keras whose layout the files have
LEGACY = (".h5", ".hdf5")


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Writes a model to a `.keras` file - architecture, weights, what `compile` was given, the optimizer's state - to a legacy `.h5`,
    or to a directory: a saved model, or the unpacked parts of a `.keras` file.

    graphnet and Keras 3 read it. The file is written beside and renamed: whatever happens, the one of before stays, or the new one is
    whole.

    Arguments: ``filepath`` ends in ``.keras``, or in ``.h5`` or ``.hdf5`` for the layout of Keras 1 and 2; without an ending a saved
    model is written (`graphnet.saved_model.save`), which runs without the model's classes; ``overwrite`` False asks
    before a file is replaced; ``zipped`` False makes a folder, with the parts of a `.keras` file as files; ``include_optimizer`` False leaves out
    what `compile` was given, and the optimizer's state.
    Raises ValueError for another ending, UnsupportedError for what a file cannot hold (a lambda), FileExistsError where nobody can be
    asked, or a folder holds other files, OSError where the disk is full; nothing is changed then.
    Source: https://keras.io/api/models/model_saving_apis/model_saving_and_loading/

    Example:

        >>> import graphnet, os, tempfile
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "model.keras"))
        ...     graphnet.saving.load_model(os.path.join(folder, "model.keras")).count_params()
        15
    """
    training = bool(kwargs.pop("include_optimizer", True)) and bool(getattr(model, "compiled", False))
    path = pathlib.Path(filepath).expanduser()
    if kwargs.pop("save_format", None) not in (None, path.suffix[1:], "keras" if path.suffix == ".keras" else "h5"):
        raise ValueError(f"save expects the format to follow from the ending of the file's name; received save_format beside {path.name!r}.")
    if kwargs:
        raise ValueError(f"save has no arguments {', '.join(kwargs)}; it has overwrite, zipped and include_optimizer.")
    if zipped is False and path.suffix in (".keras", *LEGACY):
        raise ValueError(f"save(zipped=False) makes a folder, whose name does not end in {path.suffix}; received {str(path)!r}.")
    if zipped is not False and path.suffix not in (".keras", *LEGACY, ""):
        raise ValueError(f"save expects a name that ends in .keras (or .h5 for the old layout, or in nothing for a directory); received "
                         f"{str(path)!r}. For weights alone call save_weights.")
    if not _may_write(path, overwrite):
        return
    if not path.suffix and zipped is not False:
        saved_model.save(model, path, include_optimizer=training)
        return
    if not model.built:
        warnings.warn(f"Model {model.name!r} is saved without weights: it is not built yet. Call it on data first.", stacklevel=2)
    if zipped is False:
        texts = _texts(model, training)
        write_folder(path, texts, Outline(lambda outline: write_weights(outline, model, training)).blocks())
    elif path.suffix == ".keras":
        texts = _texts(model, training)
        _write(path, Outline(lambda outline: write_weights(outline, model, training)), texts)
    else:
        _write(path, Outline(lambda outline: legacy_writer.write_model(outline, model, training, FORMAT)))


def save_weights(model: Any, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None) -> None:
    """Writes a model's weights, and the state of its optimizer, to a `.weights.h5` file; to one of the old layout where it ends in
    `.h5` alone.

    Arguments: ``overwrite`` False asks before a file is replaced; ``max_shard_size`` puts the weights into several files
    ``m_00000.weights.h5``, ``m_00001.weights.h5`` ... of so many GiB each, and ``filepath``, which ends in ``.weights.json``, says
    which holds what; `load_weights` of graphnet and Keras is given that one.
    Raises ValueError for another ending, a model that is not built, or an array that is larger than ``max_shard_size``;
    FileExistsError, OSError as `save_model` does.
    Source: https://keras.io/api/models/model_saving_apis/weights_saving_and_loading/

    Example:

        >>> import graphnet, os, tempfile
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.saving.save_weights(model, os.path.join(folder, "model.weights.h5"))
        ...     graphnet.saving.load_weights(model, os.path.join(folder, "model.weights.h5"))
    """
    path = pathlib.Path(filepath).expanduser()
    if max_shard_size is not None and path.name.endswith(".weights.h5"):
        path = path.with_suffix(".json")
        warnings.warn(f"save_weights(max_shard_size=...) writes an index of the files, which ends in .json: {path.name!r}.", stacklevel=3)
    if (path.suffix not in LEGACY) if max_shard_size is None else not path.name.endswith(".weights.json"):
        raise ValueError(f"save_weights expects a name that ends in .weights.h5, or with max_shard_size in .weights.json; received {str(path)!r}. "
                         "For the whole model call save.")
    if not model.built:
        raise ValueError(f"Model {model.name!r} has no weights yet: call it on data, or build(input_shape), before save_weights.")
    if not _may_write(path, overwrite):
        return
    if max_shard_size is not None:
        write_shards(path, entries(model), max_shard_size)
        return
    today = path.name.endswith(".weights.h5")
    _write(path, Outline(lambda outline: write_weights(outline, model) if today else legacy_writer.write_weights(outline, model, FORMAT)))


def _may_write(path: pathlib.Path, overwrite: bool) -> bool:
    if overwrite or not path.exists():
        return True
    try:
        answer = input(f"{path} exists already. Overwrite it? [y/n] ")
    except (EOFError, OSError):
        raise FileExistsError(f"{path} exists already, and overwrite=False. Delete it, or pass overwrite=True.") from None
    return answer.strip().lower() in ("y", "yes")


def _write(path: pathlib.Path, outline: Outline, texts: Mapping[str, str] | None = None) -> None:
    """A file of the weights; with texts an archive of both."""
    os.makedirs(path.parent, exist_ok=True)
    with whole_file(path) as file:
        if texts is None:
            for block in outline.blocks():
                file.write(block)
            return
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
            with archive.open("model.weights.h5", "w", force_zip64=True) as member:
                for block in outline.blocks():
                    member.write(block)


def _texts(model: Any, training: bool) -> dict[str, str]:
    """The parts of an archive beside the weights."""
    config = serialize(model)
    if training:
        config["compile_config"] = compilation.compile_config(model)
    metadata = {"keras_version": FORMAT, "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")}
    return {"metadata.json": json.dumps(metadata), "config.json": json.dumps(config)}
