"""Blocks of rows: the same results as the whole batch at once, and never where rows are not computed apart."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphnet
from graphnet import layers, ops
from graphnet.backends.cpu import blocks
from graphnet.backends.cpu.driver import Driver
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.graph import Spec
from graphnet.op import OPS
from graphnet.tracing import placeholder, trace_function


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch):
    """Small graphs are cut as large ones are."""
    for name, value in {"LARGE": 0, "NEAR": 1 << 12, "BEGUN": 1 << 6, "CUT": 1 << 8}.items():
        monkeypatch.setattr(blocks, name, value)


def executable(function, *shapes):
    """A function of arrays whose first extent is the same unknown one."""
    batch = Dim.unknown("batch")
    graph, _ = trace_function(function, [placeholder(Spec((batch, *shape))) for shape in shapes])
    return Executable(graph)


def parts(run, *shapes):
    """The sizes of the blocks that a plan runs."""
    return [part.size for part in run.runner(shapes).plan.inner]


def close(run, arrays):
    expected, _ = evaluate(run.graph, arrays)
    for y, truth in zip(run(arrays), expected, strict=True):
        np.testing.assert_allclose(y, truth, rtol=1e-4, atol=1e-5)


def rows(n, *shape):
    return np.random.default_rng(n).standard_normal((n, *shape)).astype("float32")


def convolutional(x):
    w = [rows(3, 3, *io) for io in ((5, 8), (8, 8), (8, 12))]
    y = ops.relu(ops.conv(x, w[0], padding="same"))
    z = y + ops.conv(y, w[1], padding="same")
    z = ops.max_pool(z, 2)
    z = ops.concatenate([ops.conv(z, w[2]), ops.conv(z, w[2]) * 2], axis=-1)
    return ops.softmax(ops.mean(z, axis=(1, 2)))


@pytest.mark.parametrize("n", [2, 7, 33])
def test_a_network_in_blocks(n):
    run = executable(convolutional, (12, 12, 5))
    close(run, [rows(n, 12, 12, 5)])
    assert parts(run, (n, 12, 12, 5))


def test_what_is_left_over_and_further_sizes_share_plans():
    run = executable(convolutional, (12, 12, 5))
    close(run, [rows(33, 12, 12, 5)])
    first, = {id(part.runners[part.size]) for part in run.runner(((33, 12, 12, 5),)).plan.inner[:1]}
    close(run, [rows(21, 12, 12, 5)])
    assert first in {id(part.runners[part.size]) for part in run.runner(((21, 12, 12, 5),)).plan.inner}


def test_what_runs_whole_beside_blocks_has_their_memory():
    """Layers with weights so large that they are read once are a part as well; the plan around holds what goes from part to part."""
    def function(x):
        y = ops.tanh(ops.matmul(convolutional(x), rows(24, 512)))
        return ops.tanh(ops.matmul(ops.tanh(ops.matmul(y, rows(512, 512))), rows(512, 3)))
    run = executable(function, (12, 12, 5))
    close(run, [rows(7, 12, 12, 5)])
    plan = run.runner(((7, 12, 12, 5),)).plan
    _, whole = [part.runners[part.size].plan for part in plan.inner]
    assert parts(run, (7, 12, 12, 5)) == [1, 7] and plan.arena_bytes < 4096 < whole.arena_bytes


def test_no_rows():
    run = executable(convolutional, (12, 12, 5))
    assert run([np.zeros((0, 12, 12, 5), "float32")])[0].shape == (0, 24) and not parts(run, (0, 12, 12, 5))


def test_images_that_come_in_two_inputs():
    """Each has an unknown batch of its own, of which a part of the graph would cut one alone."""
    a, b = graphnet.Input((8, 8, 3)), graphnet.Input((8, 8, 3))
    x = layers.Concatenate()([a, b])
    for _ in range(3):
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    run = graphnet.Model([a, b], layers.GlobalAveragePooling2D()(x)).executable()[0]
    close(run, [rows(8, 8, 8, 3), rows(8, 8, 8, 3)])


@pytest.mark.parametrize("function", [
    lambda x: x - ops.mean(x, axis=1), lambda x: ops.tanh(x) * 2 - ops.relu(ops.mean(x, axis=1)),
    lambda x: ops.matmul(x, rows(64, 64)) + ops.mean(x, axis=1), lambda x: ops.tanh(x) + rows(16, 1, 64),
    lambda x: x + ops.broadcast_to(ops.mean(x, axis=1), ops.shape(x))])
def test_rows_that_lie_along_another_axis_or_are_known(function):
    close(executable(function, (16, 64)), [rows(16, 16, 64)])


def test_a_part_is_told_by_the_reference_too():
    run, x = executable(convolutional, (12, 12, 5)), rows(33, 12, 12, 5)
    driver = Driver(run.optimized, (x.shape,), 1)
    cut = blocks.in_blocks(run.optimized, driver.specs, driver.extents)
    assert any(isinstance(node.op, blocks.RowBlocks) for node in cut.nodes)
    np.testing.assert_allclose(evaluate(cut, [x])[0][0], evaluate(run.graph, [x])[0][0], rtol=1e-5)


def test_rows_may_lie_many_to_one_of_the_batch():
    """A dense layer over (batch * steps) rows."""
    w = rows(16, 16)

    def encoder(x):
        flat = ops.reshape(x, (-1, 16))
        return ops.reshape(ops.relu(ops.matmul(flat, w)), (-1, 40, 16)) + x
    run = executable(encoder, (40, 16))
    close(run, [rows(24, 40, 16)])
    assert parts(run, (24, 40, 16))


def test_a_part_whose_inputs_alone_do_not_tell_the_batch():
    """All that it reads has 40 rows to one of the batch; a reshape within it names the batch."""
    w = rows(16, 16)

    def encoder(x):
        flat = ops.reshape(x, (-1, 16))[::-1]  # which mixes rows, so that the part begins behind it
        for _ in range(3):
            flat = ops.tanh(ops.matmul(flat, w))
        return ops.sum(ops.reshape(flat, (ops.shape(x)[0], 40, 16)) * 2, axis=1)
    run = executable(encoder, (40, 16))
    close(run, [rows(24, 40, 16)])
    assert parts(run, (24, 40, 16))


def far(x):
    """Something before and behind that is worth a block."""
    return ops.relu(ops.matmul(ops.relu(ops.matmul(x, rows(64, 64))), rows(64, 64)))


@pytest.mark.parametrize("mixing", [
    lambda x: x[::-1], lambda x: ops.flip(x, 0), lambda x: ops.softmax(x, 0), lambda x: ops.cumsum(x, 0), lambda x: ops.roll(x, 1, 0),
    lambda x: ops.sort(x, 0), lambda x: x - ops.mean(x, 0), lambda x: ops.concatenate([x, x], 0)[1:], lambda x: x / ops.shape(x)[0],
    lambda x: ops.take(x, np.array([1, 0]), 0), lambda x: ops.matmul(ops.transpose(x), x), lambda x: ops.pad(x, ((1, 0), (0, 0)))[:-1],
    lambda x: ops.layer_normalization(x, axis=0), lambda x: ops.transpose(ops.softmax(ops.transpose(x), -1))])
def test_what_mixes_rows_is_left_whole(mixing):
    run = executable(lambda x: mixing(far(x)), (64,))
    for n in (3, 50):
        close(run, [rows(n, 64)])


@given(st.lists(st.sampled_from(["conv", "pool", "add", "norm", "flip", "mean", "dense", "split"]), min_size=1, max_size=7),
       st.integers(2, 19))
def test_random_graphs_as_the_reference(kinds, n):
    def network(x):
        values = [x]
        for i, kind in enumerate(kinds):
            y = values[-1]
            values.append({
                "conv": lambda y, i: ops.conv(y, rows(3, 3, 8, 8) / 8, padding="same"),
                "pool": lambda y, i: ops.average_pool(y, 2, strides=1, padding="same"),
                "add": lambda y, i: y + values[i // 2], "norm": lambda y, i: ops.layer_normalization(y),
                "flip": lambda y, i: y[::-1], "mean": lambda y, i: y - ops.mean(y, axis=(1, 2), keepdims=True),
                "dense": lambda y, i: ops.tanh(ops.matmul(y, rows(8, 8))),
                "split": lambda y, i: ops.concatenate([y[..., 4:], y[..., :4]], -1)}[kind](y, i))
        return values[-1], ops.sum(values[len(values) // 2], axis=-1)
    close(executable(network, (6, 7, 8)), [rows(n, 6, 7, 8)])


def test_ops_that_work_by_rows_do():
    """Of every op's samples: with the operands' first extents as the batch, rows computed apart are those computed at once."""
    seen = set()
    for kind in OPS.values():
        for op, arrays in kind.samples():
            n = arrays[0].shape[0] if arrays and np.ndim(arrays[0]) else 0
            if n < 2 or any(n in np.shape(x)[1:] for x in arrays):
                continue
            batch = Dim.unknown("batch")
            (symbol,), = batch.terms
            apart = [np.ndim(x) > 0 and x.shape[0] == n for x in arrays]
            specs = [Spec((batch if own else x.shape[0], *x.shape[1:]) if x.ndim else (), x.dtype.name)
                     for x, own in zip(arrays, apart, strict=True)]
            try:
                results = op.infer(*specs)
            except (TypeError, ValueError, NotImplementedError):
                continue  # an attribute or another operand says how many rows there are
            results = results if isinstance(results, tuple) else (results,)
            if not all(blocks.length(spec, symbol) for spec in results) or not op.by_rows(*specs):
                continue
            seen.add(kind.__name__)
            whole = op.reference(*arrays)
            pieces = [op.reference(*[x[i:i + 1] if own else x for x, own in zip(arrays, apart, strict=True)]) for i in range(n)]
            if isinstance(whole, tuple):
                pairs = list(zip(whole, *pieces, strict=True))
            else:
                pairs = [(whole, *pieces)]
            for y, *ys in pairs:
                np.testing.assert_allclose(y, np.concatenate(ys), rtol=1e-5, atol=1e-6, err_msg=str(op))
    assert {"Conv", "DepthwiseConv", "MatMul", "Softmax", "MaxPool", "Pad", "Attend", "Concatenate"} <= seen


def test_reports_tell_the_steps_within_blocks():
    image = graphnet.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, name="first")(image)
    model = graphnet.Model(image, layers.Conv2D(8, 3, name="second")(x))
    x = rows(12, 16, 16, 3)
    found = model.profile(x, runs=2)
    assert {"first", "second"} <= {step.layer for step in found.steps}
    report = model.executable()[0].report((x.shape,))
    assert "rows at a time" in report and report.endswith("nothing")
    cost = model.cost().at(batch=12).total.multiply_adds
    assert sum(step.work for step in found.steps) >= cost  # all blocks are counted


def test_threads_do_not_change_results():
    run = executable(convolutional, (12, 12, 5))
    x = rows(9, 12, 12, 5)
    found = []
    for threads in (1, 2, 3):
        with graphnet.settings(threads=threads):
            found.append(run([x])[0].tobytes())
    assert found[0] == found[1] == found[2]
