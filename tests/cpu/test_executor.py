"""Plans run right: any number of threads, concurrent calls, Python steps, changed weights, reported errors, forked children."""
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from graphnet.backends.cpu import calls, executor, weights
from graphnet.backends.cpu import plan as plans
from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.calls import FastCall, Runner
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import number, put_number, put_word, real, word
from graphnet.errors import OutOfRangeError
from graphnet.graph import Variable
from graphnet.settings import settings

GRAIN = 16  # elements a task
HEAVY, LIGHT = 1e9, 1.0  # work that is split into single tasks, and that is not split


@kernel
def scaled_sum(row, begin, end, scratch):
    """y = a * scale + b, by way of scratch; one task dawdles. 0 a, 1 b, 2 y, 3 elements, 4 scale, 5 which, 6 (_, how long)"""
    n = word(row, 3)
    for task in range(begin, end):
        first, last = task * 16, min(task * 16 + 16, n)
        if task == word(row, 5):
            for i in range(word(word(row, 6), 1)):
                put_word(scratch, 0, i)
        for i in range(first, last):
            put_number(scratch, i - first, number(word(row, 0), i) * real(row, 4))
        for i in range(first, last):
            put_number(word(row, 2), i, number(scratch, i - first) + number(word(row, 1), i))


@kernel
def looked_up(row, begin, end, scratch):
    """y[i] = table[x[i]], indices as float32. 0 x, 1 table, 2 y, 3 size of the table, 4 status, 5 number of the step"""
    for i in range(begin, end):
        index = int(number(word(row, 0), i))
        if index < 0 or index >= word(row, 3):
            put_word(word(row, 4), 0, word(row, 5) + 1)
            put_word(word(row, 4), 1, i)
            index = 0
        put_number(word(row, 2), i, number(word(row, 1), index))


def add(builder, a, b, y, scale=1.0, work=HEAVY, slow=-1):
    n = y.size
    table = builder.table([0, 200_000])
    builder.step(scaled_sum, [a, b, y, n, scale, slow, table], -(-n // GRAIN), work, [a, b], [y], scratch=4 * GRAIN,
                 label="add")


def call(builder, *inputs, threads=2):
    with settings(threads=threads):
        return Runner(builder.finish())(inputs)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, "float32")


@st.composite
def programs(draw):
    """Steps of random operands, split or not, some with a slow claimer, some in Python."""
    steps = []
    for s in range(draw(st.integers(1, 20))):
        near = st.integers(max(-1, s - 5), s - 1)
        steps.append((draw(near), draw(near), draw(st.sampled_from([HEAVY, HEAVY, LIGHT])),
                      draw(st.sampled_from([-1, -1, 0, 3])),
                      draw(st.integers(0, 15)) == 0))
    return steps


def build(steps, n):
    builder = Builder()
    tensors = {-1: builder.input((n,))}
    for s, (a, b, work, slow, python) in enumerate(steps):
        tensors[s] = builder.output((n,)) if s == len(steps) - 1 else builder.temporary((n,))
        if python:
            builder.python_step(lambda a, b: a * np.float32(0.5) + b, [tensors[a], tensors[b]], [tensors[s]], "python")
        else:
            add(builder, tensors[a], tensors[b], tensors[s], 0.5, work, slow)
    return builder


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.sampled_from([1, 15, 16, 100, 1000]))
def test_the_same_bytes_for_any_number_of_threads(steps, n):
    x = random(n)
    expected = {-1: x}
    for s, (a, b, *_) in enumerate(steps):
        expected[s] = expected[a] * np.float32(0.5) + expected[b]
    runner = Runner(build(steps, n).finish())
    results = []
    for threads in (1, 2, 8):
        with settings(threads=threads):
            results += [runner([x])[0] for _ in range(2)]
    assert all(np.array_equal(y, results[0]) for y in results)
    np.testing.assert_allclose(results[0], expected[len(steps) - 1], rtol=1e-5, atol=1e-5)


def test_many_threads_call_at_once():
    steps = [(s - 1, -1, HEAVY if s % 3 else LIGHT, -1, s == 5) for s in range(12)]
    runner = Runner(build(steps, 200).finish())
    xs = [random(200, seed=i) for i in range(8)]
    expected = [runner([x])[0] for x in xs]
    wrong = []

    def work(i):
        for _ in range(40):
            if not np.array_equal(runner([xs[i]])[0], expected[i]):
                wrong.append(i)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_each_call_gives_fresh_outputs_and_leaves_its_inputs_alone():
    builder = Builder()
    x, y, z = builder.input((50,)), builder.output((50,)), builder.output((50,))
    add(builder, x, x, y)
    add(builder, y, x, z)
    runner, value = Runner(builder.finish()), random(50)
    value.flags.writeable = False
    first = runner([value])
    kept = [a.copy() for a in first]
    second = runner([value + 1])
    assert all(np.array_equal(a, b) for a, b in zip(first, kept, strict=True))
    assert not {id(a) for a in first} & {id(a) for a in second}
    np.testing.assert_allclose(first[1], 3 * value, rtol=1e-6)


def test_python_steps_see_read_only_views_and_fill_strided_operands():
    builder, seen = Builder(), []
    x, y = builder.input((4, 6)), builder.output((4, 6))
    inner = builder.temporary((4, 6), halo=((1, 1), (1, 1)))

    def double(value):
        seen.append(value.flags.writeable)
        return value * 2
    builder.python_step(double, [x], [inner], "double")
    builder.python_step(lambda a: a.T.copy(), [inner.transpose((1, 0))], [y], "turn twice")
    plan = builder.finish()
    value = random(4, 6)
    assert np.array_equal(Runner(plan)([value])[0], 2 * value)
    assert seen == [False] and plan.python_steps == ["double", "turn twice"]


def test_an_error_in_a_python_step_leaves_the_runner_usable():
    builder = Builder()
    x, t, y = builder.input((20,)), builder.temporary((20,)), builder.output((20,))

    def refuse_negative(value):
        if (value < 0).any():
            raise ValueError("negative")
        return value
    builder.python_step(refuse_negative, [x], [t], "refuse")
    add(builder, t, x, y)
    runner = Runner(builder.finish())
    with pytest.raises(ValueError, match="negative"):
        runner([np.full(20, -1, "float32")])
    assert np.array_equal(runner([np.ones(20, "float32")])[0], np.full(20, 2, "float32"))


def look_up(builder, x, table, y, label):
    words = [x, table, y, table.size, builder.status, builder.next_step]
    builder.step(looked_up, words, x.size, LIGHT, [x, table], [y], label=label)


@pytest.mark.parametrize("fast", [False, True])
def test_an_index_error_names_the_step_and_the_position_once(fast):
    builder = Builder()
    x, y, t = builder.input((5,)), builder.output((5,)), builder.temporary((5,))
    table = builder.constant(np.arange(3, dtype="float32"))
    look_up(builder, x, table, t, "embedding_1")
    look_up(builder, t, table, y, "embedding_2")
    runner = Runner(builder.finish())
    run = fast_call(runner) if fast else lambda value: runner([value])[0]
    for _ in range(2):
        with pytest.raises(OutOfRangeError, match="embedding_1.*position 3"):
            run(np.array([0, 1, 2, 7, 0], "float32"))
        assert np.array_equal(run(np.array([2, 1, 0, 0, 1], "float32")), [2, 1, 0, 0, 1])


@pytest.mark.parametrize("fast", [False, True])
def test_an_error_that_an_interrupted_call_left_is_not_told_later(fast):
    builder = Builder()
    x, y = builder.input((5,)), builder.output((5,))
    look_up(builder, x, builder.constant(np.arange(3, dtype="float32")), y, "embedding")
    runner = Runner(builder.finish())
    run, value = fast_call(runner) if fast else lambda value: runner([value])[0], np.array([2, 1, 0, 0, 1], "float32")
    assert np.array_equal(run(value), value)
    lane, = runner.lanes.pools[runner.threads]
    lane.last.block[0] = 1
    assert np.array_equal(run(value), value)


def test_nothing_behind_a_barrier_runs_after_a_reported_error():
    builder, ran = Builder(), []
    x, y = builder.input((5,)), builder.output((5,))
    look_up(builder, x, builder.constant(np.zeros(3, "float32")), y, "embedding")
    builder.barrier()
    builder.python_step(lambda value: ran.append(1) or value, [y], [y], "update")
    runner = Runner(builder.finish())
    with pytest.raises(OutOfRangeError):
        runner([np.full(5, 9, "float32")])
    assert not ran
    runner([np.zeros(5, "float32")])
    assert ran == [1]


def test_weights_are_read_where_they_lie_and_packed_ones_follow_them():
    weight = Variable(random(30))
    builder = Builder()
    x, y, z = builder.input((30,)), builder.output((30,)), builder.output((30,))
    w, made = builder.weight(weight), []

    def double(value):
        made.append(1)
        return 2 * value
    packed = builder.packed(w, ("double",), double)
    again = builder.packed(w, ("double",), double)
    assert packed.buffer.source is again.buffer.source and packed.constant.ctypes.data % 64 == 0
    add(builder, x, w, y)
    add(builder, x, packed, z)
    runner, value = Runner(builder.finish()), random(30, seed=1)
    for seed in (2, 3):
        weight.assign(random(30, seed=seed))
        for _ in range(2):
            y, z = runner([value])
            np.testing.assert_allclose(y, value + weight.numpy(), rtol=1e-6)
            np.testing.assert_allclose(z, value + 2 * weight.numpy(), rtol=1e-6)
    assert len(made) == 3  # once, and once a change


def test_derived_weights_follow_a_chain_and_die_with_their_plans():
    weight = Variable(random(6, 4))
    folded = weights.derived([weight], ("negated",), np.negative)
    turned = weights.derived([folded], ("turned",), np.transpose)
    weight.assign(np.ones((6, 4)))
    turned.refresh()
    assert np.array_equal(turned.value, -np.ones((4, 6))) and turned.value.flags.c_contiguous
    alive = weakref.ref(turned)
    del folded, turned
    gc.collect()
    assert alive() is None


def test_what_it_took_to_make_a_large_array_goes_back_to_the_system(monkeypatch):
    asked = []
    monkeypatch.setattr(weights, "_trim", asked.append)
    made = [weights.derived([np.ones(1, "float32")], ("wide", size), lambda w, size=size: np.resize(w, size))
            for size in (weights.LARGE // 4 - 1, weights.LARGE // 4)]
    assert [entry.value.nbytes < weights.LARGE for entry in made] == [True, False] and asked == [0]


def test_a_plan_that_writes_a_weight_raises_its_version():
    weight, builder = Variable(np.ones(20, "float32")), Builder()
    x, y, new = builder.input((20,)), builder.output((20,)), builder.temporary((20,))
    w = builder.weight(weight)
    add(builder, builder.packed(w, ("negated",), np.negative), x, y)
    add(builder, w, x, new)
    builder.barrier()
    builder.copy(new, w)
    runner, value = Runner(builder.finish()), np.full(20, 2, "float32")
    assert not runner.fast
    for step in range(3):
        assert np.array_equal(runner([value])[0], np.full(20, 2 - (1 + 2 * step)))
        assert np.array_equal(weight.numpy(), np.full(20, 1 + 2 * (step + 1))) and weight.version == step + 1


def test_what_a_call_wrote_before_it_failed_is_a_change():
    weight, builder = Variable(np.ones(20, "float32")), Builder()
    x, y = builder.input((20,)), builder.output((20,))
    builder.copy(x, builder.weight(weight))
    builder.python_step(lambda value: [][0], [x], [y])
    packed = weights.derived([weight], ("negated",), np.negative)
    with pytest.raises(IndexError):
        Runner(builder.finish())([np.full(20, 2, "float32")])
    packed.refresh()
    assert weight.version == 1 and np.array_equal(packed.value, np.full(20, -2))


def test_chunks_follow_work_and_threads():
    builder = Builder()
    x, y = builder.input((1600,)), builder.output((1600,))
    for work in (1e3, 1.5 * plans.SERIAL, 3.08 * plans.GRAIN, 1e9):
        add(builder, x, x, y, work=work)
    plan = builder.finish()
    table = plan.template[plan.table:plan.patches].reshape(-1, executor.COLUMNS)
    assert table[:, executor.CHUNK].tolist() == [100, 50, 32, 1]
    for threads, shares in ((1, [1, 1, 1, 1]), (2, [1, 2, 2, 2]), (8, [1, 4, 8, 8])):
        block = plan.instantiate(threads).block[plan.table:plan.patches].reshape(-1, executor.COLUMNS)
        assert block[:, executor.SHARES].tolist() == shares


def fast_call(runner):
    def otherwise(x):
        raise AssertionError("expected the fast way")
    fast = FastCall("float32", otherwise)
    fast.add(runner)
    return fast


@pytest.mark.parametrize("by_id", [True, False])
def test_fast_call_agrees_and_declines_what_it_cannot_take(by_id, monkeypatch):
    if not by_id:  # as on a Python whose arrays keep their data elsewhere
        monkeypatch.setattr(executor, "BEHIND", -1)
        monkeypatch.setattr(executor, "handle", executor._data)
        monkeypatch.setattr(calls, "handle", executor._data)
    builder = Builder()
    x, y = builder.input((4, 25)), builder.output((4, 25))
    add(builder, x, x, y)
    runner, value = Runner(builder.finish()), random(4, 25)
    fast = fast_call(runner)
    assert np.array_equal(fast(value), 2 * value) and np.array_equal(runner([value])[0], 2 * value)
    misaligned = np.frombuffer(b"\0" + value.tobytes(), np.uint8)[1:].view("float32").reshape(4, 25)
    others = [value.astype("float64"), value.astype(">f4"), np.asfortranarray(value), value[:2], misaligned]
    for other in others:
        with pytest.raises(AssertionError, match="fast way"):
            fast(other)
    with settings(threads=1), pytest.raises(AssertionError, match="fast way"):
        fast(value)
    fast.runners.clear()
    with pytest.raises(AssertionError, match="fast way"):
        fast(value)


def test_empty_operands_and_a_plan_without_steps():
    builder = Builder()
    x, y = builder.input((0, 3)), builder.output((0, 3))
    add(builder, x, x, y)
    assert not builder.steps
    assert call(builder, np.zeros((0, 3), "float32"))[0].shape == (0, 3)


def test_halos_stay_zero_through_many_calls():
    builder = Builder()
    x, y = builder.input((3, 4)), builder.output((5, 6))
    hidden = builder.temporary((3, 4), halo=((1, 1), (1, 1)))
    builder.copy(x, hidden)
    builder.copy(hidden.view(-hidden.offset, (5, 6), hidden.strides), y)
    runner = Runner(builder.finish())
    for seed in range(3):
        value = random(3, 4, seed=seed)
        assert np.array_equal(runner([value])[0], np.pad(value, 1))


def test_the_report_tells_of_each_step():
    builder = Builder()
    x, t, y = builder.input((64,)), builder.temporary((64,)), builder.output((64,))
    add(builder, x, x, t, work=LIGHT)
    builder.python_step(np.negative, [t], [y], "negative")
    plan = builder.finish()
    first, second = plan.steps_report()
    assert (first.kernel, first.label, first.reads, first.writes) == ("scaled_sum", "add", ((64,), (64,)), ((64,),))
    assert (first.tasks, first.chunk, first.nbytes, first.needs) == (4, 4, 3 * 256, 0)
    assert (second.kernel, second.label, second.needs) == ("python", "negative", 1)
    assert plan.arena_bytes == 256 and plan.packed_bytes == 0
    assert len(Runner(plan).times([random(64)])) == 2


def run(script, **environment):
    head = """
        import os, threading, warnings
        import numpy as np
        from graphnet.backends.cpu.calls import Runner
        from graphnet.backends.cpu.plan import Builder
        builder = Builder()
        x, y = builder.input((64, 300)), builder.output((300, 64))
        builder.copy(x.transpose((1, 0)), y)
        builder.steps[0].chunk = 1  # shared among threads, small as it is
        runner = Runner(builder.finish())
        value = np.random.default_rng(0).standard_normal((64, 300), "float32")

        def right():
            return np.array_equal(runner([value])[0], value.T)
    """
    code = textwrap.dedent(head) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "GRAPHNET_THREADS": "2", **environment},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_computes():
    assert run("""
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own word on fork with threads
        assert right()
        child = os.fork()
        if child == 0:
            os._exit(0 if right() and right() else 1)
        print(os.waitpid(child, 0)[1], right())
    """).split() == ["0", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="processors are chosen as Linux does it")
def test_a_call_does_not_wait_for_a_helper_that_does_not_run():
    """The helper is stopped by a signal's handler of the system: calls go on, and give the same."""
    assert run(
        """
        import signal, pathlib
        assert right()
        helpers = {int(p.name) for p in pathlib.Path("/proc/self/task").iterdir()} - {threading.get_native_id()}
        only = sorted(os.sched_getaffinity(0))[:1]
        for helper in helpers:
            try:
                os.sched_setscheduler(helper, os.SCHED_IDLE, os.sched_param(0))
                os.sched_setaffinity(helper, only)
            except OSError:
                pass
        busy = os.fork()
        if busy == 0:
            os.sched_setaffinity(0, only)
            while True:
                pass
        import time
        start = time.perf_counter()
        fine = all(right() for _ in range(2000))
        taken = time.perf_counter() - start
        os.kill(busy, signal.SIGKILL)
        os.waitpid(busy, 0)
        print(fine, taken < 4.0)  # half a second alone; an idle helper beside a busy process gets a turn once in 4 ms or later
    """.replace("import signal", "warnings.simplefilter('ignore', DeprecationWarning); import signal")
    ).split() == ["True", "True"]


def test_jobs_are_numbered_beyond_what_counters_hold():
    assert run("""
        import ctypes
        from graphnet.backends.cpu import executor
        from graphnet.backends.cpu.team import JOB
        assert right()
        number = ctypes.c_int64.from_address(executor.team(2).address + 8 * JOB)
        for bits in (31, 32):
            number.value = (1 << bits) - 3
            assert all(right() for _ in range(6))
            print(number.value > 1 << bits)
    """).split() == ["True", "True"]


def test_instances_are_dropped_while_helpers_may_look_at_them():
    """Plans made, called and dropped at once by several threads: memory that a late helper sees is not given back."""
    assert run("""
        import gc
        def work(seed, wrong):
            for i in range(60):
                builder = Builder()
                x, y = builder.input((32 + i, 40)), builder.output((40, 32 + i))
                builder.copy(x.transpose((1, 0)), y)
                builder.steps[0].chunk = 1
                value = np.full((32 + i, 40), seed, "float32")
                if not np.array_equal(Runner(builder.finish())([value])[0], value.T):
                    wrong.append(i)
                gc.collect(0)
        wrong = []
        threads = [threading.Thread(target=work, args=(seed, wrong)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(wrong, right())
    """, GRAPHNET_THREADS="8").split() == ["[]", "True"]
