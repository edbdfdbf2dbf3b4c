"""Files that would run code, or read others: see `hostile_base`."""
import json
import os
import zipfile

import h5py
from hostile_base import X, bytecode, called, case, functional, harm, keras, layer, legacy, sequential, small, spoiled


@case("keras")
def cve_2024_3660_a_lambda(path):
    keras(path, sequential(layer("Lambda", function={"class_name": "__lambda__", "config": {"code": bytecode(path), "defaults": None,
                                                                                             "closure": None}})))


@case("keras")
def cve_2024_3660_as_keras_2_wrote_it(path):
    keras(path, sequential(layer("Lambda", function=[bytecode(path), None, None], function_type="lambda", module="__main__")))


@case("keras")
def cve_2024_3660_in_another_argument(path):
    keras(path, sequential(layer("Dense", units=2, activation={"class_name": "__lambda__", "config": {"code": bytecode(path)}})))


@case("keras")
def cve_2025_1550_any_callable_as_a_class(path):
    keras(path, sequential({"module": "os", "class_name": "system", "config": {"command": f"touch {harm(path)}"}, "registered_name": "system"}))


@case("keras")
def cve_2025_1550_as_a_function(path):
    keras(path, sequential(layer("Dense", units=2, activation={"module": "os", "class_name": "function", "config": "system",
                                                               "registered_name": "system"})))


@case("keras")
def cve_2025_1550_called_as_a_layer(path):
    run = {"module": "subprocess", "class_name": "run", "config": {"name": "run"}, "registered_name": None}
    keras(path, functional([called(run, ["touch", harm(path)])], [["run", 0, 0]]))


@case("keras")
def cve_2025_1550_in_what_compile_was_given(path):
    keras(path, sequential(layer("Dense", units=2), compile_config={"optimizer": "adam", "loss": {
        "module": "os", "class_name": "function", "config": "system", "registered_name": "system"}}))


@case("keras")
def cve_2025_1550_optimizer_of_any_class(path):
    keras(path, sequential(layer("Dense", units=2), compile_config={"loss": "mse", "optimizer": {
        "module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", harm(path)]}, "registered_name": "Popen"}}))


@case("keras")
def cve_2025_8747_get_file(path):
    (path.parent / "secret").write_text("secret")
    get = layer("Lambda", function={"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"},
                arguments={"fname": "harm", "origin": f"file://{path.parent}/secret", "cache_dir": str(path.parent), "cache_subdir": ""})
    keras(path, functional([called(get, X)], [["lambda", 0, 0]]))


@case("keras")
def cve_2025_8747_get_file_as_a_layer(path):
    get = {"module": "keras.utils", "class_name": "get_file", "config": {"fname": "harm", "origin": f"file://{path.parent}/secret",
                                                                         "cache_dir": str(path.parent)}, "registered_name": None}
    keras(path, sequential(get))


@case("h5")
def cve_2025_9905_a_lambda_in_hdf5(path):
    legacy(path, sequential(layer("Lambda", function=[bytecode(path), None, None], function_type="lambda")))


@case("keras")
def cve_2025_9906_switches_safety_off(path):
    off = layer("Lambda", function={"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization",
                                    "registered_name": "function"})
    keras(path, functional([called(off, X), called(layer("Lambda", function=[bytecode(path), None, None]), X, name="then")], [["then", 0, 0]]))


@case("keras")
def cve_2025_9906_by_load_model_in_it(path):
    keras(path, functional([called(layer("Lambda", function={"module": "keras.models", "class_name": "function", "config": "load_model"},
                                         arguments={"safe_mode": False}), inputs=str(path))], [["lambda", 0, 0]]))


@case("keras")
def cve_2025_12058_vocabulary_is_a_path(path):
    (path.parent / "secret").write_text("secret")
    keras(path, sequential(layer("StringLookup", vocabulary=str(path.parent / "secret"))))


@case("keras")
def cve_2025_12058_vocabulary_is_a_url(path):
    keras(path, sequential(layer("TextVectorization", vocabulary="http://127.0.0.1:9/secret")))


@case("keras")
def cve_2026_1462_a_layer_from_a_saved_model(path):
    keras(path, sequential(layer("TFSMLayer", filepath=str(path.parent / "saved"), call_endpoint="serve")))


@case("json")
def lambda_where_no_scope_is_open(path):
    path.write_text(json.dumps(sequential(layer("Lambda", function={"class_name": "__lambda__", "config": {"code": bytecode(path)}}))))


@case("json")
def torch_module_wrapper(path):
    path.write_text(json.dumps(sequential(layer("TorchModuleWrapper", module={"class_name": "__bytes__", "config": {"value": "gASV"}}))))


@case("json")
def attribute_of_a_module_of_ours(path):
    path.write_text(json.dumps(functional([called({"module": "keras.ops", "class_name": "np.fromfile", "config": {
        "name": "n", "file": "/etc/passwd"}}, X)], [["n", 0, 0]])))


# ---- files outside of the file

@case("keras")
def name_with_dots(path):
    keras(path, sequential(), **{"../harm": "x"})


@case("keras")
def name_that_is_absolute(path):
    keras(path, sequential(), **{harm(path): "x"})


@case("keras")
def name_of_windows(path):
    keras(path, sequential(), **{"C:\\harm": "x"})


@case("keras")
def member_that_is_a_link(path):
    keras(path, sequential())
    link = zipfile.ZipInfo("assets")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, str(path.parent))


def secret(path):
    """Real weights beside, which only a link leads to."""
    target = path.parent / "secret.h5"
    small().save_weights(target.with_name("secret.weights.h5"))
    os.replace(target.with_name("secret.weights.h5"), target)
    return str(target)


def replaced(place, make):
    def change(file):
        del file[place]
        make(file)
    return change


KERNEL = "layers/dense/vars/0"


@case("weights.h5")
def cve_2026_12480_external_link_to_an_array(path):
    spoiled(path, replaced(KERNEL, lambda f: f.__setitem__(KERNEL, h5py.ExternalLink(secret(path), KERNEL))))


@case("weights.h5")
def cve_2026_12480_external_link_to_a_group(path):
    spoiled(path, replaced("layers", lambda f: f.__setitem__("layers", h5py.ExternalLink(secret(path), "layers"))))


@case("h5")
def cve_2026_12480_external_link_at_the_root(path):
    legacy(path, sequential())
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(secret(path), "/")


@case("weights.h5")
def external_link_to_what_never_answers(path):
    os.mkfifo(path.parent / "pipe")
    spoiled(path, replaced("layers", lambda f: [f.__setitem__(name, h5py.ExternalLink(str(path.parent / "pipe"), "/")) for name in
                                                ("layers", "optimizer", "model_weights", "optimizer_weights", "vars/cell")]))


@case("weights.h5")
def soft_link(path):
    spoiled(path, replaced(KERNEL, lambda f: f.__setitem__(KERNEL, h5py.SoftLink("/layers/dense_1/vars/0"))))


@case("weights.h5")
def cve_2026_1669_external_storage(path):
    (path.parent / "secret").write_bytes(b"s" * 48)
    spoiled(path, replaced(KERNEL, lambda f: f.create_dataset(KERNEL, (3, 4), "f4", external=[(str(path.parent / "secret"), 0, 48)])))


@case("weights.h5")
def virtual_array(path):
    def make(file):
        layout = h5py.VirtualLayout((3, 4), "f4")
        layout[:] = h5py.VirtualSource(secret(path), KERNEL, (3, 4))
        file["layers/dense/vars"].create_virtual_dataset("0", layout)
    spoiled(path, replaced(KERNEL, make))
