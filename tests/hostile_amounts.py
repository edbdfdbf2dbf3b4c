"""Files that ask for too much, never end, or that readers understand in different ways: see `hostile_base`."""
import itertools
import json
import zipfile
import zlib

import h5py
import numpy as np
from hostile_base import CASES, CHAIN, DEEP, X, called, case, functional, keras, layer, legacy, sequential, spoiled, weights
from hostile_files import KERNEL, replaced


@case("keras")
def zip_bomb(path):
    keras(path, " " * (1 << 28))


def rewritten(path, name, **fields):
    """Changes what an archive says of a part, in both of its headers: offsets by the zip format, of 4 bytes each."""
    data = bytearray(path.read_bytes())
    for magic, before in ((b"PK\3\4", 30), (b"PK\1\2", 46)):
        at = data.find(magic)
        while at >= 0:
            if data[at + before:at + before + len(name)] == name.encode():
                for field, value in fields.items():
                    offset = {"crc": 14, "packed": 18, "size": 22}[field] + (2 if before == 46 else 0)
                    data[at + offset:at + offset + 4] = value.to_bytes(4, "little")
            at = data.find(magic, at + 1)
    path.write_bytes(data)


@case("keras")
def zip_with_more_than_declared(path):
    text = json.dumps(sequential())
    keras(path, text + " " * (300 << 20))
    rewritten(path, "config.json", size=len(text), crc=zlib.crc32(text.encode()))


@case("keras")
def zip_with_more_than_declared_by_bzip2(path):
    text = json.dumps(sequential())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("model.weights.h5", weights())
        with file.open("config.json", "w") as part:
            part.write(text.encode())
            for _ in range(1 << 7):
                part.write(b" " * (1 << 20))
    rewritten(path, "config.json", size=len(text), crc=zlib.crc32(text.encode()))


@case("keras")
def zip_with_less_than_declared(path):
    keras(path, sequential())
    rewritten(path, "model.weights.h5", size=1 << 31, packed=1 << 31)


@case("weights.h5")
def cve_2026_0897_array_of_nothing(path):
    spoiled(path, replaced(KERNEL, lambda f: f.create_dataset(KERNEL, (3, 1 << 40), "f4", chunks=(3, 1 << 20))))


@case("weights.h5")
def array_whose_bytes_overflow(path):
    spoiled(path, replaced(KERNEL, lambda f: f.create_dataset(KERNEL, (1 << 31, 1 << 31, 4), "f4", chunks=(1, 1, 4))))


@case("weights.h5")
def small_array_of_a_large_chunk(path):
    def make(file):
        array = file.create_dataset(KERNEL, (3, 4), "f4", chunks=(1 << 14, 1 << 14), maxshape=(None, None), compression="gzip")
        packer = zlib.compressobj(1)
        array.id.write_direct_chunk((0, 0), b"".join([packer.compress(bytes(1 << 20)) for _ in range(300)]) + packer.flush())
    spoiled(path, replaced(KERNEL, make))


@case("weights.h5")
def chunk_that_unpacks_to_more(path):
    def make(file):
        array = file.create_dataset(KERNEL, (3, 4), "f4", chunks=(3, 4), compression="gzip")
        packer = zlib.compressobj(1)
        array.id.write_direct_chunk((0, 0), b"".join([packer.compress(bytes(1 << 20)) for _ in range(300)]) + packer.flush())
    spoiled(path, replaced(KERNEL, make))


@case("weights.h5")
def many_large_chunks_of_a_small_array(path):
    def make(file):
        array = file.create_dataset(KERNEL, (3, 4), "f4", chunks=(1 << 23, 1), maxshape=(None, None), compression="gzip")
        packer = zlib.compressobj(1)
        packed = b"".join([packer.compress(bytes(1 << 20)) for _ in range(32)]) + packer.flush()
        for column in range(4):
            array.id.write_direct_chunk((0, column), packed)
    spoiled(path, replaced(KERNEL, make))


HUGE = 10 ** 12
for _name, _layer in {
        "dense": layer("Dense", units=HUGE), "dense_of_gigabytes": layer("Dense", units=10 ** 9), "dense_negative": layer("Dense", units=-1),
        "dense_beyond_int64": layer("Dense", units=10 ** 400), "dense_nan": layer("Dense", units=float("nan")),
        "dense_inf": layer("Dense", units=float("inf")), "dense_text": layer("Dense", units="4"), "dense_list": layer("Dense", units=[4]),
        "dense_half": layer("Dense", units=2.5), "dense_none": layer("Dense", units=None), "dense_dict": layer("Dense", units={"a": 1}),
        "embedding": layer("Embedding", input_dim=HUGE, output_dim=8), "reshape": layer("Reshape", target_shape=[HUGE, HUGE]),
        "repeat_nan": layer("RepeatVector", n=float("nan")), "upsampling": layer("UpSampling1D", size=-3),
        "true": layer("Dense", units=True), "rate": layer("Dropout", rate=float("nan")), "axis": layer("BatchNormalization", axis=10 ** 30),
        "epsilon": layer("LayerNormalization", epsilon="x"), "name": layer("Dense", units=2, name=["a"])}.items():
    CASES[f"number_{_name}.keras"] = lambda path, item=_layer: keras(path, sequential(item))


@case("keras")
def number_of_a_kernel(path):
    image = {**CHAIN, "config": {"batch_shape": [None, 8, 8, 3], "name": "x"}}
    keras(path, {**sequential(), "config": {"name": "s", "layers": [image, layer("Conv2D", filters=8, kernel_size=[10 ** 6, 10 ** 6], padding="same")]}})


@case("keras")
def number_of_cells(path):
    steps = {**CHAIN, "config": {"batch_shape": [None, 5, 3], "name": "x"}}
    keras(path, {**sequential(), "config": {"name": "s", "layers": [steps, layer("LSTM", units=10 ** 8)]}})


@case("keras")
def number_of_heads(path):
    steps = {**CHAIN, "name": "x", "inbound_nodes": [], "config": {"batch_shape": [None, 5, 3], "name": "x"}}
    heads = called(layer("MultiHeadAttention", num_heads=HUGE, key_dim=HUGE), X, X, name="m")
    keras(path, {**functional([], []), "config": {"name": "f", "layers": [steps, heads], "input_layers": [["x", 0, 0]], "output_layers": [["m", 0, 0]]}})


@case("keras")
def number_of_differences(path):
    keras(path, functional([called({"module": "keras.src.ops.numpy", "class_name": "Diff", "config": {"name": "d", "n": 10 ** 9}}, X)], [["d", 0, 0]]))


@case("keras")
def models_doubled_forty_times(path):
    """Each model calls the one within it twice: 2 ** 40 calls of the innermost."""
    config = called(layer("Dense", units=3), X, name="m")
    for number in range(40):
        def reference(call):
            return {**X, "config": {**X["config"], "keras_history": ["m", call, 0]}}
        twice = {**config, "inbound_nodes": [{"args": [X], "kwargs": {}}, {"args": [reference(0)], "kwargs": {}}], "shared_object_id": number}
        config = {**functional([twice], [["m", 1, 0]]), "name": "m"}
        config["config"] = {**config["config"], "name": "m"}
    keras(path, config)


@case("keras")
def number_of_steps_unrolled(path):
    steps = {**CHAIN, "config": {"batch_shape": [None, 10 ** 9, 3], "name": "x"}}
    keras(path, {**sequential(), "config": {"name": "s", "layers": [steps, layer("LSTM", units=2, unroll=True)]}})


@case("keras")
def number_of_parts(path):
    wide = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 10 ** 9], "name": "x"}, "name": "x", "inbound_nodes": []}
    item = {"module": "keras.src.ops.numpy", "class_name": "Split", "config": {"name": "split", "indices_or_sections": 10 ** 9, "axis": 1}}
    keras(path, {**functional([], [["split", 0, 0]]), "config": {"name": "f", "layers": [wide, called(item, X)], "input_layers": [["x", 0, 0]],
                                                                 "output_layers": [["split", 0, 0]]}})


@case("keras")
def number_of_an_arange(path):
    item = {"module": "keras.src.ops.numpy", "class_name": "Arange", "config": {"name": "a"}}
    keras(path, functional([called(item, 10 ** 11)], [["a", 0, 0]]))


@case("keras")
def number_of_thresholds(path):
    keras(path, sequential(layer("Dense", units=2), compile_config={"loss": "mse", "optimizer": "sgd", "metrics": [
        {"module": "keras.metrics", "class_name": "AUC", "config": {"name": "auc", "num_thresholds": 10 ** 11}, "registered_name": None}]}))


@case("keras")
def number_of_an_array(path):
    text = {"class_name": "__numpy__", "config": {"value": "a", "dtype": "U100000000"}}
    keras(path, functional([called({"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}}, X, text)], [["add", 0, 0]]))


# ---- constants and extents: they are computed while the layers of a configuration are called

def op(kind, module="numpy", name="y", **config):
    return {"module": f"keras.src.ops.{module}", "class_name": kind, "config": {"name": name, **config}}


def on(shape, *calls):
    """A model of these calls on an input of that shape; the last is its output."""
    start = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": shape, "name": "x"}, "name": "x", "inbound_nodes": []}
    return {**functional([], []), "config": {"name": "f", "layers": [start, *calls], "input_layers": [["x", 0, 0]],
                                             "output_layers": [[calls[-1]["name"], 0, 0]]}}


MANY = 100_000
for _name, _shape, _call in (
        ("blur", [None, 8, 8, 3], called(op("GaussianBlur", "image", kernel_size=[MANY, MANY]), X)),
        ("blur_of_a_fraction", [None, 8, 8, 3], called(op("GaussianBlur", "image", kernel_size=[1e10, 1]), X)),
        ("patches", [None, 8, 8, 3], called(op("ExtractPatches", "image", size=[300, 300]), X)),
        ("transform", [1, 30_000, 30_000, 1], called(op("AffineTransform", "image", transform=[1, 0, 0, 0, 1, 0, 0, 0]), X)),
        ("repeat", [None, 3], called(op("Repeat", repeats=10 ** 10), [1.0])),
        ("row", [3], called(op("Vander", N=10 ** 10), X)),
        ("zeros", [MANY, MANY], called(op("ZerosLike"), X)), ("triangle", [MANY, MANY], called(op("Tril"), X)),
        ("repeat_without_a_trace", [None, 3], called(layer("RepeatVector", n=10 ** 10), [[1.0]], name="y")),
        ("mask", [None, MANY, 4], called(layer("MultiHeadAttention", num_heads=1, key_dim=1), X, X, name="y", use_causal_mask=True))):
    CASES[f"constant_of_a_{_name}.keras"] = lambda path, shape=_shape, call=_call: keras(path, on(shape, call))
for _name, _shape in (("known", [3]), ("unknown", [None]), ("matrices", [None, 3])):
    def squared(path, shape=_shape):
        """Each level is the product of the one before by itself: a known extent has 2 ** 35 digits at last."""
        def reference(name):
            return {**X, "config": {**X["config"], "keras_history": [name, 0, 0]}}
        names = ["x", *(f"k{i}" for i in range(35))]
        keras(path, on(shape, *(called(op("Kron", name=new), reference(old), reference(old)) for old, new in itertools.pairwise(names))))
    CASES[f"extents_squared_{_name}.keras"] = squared


# ---- without end

@case("keras")
def calls_in_a_circle(path):
    def reference(name):
        return {"class_name": "__keras_tensor__", "config": {"shape": [None, 2], "dtype": "float32", "keras_history": [name, 0, 0]}}
    keras(path, functional([called(layer("Dense", units=2), reference("b"), name="a"), called(layer("Dense", units=2), reference("a"), name="b")],
                           [["b", 0, 0]]))


@case("keras")
def model_within_itself(path):
    inner = {**functional([], [["s", 0, 0]]), "shared_object_id": 1}
    keras(path, {**functional([called(inner, X, name="s")], [["s", 0, 0]]), "shared_object_id": 1})


@case("keras")
def nested_json(path):
    keras(path, "[" * DEEP + "]" * DEEP)


@case("h5")
def nested_json_in_hdf5(path):
    legacy(path, '{"a":' * DEEP + "1" + "}" * DEEP)


@case("json")
def nested_json_alone(path):
    path.write_text("[" * DEEP + "]" * DEEP)


@case("keras")
def nested_models(path):
    config = layer("Dense", units=2)
    for number in range(300):
        config = {**sequential(config), "name": f"s{number}"}
    keras(path, config)


@case("keras")
def nested_wrappers(path):
    steps = {**CHAIN, "config": {"batch_shape": [None, 5, 3], "name": "x"}}
    config = layer("Dense", units=2)
    for _ in range(300):
        config = layer("TimeDistributed", layer=config)
    keras(path, {**sequential(), "config": {"name": "s", "layers": [steps, config]}})


@case("keras")
def nested_compile(path):
    keras(path, sequential(layer("Dense", units=2), compile_config={"optimizer": "sgd", "loss": json.loads("[" * 900 + "]" * 900)}))


@case("weights.h5")
def nested_groups(path):
    def make(file):
        group = file["layers/dense"]
        for _ in range(DEEP):
            group = group.create_group("g")
    spoiled(path, make)


@case("weights.h5")
def groups_in_a_circle(path):
    spoiled(path, lambda f: f.__setitem__("layers/dense/again", f["layers"]))


@case("weights.h5")
def groups_doubled_forty_times(path):
    def make(file):
        below = file.create_group("bottom")
        below["array"] = np.zeros(1)
        del below["array"]
        for number in range(40):
            group = file.create_group(f"level{number}")
            group["a"] = group["b"] = below
            below = group
        file["layers/dense/more"] = below
    spoiled(path, make)


# ---- what readers understand in different ways

@case("keras")
def key_that_stands_twice(path):
    keras(path, json.dumps(sequential()).replace('"class_name": "Sequential"', '"class_name": "Sequential", "class_name": "Sequential"', 1))


@case("keras")
def part_that_stands_twice(path):
    import warnings
    keras(path, sequential())
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as file:
        warnings.simplefilter("ignore")
        file.writestr("config.json", json.dumps(sequential()))


@case("keras")
def text_that_is_not_utf_8(path):
    keras(path, sequential(), **{"metadata.json": b'{"keras_version": "\xff\xfe"}'})


@case("weights.h5")
def name_that_is_not_utf_8(path):
    spoiled(path, lambda f: f.move("layers/dense", b"layers/\xff\xfe"))


@case("h5")
def names_that_are_not_utf_8(path):
    legacy(path, sequential(layer("Dense", units=2)))
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = np.array([b"\xff\xfe"])


@case("weights.h5")
def arrays_of_another_shape(path):
    spoiled(path, replaced(KERNEL, lambda f: f.__setitem__(KERNEL, np.zeros((4, 3), "f4"))))


@case("weights.h5")
def arrays_of_text(path):
    spoiled(path, replaced(KERNEL, lambda f: f.__setitem__(KERNEL, np.full((3, 4), b"x"))))


@case("weights.h5")
def arrays_of_objects(path):
    spoiled(path, replaced(KERNEL, lambda f: f.create_dataset(KERNEL, (3, 4), h5py.special_dtype(vlen=np.float32))))


@case("weights.h5")
def arrays_that_are_not_there(path):
    spoiled(path, lambda f: f.__delitem__(KERNEL))
