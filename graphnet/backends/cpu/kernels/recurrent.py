"""LSTM, GRU and SimpleRNN: the product with the inputs of all steps as one matrix product, then a walk through time.

Sequences are independent, so a task is a tile of sequences through all steps, and waits for nobody. Its states lie in scratch,
padded to whole vectors. A block is LANES units: the tile's sums for all gates of a block are one register tile, and the gates
follow at once, while the sums are in the first cache. Columns of packed weights are ordered (block, gate, lane), so that a
block reads its weights, and its share of the product with the inputs, in one run. A tile that the batch does not fill computes
sums that nobody reads. For training, what the way back needs of each step is written beside (`recurrent_gradient.py`).
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.kernels.normalization import store_some
from graphnet.backends.cpu.kernels.recurrent_weights import in_blocks, in_order, packed_apart
from graphnet.backends.cpu.lowering import lowering_of, lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, REGISTERS, at_least, byte, fma, full, load, load_part, store, store_part, word
from graphnet.backends.cpu.tiles import accumulate, cleared, copies, plus, save, summed
from graphnet.backends.cpu.vectormath import tanh
from graphnet.ops.elementwise import Add
from graphnet.ops.linalg import MatMul
from graphnet.ops.recurrent import GRU, LSTM, SimpleRNN
from graphnet.passes.fuse import Epilogue

ROWS = 4 if REGISTERS == 32 else 2  # sequences of the largest tile: four gates, their weights and a broadcast fit the registers
GATE_COST = 20  # multiply-adds that take as long as a gate's function
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
SIMPLE = {"tanh": 0, "relu": 1, "linear": 2}  # activations of `simple_rnn`

# the words of a row; Y_ROW, Y_STEP, H_ROW, C_ROW are strides; addresses of what is not there are 0
(PROJECTED, WEIGHTS, BIAS, MASK, H0, C0, Y, H, C, Y_ROW, Y_STEP, H_ROW, C_ROW,
 SEQUENCES, STEPS, UNITS, TILE, BACKWARDS, ZERO_MASKED, EVERY, ACTIVATION, GATES, H_BEFORE, C_BEFORE, NOISE) = range(25)


# ---- what all kernels share

def sums(gates: int, rows: int) -> Callable[..., None]:
    """The function that computes ``add + state w`` for a block: rows x gates vectors, to `out`, rows `out_row` apart."""
    count = copies(rows, gates)
    width = gates * LANES

    def product(add, add_row, state, padded, w, units, out, out_row):
        t, whole = cleared(rows, gates, count), units // count * count
        for k in range(0, whole, count):
            t = accumulate(t, state, padded, w, width, k, count)
        for k in range(whole, units):
            t = accumulate(t, state, padded, w, width, k, 1)
        save(plus(summed(t), add, add_row), out, out_row)
    product.__name__ = product.__qualname__ = f"recurrent_sums_{gates}x{rows}"
    return jit(product)


def any_sums(gates: int) -> Callable[..., None]:
    """`sums` for tiles of 1, 2 or ROWS sequences."""
    made = {rows: sums(gates, rows) for rows in {1, 2, ROWS}}
    one, two, most = made[1], made[2], made[ROWS]

    def product(rows, add, add_row, state, padded, w, units, out, out_row):
        if rows == 1:
            one(add, add_row, state, padded, w, units, out, out_row)
        elif rows == 2:
            two(add, add_row, state, padded, w, units, out, out_row)
        else:
            most(add, add_row, state, padded, w, units, out, out_row)
    product.__name__ = product.__qualname__ = f"recurrent_sums_{gates}"
    return jit(product)


sums_1, sums_2, sums_3, sums_4 = (any_sums(gates) for gates in (1, 2, 3, 4))


@jit
def begin_state(to, source, first, count, rows, units, padded):
    """A tile's state: rows `first` and following of (N, units) memory (none: zeros), and zeros in the padding."""
    for m in range(rows):
        for u in range(0, padded, LANES):
            v = full(ZERO)
            if source != 0 and m < count:
                v = load_part(source, (first + m) * units + u, units - u)
            store(to, m * padded + u, v)


@jit
def put(to, at, state, units):
    """Copies one sequence's state to memory that ends at its last unit."""
    for u in range(0, units - LANES + 1, LANES):
        store(to, at + u, load(state, u))
    u = units // LANES * LANES
    if u < units:
        store_part(to, at + u, units - u, load(state, u))


@jit
def put_zeros(to, at, units):
    for u in range(0, units, LANES):
        store_part(to, at + u, units - u, full(ZERO))


@jit
def live(mask, steps, m):
    """Whether sequence m of a tile takes this step; mask: the address of its first sequence's byte, or 0."""
    return mask == 0 or byte(mask, m * steps) != 0


@jit
def any_live(mask, steps, count):
    for m in range(count):
        if byte(mask, m * steps) != 0:
            return True
    return False


@jit
def emit(row, count, y, mask, state, padded):
    """Writes the tile's outputs of a step, whose first sequence's go to y."""
    for m in range(count):
        if word(row, ZERO_MASKED) != 0 and not live(mask, word(row, STEPS), m):
            put_zeros(y, m * word(row, Y_ROW), word(row, UNITS))
        else:
            put(y, m * word(row, Y_ROW), state + 4 * m * padded, word(row, UNITS))


@jit
def end_state(to, step, state, first, count, units, padded):
    """Writes the tile's final state, where somebody reads it."""
    if to != 0:
        for m in range(count):
            put(to, (first + m) * step, state + 4 * m * padded, units)


@jit
def gate(x):
    """The sigmoid by tanh: 2.4 ns a vector where `sigmoid` takes 3.3 (Zen 5), with an absolute error of 1.6e-7 (0.9e-7)."""
    return fma(tanh(x * HALF), full(HALF), full(HALF))


@jit
def with_noise(to, state, noise, count, units, padded):
    """A tile's state times its noise, rows of `units` factors."""
    for m in range(count):
        for u in range(0, units, LANES):
            store(to, m * padded + u, load(state, m * padded + u) * load_part(noise, m * units + u, units - u))


@jit
def keep(to, rows, at, steps, state, units, padded):
    """Writes a tile's state to (N, T, units) memory, where somebody reads it; `at`: the first sequence's step."""
    if to != 0:
        for m in range(rows):
            put(to, (at + m * steps) * units, state + 4 * m * padded, units)


# ---- one step of a tile, from the state `old` to `new`. seen: the old state with its noise; x: where the product with its
# inputs lies, sequences x_row apart; rest: scratch, for further states and behind them the sums; saved: where the first
# sequence's gates are to be kept, or 0


@jit
def keep_four(to, units, left, a, b, c, d):
    """Four gates of a block, of which `left` units are there; those of masked steps are kept as zeros."""
    store_some(to, 0, left, a)
    store_some(to, units, left, b)
    store_some(to, 2 * units, left, c)
    store_some(to, 3 * units, left, d)


@jit
def lstm_step(row, rows, count, x, x_row, mask, old, seen, new, rest, padded, saved):
    """Gates i, f, c, o; the state c is changed in place."""
    units, w, c, made = word(row, UNITS), word(row, WEIGHTS), rest, rest + 4 * rows * padded
    for u in range(0, padded, LANES):
        sums_4(rows, x + 4 * 4 * u, x_row, seen, padded, w + 4 * 4 * u * units, units, made, 4 * LANES)
        for m in range(count):
            at, s, to = m * padded + u, made + 4 * 4 * LANES * m, saved + 4 * (4 * units * word(row, STEPS) * m + u)
            if live(mask, word(row, STEPS), m):
                i, f, g, o = gate(load(s, 0)), gate(load(s, LANES)), tanh(load(s, 2 * LANES)), gate(load(s, 3 * LANES))
                kept = f * load(c, at) + i * g
                store(c, at, kept)
                store(new, at, o * tanh(kept))
                if saved != 0:
                    keep_four(to, units, units - u, i, f, g, o)
            else:
                store(new, at, load(old, at))
                if saved != 0:
                    keep_four(to, units, units - u, full(ZERO), full(ZERO), full(ZERO), full(ZERO))


@jit
def gru_step(row, rows, count, x, x_row, mask, old, seen, new, rest, padded, saved):
    """Gates z, r, h; the reset gate after the product."""
    units, w, bias, made = word(row, UNITS), word(row, WEIGHTS), word(row, BIAS), rest
    for u in range(0, padded, LANES):
        sums_3(rows, bias + 4 * 3 * u, 0, seen, padded, w + 4 * 3 * u * units, units, made, 3 * LANES)
        for m in range(count):
            at, s, given = m * padded + u, made + 4 * 3 * LANES * m, x + 4 * (3 * u + m * x_row)
            h, to = load(old, at), saved + 4 * (4 * units * word(row, STEPS) * m + u)
            if live(mask, word(row, STEPS), m):
                z = gate(load(s, 0) + load(given, 0))
                r = gate(load(s, LANES) + load(given, LANES))
                candidate = tanh(load(given, 2 * LANES) + r * load(s, 2 * LANES))
                store(new, at, z * h + (ONE - z) * candidate)
                if saved != 0:
                    keep_four(to, units, units - u, z, r, candidate, load(s, 2 * LANES))
            else:
                store(new, at, h)
                if saved != 0:
                    keep_four(to, units, units - u, full(ZERO), full(ZERO), full(ZERO), full(ZERO))


@jit
def gru_before_step(row, rows, count, x, x_row, mask, old, seen, new, rest, padded, saved):
    """Gates z, r, then h; the reset gate before the product, so that all r come first. Weights: of z and r, then of h."""
    units, w = word(row, UNITS), word(row, WEIGHTS)
    z, reset, made = rest, rest + 4 * rows * padded, rest + 8 * rows * padded
    for u in range(0, padded, LANES):
        sums_2(rows, x + 4 * 3 * u, x_row, seen, padded, w + 4 * 2 * u * units, units, made, 2 * LANES)
        for m in range(count):
            at, s = m * padded + u, made + 4 * 2 * LANES * m
            g, r = gate(load(s, 0)), gate(load(s, LANES))
            store(z, at, g)
            store(reset, at, r * load(seen, at))
            if saved != 0:
                there = live(mask, word(row, STEPS), m)
                to = saved + 4 * (3 * units * word(row, STEPS) * m + u)
                store_some(to, 0, units - u, g if there else full(ZERO))
                store_some(to, units, units - u, r if there else full(ZERO))
    w += 4 * 2 * padded * units
    for u in range(0, padded, LANES):
        sums_1(rows, x + 4 * (3 * u + 2 * LANES), x_row, reset, padded, w + 4 * u * units, units, made, LANES)
        for m in range(count):
            at = m * padded + u
            h, candidate = load(old, at), full(ZERO)
            if live(mask, word(row, STEPS), m):
                g, candidate = load(z, at), tanh(load(made, m * LANES))
                h = g * h + (ONE - g) * candidate
            store(new, at, h)
            if saved != 0:
                store_some(saved, 3 * units * word(row, STEPS) * m + 2 * units + u, units - u, candidate)


@jit
def simple_step(row, rows, count, x, x_row, mask, old, seen, new, rest, padded, saved):
    units, w, activation, made = word(row, UNITS), word(row, WEIGHTS), word(row, ACTIVATION), rest
    for u in range(0, padded, LANES):
        sums_1(rows, x + 4 * u, x_row, seen, padded, w + 4 * u * units, units, made, LANES)
        for m in range(count):
            at = m * padded + u
            v = load(old, at)
            if live(mask, word(row, STEPS), m):
                v = load(made, m * LANES)
                if activation == 0:
                    v = tanh(v)
                elif activation == 1:
                    v = at_least(v, ZERO)
            store(new, at, v)
            if saved != 0:
                store_some(saved, units * word(row, STEPS) * m + u, units - u, v)


# ---- the kernels: a task is a tile of sequences

def walk(name: str, step: Callable[..., None], gates: int, kept: int, carries: bool) -> Callable[..., None]:
    """The body of a kernel: takes `step` through time; `kept` numbers a unit are saved of it, `carries`: there is a state c."""
    def through(row, begin, end, scratch):
        steps, units, rows = word(row, STEPS), word(row, UNITS), word(row, TILE)
        padded = (units + LANES - 1) // LANES * LANES
        size, x_step = 4 * rows * padded, gates * padded
        noisy, rest, y, every = scratch + 2 * size, scratch + 3 * size, word(row, Y), word(row, EVERY)
        for task in range(begin, end):
            first = task * rows
            count, old, new = min(rows, word(row, SEQUENCES) - first), scratch, scratch + size
            begin_state(old, word(row, H0), first, count, rows, units, padded)
            begin_state(new, 0, first, count, rows, units, padded)
            begin_state(noisy, 0, first, count, rows, units, padded)
            if carries:
                begin_state(rest, word(row, C0), first, count, rows, units, padded)
            for index in range(steps):
                at = first * steps + (steps - 1 - index if word(row, BACKWARDS) != 0 else index)
                x, mask = word(row, PROJECTED) + 4 * x_step * at, word(row, MASK)
                if mask != 0:
                    mask += at
                saved = word(row, GATES)
                if saved != 0:
                    saved += 4 * kept * units * at
                keep(word(row, H_BEFORE), count, at, steps, old, units, padded)
                if carries:
                    keep(word(row, C_BEFORE), count, at, steps, rest, units, padded)
                if mask == 0 or saved != 0 or any_live(mask, steps, count):
                    seen = old
                    if word(row, NOISE) != 0:
                        seen = noisy
                        with_noise(noisy, old, word(row, NOISE) + 4 * first * units, count, units, padded)
                    step(row, rows, count, x, steps * x_step, mask, old, seen, new, rest, padded, saved)
                    old, new = new, old
                if y != 0 and (every != 0 or index == steps - 1):
                    emit(row, count, y + 4 * (first * word(row, Y_ROW) + index * word(row, Y_STEP)), mask, old, padded)
            end_state(word(row, H), word(row, H_ROW), old, first, count, units, padded)
            if carries:
                end_state(word(row, C), word(row, C_ROW), rest, first, count, units, padded)
    through.__name__ = through.__qualname__ = f"recurrent_walk_{name}"
    return jit(through)


walk_lstm, walk_gru = walk("lstm", lstm_step, 4, 4, True), walk("gru", gru_step, 3, 4, False)
walk_gru_before, walk_simple = walk("gru_before", gru_before_step, 3, 3, False), walk("simple", simple_step, 1, 1, False)


@kernel
def lstm(row, begin, end, scratch):
    """Long short-term memory."""
    walk_lstm(row, begin, end, scratch)


@kernel
def gru(row, begin, end, scratch):
    """Gated recurrent unit, the reset gate after the product."""
    walk_gru(row, begin, end, scratch)


@kernel
def gru_reset_before(row, begin, end, scratch):
    """Gated recurrent unit, the reset gate before the product."""
    walk_gru_before(row, begin, end, scratch)


@kernel
def simple_rnn(row, begin, end, scratch):
    """h' = activation(x + h w)."""
    walk_simple(row, begin, end, scratch)


# ---- lowering

def tile_of(sequences: int) -> int:
    """Sequences of a tile: few where the batch is small, so that several threads find work."""
    return 1 if sequences == 1 else 2 if sequences <= 6 else ROWS


def project(builder: Builder, x: Operand, w: Operand, bias: Operand | None, gates: int, sequences: int) -> Operand:
    """x w + bias for all steps, columns `ordered`: (sequences, T, columns), of which the first N are written."""
    n, t, features = x.shape
    packed = in_order(builder, w, gates)
    columns = packed.shape[1]
    projected = builder.temporary((sequences, t, columns))
    flat = x.reshape((n * t, features))
    if flat is None:
        flat = builder.contiguous(x).view(0, (n * t, features), (features, 1))
    to = projected.view(0, (n * t, columns), (columns, 1))
    inputs, epilogue = [flat, packed], None
    if bias is not None:
        inputs, epilogue = [flat, packed, bias], Epilogue(MatMul(), 2, ((Add(), (0, 1)),))
    lower = lowering_of(MatMul())
    if lower is None or lower(MatMul(), inputs, [to], builder, epilogue) is False:
        builder.python_step((epilogue or MatMul()).reference, inputs, [to])
    return projected


def serves(op: Any, floats: Sequence[Operand], outputs: Sequence[Operand | None]) -> bool:
    """Whether the kernels do this: float32, nothing empty, units written side by side."""
    if getattr(op, "recurrent_activation", "sigmoid") != "sigmoid":
        return False
    if op.activation != "tanh" and not (isinstance(op, SimpleRNN) and op.activation in SIMPLE):
        return False
    return (all(v.dtype == "float32" for v in floats) and floats[0].size > 0
            and all(y is None or y.strides[-1] == 1 or y.shape[-1] == 1 for y in outputs))


@lowers(LSTM, GRU, SimpleRNN)
def lower_recurrent(op: Any, inputs: list[Operand], outputs: list[Operand | None], builder: Builder,
                    epilogue: Any = None) -> bool | None:
    """The product with the inputs, then the kernel."""
    x, w, recurrent, bias, states, noise, mask = op.split(inputs)
    if not serves(op, [v for v in (x, w, recurrent, bias, noise, *states) if v is not None], outputs):
        return False
    (n, t, _), gates, units = x.shape, op.gates, recurrent.shape[0]
    rows = tile_of(n)
    tiles, padded = -(-n // rows), -(-units // LANES) * LANES
    run, packed, scratch = _kernel_of(op, recurrent, builder)
    inner = None
    if bias is not None:
        added = in_order(builder, bias if len(bias.shape) == 2 else bias.view(0, (1, *bias.shape), (0, *bias.strides)), gates)
        bias = added.view(0, added.shape[1:], (1,))
        inner = added.view(added.shape[1], added.shape[1:], (1,)) if added.shape[0] == 2 else None
    elif run is gru:
        inner = builder.constant(np.zeros(gates * padded, np.float32))
    projected = project(builder, x, w, bias, gates, tiles * rows)
    h0, c0, *_ = (*(None if _is_zero(v) else builder.contiguous(v) for v in states), None, None)
    noise, mask = (None if v is None else builder.contiguous(v) for v in (noise, mask))
    count = 1 + op.states
    y, h, c, *_ = (*outputs[:count], None)
    saved = [None] * 3 if not op.saves else [None if v is None else v if v.contiguous else builder.temporary(v.shape)
                                             for v in (*outputs[count:], None)[:3]]
    y_row, y_step = (0, 0) if y is None else (y.strides[0], y.strides[1] if op.return_sequences else 0)
    words = [projected, packed, inner, mask, h0, c0, y, h, c, y_row, y_step, h.strides[0] if h else 0, c.strides[0] if c else 0,
             n, t, units, rows, op.go_backwards, op.masked and op.zero_output_for_mask, op.return_sequences,
             SIMPLE.get(op.activation, 0), *saved, noise]
    reads = [v for v in (projected, packed, inner, mask, h0, c0, noise) if v is not None]
    writes = [v for v in (*outputs[:count], *saved) if v is not None]
    builder.step(run, words, tiles, n * t * gates * units * (units + GATE_COST), reads, writes,
                 4 * rows * (scratch * padded + gates * LANES))
    for made, to in zip(saved, outputs[count:], strict=False):
        if made is not None and to is not None and made is not to:
            builder.copy(made, to)
    return None


def _is_zero(state: Operand) -> bool:
    return state.buffer.kind == "constant" and not state.constant.any()  # type: ignore[union-attr]


def _kernel_of(op: Any, recurrent: Operand, builder: Builder) -> tuple[Kernel, Operand, int]:
    """(kernel, packed recurrent weights, how many states a tile has in scratch)."""
    if isinstance(op, GRU) and not op.reset_after:
        return gru_reset_before, packed_apart(builder, recurrent), 5
    packed = in_blocks(builder, recurrent, op.gates)
    return (lstm, packed, 4) if isinstance(op, LSTM) else (gru if isinstance(op, GRU) else simple_rnn, packed, 3)
