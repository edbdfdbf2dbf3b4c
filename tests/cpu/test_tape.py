"""Tapes: random programs, broadcasts and layouts against numpy in float64; epilogues on tiles of an output."""
import ctypes
import importlib
import mmap
import sys
from typing import Any

import numpy as np
import pytest
from lowered import close, lowered, run, same

from graphnet.backends.cpu import encoding
from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.encoding import add_tape, blocks, encode_epilogue, merged
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, word
from graphnet.backends.cpu.tape import BLOCK, run_row, run_tile
from graphnet.graph import Spec
from graphnet.ops import elementwise as E
from graphnet.passes.fuse import Tape

importlib.import_module("graphnet.backends.cpu.kernels.tapes")  # registers its lowerings

LAYOUTS = ["dense", "padded", "reversed"]
UNARY = [E.Tanh(), E.Sigmoid(), E.Clip(-0.5, 0.75), E.Clip(0.0, float("inf")), E.Negative(), E.Sin(), E.Erf()]
BINARY = [E.Add(), E.Subtract(), E.Multiply(), E.Maximum(), E.Minimum()]


def arrays_of(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    r = np.random.default_rng(seed)
    return [r.normal(size=shape).astype("f") for shape in shapes]


def program_of(seed: int, inputs: int, length: int) -> tuple[Any, ...]:
    """A random program that uses each input and each result, and whose values stay near 1."""
    r = np.random.default_rng(seed)
    program: list[Any] = []
    unread = list(range(inputs))
    while len(program) < length or len(unread) > 1:
        known = inputs + len(program)
        if len(unread) > 1 or (r.random() < 0.5 and len(program) < length):
            a = unread.pop(int(r.integers(len(unread))))
            b = unread.pop(int(r.integers(len(unread)))) if unread and r.random() < 0.8 else int(r.integers(known))
            program.append((BINARY[r.integers(len(BINARY))], (a, b)))
        else:
            program.append((UNARY[r.integers(len(UNARY))], (unread.pop(),)))
        unread.append(known)
        if isinstance(program[-1][0], E.Multiply):
            program.append((E.Tanh(), (unread.pop(),)))
            unread.append(known + 1)
    return tuple(program)


def exact(program: Any, arrays: Any) -> np.ndarray:
    return Tape(program).reference(*[a.astype("d") if a.dtype == np.float32 else a for a in arrays])


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int) -> None:
    r = np.random.default_rng(100 + seed)
    shape = tuple(int(n) for n in r.integers(1, 12, size=int(r.integers(1, 5))))
    shapes = [shape]
    for _ in range(int(r.integers(0, 4))):
        cut = int(r.integers(0, len(shape)))
        shapes.append(tuple([1 if r.random() < 0.4 else n for n in shape[cut:]]))
    arrays = arrays_of(seed, *shapes)
    program = program_of(seed, len(arrays), int(r.integers(1, 9)))
    layout, to = (LAYOUTS[int(i)] for i in r.integers(0, 3, size=2))
    close(lowered(Tape(program), *arrays, layout=layout, to=to), exact(program, arrays), 2e-6)


@pytest.mark.parametrize("n", [1, LANES - 1, LANES, LANES + 1, 97, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_extents(n: int) -> None:
    x, y = arrays_of(n, (n,), (1,))
    same(lowered(E.Add(), x, y), x + y)
    x, y = arrays_of(n, (3, n), (n,))
    same(lowered(E.Multiply(), x, y), x * y)
    x, y = arrays_of(n, (n, 3), (n, 1))
    same(lowered(E.Subtract(), x, y, to="padded"), x - y)


@pytest.mark.parametrize("to", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("other", [(1, 1, 1), (6,), (5, 1), (4, 1, 6), (1, 5, 6), (4, 5, 1), (3, 4, 5, 6), (1,)])
def test_broadcasts(other: tuple[int, ...], layout: str, to: str) -> None:
    x, y = arrays_of(1, (3, 4, 5, 6), other)
    same(lowered(E.Subtract(), x, y, layout=layout, to=to), x - y)
    same(lowered(E.Subtract(), y, x, layout=layout, to=to), y - x)


@pytest.mark.parametrize("channels", [1, 3, 16, 33, 700, 1030])
def test_vectors_added_to_rows(channels: int) -> None:
    x, b, gate = arrays_of(channels, (2, 7, 5, channels), (channels,), (2, 1, 1, channels))
    program = ((E.Add(), (0, 1)), (E.Multiply(), (3, 2)), (E.Clip(0.0, 6.0), (4,)))
    close(lowered(Tape(program), x, b, gate, to="padded"), exact(program, (x, b, gate)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lines_of_several_blocks(layout: str) -> None:
    """Tasks that begin at a line's short last block: the copy of a vector in scratch must grow at the next line."""
    x, b, column = arrays_of(6, (5, 400, 3), (3,), (5, 1, 1))
    program = ((E.Add(), (0, 1)), (E.Multiply(), (3, 2)))
    close(lowered(Tape(program), x, b, column, layout=layout, to="padded"), exact(program, (x, b, column)))


def test_constants_and_in_place() -> None:
    x, y = arrays_of(2, (5, 77), (77,))
    program = [(E.Multiply(), (0, 2)), (E.Add(), (3, 1)), (E.Subtract(), (0, 4))]

    def lower(inputs: Any, outputs: Any, builder: Builder) -> None:
        held = builder.temporary(x.shape)
        builder.copy(inputs[0], held)
        assert add_tape(program, [held, inputs[1], builder.constant(np.float32(0.25))], held, builder)
        builder.copy(held, outputs[0])
    found = run(lower, [x, y], [Spec(x.shape, "float32")])
    assert found is not None
    close(found[0], x - (x * 0.25 + y.astype("d")))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1,), (LANES + 3,), (5, 3), (4, 70)])
def test_booleans_and_whole_numbers(shape: tuple[int, ...], layout: str) -> None:
    r = np.random.default_rng(3)
    x, y = r.integers(-2, 3, shape).astype("f"), r.integers(-2, 3, shape).astype("f")
    p, q, whole = x > 0, y > 0, r.integers(-2**31, 2**31 - 1, shape).astype(np.int32)
    for to in LAYOUTS:
        for op in (E.Less(), E.GreaterEqual(), E.Equal(), E.NotEqual(), E.LogicalXor()):
            same(lowered(op, x, y, layout=layout, to=to), op.reference(x, y))
        for op in (E.LogicalAnd(), E.LogicalOr(), E.Equal()):
            same(lowered(op, p, q, layout=layout, to=to), op.reference(p, q))
        same(lowered(E.LogicalNot(), p, layout=layout, to=to), ~p)
        same(lowered(E.Where(), p, x, y, layout=layout, to=to), np.where(p, x, y))
        same(lowered(E.Where(), p[:1], x, y, layout=layout, to=to), np.where(p[:1], x, y))
        same(lowered(E.Cast("float32"), whole, layout=layout, to=to), whole.astype("f"))
        same(lowered(E.Cast("float32"), p, layout=layout, to=to), p.astype("f"))
        same(lowered(E.Cast("float32"), whole.astype(np.uint8), layout=layout, to=to), whole.astype(np.uint8).astype("f"))
        same(lowered(E.Cast("bool"), x, layout=layout, to=to), x != 0)
    program = ((E.Greater(), (0, 1)), (E.Where(), (2, 0, 1)))
    same(lowered(Tape(program), x, y, layout=layout), np.where(x > y, x, y))


def test_nan_is_true() -> None:
    x = np.array([np.nan, 0.0, -0.0, 1.0, np.inf] * 7, "f")
    same(lowered(E.Cast("bool"), x), x.astype(bool))
    same(lowered(E.NotEqual(), x, x), x != x)
    same(lowered(E.Maximum(), x, np.zeros(1, "f")), np.maximum(x, 0))
    same(lowered(E.Maximum(), np.zeros(1, "f"), x), np.maximum(0, x))


def test_masks_of_ids() -> None:
    """int32 against a small constant is exact; against another tensor, or a large constant, it would not be."""
    ids = np.array([[0, 1, 2**31 - 1, -2**31], [0, 0, 2**24 + 1, 7]], np.int32)
    for constant, taken in ((0, True), (2**24 + 1, False)):
        def lower(inputs: Any, outputs: Any, builder: Builder, constant: int = constant) -> bool:
            return add_tape([(E.NotEqual(), (0, 1))], [inputs[0], builder.constant(np.int32(constant))], outputs[0], builder)
        found = run(lower, [ids], [Spec(ids.shape, "bool")])
        assert (found is not None) == taken
        if found is not None:
            same(found[0], ids != constant)
    same(lowered(E.NotEqual(), ids, ids[:1]), ids != ids[:1])  # by the kernel for whole numbers


@pytest.mark.parametrize("op", [E.Add(), E.Maximum(), E.Absolute()])
def test_declined(op: Any) -> None:
    assert lowered(op, *[np.ones((3, 4))] * op.arity) is None


def test_special_values_pass_through() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 3e38] * 9, "f")
    program = ((E.Negative(), (0,)), (E.Clip(0.0, float("inf")), (1,)), (E.Tanh(), (2,)))
    close(lowered(Tape(program), x), exact(program, (x,)))


def at_the_brink(array: np.ndarray) -> np.ndarray:
    """A copy whose last byte is followed by a page that nobody may touch."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = np.frombuffer(mmap.mmap(-1, size + page), np.uint8)
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + size), page, 0) == 0
    copy = memory[size - array.nbytes:size].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect")
@pytest.mark.parametrize("n", [1, 3, LANES - 1, LANES, LANES + 1, 45])
def test_nothing_behind_operands_is_touched(n: int) -> None:
    x, b, column = (at_the_brink(a) for a in arrays_of(7, (5, n), (n,), (5, 1)))
    mask, y, below = at_the_brink(x > 0), at_the_brink(np.zeros((5, n), "f")), at_the_brink(np.zeros((5, n), bool))
    builder = Builder()
    inputs = [builder.input(a.shape, a.dtype.name) for a in (x, b, column, mask)]
    program = [(E.Add(), (0, 1)), (E.Multiply(), (4, 2)), (E.Where(), (3, 5, 0))]
    assert add_tape(program, inputs, builder.output(y.shape), builder)
    assert add_tape([(E.Less(), (0, 1))], [inputs[0].transpose((1, 0)), inputs[2].transpose((1, 0))],
                    builder.output(below.shape, "bool").transpose((1, 0)), builder)
    builder.finish().instantiate(1).run([x, b, column, mask], [y, below])
    close(y, np.where(mask, (x + b.astype("d")) * column, x))
    same(below, x < column)


def test_temporaries_share_blocks() -> None:
    builder = Builder()
    x = builder.input((100,))
    chain = [(E.Tanh(), (k,)) for k in range(30)]
    found = blocks(chain, [x], "float32")
    assert found is not None
    assert encoding.Slots(chain, found, [x]).temporaries == 1
    assert merged((2, 3, 4, 1), [(48, 16, 4, 4), (48, 16, 4, 0)]) == [(24, (4, 4))]


@kernel
def tile_by_tile(row, begin, end, scratch):
    """Runs an epilogue over tiles of 3 rows and 20 columns, or row by row: table, planes, lines, rows, columns, how."""
    planes, lines, rows, columns = word(row, 1), word(row, 2), word(row, 3), word(row, 4)
    for task in range(begin, end):
        line, plane, image = task % lines, task // lines % planes, task // lines // planes
        for first in range(0, rows, 3):
            for column in range(0, columns, 20):
                high, wide = min(3, rows - first), min(20, columns - column)
                if word(row, 5) == 0:
                    run_tile(word(row, 0), scratch, image, plane, line, first, high, column, wide)
                else:
                    for r in range(first, first + high):
                        run_row(word(row, 0), scratch, plane, line, r, column, wide)


@pytest.mark.parametrize("to", ["dense", "padded"])
@pytest.mark.parametrize(("shape", "how"), [((2, 3, 4, 7, 45), 0), ((2, 4, 7, 45), 0), ((2, 4, 7, 45), 1), ((7, 3), 1),
                                            ((9, 20), 0)])
def test_epilogues(shape: tuple[int, ...], how: int, to: str) -> None:
    x, bias, residual, gate = arrays_of(4, shape, shape[-1:], shape, shape[:-1] + (1,))
    program = ((E.Add(), (0, 1)), (E.Tanh(), (4,)), (E.Add(), (5, 2)), (E.Multiply(), (6, 3)), (E.Add(), (7, 0)))
    five = (1,) * (5 - len(shape)) + shape

    def lower(inputs: Any, outputs: Any, builder: Builder) -> None:
        builder.copy(inputs[0], outputs[0])
        encoded = encode_epilogue(program, inputs[1:], outputs[0], builder)
        assert encoded is not None
        builder.step(tile_by_tile, [encoded.table, *five[1:], how], five[0] * five[1] * five[2], 1e6, encoded.reads, outputs,
                     scratch=encoded.scratch)
    found = run(lower, [x, bias, residual, gate], [Spec(shape, "float32")], "padded", to)
    assert found is not None
    close(found[0], exact(program, (x, bias, residual, gate)))


def test_epilogue_with_the_kernels_own_axes() -> None:
    x, bias = arrays_of(5, (2, 3, 4, 5, 6, 11), (11,))
    program = ((E.Add(), (0, 1)), (E.Sigmoid(), (2,)))

    def lower(inputs: Any, outputs: Any, builder: Builder) -> None:
        builder.copy(inputs[0], outputs[0])
        assert encode_epilogue(program, inputs[1:], outputs[0], builder) is None  # six axes
        encoded = encode_epilogue(program, inputs[1:], outputs[0], builder, lambda operand: operand.reshape((6, 1, 4, 30, 11)))
        assert encoded is not None
        builder.step(tile_by_tile, [encoded.table, 1, 4, 30, 11, 0], 24, 1e6, encoded.reads, outputs, scratch=encoded.scratch)
    found = run(lower, [x, bias], [Spec(x.shape, "float32")])
    assert found is not None
    close(found[0], exact(program, (x, bias)))


@pytest.mark.parametrize("columns", [3, BLOCK // 2, 600])
def test_eight_axes_that_do_not_merge(columns):
    x, y = arrays_of(0, (2,) * 7 + (columns,), (2, 1) * 4)
    op = Tape(((E.Add(), (0, 1)),))
    same(lowered(op, x, y), x + y)
