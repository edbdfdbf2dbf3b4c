"""LSTM, GRU and SimpleRNN back through time: the cotangents of the gates' sums in every step.

A task is a tile of sequences through all steps, as on the way forward: cotangents of the states lie in scratch, those of the
sums of one step beside them, (row, gate, unit), from which one product with the transposed recurrent weights gives the
cotangents of the states before. What remains, the cotangents of inputs and weights, are matrix products over all steps at once.
"""
from collections.abc import Callable
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.kernels.normalization import store_some
from graphnet.backends.cpu.kernels.recurrent import (
    GATE_COST,
    SIMPLE,
    any_live,
    begin_state,
    end_state,
    live,
    sums_1,
    sums_2,
    sums_3,
    sums_4,
    tile_of,
)
from graphnet.backends.cpu.kernels.recurrent_weights import transposed_in_blocks
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, above, full, load, load_part, store, word
from graphnet.backends.cpu.vectormath import tanh
from graphnet.ops.recurrent import GRU, LSTM, SimpleRNN
from graphnet.ops.recurrent_gradient import ThroughTime

MOST = 4  # vectors of a block of the product
ZERO, ONE = np.float32(0), np.float32(1)

# the words of a row; addresses of what is not there are 0
(WEIGHTS, GATES, H_BEFORE, C_BEFORE, MASK, GY, GH, GC, SUMS, INNER, DH, DC, GY_ROW, GY_STEP, H_ROW, C_ROW,
 SEQUENCES, STEPS, UNITS, TILE, BACKWARDS, ZERO_MASKED, EVERY, ACTIVATION, NOISE, WEIGHTS_H) = range(26)


@jit
def add_given(row, index, first, count, mask, dh, padded):
    """dh += the cotangents of a tile's outputs of a step, where there are some."""
    steps, units = word(row, STEPS), word(row, UNITS)
    if word(row, GY) != 0 and (word(row, EVERY) != 0 or index == steps - 1):
        for m in range(count):
            if word(row, ZERO_MASKED) == 0 or live(mask, steps, m):
                at = word(row, GY) + 4 * ((first + m) * word(row, GY_ROW) + index * word(row, GY_STEP))
                for u in range(0, units, LANES):
                    store(dh, m * padded + u, load(dh, m * padded + u) + load_part(at, u, units - u))


@jit
def product_back(rows, add, add_row, padded, sums, sums_row, w, depth, out):
    """out = add + sums w, over all units; rows of out `padded` apart. depth: rows of w."""
    for u in range(0, padded, MOST * LANES):
        vectors = min(MOST, (padded - u) // LANES)
        if vectors == 4:
            sums_4(rows, add + 4 * u, add_row, sums, sums_row, w, depth, out + 4 * u, padded)
        elif vectors == 3:
            sums_3(rows, add + 4 * u, add_row, sums, sums_row, w, depth, out + 4 * u, padded)
        elif vectors == 2:
            sums_2(rows, add + 4 * u, add_row, sums, sums_row, w, depth, out + 4 * u, padded)
        else:
            sums_1(rows, add + 4 * u, add_row, sums, sums_row, w, depth, out + 4 * u, padded)
        w += 4 * MOST * LANES * depth


@jit
def add_carry(dh, carry, noise, count, units, padded):
    """dh = carry + noise * dh: of a tile's rows, of which masked ones have no product, and all in the carry."""
    for m in range(count):
        for u in range(0, units, LANES):
            at = m * padded + u
            store(dh, at, load(carry, at) + load_part(noise, m * units + u, units - u) * load(dh, at))


# ---- one step back of one sequence. gates, h, c: what was saved of it; dh, dc: cotangents after the step, of which dc becomes
# that before it; carry: what reaches h before the step but through the product; sums: where those of the product go, to: where
# the outputs SUMS lie (and INNER, `inner`)

@jit
def lstm_back(row, gates, h, c, dh, dc, carry, sums, to, inner):
    units = word(row, UNITS)
    for u in range(0, units, LANES):
        n = units - u
        i, f = load_part(gates, u, n), load_part(gates, units + u, n)
        g, o = load_part(gates, 2 * units + u, n), load_part(gates, 3 * units + u, n)
        before = load_part(c, u, n)
        a, d = tanh(f * before + i * g), load(dh, u)
        through = load(dc, u) + d * o * (ONE - a * a)
        store(dc, u, through * f)
        store(carry, u, full(ZERO))
        di, df = through * g * i * (ONE - i), through * before * f * (ONE - f)
        dg, do = through * i * (ONE - g * g), d * a * o * (ONE - o)
        store_four(sums, units, u, n, di, df, dg, do)
        store_four(to, units, u, n, di, df, dg, do)


@jit
def store_four(to, units, u, n, a, b, c, d):
    store_some(to, u, n, a)
    store_some(to, units + u, n, b)
    store_some(to, 2 * units + u, n, c)
    store_some(to, 3 * units + u, n, d)


@jit
def store_three(to, units, u, n, a, b, c):
    store_some(to, u, n, a)
    store_some(to, units + u, n, b)
    store_some(to, 2 * units + u, n, c)


@jit
def gru_back(row, gates, h, c, dh, dc, carry, sums, to, inner):
    units = word(row, UNITS)
    for u in range(0, units, LANES):
        n, d = units - u, load(dh, u)
        z, r = load_part(gates, u, n), load_part(gates, units + u, n)
        candidate, product = load_part(gates, 2 * units + u, n), load_part(gates, 3 * units + u, n)
        slope = d * (ONE - z) * (ONE - candidate * candidate)
        dz = d * (load_part(h, u, n) - candidate) * z * (ONE - z)
        dr = slope * product * r * (ONE - r)
        store(carry, u, d * z)
        store_three(sums, units, u, n, dz, dr, slope * r)
        store_three(to, units, u, n, dz, dr, slope)
        if inner != 0:
            store_three(inner, units, u, n, dz, dr, slope * r)


@jit
def gru_before_slopes(row, gates, h, c, dh, dc, carry, sums, to, inner):
    """The cotangents of the candidate's sums alone: their product gives that of r * h, which the others need."""
    units = word(row, UNITS)
    for u in range(0, units, LANES):
        n = units - u
        z, candidate = load_part(gates, u, n), load_part(gates, 2 * units + u, n)
        slope = load(dh, u) * (ONE - z) * (ONE - candidate * candidate)
        store_some(sums, u, n, slope)
        store_some(to, 2 * units + u, n, slope)


@jit
def gru_before_back(row, gates, h, c, dh, dc, carry, sums, to, inner):
    """The reset gate before the product; dc is the cotangent of r * h."""
    units = word(row, UNITS)
    for u in range(0, units, LANES):
        n, d, through, state = units - u, load(dh, u), load(dc, u), load_part(h, u, units - u)
        z, r, candidate = load_part(gates, u, n), load_part(gates, units + u, n), load_part(gates, 2 * units + u, n)
        dz, dr = d * (state - candidate) * z * (ONE - z), through * state * r * (ONE - r)
        store(carry, u, d * z + through * r)
        store_some(sums, u, n, dz)
        store_some(sums, units + u, n, dr)
        store_some(to, u, n, dz)
        store_some(to, units + u, n, dr)


@jit
def simple_back(row, gates, h, c, dh, dc, carry, sums, to, inner):
    units, activation = word(row, UNITS), word(row, ACTIVATION)
    for u in range(0, units, LANES):
        n, d, y = units - u, load(dh, u), load_part(gates, u, units - u)
        if activation == 0:
            d = d * (ONE - y * y)
        elif activation == 1:
            d = above(y, ZERO, d, full(ZERO))
        store(carry, u, full(ZERO))
        store_some(sums, u, n, d)
        store_some(to, u, n, d)


@jit
def no_sums(to, count):
    if to != 0:
        for j in range(0, count, LANES):
            store_some(to, j, count - j, full(ZERO))


# ---- the kernels: a task is a tile of sequences

def over_rows(name: str, step: Callable[..., None], gates: int, kept: int) -> Callable[..., None]:
    """The function that takes `step` for each sequence of a tile, `at` being the first one's place; masked ones hand dh on."""
    def rows_back(row, at, count, mask, dh, dc, carry, sums):
        steps, units = word(row, STEPS), word(row, UNITS)
        padded, depth = (units + LANES - 1) // LANES * LANES, gates * units
        for m in range(count):
            place, own, tile = at + m * steps, sums + 4 * m * (depth + LANES), 4 * m * padded
            to, inner = word(row, SUMS) + 4 * depth * place, word(row, INNER)
            if inner != 0:
                inner += 4 * depth * place
            if live(mask, steps, m):
                step(row, word(row, GATES) + 4 * kept * units * place, word(row, H_BEFORE) + 4 * units * place,
                     word(row, C_BEFORE) + 4 * units * place, dh + tile, dc + tile, carry + tile, own, to, inner)
            else:
                no_sums(own, depth)
                no_sums(to, depth)
                no_sums(inner, depth)
                for u in range(0, padded, LANES):
                    store(carry + tile, u, load(dh + tile, u))
    rows_back.__name__ = rows_back.__qualname__ = f"recurrent_rows_{name}"
    return jit(rows_back)


def walk_back(name: str, step: Callable[..., None], gates: int, kept: int, carries: bool,
              slopes: Callable[..., None] | None = None) -> Callable[..., None]:
    """The body of a kernel: takes `step` from the last step to the first; `carries` says that there is a second state c.

    `slopes`: what comes before it for all rows, and goes through a product of its own, with the last units' columns.
    """
    apart, inner_gates, rows_back = slopes is not None, gates - (slopes is not None), over_rows(name, step, gates, kept)
    before = rows_back if slopes is None else over_rows(f"{name}_first", slopes, gates, kept)

    def back(row, begin, end, scratch):
        steps, units, rows = word(row, STEPS), word(row, UNITS), word(row, TILE)
        padded, depth, inner_depth = (units + LANES - 1) // LANES * LANES, gates * units, inner_gates * units
        size, sums_row = 4 * rows * padded, depth + LANES
        dh, dc, carry, none, sums = scratch, scratch + size, scratch + 2 * size, scratch + 3 * size, scratch + 4 * size
        for task in range(begin, end):
            first = task * rows
            count, noise = min(rows, word(row, SEQUENCES) - first), word(row, NOISE)
            if noise != 0:
                noise += 4 * first * units
            begin_state(dh, word(row, GH), first, count, rows, units, padded)
            begin_state(dc, word(row, GC), first, count, rows, units, padded)
            begin_state(carry, 0, first, count, rows, units, padded)
            begin_state(none, 0, first, count, rows, units, padded)
            for m in range(rows):
                for j in range(0, depth, LANES):
                    store(sums, m * sums_row + j, full(ZERO))
            for index in range(steps - 1, -1, -1):
                at = first * steps + (steps - 1 - index if word(row, BACKWARDS) != 0 else index)
                mask = word(row, MASK)
                if mask != 0:
                    mask += at
                add_given(row, index, first, count, mask, dh, padded)
                if apart:
                    before(row, at, count, mask, dh, dc, carry, sums)
                    product_back(rows, none, 0, padded, sums, sums_row, word(row, WEIGHTS_H), units, dc)
                    if noise != 0:
                        add_carry(dc, none, noise, count, units, padded)
                rows_back(row, at, count, mask, dh, dc, carry, sums)
                if noise != 0:
                    product_back(rows, none, 0, padded, sums, sums_row, word(row, WEIGHTS), inner_depth, dh)
                    add_carry(dh, carry, noise, count, units, padded)
                elif mask == 0 or any_live(mask, steps, count):
                    product_back(rows, carry, padded, padded, sums, sums_row, word(row, WEIGHTS), inner_depth, dh)
            end_state(word(row, DH), word(row, H_ROW), dh, first, count, units, padded)
            if carries:
                end_state(word(row, DC), word(row, C_ROW), dc, first, count, units, padded)
    back.__name__ = back.__qualname__ = f"recurrent_back_{name}"
    return jit(back)


back_lstm, back_gru = walk_back("lstm", lstm_back, 4, 4, True), walk_back("gru", gru_back, 3, 4, False)
back_gru_before = walk_back("gru_before", gru_before_back, 3, 3, False, gru_before_slopes)
back_simple = walk_back("simple", simple_back, 1, 1, False)


@kernel
def lstm_gradient(row, begin, end, scratch):
    """Long short-term memory, from the last step to the first."""
    back_lstm(row, begin, end, scratch)


@kernel
def gru_gradient(row, begin, end, scratch):
    """Gated recurrent unit, the reset gate after the product, from the last step to the first."""
    back_gru(row, begin, end, scratch)


@kernel
def gru_reset_before_gradient(row, begin, end, scratch):
    """Gated recurrent unit, the reset gate before the product, from the last step to the first."""
    back_gru_before(row, begin, end, scratch)


@kernel
def simple_rnn_gradient(row, begin, end, scratch):
    """h' = activation(x + h w), from the last step to the first."""
    back_simple(row, begin, end, scratch)


KERNELS: dict[type, Kernel] = {LSTM: lstm_gradient, GRU: gru_gradient, SimpleRNN: simple_rnn_gradient}


# ---- lowering

def serves(op: Any, floats: list[Operand]) -> bool:
    """Whether there is a kernel for the op's cell: those that save, with the activations of Keras's defaults."""
    if type(op) not in KERNELS or getattr(op, "recurrent_activation", "sigmoid") != "sigmoid":
        return False
    known = op.activation == "tanh" or (isinstance(op, SimpleRNN) and op.activation in SIMPLE)
    return known and all(v.dtype == "float32" and v.size for v in floats)


def _contiguous_output(y: Operand | None, builder: Builder) -> Operand | None:
    return y if y is None or y.contiguous else builder.temporary(y.shape)


def _kernel_of(op: Any, recurrent: Operand, builder: Builder) -> tuple[Kernel, Operand, Operand | None]:
    """(kernel, transposed recurrent weights, those of the candidate where they have a product of their own)."""
    if isinstance(op, GRU) and not op.reset_after:
        units = recurrent.shape[0]
        first, last = (transposed_in_blocks(builder, recurrent.slice((0, a * units), (units, b * units)), MOST)
                       for a, b in ((0, 2), (2, 3)))
        return gru_reset_before_gradient, first, last
    return KERNELS[type(op)], transposed_in_blocks(builder, recurrent, MOST), None


@lowers(ThroughTime)
def lower_through_time(through: ThroughTime, inputs: list[Operand], outputs: list[Operand | None], builder: Builder,
                       epilogue: Any = None) -> bool | None:
    """The kernel of the op's cell."""
    op = through.op
    recurrent, saved, noise, mask, given = through.split(inputs)
    if not serves(op, [recurrent, *saved, *[v for v in (noise, *given) if v is not None]]):
        return False
    (n, t, units), gates = saved[1].shape, op.gates
    rows = tile_of(n)
    tiles, padded = -(-n // rows), -(-units // LANES) * LANES
    run, packed, packed_h = _kernel_of(op, recurrent, builder)
    kept, h, c = [*[builder.contiguous(v) for v in saved], None][:3]
    noise, mask = (None if v is None else builder.contiguous(v) for v in (noise, mask))
    gy, gh, gc = [*given, None][:3]
    if gy is not None and gy.strides[-1] != 1 and units != 1:
        gy = builder.contiguous(gy)
    gh, gc = (None if g is None else builder.contiguous(g) for g in (gh, gc))
    made = [_contiguous_output(y, builder) for y in outputs]
    sums = made[0] if made[0] is not None else builder.temporary((n, t, gates * units))
    inner, (dh, dc) = made[1] if op.sums == 2 else None, [*made[op.sums:], None][:2]
    gy_row, gy_step = (0, 0) if gy is None else (gy.strides[0], gy.strides[1] if op.return_sequences else 0)
    words = [packed, kept, h, c, mask, gy, gh, gc, sums, inner, dh, dc, gy_row, gy_step, units, units, n, t, units, rows,
             op.go_backwards, op.masked and op.zero_output_for_mask, op.return_sequences, SIMPLE.get(op.activation, 0), noise,
             packed_h]
    reads = [v for v in (packed, packed_h, kept, h, c, mask, noise, gy, gh, gc) if v is not None]
    builder.step(run, words, tiles, float(n * t * gates * units * (units + GATE_COST)), reads,
                 [v for v in (sums, inner, dh, dc) if v is not None], 4 * rows * (4 * padded + gates * units + LANES))
    for y, to in zip(made, outputs, strict=True):
        if y is not None and to is not None and y is not to:
            builder.copy(y, to)
    return None
