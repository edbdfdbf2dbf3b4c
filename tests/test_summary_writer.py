"""graphnet.summary: event files, read back by the tensorboard package and shown by the real TensorBoard on loopback."""
import builtins
import json
import re
import subprocess
import sys
import threading
import urllib.request

import numpy as np
import pytest

import graphnet
from graphnet import layers, ops, summary
from graphnet.errors import DTypeError, GraphError, ShapeError, UnsupportedError
from graphnet.visualization.event_primitive import tensorflow_op

RECORDS = {"scalar": 0.5, "histogram": [0.1, 0.2], "image": np.zeros((1, 2, 2, 1)), "text": "words"}
MISSING = "writes and reads event files with the package tensorboard, which is not installed"


@pytest.fixture
def protocol():
    pytest.importorskip("tensorboard", reason=MISSING)


@pytest.fixture
def read(protocol):
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

    def reader(folder):
        return EventAccumulator(str(folder), size_guidance={TENSORS: 0}).Reload()
    return reader


def values(run, tag):
    from tensorboard.util.tensor_util import make_ndarray
    return [(event.step, make_ndarray(event.tensor_proto)) for event in run.Tensors(tag)]


class Dense(graphnet.Module):
    def __init__(self, units, name=None):
        super().__init__(name=name)
        self.units, self.w = units, None

    @graphnet.Module.with_name_scope
    def __call__(self, x):
        if self.w is None:
            self.w = graphnet.Variable(np.ones((x.shape[-1], self.units), "float32"), name="w")
            self.b = graphnet.Variable(np.zeros(self.units, "float32"), name="b")
        return ops.relu(x @ self.w + self.b)


class Two(graphnet.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Dense(3, "first"), Dense(2, "second")

    @graphnet.function(name="two")
    def __call__(self, x):
        return self.second(self.first(x))


def network():
    x = layers.Input((8, 8, 3), name="x")
    y = layers.MaxPooling2D(name="pool")(layers.Conv2D(4, 3, activation="relu", name="conv")(x))
    return graphnet.Model(x, layers.Dense(2, activation="softmax", name="dense")(layers.Flatten(name="flat")(y)))


def test_nothing_is_recorded_without_a_writer():
    for name, value in RECORDS.items():
        assert getattr(summary, name)("tag", value) is False
    assert summary.graph(None) is False and not summary.should_record_summaries()
    summary.flush()
    summary.trace_off()
    with pytest.raises(ValueError, match=r"no trace is on. Call graphnet.summary.trace_on"):
        summary.trace_export("name", 0)
    with pytest.raises(ValueError, match="expects logdir"):
        summary.create_file_writer(None)


def test_without_the_package(monkeypatch, tmp_path):
    load = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("tensorboard"):
            raise ImportError(name)
        return load(name, *args, **kwargs)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install graphnet\[tensorboard\]"):
        summary.create_file_writer(tmp_path)


def test_records(read, tmp_path):
    rng = np.random.default_rng(0)
    numbers, pictures = rng.normal(size=(7, 5)), rng.random((5, 4, 6, 3))
    with summary.create_file_writer(tmp_path).as_default():
        for step in range(3):
            assert summary.scalar("loss", np.float32(1 / (step + 1)), step, description="*falls*")
        assert summary.histogram("numbers", np.append(numbers, [np.nan, np.inf]), 4, buckets=5)
        assert summary.image("pictures", pictures, 5, max_outputs=2)
        assert summary.text("words", [["a", "b"], ["c", "d"]], 6)
        with graphnet.name_scope("outer"):
            summary.scalar("inner", 2, 7)
    run = read(tmp_path)
    assert [(step, float(value)) for step, value in values(run, "loss")] == [
        (step, np.float32(1 / (step + 1))) for step in range(3)
    ]
    assert run.SummaryMetadata("loss").plugin_data.plugin_name == "scalars"
    assert run.SummaryMetadata("loss").summary_description == "*falls*"
    (step, rows), = values(run, "numbers")
    counts, edges = np.histogram(numbers, 5)
    np.testing.assert_allclose(rows, np.stack([edges[:-1], edges[1:], counts], 1))
    assert step == 4
    (step, texts), = values(run, "pictures")
    assert step == 5 and list(texts[:2]) == [b"6", b"4"] and len(texts) == 4
    image = pytest.importorskip("PIL.Image", reason="reads pictures with Pillow, which is not installed")
    import io
    shown = np.asarray(image.open(io.BytesIO(texts[3])))
    assert np.abs(shown - 255 * pictures[1]).max() <= 0.5
    assert values(run, "words")[0][1].tolist() == [[b"a", b"b"], [b"c", b"d"]]
    assert float(values(run, "outer/inner")[0][1]) == 2


def test_steps(read, tmp_path):
    with pytest.raises(ValueError, match="no step is set"), summary.create_file_writer(tmp_path / "other").as_default():
        summary.scalar("x", 1.0)
    step = graphnet.Variable(5, dtype="int64")
    with summary.create_file_writer(tmp_path).as_default(step=1) as writer:
        summary.scalar("x", 1.0)
        with writer.as_default(2):
            summary.scalar("x", 2.0)
        summary.scalar("x", 3.0, step=9)
        assert summary.experimental.get_step() == 1
        summary.experimental.set_step(step)
        summary.scalar("x", 4.0)
        step.assign_add(1)
        summary.scalar("x", 5.0)
    assert summary.experimental.get_step() is None
    assert [(at, float(value)) for at, value in values(read(tmp_path), "x")] == [(1, 1), (2, 2), (9, 3), (5, 4), (6, 5)]


def test_conditions_and_threads(read, tmp_path):
    with summary.create_file_writer(tmp_path).as_default() as writer:
        with summary.record_if(False):
            assert not summary.scalar("x", 1.0, 0) and not summary.should_record_summaries()
            with summary.record_if(lambda: True):
                assert summary.scalar("x", 1.0, 1)
        found = []

        def work():
            found.append(summary.scalar("x", 1.0, 2))  # a thread begins without a default writer
            with writer.as_default():
                found.append(summary.scalar("x", 1.0, 3))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [False, True]
    assert [step for step, _ in values(read(tmp_path), "x")] == [1, 3]


def test_flush_and_close(read, tmp_path):
    writer = summary.create_file_writer(tmp_path, max_queue=2, filename_suffix=".mine")
    writer.init()
    with writer.as_default():
        summary.scalar("x", 1.0, 0)
        assert "x" not in read(tmp_path).Tags()["tensors"]
        summary.scalar("x", 1.0, 1)  # the second that waits
        assert len(read(tmp_path).Tensors("x")) == 2
        summary.scalar("x", 1.0, 2)
        summary.flush()
        assert len(read(tmp_path).Tensors("x")) == 3
    writer.set_as_default()
    try:
        writer.close()
        writer.close()
        writer.flush()
        with pytest.raises(RuntimeError, match="is closed"):
            summary.scalar("x", 1.0, 3)
        with pytest.raises(RuntimeError, match="is closed"), writer.as_default():
            pass
    finally:
        from graphnet.summary.writer import default_writer
        default_writer.set(None)
    assert [path.name.endswith(".mine") for path in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize("name, value, error, message", [
    ("scalar", [1.0, 2.0], ShapeError, r"shape \(2,\)"), ("scalar", "a", DTypeError, "real numbers for 'tag'"),
    ("image", np.zeros((2, 2, 1)), ShapeError, r"data\[None\]"), ("image", np.zeros((1, 2, 2, 2)), ShapeError, "1, 3 or 4"),
    ("text", 3.0, DTypeError, "expects text"), ("histogram", [1j], DTypeError, "complex")])
def test_what_cannot_be_recorded(protocol, tmp_path, name, value, error, message):
    with summary.create_file_writer(tmp_path).as_default(), pytest.raises(error, match=message):
        getattr(summary, name)("tag", value, 0)


def test_within_a_trace(protocol, tmp_path):
    @graphnet.function
    def noisy(x):
        summary.scalar("x", x, 0)
        return x
    noisy(np.float32(1))  # nothing is recorded: no error
    with (
        summary.create_file_writer(tmp_path).as_default(),
        pytest.raises(UnsupportedError, match="Return the tensor.*\n.*test_summary"),
    ):
        noisy(np.ones(2, "float32"))


def test_a_trace_of_a_function(read, tmp_path):
    two, x = Two(), np.ones((4, 3), "float32")
    summary.trace_on()
    two(x)
    two(x)
    with summary.create_file_writer(tmp_path).as_default(step=3):
        summary.trace_export("my_func")
    nodes = {node.name: node for node in read(tmp_path).Graph().node}
    kinds = sorted(node.op for node in nodes.values())
    assert kinds == sorted(
        ["Placeholder", "Identity"] + ["VarHandleOp", "ReadVariableOp"] * 4 + ["MatMul", "BiasAdd", "Relu"] * 2
    )
    assert nodes["second/MatMul"].input == ["first/Relu", "second/w/Read/ReadVariableOp"]
    assert nodes["second/w/Read/ReadVariableOp"].input == ["second/w"]
    assert [dim.size for dim in nodes["first/MatMul"].attr["_output_shapes"].list.shape[0].dim] == [4, 3]
    assert {i.partition(":")[0] for node in nodes.values() for i in node.input} <= set(nodes)
    event, = read(tmp_path).Tensors("my_func")
    assert event.step == 3
    with pytest.raises(ValueError, match="no trace is on"):
        summary.trace_export("again")


def test_a_trace_that_is_not_exported(protocol, tmp_path):
    summary.trace_on()
    with pytest.warns(UserWarning, match="on already"):
        summary.trace_on()
    summary.trace_off()
    from graphnet.functions.function import listeners
    assert listeners == []
    summary.trace_on()
    with summary.create_file_writer(tmp_path).as_default(0), pytest.warns(UserWarning, match="No graphnet.function ran"):
        summary.trace_export("none")


def test_branches_loops_and_updates(read, tmp_path):
    total = graphnet.Variable(0.0, name="total")

    def loop(x):
        total.assign_add(ops.sum(x))
        y = ops.cond(ops.sum(x) > 0, lambda: ops.exp(x), lambda: x - 1)
        return y, ops.while_loop(lambda i: i < 3.0, lambda i: i + 1.0, (ops.sum(x),))[0]
    with summary.create_file_writer(tmp_path).as_default():
        assert summary.graph(graphnet.function(loop).get_concrete_function(graphnet.TensorSpec((3,))))
    graph = read(tmp_path).Graph()
    nodes = {node.name: node for node in graph.node}
    library = {function.signature.name: function for function in graph.library.function}
    assert nodes["total/AssignVariableOp"].input[0] == "total" and "^total/AssignVariableOp" in nodes["Identity"].input
    for node, fields in (("If", ("bodies_0", "bodies_1")), ("While", ("condition", "body"))):
        for field in fields:
            function = library[nodes[node].attr[field].func.name]
            inner = {n.name for n in function.node_def} | {argument.name for argument in function.signature.input_arg}
            assert {i.partition(":")[0] for n in function.node_def for i in n.input} <= inner
            assert all(value.partition(":")[0] in inner for value in function.ret.values())
    assert "Exp" in {n.op for function in library.values() for n in function.node_def}


def test_names_of_ops():
    def body(x, v, t):
        y = ops.relu6(ops.conv(x, np.ones((3, 3, 2, 4), "float32")) + v)
        z = ops.matmul(ops.reshape(y, (1, 6, 24)), np.ones((1, 24, 5), "float32"))
        return (
            ops.max_pool(y, 2),
            ops.average_pool(ops.conv(t, np.ones((2, 2, 2, 1, 1), "float32")), 2),
            ops.clip(z, -1, 1),
            x * 2 + x,
        )
    specs = [graphnet.TensorSpec(shape) for shape in ((1, 8, 8, 2), (4,), (1, 4, 4, 4, 1))]
    graph = graphnet.function(body).get_concrete_function(*specs).graph
    assert [tensorflow_op(graph, name) for name, node in graph.nodes(data=True) if node["kind"] == "op"] == [
        "Conv2D", "BiasAdd", "Relu6", "MaxPool", "Conv3D", "AvgPool3D", "Reshape", "BatchMatMulV2", "ClipByValue", "Mul",
        "AddV2"]


def test_graphs_that_are_none(protocol, tmp_path):
    class Own(graphnet.Model):
        def call(self, x):
            return x
    with summary.create_file_writer(tmp_path).as_default():
        with pytest.raises(TypeError, match="get_concrete_function"):
            summary.graph(graphnet.function(ops.exp))
        with pytest.raises(GraphError):
            summary.graph(Own())


@pytest.fixture
def board(protocol):
    """Starts the real TensorBoard on a folder; gives what its HTTP API answers."""
    servers = []

    def start(folder):
        server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1",
                                   "--port", "0",
                                   "--load_fast=false"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        servers.append(server)
        address = next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))

        def ask(path):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{address}/data/plugin/{path}", timeout=20) as answer:
                return answer.read().decode()
        return ask
    yield start
    for server in servers:
        server.terminate()
        server.communicate(timeout=20)


def test_the_real_tensorboard_shows_it(board, tmp_path):
    from google.protobuf import text_format
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    summary.trace_on()
    Two()(np.ones((1, 3), "float32"))
    with summary.create_file_writer(tmp_path / "traced").as_default(step=0):
        summary.trace_export("my_func")
        summary.scalar("loss", 0.25)
        summary.histogram("weights", [0.0, 1.0])
        summary.image("picture", np.zeros((1, 2, 2, 3)))
        summary.text("note", "*words*")
    with summary.create_file_writer(tmp_path / "model").as_default():
        summary.graph(network())
    ask = board(tmp_path)
    info = json.loads(ask("graphs/info"))
    assert info["traced"]["tags"]["my_func"]["op_graph"] and info["traced"]["run_graph"] and info["model"]["run_graph"]
    for query in ("run=traced&tag=my_func", "run=traced"):
        graph = text_format.Parse(ask(f"graphs/graph?{query}"), GraphDef())
        assert {node.name: node.op for node in graph.node if node.op in ("MatMul", "BiasAdd", "Relu")} == {
            f"{scope}/{op}": op for scope in ("first", "second") for op in ("MatMul", "BiasAdd", "Relu")}
    graph = text_format.Parse(ask("graphs/graph?run=model"), GraphDef())
    assert [node.op for node in graph.node] == ["Placeholder", "Conv2D", "Relu", "MaxPool", "Reshape", "MatMul", "Softmax"]
    assert [point[1:] for point in json.loads(ask("scalars/scalars?run=traced&tag=loss"))] == [[0, 0.25]]
    assert json.loads(ask("images/tags"))["traced"]["picture"]["samples"] == 1
    assert json.loads(ask("histograms/histograms?run=traced&tag=weights"))[0][1] == 0
    assert json.loads(ask("text/text?run=traced&tag=note"))[0]["text"] == "<p><em>words</em></p>"
