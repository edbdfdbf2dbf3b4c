"""Kernels of LSTM, GRU and SimpleRNN in training against their references: what is saved, the way back, weights of a plan."""
import importlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from lowered import close, run

from graphnet.backends.cpu.kernels.recurrent import ROWS
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.simd import LANES
from graphnet.graph import Spec
from graphnet.ops.recurrent import GRU, LSTM, SimpleRNN
from graphnet.ops.recurrent_gradient import ThroughTime

importlib.import_module("graphnet.backends.cpu.driver")

CELLS = {"lstm": LSTM(saves=True), "gru": GRU(saves=True), "gru_reset_before": GRU(saves=True, reset_after=False),
         "simple_rnn": SimpleRNN(saves=True),
         "simple_rnn_relu": SimpleRNN(activation="relu", saves=True),
         "simple_rnn_linear": SimpleRNN(activation="linear", saves=True)}


def kernels(op, arrays, used=None, layout="dense", to="dense", fixed=()):
    """The outputs of the kernels, None where they decline; `used`: which somebody reads; `fixed`: which inputs are weights."""
    specs = op.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])
    used = range(len(specs)) if used is None else used

    def lower(inputs, outputs, builder):
        given, rest = dict(zip(used, outputs, strict=True)), iter(inputs)
        operands = [builder.constant(a) if i in fixed else next(rest) for i, a in enumerate(arrays)]
        done = lowering_of(op)(op, operands, [given.get(i) for i in range(len(specs))], builder)
        assert all(step.kernel is not None for step in builder.steps), "a step in Python"
        return done
    return run(lower, [a for i, a in enumerate(arrays) if i not in fixed], [specs[i] for i in used], layout, to)


def seen(op, arrays, outputs):
    """The outputs, without what is saved of the gates in masked steps: nobody reads that."""
    if op.masked:
        outputs[1 + op.states] = outputs[1 + op.states] * arrays[-1].astype(bool)[..., None]
    return outputs


def check(op, arrays, layout="dense", to="dense", given=None, used=None, fixed=False):
    """Forward, then back from random cotangents."""
    exact = [np.asarray(a, "float64") if a.dtype == "float32" else a for a in arrays]
    wanted = list(op.reference(*exact))
    found = kernels(op, arrays, layout=layout, to=to, fixed=range(1, 3 + op.biased) if fixed else ())
    assert found is not None, f"declined {op}"
    for mine, other in zip(seen(op, arrays, found), seen(op, arrays, list(wanted)), strict=True):
        close(mine, other, 3e-6)
    count = 1 + op.states
    back = ThroughTime(op, given or (True,) * count)
    rng = np.random.default_rng(0)
    cotangents = [rng.standard_normal(w.shape) for w, there in zip(wanted[:count], back.given, strict=True) if there]
    inputs = [exact[2], *wanted[count:], *[v for v in op.split(exact)[-2:] if v is not None], *cotangents]
    exact_back = back.reference(*inputs)
    found = kernels(back, [a.astype("float32") if a.dtype == "float64" else a for a in inputs], used, layout, to,
                    (0,) if fixed else ())
    assert found is not None, f"declined {back}"
    for i, mine in zip(range(len(exact_back)) if used is None else used, found, strict=True):
        close(mine, exact_back[i], 4e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [1, LANES - 1, LANES, LANES + 1, 50, 5 * LANES])
@pytest.mark.parametrize("fixed", [False, True])
def test_units(cell, units, fixed):
    op = replace(CELLS[cell], return_sequences=True, initial=False)
    check(op, op.sample(3, 4, 5, units), fixed=fixed)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sequences", [1, 2, 5, 7, 4 * ROWS + 3])
def test_sequences(cell, sequences):
    check(CELLS[cell], CELLS[cell].sample(sequences, 3, 7, 19))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("backwards,zero,every", list(itertools.product([False, True], repeat=3)))
def test_masks(cell, backwards, zero, every):
    op = replace(CELLS[cell], masked=True, go_backwards=backwards, zero_output_for_mask=zero, return_sequences=every)
    arrays = op.sample(9, 6, 3, LANES + 1)
    arrays[-1][1], arrays[-1][2, :-1], arrays[-1][3] = False, True, True
    arrays[-1][4:8, 2] = False  # a step that a whole tile skips
    check(op, arrays)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("masked", [False, True])
def test_noise(cell, masked):
    op = replace(CELLS[cell], noisy=True, masked=masked, return_sequences=True)
    arrays = op.sample(7, 5, 3, LANES + 3)
    at = len(arrays) - 1 - masked
    arrays[at] = np.where(np.random.default_rng(1).random(arrays[at].shape) < 0.4, 0, 1 / 0.6).astype("float32")
    check(op, arrays)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layout,to", [("dense", "dense"), ("padded", "padded"), ("reversed", "dense")])
def test_layouts(cell, layout, to):
    op = replace(CELLS[cell], masked=True, go_backwards=True, return_sequences=True)
    check(op, op.sample(5, 4, 6, 21), layout, to)


@pytest.mark.parametrize("cell", CELLS)
def test_cotangents_that_are_not_there_and_outputs_that_nobody_reads(cell):
    op = replace(CELLS[cell], return_sequences=True)
    outputs = op.sums + op.states
    for first in (True, False):
        given = (first, *[not first] * op.states)
        check(op, op.sample(5, 3, 2, 9), given=given, used=[0])
        check(op, op.sample(5, 3, 2, 9), given=given, used=[outputs - 1])


def test_no_bias():
    for cell in CELLS.values():
        op = replace(cell, biased=False, return_sequences=True)
        check(op, op.sample(3, 4, 2, 11))


def test_what_is_declined():
    for op in (LSTM(saves=True, activation="relu"), GRU(saves=True, recurrent_activation="hard_sigmoid")):
        arrays = op.sample(2, 3, 4, 5)
        assert kernels(op, arrays) is None
        saved = op.reference(*arrays)
        back = ThroughTime(op, (True,) * (1 + op.states))
        assert kernels(back, [arrays[2], *saved[1 + op.states:], *saved[:1 + op.states]]) is None
