"""Checkpoints: values find their objects by path, now or when those are made; files are whole or not there."""
import copy
import gc
import json
import os
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open

import graphnet as gn
from graphnet.errors import FileFormatError
from graphnet.train import writing
from graphnet.train.parts import reached

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
X = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3)
Y = X[:, :1] * X[:, 1:2]


class Line(gn.Module):
    """Variables made in the constructor."""

    def __init__(self, value=0.0):
        super().__init__()
        self.w = gn.Variable(np.full((3, 2), value, "float32"), name="w")
        self.b = gn.Variable(np.full(2, value, "float32"), name="b")


class Late(gn.Module):
    """Variables made at the first call."""

    def __init__(self, units):
        super().__init__()
        self.units, self.made = units, False

    def __call__(self, x):
        if not self.made:
            self.w = gn.Variable(gn.random.normal((x.shape[-1], self.units)), name="w")
            self.made = True
        return gn.ops.matmul(x, self.w)


class Net(gn.Module):
    def __init__(self):
        super().__init__()
        self.parts = [Late(4), {"inner": (Late(2),)}]

    def __call__(self, x):
        return self.parts[1]["inner"][0](self.parts[0](x))


def values_of(root):
    return {path: thing.value.copy() for thing, path in reached(root) if isinstance(thing, gn.Variable)}


def assert_same(first, second):
    a, b = values_of(first), values_of(second)
    assert a.keys() == b.keys()
    for path in a:
        assert a[path].dtype == b[path].dtype
        np.testing.assert_array_equal(a[path], b[path], err_msg=path)


# ---- round trips

DTYPES = st.sampled_from([np.dtype(d) for d in ("float32", "float64", "float16", "int8", "int32", "int64", "uint8", "uint32",
                                                "bool")])
VALUES = DTYPES.flatmap(lambda d: arrays.arrays(d, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1,
                max_size=6).filter(lambda n: not n.startswith("_"))
TREES = st.recursive(VALUES, lambda t: st.one_of(
    st.lists(t, max_size=3), st.tuples(t, t), st.dictionaries(NAMES, t, max_size=3),
    st.dictionaries(st.from_regex("[a-z]{1,3}_part", fullmatch=True), t, max_size=3).map(lambda d: ("module", d))),
    max_leaves=12)


def build(tree, zero):
    """The objects that a tree of arrays describes; with zeros in place of its values."""
    if isinstance(tree, np.ndarray):
        return gn.Variable(np.zeros_like(tree) if zero else tree)
    if isinstance(tree, tuple) and tree and isinstance(tree[0], str):
        module = gn.Module()
        for name, part in tree[1].items():
            setattr(module, name, build(part, zero))
        return module
    if isinstance(tree, dict):
        return {name: build(part, zero) for name, part in tree.items()}
    return type(tree)(build(part, zero) for part in tree)


@settings(max_examples=60, deadline=None)
@given(tree=st.dictionaries(st.sampled_from("abc"), TREES, max_size=3), size=st.sampled_from([1, 20, 1 << 30]))
def test_random_trees_survive(tmp_path_factory, tree, size):
    path = str(tmp_path_factory.mktemp("tree") / "t")
    saved, restored = build({"tree": tree}, False), build({"tree": tree}, True)
    before = gn.train.Checkpoint(**saved)
    after = gn.train.Checkpoint(**restored)
    assert before.write(path, max_shard_size=size) == path
    after.restore(path).assert_consumed()
    assert_same(before, gn.train.Checkpoint(**restored))
    listed = gn.train.list_variables(path)
    assert listed[0] == ("_CHECKPOINTABLE_OBJECT_GRAPH", [])
    assert [key for key, _ in listed[1:]] == sorted(p + SUFFIX for p in values_of(before))


def test_keys_files_and_contents_are_as_they_say(tmp_path):
    module = Line(3.0)
    root = gn.train.Checkpoint(l1=module, odd={"a/b": gn.Variable(1), "c.d": gn.Variable([2.0])})
    path = root.write(tmp_path / "a", max_shard_size=8)
    assert gn.train.list_variables(path) == [
        ("_CHECKPOINTABLE_OBJECT_GRAPH", []), ("l1/b" + SUFFIX, [2]), ("l1/w" + SUFFIX, [3, 2]), ("odd/a.Sb" + SUFFIX, []),
        ("odd/c..d" + SUFFIX, [1])]
    assert sorted(os.listdir(tmp_path)) == [f"a.data-{i:05d}-of-00003" for i in range(3)] + ["a.index"]
    found = {}
    for shard in sorted(tmp_path.glob("a.data-*")):
        with safe_open(shard, "numpy") as file:  # the format's own reader
            found |= {key: file.get_tensor(key) for key in file.keys()}
    np.testing.assert_array_equal(found["l1/w" + SUFFIX], module.w.value)
    np.testing.assert_array_equal(gn.train.load_variable(path, "odd/c..d" + SUFFIX), [2.0])
    with pytest.raises(ValueError, match=r"l1/w"):
        gn.train.load_variable(path, "l1/v" + SUFFIX)
    assert gn.train.load_variable(path, "_CHECKPOINTABLE_OBJECT_GRAPH")[0]["children"].keys() == {"l1", "odd"}


def test_shared_objects_and_cycles_are_written_once(tmp_path):
    a, b = Line(1.0), Line(2.0)
    a.other, b.other, b.again = b, a, [a.w]
    path = gn.train.Checkpoint(a).write(tmp_path / "c")
    assert len(gn.train.list_variables(path)) == 1 + 4
    c, d = Line(), Line()
    c.other, d.other, d.again = d, c, [c.w]
    gn.train.Checkpoint(c).restore(path).assert_consumed()
    assert float(c.w.value[0, 0]) == 1.0 and float(d.b.value[0]) == 2.0
    e, f = Line(), Line()
    e.other, f.other, f.again = f, e, [gn.Variable(np.zeros((3, 2), "float32"))]  # not shared here: both get it
    gn.train.Checkpoint(e).restore(path).assert_consumed()
    np.testing.assert_array_equal(f.again[0].value, a.w.value)


def test_what_was_two_and_is_one_is_said(tmp_path):
    path = gn.train.Checkpoint(a=gn.Variable(1.0), b=gn.Variable(2.0)).write(tmp_path / "two")
    v = gn.Variable(0.0)
    with pytest.warns(UserWarning, match="one object here"):
        status = gn.train.Checkpoint(a=v, b=v).restore(path).expect_partial()
    assert float(v) == 1.0
    with pytest.raises(AssertionError, match="b/.ATTR"):
        status.assert_consumed()


def test_python_objects_are_data(tmp_path):
    class Seen(gn.train.PythonState):
        def __init__(self, value, fails=False):
            self.value, self.fails = value, fails

        def serialize(self):
            return self.value

        def deserialize(self, value):
            if self.fails:
                raise ValueError("cannot")
            self.value = value
    path = gn.train.Checkpoint(t=Seen("grün"), b=Seen(b"\x00\xff"), v=gn.Variable(1.0)).write(tmp_path / "p")
    t, b, v = Seen(""), Seen(b""), gn.Variable(0.0)
    gn.train.Checkpoint(t=t, b=b, v=v).restore(path).assert_consumed()
    assert (t.value, b.value, float(v)) == ("grün", b"\x00\xff", 1.0)
    assert gn.train.load_variable(path, "t/.ATTRIBUTES/py_state") == "grün"
    b, t, v = Seen(b"old"), Seen("old", fails=True), gn.Variable(0.0)
    with pytest.raises(ValueError, match="cannot"):
        gn.train.Checkpoint(t=t, b=b, v=v).restore(path)
    assert (t.value, b.value, float(v)) == ("old", b"old", 0.0)


# ---- deferred and partial

def test_variables_made_later_get_their_values(tmp_path):
    net = Net()
    expected = net(X)
    path = gn.train.Checkpoint(net=net).write(tmp_path / "n")
    new = Net()
    status = gn.train.Checkpoint(net=new).restore(path)
    with pytest.raises(AssertionError, match="given to no object"):
        status.assert_consumed()
    np.testing.assert_array_equal(new(X), expected)
    status.assert_consumed()
    assert all("_untracked_pending" not in vars(m) for m in new.submodules if setattr(m, "touched", 1) is None)
    other, traced = Net(), gn.function(lambda x: other(x))
    gn.train.Checkpoint(net=other).restore(path)
    np.testing.assert_allclose(traced(X), expected, rtol=1e-6)  # made within a trace


def test_the_whole_tree_may_come_later(tmp_path):
    path = gn.train.Checkpoint(line=Line(4.0), rest=[gn.Variable(1.0), gn.Variable(2.0)]).write(tmp_path / "n")
    root = gn.train.Checkpoint()
    status = root.restore(path)
    root.line = Line()
    np.testing.assert_array_equal(root.line.w.value, np.full((3, 2), 4.0))
    root.rest = [gn.Variable(0.0)]
    root.rest.append(gn.Variable(0.0))  # nobody hears of it until the status is asked
    status.assert_consumed()
    assert [float(v) for v in root.rest] == [1.0, 2.0]


def test_what_takes_a_place_later_is_the_users(tmp_path):
    path = gn.train.Checkpoint(line=Line(4.0), more=gn.Variable(1.0)).write(tmp_path / "n")
    line = Line()
    root = gn.train.Checkpoint(line=line)
    root.restore(path).expect_partial()
    line.b = gn.Variable(np.full(2, 7.0, "float32"))
    line.w.assign(line.w + 1.0)
    line.c = line.w
    assert line.b.value[0] == 7.0 and line.w.value[0, 0] == 5.0
    root.restore(path).expect_partial()
    assert line.b.value[0] == 4.0 and line.w.value[0, 0] == 4.0


def test_copies_wait_as_well(tmp_path):
    net = Net()
    expected = net(X)
    path = gn.train.Checkpoint(net=net).write(tmp_path / "n")
    new = Net()
    gn.train.Checkpoint(net=new).restore(path)
    twin = copy.deepcopy(new)
    np.testing.assert_array_equal(twin(X), expected)
    np.testing.assert_array_equal(new(X), expected)
    assert pickle.loads(pickle.dumps(new))(X).shape == expected.shape


def test_compiled_plans_see_what_was_restored(tmp_path):
    model = compiled("adam")
    before = model.predict(X, verbose=0)
    root = gn.train.Checkpoint(model=model)
    path = root.save(tmp_path / "m")
    model.fit(X, Y, epochs=2, verbose=0)
    assert (model.predict(X, verbose=0) != before).any()
    root.restore(path).expect_partial()  # the slots that were made meanwhile are not in it
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    seen = gn.function(model)
    seen(X)
    model.layers[0].kernel.assign(model.layers[0].kernel * 2)
    root.restore(path).expect_partial()
    np.testing.assert_array_equal(np.asarray(seen(X)), before)


def test_a_shape_that_does_not_fit_later_is_said_where_it_is_made(tmp_path):
    net = Net()
    net(X)
    path = gn.train.Checkpoint(net=net).write(tmp_path / "n")
    new = Net()
    gn.train.Checkpoint(net=new).restore(path).expect_partial()
    with pytest.raises(FileFormatError, match=r"shape \(5, 4\).*shape \(3, 4\)"):
        new(np.zeros((2, 5), "float32"))
    new.parts[0].units = 4  # it is said once


def test_the_last_restore_counts(tmp_path):
    line, more = Line(1.0), Line(2.0)
    line.more = gn.Variable(1.0)
    first = gn.train.Checkpoint(a=line).write(tmp_path / "1")
    second = gn.train.Checkpoint(a=more).write(tmp_path / "2")
    new = Line()
    root = gn.train.Checkpoint(a=new)
    root.restore(first).expect_partial()
    root.restore(second).assert_consumed()
    new.more = gn.Variable(5.0)
    assert float(new.more) == 5.0 and new.w.value[0, 0] == 2.0


def test_layers_and_models_are_filled_when_they_are_built(tmp_path):
    def make():
        return gn.Sequential([gn.layers.Dense(4), gn.layers.BatchNormalization(), gn.layers.LSTM(3), gn.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    model, new = make(), make()
    expected = model(x)
    path = gn.train.Checkpoint(model=model).save(tmp_path / "m")
    status = gn.train.Checkpoint(model=new).restore(path)
    np.testing.assert_array_equal(new(x), expected)
    status.assert_consumed()
    inner = gn.Input((3,))
    functional = gn.Model(inner, gn.layers.Dense(2)(gn.layers.Dense(4)(inner)))
    copy = gn.models.clone_model(functional)
    path = gn.train.Checkpoint(functional).write(tmp_path / "f")
    gn.train.Checkpoint(copy).read(path).assert_consumed()
    np.testing.assert_array_equal(copy(X), functional(X))


def test_partial_matches_are_told_apart(tmp_path):
    path = gn.train.Checkpoint(a=Line(1.0), b=Line(2.0)).save(tmp_path / "p")
    fewer = gn.train.Checkpoint(a=Line()).restore(path)
    fewer.assert_existing_objects_matched().assert_nontrivial_match()
    with pytest.raises(AssertionError, match="b/w"):
        fewer.assert_consumed()
    more = gn.train.Checkpoint(a=Line(), c=Line()).restore(path).expect_partial()
    with pytest.raises(AssertionError, match="c/w"):
        more.assert_existing_objects_matched()
    none = gn.train.Checkpoint(c=Line()).restore(path).expect_partial()
    with pytest.raises(AssertionError, match="nothing in it"):
        none.assert_nontrivial_match()
    with pytest.raises(AssertionError, match="None"):
        gn.train.Checkpoint(c=Line()).restore(None).expect_partial().assert_consumed()


def test_values_that_nobody_got_are_named_at_the_end(tmp_path):
    path = gn.train.Checkpoint(model=Line(1.0)).write(tmp_path / "p")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gn.train.Checkpoint(modle=Line()).restore(path)
        gc.collect()
    assert any("model/w" in str(w.message) and "expect_partial" in str(w.message) for w in seen)
    gn.train.Checkpoint(modle=Line()).restore(path).expect_partial()
    gc.collect()


def test_what_does_not_fit_changes_nothing(tmp_path):
    path = gn.train.Checkpoint(a=Line(1.0), b=gn.Variable([1.0, 2.0]), s=gn.Variable(1)).write(tmp_path / "p")
    for odd in (gn.Variable([0.0, 0.0, 0.0]), gn.Variable([0, 0])):
        a = Line()
        root = gn.train.Checkpoint(a=a, b=odd)
        with pytest.raises(FileFormatError, match=r"b/.ATTRIBUTES.*shape \(2,\) and dtype float32") as error:
            root.restore(path)
        assert str(odd.shape) in str(error.value) and not a.w.value.any() and not odd.value.any()
        assert "save_counter" not in dict(root._named_parts())
    with pytest.raises(FileNotFoundError, match="absent"):
        gn.train.Checkpoint().restore(tmp_path / "absent")
    os.remove(path + ".index")
    with pytest.raises(FileFormatError, match="index is missing"):
        gn.train.Checkpoint().restore(path)


@pytest.mark.parametrize("bad, message", [
    (lambda: gn.train.Checkpoint(x=5), "graphnet.Variable"), (lambda: gn.train.Checkpoint([1]), "root"),
    (lambda: gn.train.Checkpoint(Line(), w=gn.Variable(1)), "another attribute"),
    (lambda: gn.train.Checkpoint(d={(1, 2): gn.Variable(1)}).write("x"), "Rename the key"),
    (lambda: gn.train.Checkpoint(d={1: gn.Variable(1), "1": gn.Variable(1)}).write("x"), "apart"),
    (lambda: gn.train.Checkpoint().write("folder/"), "end in a name"),
    (lambda: gn.train.Checkpoint().write("x", max_shard_size=0), "bytes"),
    (lambda: gn.train.CheckpointManager(None, "x", 1), "Checkpoint"),
    (lambda: gn.train.CheckpointManager(gn.train.Checkpoint(), "x", 0), "max_to_keep"),
    (lambda: gn.train.CheckpointManager(gn.train.Checkpoint(), "x", 1, checkpoint_interval=2), "step_counter"),
    (lambda: gn.train.CheckpointManager(gn.train.Checkpoint(), "x", 1, checkpoint_name="a/b"), "checkpoint_name"),
])
def test_errors_teach(bad, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        bad()
    assert not os.listdir(tmp_path)


# ---- training goes on

OPTIMIZERS = {
    "adam": lambda: gn.optimizers.Adam(0.01, amsgrad=True),
    "momentum": lambda: gn.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "schedule": lambda: gn.optimizers.Nadam(gn.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)),
    "schedule_free": lambda: gn.optimizers.ScheduleFreeAdamW(0.01), "adafactor": lambda: gn.optimizers.Adafactor(0.01),
    "ema": lambda: gn.optimizers.RMSprop(0.01, use_ema=True, ema_overwrite_frequency=3, gradient_accumulation_steps=2),
    "scaled": lambda: gn.optimizers.LossScaleOptimizer(gn.optimizers.Adam(0.01), dynamic_growth_steps=2)}


def compiled(optimizer):
    model = gn.Sequential([gn.Input((3,)), gn.layers.Dense(4, "tanh"), gn.layers.Dropout(0.5, seed=3),
                           gn.layers.BatchNormalization(),
                           gn.layers.Dense(1)])
    model.compile(OPTIMIZERS[optimizer](), "mse")
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_as_if_it_had_not_stopped(optimizer, tmp_path):
    model = compiled(optimizer)
    for _ in range(3):
        model.train_on_batch(X, Y)
    path = gn.train.Checkpoint(model=model).save(tmp_path / "run")
    new = compiled(optimizer)
    status = gn.train.Checkpoint(model=new).restore(path)  # the optimizer has no slots yet
    losses = [[float(m.train_on_batch(X, Y)) for _ in range(4)] for m in (model, new)]
    assert losses[0] == losses[1]
    status.assert_consumed()
    assert_same(model, new)
    built = compiled(optimizer)
    built.train_on_batch(X, Y)
    gn.train.Checkpoint(model=built).restore(path).assert_consumed()
    assert [float(built.train_on_batch(X, Y)) for _ in range(4)] == losses[0]


def test_a_rate_that_has_become_a_schedule_moves_no_slot(tmp_path):
    w = gn.Variable(1.0)
    adam = gn.optimizers.Adam(0.1)
    adam.apply([np.float32(2.0)], [w])
    path = gn.train.Checkpoint(optimizer=adam).write(tmp_path / "o")
    other = gn.optimizers.Adam(gn.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    other.build([w])
    gn.train.Checkpoint(optimizer=other).restore(path).assert_existing_objects_matched()
    assert [float(v) for v in other.variables[1:]] == [float(v) for v in adam.variables[2:]]


# ---- the manager

def names(manager):
    return [os.path.basename(path) for path in manager.checkpoints]


def test_the_manager_keeps_the_latest(tmp_path):
    step = gn.Variable(0)
    root = gn.train.Checkpoint(step=step)
    manager = gn.train.CheckpointManager(root, tmp_path / "m", 2)
    assert manager.latest_checkpoint is None and manager.restore_or_initialize() is None
    for number in range(4):
        step.assign(number)
        assert manager.save() == str(tmp_path / "m" / f"ckpt-{number + 1}")
    assert names(manager) == ["ckpt-3", "ckpt-4"]
    assert sorted(os.listdir(tmp_path / "m")) == [
        "checkpoint", "ckpt-3.data-00000-of-00001", "ckpt-3.index", "ckpt-4.data-00000-of-00001", "ckpt-4.index"]
    again = gn.Variable(0)
    second = gn.train.CheckpointManager(gn.train.Checkpoint(step=again), tmp_path / "m", 3)
    assert second.restore_or_initialize() == manager.latest_checkpoint == gn.train.latest_checkpoint(tmp_path / "m")
    assert int(again) == 3
    second.save()
    assert names(second) == ["ckpt-3", "ckpt-4", "ckpt-5"]
    assert names(gn.train.CheckpointManager(root, tmp_path / "m", None)) == names(second)
    assert dict(gn.train.list_variables(tmp_path / "m")).keys() >= {"step" + SUFFIX, "save_counter" + SUFFIX}
    writing.delete(second.latest_checkpoint)
    assert gn.train.latest_checkpoint(tmp_path / "m") == manager.latest_checkpoint


def test_one_in_so_many_hours_stays(tmp_path, monkeypatch):
    now = [1e9]
    monkeypatch.setattr("graphnet.train.manager.time.time", lambda: now[0])
    manager = gn.train.CheckpointManager(gn.train.Checkpoint(), tmp_path, 1, keep_checkpoint_every_n_hours=2)
    for _ in range(7):
        now[0] += 3600
        manager.save()
        # as a new process would
        manager = gn.train.CheckpointManager(manager.checkpoint, tmp_path, 1, keep_checkpoint_every_n_hours=2)
    assert names(manager) == ["ckpt-7"]
    assert {p.stem for p in tmp_path.glob("*.index")} == {"ckpt-2", "ckpt-4", "ckpt-6", "ckpt-7"}


def test_intervals_and_init(tmp_path):
    step, begun = gn.Variable(0), []
    manager = gn.train.CheckpointManager(gn.train.Checkpoint(step=step), tmp_path, 5, step_counter=step, checkpoint_interval=3,
                                         init_fn=lambda: begun.append(1), checkpoint_name="run")
    manager.restore_or_initialize()
    saved = []
    for number in range(8):
        step.assign(number)
        saved.append(manager.save() is not None)
    assert begun == [1] and [i for i, s in enumerate(saved) if s] == [0, 3, 6]
    assert manager.save(checkpoint_number=50, check_interval=False) == str(tmp_path / "run-50")


@pytest.mark.parametrize("text", [
    "", "{", "[]", "model_checkpoint_path: 'x'", '{"format": "graphnet.checkpoint_state", "version": 2, "all": []}',
    *(json.dumps({"format": "graphnet.checkpoint_state", "version": 1, "latest": None, "preserved": None, "doomed": [],
                  "all": [{"name": name, "time": 0}]})
      for name in ("../a", "/etc/a", "..", "", "a\\b", 3, "a\0b")),
    '{"format": "graphnet.checkpoint_state", "version": 1, "all": [{"name": "a", "time": NaN}], "preserved": null, "doomed": '
    '[]}',
    '{"format": "graphnet.checkpoint_state", "version": 1, "all": [], "preserved": null, "doomed": ["../x"]}'])
def test_a_state_file_names_nothing_outside(text, tmp_path):
    (tmp_path / "checkpoint").write_text(text)
    for reads in (lambda: gn.train.latest_checkpoint(tmp_path), lambda: gn.train.CheckpointManager(gn.train.Checkpoint(),
                                                                                                   tmp_path, 1)):
        with pytest.raises(FileFormatError, match="Delete it"):
            reads()
