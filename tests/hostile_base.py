"""Files made to do harm, rebuilt without any: the known attacks on Keras's loaders, and files that ask for too much.

Each function writes one file into a folder; its name begins with what it is about. Where an attack would run something, that would make
the file `harm` in the folder; where it would read something, that is `secret` or `secret.h5`. See `test_safety.py`.
"""
import base64
import json
import marshal
import pathlib
import zipfile

import h5py
import numpy as np

CASES = {}
DEEP = 10_000
CHAIN = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 3], "name": "x"}}


def case(ending):
    def register(make):
        CASES[f"{make.__name__}.{ending}"] = make
        return make
    return register


def layer(kind, **config):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": kind.lower(), **config}, "registered_name": None}


def sequential(*layers_, **more):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [CHAIN, *layers_]}, **more}


def functional(layers_, outputs):
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": {
        "name": "f", "layers": [{**CHAIN, "name": "x", "inbound_nodes": []}, *layers_], "input_layers": [["x", 0, 0]], "output_layers": outputs}}


def called(item, *args, name=None, **kwargs):
    """A layer's configuration with one call of it."""
    return {**item, "name": name or item["config"]["name"], "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}


X = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "dtype": "float32", "keras_history": ["x", 0, 0]}}


def weights(fill=None):
    """The bytes of an HDF5 file."""
    file = h5py.File("memory", "w", driver="core", backing_store=False)
    with file:
        file.create_group("layers")
        if fill is not None:
            fill(file)
        file.flush()
        return file.id.get_file_image()


def keras(path, config, data=None, **parts):
    text = config if isinstance(config, str) else json.dumps(config)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {"config.json": text, "metadata.json": '{"keras_version": "3.9.0"}', "model.weights.h5": data or weights(),
                              **parts}.items():
            file.writestr(name, content)


def legacy(path, config):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config) if not isinstance(config, str) else config
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = np.zeros(0)


def small():
    """The model that `*.h5` files are read into: the attacks are on its first layer."""
    import graphnet
    return graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(4, name="dense"), graphnet.layers.Dense(2, name="dense_1")])


def spoiled(path, change):
    """The weights of `small`, with a change."""
    small().save_weights(path)
    with h5py.File(path, "r+") as file:
        change(file)


def bytecode(path):
    """A lambda as Keras stores it, which would make the file `harm`."""
    code = compile(f"lambda x: open({str(path.parent / 'harm')!r}, 'w')", "", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def harm(path):
    return str(path.parent / "harm")


def write_all(folder):
    """All files; their names."""
    for name, make in CASES.items():
        place = pathlib.Path(folder, name.split(".")[0])
        place.mkdir()
        make(place / name)
    return list(CASES)
