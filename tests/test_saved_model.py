"""Saved models: what is saved runs without its code and gives the same numbers; what does not fit, or is damaged, is refused.

GRAPHNET_FUZZ sets how many mutated files each of the two fuzz tests tries (200), GRAPHNET_KILLS how many writers are killed (3).
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from test_random_graphs import picture_model

import graphnet
from graphnet import layers, ops, saved_model
from graphnet.__main__ import main
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.graph import Spec
from graphnet.op import OPS
from graphnet.saved_model import directory
from graphnet.saved_model.graphs import Constants, decode_graph, encode_graph, read_constants
from graphnet.saved_model.values import Decoder, Encoder, Malformed
from graphnet.tracing import placeholder, trace_function

CASES, KILLS = int(os.environ.get("GRAPHNET_FUZZ", "200")), int(os.environ.get("GRAPHNET_KILLS", "3"))
RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.normal(size=shape).astype("float32")


class Line(graphnet.Module):
    """Functions with several signatures, a counter that a call changes, a list with a shared variable."""

    def __init__(self):
        super().__init__()
        self.slope, self.count = graphnet.Variable(2.0, name="slope"), graphnet.Variable(0, trainable=False, name="count")
        self.parts = [self.slope, (graphnet.Variable([1.0, 2.0]),), {"inner": self.slope, 3: graphnet.Variable(1.0)}, "text"]

    @graphnet.function
    def __call__(self, x, power=1):
        self.count.assign_add(1)
        return {"y": (self.slope * x) ** power, "n": (self.count + 0, None)}

    @graphnet.function(input_signature=[((None, 2), "float32")])
    def total(self, x):
        return ops.sum(x * self.parts[1][0], axis=0)

    @graphnet.function(input_signature=[((None,), "float32"), ((), "int32")])
    def control(self, x, n):
        y = ops.fori_loop(0, 3, lambda i, v: v * self.slope, x)
        y = ops.cond(n > 0, lambda: y + 1.0, lambda: y - 1.0)
        carry, ys = ops.scan(lambda c, a: (c + a, c * a), ops.zeros(()), y)
        _, z = ops.while_loop(lambda i, v: i < n, lambda i, v: (i + 1, v + self.slope), (0, carry))
        return z, ys


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    module = Line()
    module(np.ones(3, "float32"))
    module(np.ones((2, 2), "float32"), power=3)
    path = tmp_path_factory.mktemp("saved") / "line"
    saved_model.save(module, path)
    return module, path


def same(a, b):
    flat, other = graphnet.tree.flatten(a), graphnet.tree.flatten(b)
    assert len(flat) == len(other)
    for one, two in zip(flat, other, strict=True):
        assert (one is None and two is None) or (one.dtype == two.dtype and np.array_equal(one, two, equal_nan=True))


def test_functions_signatures_and_parts(line):
    module, path = line
    loaded = saved_model.load(path)
    assert type(loaded).__module__ == "graphnet.saved_model.objects" and not isinstance(loaded, Line)
    before = int(module.count)
    got = loaded(np.full(3, 2.0, "float32"))
    assert int(loaded.count) == before + 1 and got["n"][0] == before + 1 and got["n"][1] is None
    np.testing.assert_array_equal(got["y"], [4, 4, 4])
    np.testing.assert_array_equal(loaded(np.ones((2, 2), "float32"), power=3)["y"], np.full((2, 2), 8))
    loaded.slope.assign(3.0)
    np.testing.assert_array_equal(loaded(x=np.ones(3, "float32"))["y"], [3, 3, 3])
    assert loaded.parts[0] is loaded.slope is loaded.parts[2]["inner"] and isinstance(loaded.parts[1], tuple)
    assert float(loaded.parts[2][3]) == 1 and loaded.parts[3] is None
    assert (loaded.slope.name, loaded.slope.dtype, loaded.count.trainable) == ("slope", "float32", False)
    assert len(loaded.variables) == 4 == len(module.variables)
    x = numbers(5, 2)
    same(loaded.total(x), module.total(x))
    assert list(loaded.signatures) == ["serving_default"]


def test_control_flow(line):
    module, path = line
    loaded = saved_model.load(path)
    for n in (0, 2):
        x = numbers(4)
        same(loaded.control(x, np.int32(n)), module.control(x, np.int32(n)))


@pytest.mark.parametrize(("args", "kwargs", "told"), [
    ((np.ones(4, "float32"),), {}, "expects shape (3,)"), ((np.ones(3, "float32"), 2), {}, "power"), ((np.ones(3, "int32"),), {}, "float32"),
    ((), {}, "missing a required argument"), (("text",), {}, "expects an array"), ((None,), {}, "expects an array"), ((np.ones(3),), {"other": 1}, "other")])
def test_other_calls_are_refused(line, args, kwargs, told):
    loaded = saved_model.load(line[1])
    with pytest.raises((ValueError, TypeError)) as error:
        loaded(*args, **kwargs)
    assert told in str(error.value), error.value


def test_refusals_list_the_signatures(line):
    with pytest.raises(ValueError, match=r"(?s)received shape \(7,\).*no others.*x: float32\[3\], power: 1.*x: float32\[2, 2\], power: 3"):
        saved_model.load(line[1])(np.ones(7, "float32"))


def test_chosen_signatures(tmp_path, line):
    module, _ = line
    saved_model.save(module, tmp_path / "a", signatures={"sum": module.total, "one": module.__call__.get_concrete_function(np.ones(3, "float32"))})
    found = saved_model.load(tmp_path / "a").signatures
    assert sorted(found) == ["one", "sum"]
    same(found["sum"](np.ones((3, 2), "float32")), module.total(np.ones((3, 2), "float32")))
    with pytest.raises(ValueError, match="one graph"):
        saved_model.save(module, tmp_path / "b", signatures=module.__call__)
    with pytest.raises(ValueError, match="signatures to be a function"):
        saved_model.save(module, tmp_path / "b", signatures=3)
    with pytest.raises(ValueError, match=r"expects a graphnet\.Module"):
        saved_model.save(lambda x: x, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_runs_where_the_class_does_not_exist(tmp_path, line):
    module, path = line
    x = numbers(6, 2)
    np.save(tmp_path / "x.npy", x)
    program = ("import sys, numpy as np, graphnet\n"
               "loaded = graphnet.saved_model.load(sys.argv[1])\n"
               "np.save(sys.argv[2] + '/y.npy', loaded.total(np.load(sys.argv[2] + '/x.npy')))\n"
               "assert 'test_saved_model' not in sys.modules\n")
    done = subprocess.run([sys.executable, "-c", program, path, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    same(np.load(tmp_path / "y.npy"), module.total(x))


# ---- models

@pytest.mark.parametrize("seed", range(4))
def test_random_models(tmp_path, seed):
    model, x = picture_model(seed, 7)
    saved_model.save(model, tmp_path / "m")
    loaded = saved_model.load(tmp_path / "m")
    same(loaded(x), model(x))
    same(loaded(x, training=True), model(x, training=True))
    same(loaded(x), model(x))  # the moving statistics have changed in both
    saved_model.save(loaded, tmp_path / "n")
    again = saved_model.load(tmp_path / "n")
    same(again(x), model(x))
    rebuilt = graphnet.models.load_model(tmp_path / "m")
    assert isinstance(rebuilt, graphnet.Functional) and [len(rebuilt.weights), len(loaded.weights)] == [len(model.weights)] * 2


class Unregistered(graphnet.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.drop, self.last = layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Dense(2)

    def call(self, x, training=False):
        return self.last(self.drop(self.first(x["a"]), training=training)) + x["b"]


def test_subclassed_models_and_their_training_go_on(tmp_path):
    model = Unregistered()
    x, y = {"a": numbers(8, 3), "b": numbers(8, 2)}, numbers(8, 2)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    loaded = graphnet.models.load_model(tmp_path / "m")
    assert type(loaded).__name__ == "LoadedModel" and not isinstance(loaded, Unregistered)
    same(loaded(x), model(x))
    assert int(loaded.optimizer.iterations) == 1
    for one in (model, loaded):
        one.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-5, atol=1e-6)
    known = graphnet.models.load_model(tmp_path / "m", custom_objects={"Unregistered": Unregistered})
    assert isinstance(known, Unregistered) and int(known.optimizer.iterations) == 1
    with pytest.raises(UnsupportedError, match="no configuration"):
        loaded.save(tmp_path / "m.keras")


def test_state_of_metrics_and_optimizer(tmp_path):
    model = graphnet.Sequential([graphnet.Input((4,)), layers.Dense(2)])
    model.compile(graphnet.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=[graphnet.metrics.MeanAbsoluteError(name="far")])
    x, y = numbers(16, 4), numbers(16, 2)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    loaded = graphnet.models.load_model(tmp_path / "m")
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert loaded.metrics[0].result() == model.metrics[0].result()
    for one in (model, loaded):
        one.fit(x, y, epochs=3, shuffle=False, verbose=0)
    same(model(x), loaded(x))
    assert graphnet.models.load_model(tmp_path / "m", compile=False).optimizer is None
    model.save(tmp_path / "m", include_optimizer=False)
    assert graphnet.models.load_model(tmp_path / "m").optimizer is None


def test_regularizers_and_constraints_of_weights(tmp_path):
    model = graphnet.Sequential([graphnet.Input((4,)), layers.Dense(2, kernel_regularizer="l2", bias_constraint="non_neg")])
    saved_model.save(model, tmp_path / "m")
    loaded = saved_model.load(tmp_path / "m")
    assert float(loaded.losses[0]) == float(model.losses[0]) > 0
    x, y = numbers(8, 4), -np.ones((8, 2), "float32")
    for one in (model, loaded):
        one.compile(graphnet.optimizers.SGD(0.1), "mse")
        one.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-5, atol=1e-6)
    assert min(v.value.min() for v in loaded.weights if v.name == "bias") == 0


def test_several_inputs_of_several_kinds(tmp_path):
    a, b = graphnet.Input((None,), dtype="int32", name="a"), graphnet.Input((2,), name="b")
    h = layers.LSTM(3)(layers.Embedding(5, 4, mask_zero=True)(a))
    model = graphnet.Model({"a": a, "b": b}, [layers.Concatenate()([h, b]), h])
    model.save(tmp_path / "m")
    loaded = saved_model.load(tmp_path / "m")
    for kinds in (("int32", "float32"), ("int64", "float64")):
        x = {"a": np.array([[1, 2, 0], [3, 0, 0]], kinds[0]), "b": numbers(2, 2).astype(kinds[1])}
        same(loaded(x), model(x))
        same(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_inside_of_other_models(tmp_path):
    inner = graphnet.Sequential([graphnet.Input((4,)), layers.Dense(3, "tanh"), layers.BatchNormalization()])
    saved_model.save(inner, tmp_path / "inner")
    loaded = saved_model.load(tmp_path / "inner")
    x, y = numbers(8, 4), numbers(8, 1)
    inputs, head = graphnet.Input((4,)), layers.Dense(1)
    one, two = (graphnet.Model(inputs, head(part(inputs))) for part in (inner, loaded))
    same(one(x), two(x))
    assert len(two.trainable_weights) == len(one.trainable_weights) == 6
    start = [v.value.copy() for v in head.weights]
    results = []
    for model in (one, two):  # gradients flow through the graph, and the moving statistics are updated
        head.set_weights(start)
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
        results.append([*[v.value.copy() for v in head.weights], *model(x)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    two.save(tmp_path / "outer")
    same(saved_model.load(tmp_path / "outer")(x), two(x))


def test_a_loaded_function_inside_of_a_trace(line):
    loaded = saved_model.load(line[1])

    @graphnet.function
    def twice(x):
        return loaded.total(loaded.total(x) * x)
    x = numbers(3, 2)
    same(twice(x), loaded.total(loaded.total(x) * x))
    grad = graphnet.grad(lambda x: ops.sum(loaded.total(x)))(x)
    np.testing.assert_array_equal(grad, np.broadcast_to(loaded.parts[1][0].value, (3, 2)))
    symbolic = graphnet.Input((2,), batch_size=3)
    same(graphnet.Model(symbolic, loaded.total(symbolic))(x), loaded.total(x))


# ---- data

@pytest.mark.parametrize("name", sorted(name for name, kind in OPS.items() if kind.__module__.startswith("graphnet.ops.")))
def test_every_op_survives(name):
    for op, arrays in OPS[name].samples():
        inputs = [placeholder(Spec(x.shape, x.dtype.name)) for x in map(np.asarray, arrays)]
        graph, _ = trace_function(lambda *x, op=op: op(*x), inputs) if inputs else (None, None)
        if graph is None:
            continue
        constants = Constants()
        data = json.loads(json.dumps(encode_graph(graph, lambda v: 0, constants), allow_nan=False))
        back = decode_graph(data, [], read_constants(constants.entries, constants.arrays))
        assert [str(node) for node in back.nodes] == [str(node) for node in graph.nodes]
        found = back.nodes[-1].op
        assert repr(found) == repr(op) or str(found) == str(op)


def test_values_survive():
    a, b = graphnet.dims.Dim.unknown("a"), graphnet.dims.Dim.unknown("b")
    values = [None, True, 3, -0.0, 1e-300, float("inf"), float("nan"), "ü", (1, (2,), [3.5]), {"k": (None,), 2: 1}, (a * 2 + b) // 3,
              graphnet.dims.maximum(a + 1, b), graphnet.TensorSpec((None, 2), "int32", "x")]
    encoder = Encoder()
    data = json.loads(json.dumps([encoder(v) for v in values], allow_nan=False))
    decoded = Decoder([s.name for s in encoder.symbols])(data)
    assert repr(decoded) == repr(values) and [type(v) for v in decoded] == [type(v) for v in values]


@pytest.mark.parametrize("extent", [-1, 2**62, {"dim": [[-5]]}, {"dim": [[2**61], [2**61]]}])
def test_extents_are_whole_numbers_that_arrays_can_have(extent):
    with pytest.raises(Malformed, match="no whole number"):
        Decoder().extent(extent)


# ---- files

def copied(path, to, change=None):
    """A copy of a saved model whose body was changed, with a checksum that is right again."""
    shutil.copytree(path, to)
    if change is not None:
        text = to / directory.TEXT
        head, body = text.read_text().split('"body":\n')
        data = json.loads(body.rstrip()[:-1])
        changed = change(data)
        new = changed if isinstance(changed, str) else json.dumps(data)
        header = json.loads(head + '"body":0}')
        header["crc32"] = zlib.crc32(new.encode())
        text.write_text(json.dumps({k: header[k] for k in ("format", "version", "crc32")})[:-1] + ', "body":\n' + new + "}\n")
    return to


def places(data, found=None, path=()):
    """The paths to all leaves of the data."""
    found = [] if found is None else found
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(value, (dict, list)) and value:
            places(value, found, (*path, key))
        else:
            found.append((*path, key))
    return found


def refused(path):
    with pytest.raises(FileFormatError) as error:
        saved_model.load(path)
    assert str(path) in str(error.value)
    return str(error.value)


STRANGE = [None, True, -1, 0, 7, 2**70, 1.5, "x", "../../etc/passwd", "__class__", [], {}, [[]], {"tuple": []}, {"op": "Tape"}, {"dim": [[1, 9]]}]


def test_fuzz_values(tmp_path, line):
    """Any value of the text in another's place, with a right checksum: one clear error, or a saved model."""
    rng = random.Random(1)
    counts = {"refused": 0, "loaded": 0}
    original = json.loads((line[1] / directory.TEXT).read_text())["body"]
    everywhere = places(original)
    path = copied(line[1], tmp_path / "m")
    for _ in range(CASES):
        data = json.loads(json.dumps(original))
        *way, last = rng.choice(everywhere)
        inner = data
        for key in way:
            inner = inner[key]
        if rng.random() < 0.2:
            del inner[last]
        else:
            inner[last] = rng.choice(STRANGE)
        shutil.rmtree(path)
        copied(line[1], path, lambda _, data=data: json.dumps(data))
        try:
            saved_model.load(path)
        except FileFormatError as error:
            assert str(path) in str(error)
            counts["refused"] += 1
        else:
            counts["loaded"] += 1
    assert counts["refused"] > 0.6 * CASES, counts


def test_fuzz_bytes(tmp_path, line):
    """Bytes of the text changed, inserted, removed: the checksum finds all."""
    rng = random.Random(2)
    raw = (line[1] / directory.TEXT).read_bytes()
    path = copied(line[1], tmp_path / "m")
    for _ in range(CASES):
        at = rng.randrange(len(raw) - 2)
        new = rng.choice([raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1:], raw[:at] + b"0" + raw[at:],
                          raw[:at] + raw[at + 1:], raw[:at]])
        (path / directory.TEXT).write_bytes(new)
        try:
            saved_model.load(path)
        except FileFormatError:
            continue
        assert json.loads(new) == json.loads(raw)


def test_a_node_that_lies_is_named(tmp_path, line):
    def change(data):
        node = next(n for g in data["graphs"] for n in g["nodes"] if n.get("op") == "Sum")
        node["fields"]["axes"] = {"tuple": [5]}
    assert "node" in refused(copied(line[1], tmp_path / "a", change)) and "axes" in refused(tmp_path / "a")

    def other(data):
        next(n for g in data["graphs"] for n in g["nodes"] if n.get("op") == "Sum")["op"] = "Summ"
    assert "there is no op 'Summ'" in refused(copied(line[1], tmp_path / "b", other))


def test_what_is_no_data_is_refused(tmp_path, line):
    deep = copied(line[1], tmp_path / "deep", lambda data: "[" * 100_000 + "]" * 100_000)
    start = time.perf_counter()
    refused(deep)
    assert "nested" in refused(copied(line[1], tmp_path / "deep2", lambda data: data.update(x=json.loads("[" * 500 + "]" * 500))))
    assert time.perf_counter() - start < 5
    missing = copied(line[1], tmp_path / "missing")
    shutil.rmtree(missing / "variables")
    refused(missing)
    linked = copied(line[1], tmp_path / "linked")
    os.rename(linked / directory.TEXT, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", linked / directory.TEXT)
    assert "link" in refused(linked)
    short = copied(line[1], tmp_path / "short")
    data = next((short / "variables").glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(FileFormatError, match="bytes"):
        saved_model.load(short)
    with pytest.raises(FileNotFoundError):
        saved_model.load(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="no saved model"):
        saved_model.load(tmp_path)


def test_a_newer_format_is_refused_by_number(tmp_path, line):
    path = copied(line[1], tmp_path / "m")
    text = (path / directory.TEXT).read_text()
    (path / directory.TEXT).write_text(text.replace('"version":1', '"version":2', 1))
    with pytest.raises(FileFormatError, match="format 2, of a newer graphnet; this one reads formats up to 1"):
        saved_model.load(path)


def test_other_files_are_never_replaced(tmp_path, line):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        saved_model.save(line[0], tmp_path / "own")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        saved_model.save(line[0], tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "own"]


def test_a_full_disk_leaves_the_old_one(tmp_path, line, monkeypatch):
    module = Line()
    module(np.ones(3, "float32"))
    saved_model.save(module, tmp_path / "m")
    module.slope.assign(5.0)
    with monkeypatch.context() as patched:
        patched.setattr(directory, "sync", lambda path: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            saved_model.save(module, tmp_path / "m")
    assert float(saved_model.load(tmp_path / "m").slope) == 2 and [p.name for p in tmp_path.iterdir()] == ["m"]
    for way in (directory._exchanged, lambda a, b: False):  # in one step; in two renames
        monkeypatch.setattr(directory, "_exchanged", way)
        module.slope.assign(module.slope + 1.0)
        saved_model.save(module, tmp_path / "m")
        assert float(saved_model.load(tmp_path / "m").slope) == float(module.slope) and [p.name for p in tmp_path.iterdir()] == ["m"]


WRITER = """
import sys, numpy as np, graphnet
module = graphnet.Module()
module.a, module.b = graphnet.Variable(np.zeros(1000, "float32")), graphnet.Variable(np.zeros(1000, "float32"))
module.f = graphnet.function(lambda: module.a + module.b, input_signature=[])
for number in range(10**6):
    module.a.assign(np.full(1000, number, "float32")); module.b.assign(np.full(1000, number, "float32"))
    graphnet.saved_model.save(module, sys.argv[1])
    print(number, flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="directories are replaced in one step on Linux alone")
def test_kill_while_saving(tmp_path):
    rng = random.Random(3)
    path = tmp_path / "m"
    for _ in range(KILLS):
        child = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
        child.stdout.readline()  # there is a first one
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        loaded = saved_model.load(path)
        assert loaded.a.value.max() == loaded.a.value.min() == loaded.b.value.max() == loaded.b.value.min()
        assert sum(p.name != "m" for p in pathlib.Path(tmp_path).iterdir()) <= 1  # the next writer deletes what this one left


def test_show(line, capsys):
    assert main(["saved_model", "show", str(line[1])]) == 0
    text = capsys.readouterr().out
    for part in ("serving_default", "total(x: float32[None, 2]) -> float32[2]", "slope: float32[]", "count: int32[], not trainable", "saved_model.json"):
        assert part in text, text
    assert main(["saved_model", "show", str(line[1] / "nowhere")]) == 1
