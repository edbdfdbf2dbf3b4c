"""Kernels of LSTM, GRU and SimpleRNN against their references: odd extents, masks, directions, layouts, splits, canaries."""
import importlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from lowered import close, run

from graphnet.backends.cpu.kernels.recurrent import ROWS, lower_recurrent
from graphnet.backends.cpu.kernels.recurrent_weights import blocked, ordered
from graphnet.backends.cpu.simd import LANES
from graphnet.graph import Spec
from graphnet.ops.recurrent import GRU, LSTM, SimpleRNN

importlib.import_module("graphnet.backends.cpu.driver")  # all lowerings: the product with the inputs is a step of its own

CELLS = {"lstm": LSTM(), "gru": GRU(), "gru_reset_before": GRU(reset_after=False), "simple_rnn": SimpleRNN(),
         "simple_rnn_relu": SimpleRNN(activation="relu"), "simple_rnn_linear": SimpleRNN(activation="linear")}
LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense")]


def kernels(op, arrays, used=None, layout="dense", to="dense"):
    """The outputs of the kernels, None where they decline; `used`: which outputs somebody reads."""
    specs = op.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])
    used = range(len(specs)) if used is None else used
    weights = arrays[1:3 + op.biased]

    def lower(inputs, outputs, builder):
        given = dict(zip(used, outputs, strict=True))
        operands = [inputs[0], *map(builder.constant, weights), *inputs[1:]]
        done = lower_recurrent(op, operands, [given.get(i) for i in range(len(specs))], builder)
        assert all(step.kernel is not None for step in builder.steps), "a step in Python"
        return done
    return run(lower, [arrays[0], *arrays[3 + op.biased:]], [specs[i] for i in used], layout, to)


def check(op, arrays, used=None, layout="dense", to="dense"):
    wanted = op.reference(*arrays)
    found = kernels(op, arrays, used, layout, to)
    assert found is not None, f"declined {op}"
    for i, array in zip(range(len(wanted)) if used is None else used, found, strict=True):
        close(array, wanted[i], 3e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [1, LANES - 1, LANES, LANES + 1, 50])
def test_units(cell, units):
    op = replace(CELLS[cell], return_sequences=True, initial=False)
    check(op, op.sample(3, 4, 5, units))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sequences", [1, 2, 5, 7, 4 * ROWS, 4 * ROWS + 3])
def test_sequences(cell, sequences):
    op = CELLS[cell]
    check(op, op.sample(sequences, 3, 7, 19))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("backwards,zero,every", list(itertools.product([False, True], repeat=3)))
def test_masks(cell, backwards, zero, every):
    op = replace(CELLS[cell], masked=True, go_backwards=backwards, zero_output_for_mask=zero, return_sequences=every)
    arrays = op.sample(9, 6, 3, LANES + 1)
    arrays[-1][1], arrays[-1][2, :-1], arrays[-1][3] = False, True, True
    check(op, arrays)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sequences", [1, 2])
def test_steps_that_all_sequences_skip(cell, sequences):
    op = replace(CELLS[cell], masked=True, return_sequences=True)
    arrays = op.sample(sequences, 5, 3, 7)
    arrays[-1][:, :] = [True, False, False, True, False]
    check(op, arrays)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layout,to", LAYOUTS)
def test_layouts(cell, layout, to):
    op = replace(CELLS[cell], masked=True, go_backwards=True, return_sequences=True)
    check(op, op.sample(5, 4, 6, LANES + 3), layout=layout, to=to)


@pytest.mark.parametrize("cell,used", [
    ("lstm", (0,)), ("lstm", (1,)), ("lstm", (2,)), ("lstm", (0, 2)), ("gru", (0,)), ("gru", (1,))])
@pytest.mark.parametrize("every", [False, True])
def test_outputs_that_nobody_reads(cell, used, every):
    op = replace(CELLS[cell], return_sequences=every)
    check(op, op.sample(3, 4, 5, 9), used)


def test_constant_states_that_no_memory_holds():
    """Zeros, and a value broadcast over the batch, as a layer makes them."""
    op = LSTM()
    for value in (0.0, 0.5):
        arrays = op.sample(3, 4, 5, 9)
        arrays[4:] = [np.full((3, 9), value, "float32")] * 2

        def lower(inputs, outputs, builder, weights=arrays[1:4], value=value):
            state = builder.constant(np.float32(value)).broadcast((3, 9))
            assert lower_recurrent(op, [*inputs, *map(builder.constant, weights), state, state], outputs, builder) is not False
            assert sum(step.name == "lstm" for step in builder.steps) == 1
        wanted = op.reference(*arrays)
        for found, exact in zip(run(lower, arrays[:1], [Spec(y.shape) for y in wanted]), wanted, strict=True):
            close(found, exact, 3e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias(cell):
    op = replace(CELLS[cell], biased=False, initial=False, return_sequences=True)
    check(op, op.sample(5, 3, 1, 7))


@pytest.mark.parametrize("cell", CELLS)
def test_long_sequences_stay_accurate(cell):
    op = replace(CELLS[cell], initial=False)
    arrays = op.sample(2, 200, 3, 33)
    arrays[2] *= 0.25  # contracting, so that rounding does not grow with the steps
    exact = op.reference(*[a.astype("float64") for a in arrays])
    for found, wanted in zip(kernels(op, arrays), exact, strict=True):
        close(found, wanted, 3e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_extreme_inputs(cell, value):
    """What is not a number spreads through its own sequence, and no further."""
    op = replace(CELLS[cell], initial=False, return_sequences=True)
    arrays = op.sample(5, 4, 3, LANES + 1)
    arrays[0][2, 1, 0] = value
    with np.errstate(all="ignore"):
        wanted, found = op.reference(*arrays)[0], kernels(op, arrays, (0,))[0]
    for i in range(5):
        close(found[i], wanted[i], 3e-6)


@pytest.mark.parametrize("op,why", [
    (LSTM(recurrent_activation="hard_sigmoid"), "a gate"), (LSTM(activation="relu"), "an activation"),
    (GRU(activation="elu"), "an activation"), (SimpleRNN(activation="elu"), "an activation")])
def test_declines(op, why):
    assert kernels(op, op.sample(2, 3, 4, 5)) is None, why


@pytest.mark.parametrize("n,t,f", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_declines_what_is_empty(n, t, f):
    op = LSTM(return_sequences=True)
    assert kernels(op, op.sample(n, t, f, 5)) is None


def test_declines_float64():
    op = LSTM()
    assert kernels(op, op.sample(2, 3, 4, 5, "float64")) is None


def test_order_of_packed_weights():
    units, gates, rows = LANES + 1, 3, 2
    w = np.arange(rows * gates * units, dtype="float32").reshape(rows, gates, units)
    packed = ordered(gates, w.reshape(rows, -1)).reshape(rows, 2, gates, LANES)
    np.testing.assert_array_equal(packed[:, 0], w[:, :, :LANES])
    np.testing.assert_array_equal(packed[:, 1, :, 0], w[:, :, LANES])
    assert not packed[:, 1, :, 1:].any()
    square = np.arange(units * gates * units, dtype="float32").reshape(units, -1)
    blocks = blocked(gates, square).reshape(2, units, -1)
    np.testing.assert_array_equal(np.concatenate([*blocks], 1), ordered(gates, square))
