"""graphnet.profiler: what it writes, against the plans that ran; and the profile plugin's own reading of it."""
import gzip
import json
import threading

import numpy as np
import pytest

import graphnet
from graphnet import layers, ops, profiler, summary
from graphnet.backends.cpu.calls import recorders
from graphnet.visualization.trace import Slice, chrome_trace, xspace


@pytest.fixture
def machine(monkeypatch):
    """Figures of a machine that need no measuring."""
    monkeypatch.setattr(profiler, "machine", lambda threads: (1e11, 1e10))


@pytest.fixture
def model():
    x = layers.Input((6,), name="x")
    return graphnet.Model(x, layers.Dense(2, name="second")(layers.Dense(4, activation="relu", name="first")(x)))


def read(folder):
    """The trace's slices, and the summary."""
    trace, = folder.glob("*.trace.json.gz")
    text, = folder.glob("*.summary.txt")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    return [event for event in events if event["ph"] == "X"], text.read_text()


def within(inner, outer):
    return (inner["tid"] == outer["tid"] and outer["ts"] <= inner["ts"] + 1e-3
            and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 1e-3)


def test_steps_of_a_model(machine, model, tmp_path):
    x = np.random.default_rng(0).random((8, 6), dtype="float32")
    before = model(x)
    profiler.start(tmp_path)
    with profiler.Trace("two calls", batch=8):
        results = [model(x) for _ in range(2)]  # the short way of a model of one input is recorded too
    folder = profiler.stop()
    assert folder.parent == tmp_path / "plugins" / "profile" and not recorders
    assert all((y == before).all() for y in results)
    slices, text = read(folder)
    runs = [s for s in slices if s["name"].startswith("plan 1: (8, 6) -> (8, 2)")]
    steps = [s for s in slices if "kernel" in s["args"]]
    note, = [s for s in slices if s["name"] == "two calls"]
    assert len(runs) == 2 and len(steps) == 2 * runs[0]["args"]["steps"] and note["args"] == {"batch": 8}
    assert all(within(run, note) for run in runs) and all(sum(within(step, run) for run in runs) == 1 for step in steps)
    assert {"first", "second"} <= {step["args"]["layer"] for step in steps}
    report = model.executable()[0].runner(((8, 6),)).plan.steps_report()
    assert [(s["args"]["kernel"], s["args"]["layer"]) for s in steps] == 2 * [(step.kernel, step.label) for step in report]
    assert text.startswith("2 runs, step by step, of\nplan 1: (8, 6) -> (8, 2)") and "first" in text and "second" in text
    model(x)
    assert len(read(folder)[0]) == len(slices)


def test_training_loops_and_threads(machine, model, tmp_path):
    model.compile("sgd", "mse")
    square = np.eye(3, dtype="float32")
    loop = graphnet.function(lambda x: ops.while_loop(
        lambda i, c: i < ops.sum(x), lambda i, c: (i + 1, ops.tanh(c @ c) + ops.exp(c) @ c), (ops.zeros(()), x)))
    with profiler.Profile(tmp_path) as profile:
        model.fit(np.ones((6, 6), "float32"), np.ones((6, 2), "float32"), batch_size=2, verbose=0)
        thread = threading.Thread(target=loop, args=(square,), name="of the loop")
        thread.start()
        thread.join()
    slices, text = read(profile.folder)
    assert text.startswith("3 runs") and any("(gradient)" in s["args"].get("layer", "") for s in slices)
    bodies = [s for s in slices if s["name"].startswith("plan") and any(
        s is not other and other["args"].get("kernel") == "python" and within(s, other) for other in slices)]
    assert sum("(3, 3)" in s["name"] for s in bodies) >= 3  # plans of the loop's body, within the step that runs them
    assert len({s["tid"] for s in slices}) == 2


def test_the_profile_plugin_reads_it(machine, model, tmp_path):
    convert = pytest.importorskip("xprof.convert.raw_to_tool_data",
                                  reason="reads profiles with TensorBoard's profile plugin (xprof), which is not installed")
    with profiler.Profile(tmp_path) as profile:
        model(np.ones((8, 6), "float32"))
    path, = profile.folder.glob("*.xplane.pb")
    data, _ = convert.xspace_to_tool_data([str(path)], "trace_viewer", {})
    text = data.decode() if isinstance(data, bytes) else data
    found = [event for event in json.loads(text)["traceEvents"] if event.get("ph") == "X"]
    own = read(profile.folder)[0]
    assert sorted(event["name"] for event in found) == sorted(event["name"] for event in own)
    by_name = {event["name"]: event for event in own}
    for event in found:
        assert event["dur"] == pytest.approx(by_name[event["name"]]["dur"], abs=1e-3)
        assert event["args"].get("layer") == by_name[event["name"]]["args"].get("layer")


def test_a_trace_with_a_profile(machine, tmp_path):
    pytest.importorskip("tensorboard", reason="writes event files with the package tensorboard, which is not installed")
    double = graphnet.function(lambda x: 2 * x)
    summary.trace_on(profiler=True)
    double(np.ones(3, "float32"))
    with summary.create_file_writer(tmp_path / "events").as_default(step=0):
        with pytest.raises(ValueError, match="Give profiler_outdir"):
            summary.trace_export("double")
        summary.trace_export("double", profiler_outdir=tmp_path / "profile")
    assert not recorders
    folder, = (tmp_path / "profile" / "plugins" / "profile").iterdir()
    assert read(folder)[1].startswith("1 runs")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    run = EventAccumulator(str(tmp_path / "profile")).Reload()
    tag, = run.Tags()["tensors"]
    assert tag == f"profile/{folder.name}" and b"plan 1" in run.Tensors(tag)[0].tensor_proto.string_val[0]


@pytest.mark.parametrize("batches, count", [(2, 1), ((2, 4), 3), ("3,9", 4), (0, 0)])
def test_the_callback_profiles_batches(machine, model, tmp_path, batches, count):
    pytest.importorskip("tensorboard", reason="writes event files with the package tensorboard, which is not installed")
    model.compile("sgd", "mse")
    model.fit(np.ones((6, 6), "float32"), np.ones((6, 2), "float32"), batch_size=2, epochs=2, verbose=0,
              callbacks=[graphnet.callbacks.TensorBoard(tmp_path, profile_batch=batches)])
    assert not recorders
    folders = list(tmp_path.glob("plugins/profile/*"))
    assert [read(folder)[1].split(" ")[0] for folder in folders] == [str(count)] * bool(count)


def test_start_and_stop(machine, model, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="not on"):
        profiler.stop()
    profiler.start(tmp_path)
    with pytest.raises(RuntimeError, match="on already"):
        profiler.start(tmp_path)
    assert profiler.stop(save=False) is None and not list(tmp_path.iterdir())
    with pytest.raises(KeyError), profiler.Profile(tmp_path) as profile:
        raise KeyError
    assert read(profile.folder) == ([], "no plan has run\n")
    monkeypatch.setattr(profiler, "LIMIT", 3)
    with profiler.Profile(tmp_path) as other, profiler.Trace("kept"):
        for _ in range(4):
            model(np.ones((8, 6), "float32"))
    assert other.folder != profile.folder and "than the 3 that are kept" in read(other.folder)[1]


def test_files_of_slices():
    slices = [Slice("a", 7, 0.5, 0.25, {"n": 300, "name": "layer"}), Slice("b", 8, 0.0, 1.0)]
    trace = chrome_trace(slices, {7: "main", 8: "other"})["traceEvents"]
    assert [(e["name"], e["ts"], e["dur"]) for e in trace if e["ph"] == "X"] == [("a", 5e5, 2.5e5), ("b", 0.0, 1e6)]
    assert {e["args"]["name"] for e in trace if e["name"] == "thread_name"} == {"main", "other"}
    pb = pytest.importorskip("google.protobuf.descriptor_pb2", reason="reads messages with protobuf, which is not installed")
    space = message(pb).FromString(xspace(slices, {7: "main", 8: "other"}, 2.0, "host"))
    plane, = space.planes
    assert (plane.name, space.hostnames) == ("/host:CPU", ["host"])
    names, stats = {e.key: e.value.name for e in plane.event_metadata}, {e.key: e.value.name for e in plane.stat_metadata}
    event = plane.lines[0].events[0]
    assert plane.lines[0].timestamp_ns == 2 * 10**9 and (plane.lines[0].id, plane.lines[0].name) == (7, "main")
    assert (names[event.metadata_id], event.offset_ps, event.duration_ps) == ("a", 5 * 10**11, 25 * 10**10)
    assert {stats[s.metadata_id]: s.uint64_value or s.str_value for s in event.stats} == {"n": 300, "name": "layer"}


def message(pb):
    """XSpace as xplane.proto has it, as far as it is used; a map is a list of entries."""
    from google.protobuf import descriptor_pool, message_factory
    kinds = {"int64": 3, "uint64": 4, "string": 9}
    messages = {
        "Stat": [("metadata_id", 1, "int64", 1), ("uint64_value", 3, "uint64", 1), ("str_value", 5, "string", 1)],
        "Event": [("metadata_id", 1, "int64", 1), ("offset_ps", 2, "int64", 1), ("duration_ps", 3, "int64", 1),
                  ("stats", 4, "Stat", 3)],
        "Line": [("id", 1, "int64", 1), ("name", 2, "string", 1), ("timestamp_ns", 3, "int64", 1), ("events", 4, "Event", 3)],
        "Metadata": [("id", 1, "int64", 1), ("name", 2, "string", 1)],
        "Entry": [("key", 1, "int64", 1), ("value", 2, "Metadata", 1)],
        "Plane": [("id", 1, "int64", 1), ("name", 2, "string", 1), ("lines", 3, "Line", 3), ("event_metadata", 4, "Entry", 3),
                  ("stat_metadata", 5, "Entry", 3)],
        "Space": [("planes", 1, "Plane", 3), ("hostnames", 4, "string", 3)]}
    file = pb.FileDescriptorProto(name="xplane_of_the_test.proto", package="test", syntax="proto3")
    for name, fields in messages.items():
        described = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            added = described.field.add(name=field, number=number, label=label, type=kinds.get(kind, 11))
            if kind not in kinds:
                added.type_name = f".test.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Space"))
