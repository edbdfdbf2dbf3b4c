"""Lanes: plans of an executable take turns on one memory, and see nothing of each other."""
import gc
import threading
import weakref

import numpy as np
import pytest

from graphnet import compiler, ops
from graphnet.backends.cpu import blocks, calls, executor, lanes
from graphnet.backends.cpu.calls import FastCall, Runner
from graphnet.backends.cpu.lanes import Lane, Lanes
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.errors import OutOfRangeError
from graphnet.graph import Spec
from graphnet.settings import settings
from graphnet.tracing import placeholder, trace_function


def rows(n, *shape):
    return np.random.default_rng(n).standard_normal((n, *shape)).astype("float32")


def convolutional(x):
    """Each convolution wants a halo that no step zeroes: small images."""
    y = ops.relu(ops.conv(x, rows(3, 3, 5, 8), padding="same"))
    z = ops.conv(y, rows(3, 3, 8, 8), padding="same")
    return ops.mean(ops.tanh(ops.conv(z, rows(5, 5, 8, 4), padding="same")), axis=(1, 2))


def executable(function=convolutional, *shape):
    graph, _ = trace_function(function, [placeholder(Spec((Dim.unknown("batch"), *(shape or (9, 7, 5)))))])
    return Executable(graph)


def doubled(*shape):
    """A plan of 2 x, by way of the arena."""
    builder = Builder()
    x, t, y = builder.input(shape), builder.temporary(shape), builder.output(shape)
    builder.copy(x, t)
    builder.python_step(lambda t: 2 * t, [t], [y], "double")
    return builder.finish()


def idle(run, threads=None):
    return run._lanes.pools[threads or executor.allowed_threads()]


@pytest.fixture
def large(monkeypatch):
    """Small graphs are cut as large ones are."""
    for name, value in {"LARGE": 0, "NEAR": 1 << 12, "BEGUN": 1 << 6, "CUT": 1 << 8}.items():
        monkeypatch.setattr(blocks, name, value)


def test_batch_sizes_share_an_arena_whatever_another_has_left_there():
    run = executable()
    for n in (6, 1, 4, 6, 1, 4):
        expected, _ = evaluate(run.graph, [rows(n, 9, 7, 5)])
        for _ in range(2):
            np.testing.assert_allclose(run([rows(n, 9, 7, 5)])[0], expected[0], rtol=1e-4, atol=1e-5)
        lane, = idle(run)
        lane.arena.fill(255)  # NaN, also where halos are
        lane.last = lanes.NOBODY
    assert len(lane.instances) == 3 and any(plan.halos for plan in lane.instances)
    assert all(instance.arena is lane.arena for instance in lane.instances.values())


def test_an_arena_grows_and_lets_the_old_one_go(monkeypatch):
    monkeypatch.setattr(lanes, "SPARE", 0)
    lane, small, large_ = Lane(1), doubled(4, 25), doubled(40, 25)
    first = lane.turn(small)
    assert lane.turn(small) is first and first.arena is lane.arena and len(lane.arena) == small.room(1)
    old, instance = weakref.ref(lane.arena.base), weakref.ref(first)
    del first
    assert lane.turn(large_).arena is lane.arena and len(lane.arena) == large_.room(1) and lane.arena.ctypes.data % 64 == 0
    assert old() is None and instance() is None and list(lane.instances) == [large_]
    assert lane.turn(small).arena is lane.arena and lane.turn(large_).arena is lane.arena


def test_spare_room_serves_sizes_that_rise():
    lane = Lane(1)
    lane.turn(doubled(10, 25))
    first = lane.arena
    lane.turn(doubled(20, 25))
    assert lane.arena is first


def test_a_halo_is_zero_again_where_another_plan_has_written():
    builder = Builder()
    x, y = builder.input((3, 4)), builder.output((5, 6))
    hidden = builder.temporary((3, 4), halo=((1, 1), (1, 1)))
    builder.copy(x, hidden)
    builder.copy(hidden.view(-hidden.offset, (5, 6), hidden.strides), y)
    shared = Lanes()
    padded, other = Runner(builder.finish(), shared), Runner(doubled(8, 8), shared)
    for seed in range(3):
        value = rows(3, 4) + seed
        assert np.array_equal(padded([value])[0], np.pad(value, 1))
        assert np.array_equal(other([rows(8, 8)])[0], 2 * rows(8, 8))
    lane, = shared.pools[padded.threads]
    assert len(lane.instances) == 2


def test_threads_at_once_give_the_same_bytes():
    run, wrong = executable(), []
    expected = {n: run([rows(n, 9, 7, 5)])[0] for n in range(1, 7)}
    fast = run.fast(lambda x: run([x])[0])
    for n in (1, 3, 5):
        fast.add(run.runner(((n, 9, 7, 5),)))

    def work(seed):
        for n in np.random.default_rng(seed).integers(1, 7, 60).tolist():
            if not np.array_equal(fast(rows(n, 9, 7, 5)), expected[n]):
                wrong.append(n)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and 1 <= len(idle(run)) <= lanes.KEPT


def test_an_arena_goes_before_a_larger_one_comes(monkeypatch):
    monkeypatch.setattr(lanes, "SPARE", 0)
    run, there, room = executable(), [], lanes.room
    fast = run.fast(lambda x: run([x])[0])
    for n in (1, 40):
        fast.add(run.runner(((n, 9, 7, 5),)))
    fast(rows(1, 9, 7, 5))
    lane, = idle(run)
    old = weakref.ref(lane.arena.base)
    monkeypatch.setattr(lanes, "room", lambda nbytes: there.append(old() is not None) or room(nbytes))
    fast(rows(40, 9, 7, 5))
    assert there == [True, False]  # one of no bytes first


def test_short_ways_of_one_graph_forget_together(monkeypatch):
    monkeypatch.setattr(compiler, "PLANS", 2)
    run = executable()
    first, second = (run.fast(lambda x: run([x])[0]) for _ in range(2))
    for n in (1, 2, 3, 4):
        first.add(run.runner(((n, 9, 7, 5),)))
    assert sorted(shape[0] for shape in second.runners) == [3, 4] == sorted(shape[0] for shape in first.runners)


def test_a_short_way_has_the_threads_of_no_setting():
    run, x = executable(), rows(16, 9, 7, 5)
    fast = run.fast(lambda x: run([x])[0])
    with settings(threads=3):
        runner = run.runner((x.shape,))
        fast.add(runner)
        assert not fast.runners
    fast.add(runner)
    assert np.array_equal(fast(x), run([x])[0])
    assert runner.threads == executor.allowed_threads() and len(idle(run)) == 1 and not run._lanes.pools[3]


def test_what_a_dropped_runner_had_goes_at_once(monkeypatch):
    monkeypatch.setattr(compiler, "PLANS", 2)
    run = executable()
    gc.disable()
    try:
        for n in (1, 2):
            run([rows(n, 9, 7, 5)])
        lane = run._lanes.take(executor.allowed_threads())  # in use while the runner goes
        dropped, = [weakref.ref(instance) for plan, instance in lane.instances.items() if plan.inputs[0].shape[0] == 1]
        plan = weakref.ref(dropped().plan)
        run([rows(3, 9, 7, 5)])
        assert dropped() is None and plan() is None
        run._lanes.give_back(lane)
        left = [weakref.ref(lane), *[weakref.ref(instance) for instance in lane.instances.values()]]
        del lane, run
        assert [known() for known in left] == [None] * len(left)
    finally:
        gc.enable()


def test_parts_run_on_a_second_lane_and_go_with_their_executable(large):
    run = executable()
    gc.disable()
    try:
        for n in (33, 21, 34):
            expected, _ = evaluate(run.graph, [rows(n, 9, 7, 5)])
            np.testing.assert_allclose(run([rows(n, 9, 7, 5)])[0], expected[0], rtol=1e-4, atol=1e-5)
        inner, outer = idle(run)
        plans = [run.runner(((n, 9, 7, 5),)).plan for n in (33, 21, 34)]
        parts = {runner.plan for plan in plans for part in plan.inner for runner in part.runners.values()}
        assert parts and set(outer.instances) == set(plans) and set(inner.instances) == parts
        steps, times = run.runner(((33, 9, 7, 5),)).steps(), run.runner(((33, 9, 7, 5),)).times([rows(33, 9, 7, 5)])
        assert len(times) == len(steps) and idle(run) == [inner, outer]
        largest = max(runner.plan.arena_bytes for part in plans[0].inner for runner in part.runners.values())
        assert f"arena {plans[0].arena_bytes + largest:,} bytes" in run.report(((33, 9, 7, 5),))
        left = [weakref.ref(inner), weakref.ref(outer), *map(weakref.ref, parts)]
        del run, inner, outer, plans, parts
        assert [known() for known in left] == [None] * len(left)
    finally:
        gc.enable()


def looked_up(x):
    return ops.take(rows(5, 3), ops.cast(x, "int32"), axis=0)


def test_an_error_gives_the_lane_back():
    run = executable(looked_up, 2)
    right, wrong = np.ones((4, 2), "float32"), np.full((4, 2), 9, "float32")
    expected = run([right])[0]
    lane, = idle(run)
    with pytest.raises(OutOfRangeError):
        run([wrong])
    assert idle(run) == [lane]
    fast = FastCall("float32", run)
    fast.add(run.runner(((4, 2),)))
    assert fast.runners
    with pytest.raises(OutOfRangeError):
        fast(wrong)
    assert idle(run) == [lane] and np.array_equal(fast(right), expected)


def test_a_pool_for_each_number_of_threads_that_keeps_some():
    run, x = executable(), rows(2, 9, 7, 5)
    with settings(threads=1):
        first = run([x])[0]
    with settings(threads=3):
        assert np.array_equal(run([x])[0], first)
    assert (idle(run, 1)[0].threads, idle(run, 3)[0].threads) == (1, 3)
    shared = Lanes()
    taken = [shared.take(2) for _ in range(lanes.KEPT + 2)]
    for lane in taken:
        shared.give_back(lane)
    known = weakref.ref(taken[-1])
    del taken, lane
    assert known() is None and len(shared.pools[2]) == len(shared._every) == lanes.KEPT


def test_a_call_that_was_timed_step_by_step_waits_as_before():
    run, x = executable(), rows(16, 9, 7, 5)
    expected = run([x])[0]
    lane, = idle(run)
    instance, = lane.instances.values()
    before = instance.block.copy()
    seen = []
    calls.recorders.append(lambda plan, marks: seen.append(marks))
    try:
        run([x])
    finally:
        calls.recorders.pop()
    run.times([x])
    table = slice(instance.plan.table, instance.plan.patches)
    assert before[table].reshape(-1, executor.COLUMNS)[:, executor.NEEDS].any()
    assert len(seen) == 1 and np.array_equal(instance.block[table], before[table]) and idle(run) == [lane]
    assert np.array_equal(run([x])[0], expected)
