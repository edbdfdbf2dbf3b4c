"""Copies, concatenation, padding and repetition: the bytes of numpy, whatever the strides."""
import itertools

import numpy as np
import pytest
from lowered import lowered, run, same

from graphnet.backends.cpu.kernels import copy as copies
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES
from graphnet.graph import Spec
from graphnet.ops.shape import Concatenate, Pad, Repeat

DTYPES = ("float32", "int32", "uint8", "bool", "int64", "float64", "int16")


def numbers(shape, dtype="float32"):
    x = np.random.default_rng(0).integers(-100, 100, shape)
    return (x > 0) if dtype == "bool" else x.astype(dtype)


def copied(x, view, want, **layouts):
    """What a copy of a view of x gives, against the same view of the array."""
    def lower(inputs, outputs, builder):
        builder.copy(view(inputs[0]), outputs[0])
    found, = run(lower, [x], [Spec(want.shape, x.dtype.name)], **layouts)
    same(found, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "dense"), ("dense", "padded"), ("reversed", "padded"),
                                        ("padded", "reversed")])
def test_layouts(dtype, layout, to):
    for shape in ((), (1,), (7,), (3, 5), (2, 3, LANES + 1), (LANES, LANES), (2, 2 * LANES - 1, LANES + 3), (2, 3, 0)):
        x = numbers(shape, dtype)
        copied(x, lambda x: x, x, layout=layout, to=to)


@pytest.mark.parametrize("rows, columns", list(itertools.product((1, 2, 5, 6, LANES - 1, LANES, LANES + 1, 131), repeat=2)))
def test_transpose(rows, columns):
    x = numbers((2, rows, columns))
    copied(x, lambda x: x.transpose((0, 2, 1)), x.transpose(0, 2, 1))
    copied(x, lambda x: x.transpose((2, 1, 0)), x.transpose(2, 1, 0), to="padded")


@pytest.mark.parametrize("axes", list(itertools.permutations(range(4))))
def test_every_order_of_axes(axes):
    for dtype in ("float32", "uint8"):
        x = numbers((3, 2, LANES + 1, 7), dtype)
        copied(x, lambda x: x.transpose(axes), x.transpose(axes))


def test_many_axes_are_peeled():
    x = numbers((2, 3, 2, 2, 3, 2, 2, 2, 2))
    axes = (8, 0, 7, 1, 6, 2, 5, 3, 4)
    copied(x, lambda x: x.transpose(axes), x.transpose(axes))


@pytest.mark.parametrize("dtype", ("float32", "uint8", "int64"))
def test_slices_and_broadcasts(dtype):
    x = numbers((9, 1, 40), dtype)
    copied(x, lambda x: x.slice((8, 0, 39), (-1, 1, -1), (-2, 1, -3)), x[::-2, :, ::-3])
    copied(x, lambda x: x.broadcast((2, 9, 5, 40)), np.broadcast_to(x, (2, 9, 5, 40)))
    copied(x[..., :1], lambda x: x.broadcast((9, 3, 37)), np.broadcast_to(x[..., :1], (9, 3, 37)))


def test_large_copies_of_several_tasks():
    x = numbers((130, 1300))
    copied(x, lambda x: x, x)
    copied(x, lambda x: x.transpose((1, 0)), x.T)
    copied(x, lambda x: x.slice((0, 1), (130, 1300), (1, 2)), x[:, 1::2])


def test_same_operand_needs_no_step():
    builder = Builder()
    x = builder.temporary((3, 4))
    builder.copy(x, x)
    builder.copy(x.slice((0, 0), (0, 4)), x.slice((0, 0), (0, 4)))
    assert not builder.steps


def test_unlike_operands_are_refused():
    builder = Builder(label="pool_1")
    with pytest.raises(ValueError, match=r"pool_1.*float32\[3, 4\] to float32\[4, 3\]"):
        builder.copy(builder.temporary((3, 4)), builder.temporary((4, 3)))


def test_contiguous():
    x = numbers((6, 35))
    def lower(inputs, outputs, builder):
        builder.copy(builder.contiguous(inputs[0].transpose((1, 0))), outputs[0])
    found, = run(lower, [x], [Spec((35, 6), "float32")])
    same(found, x.T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("to", ["dense", "padded", "reversed"])
def test_fill(dtype, to):
    def lower(inputs, outputs, builder):
        copies.fill(builder, outputs[0], 3)
    found, = run(lower, [], [Spec((3, 2, LANES + 1), dtype)], to=to)
    same(found, np.full((3, 2, LANES + 1), 3).astype(dtype))


@pytest.mark.parametrize("op", [Concatenate, Pad, Repeat])
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded"), ("reversed", "dense")])
def test_samples(op, layout, to):
    for sample, arrays in op().samples():
        same(lowered(sample, *arrays, layout=layout, to=to), sample.reference(*arrays))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("dtype", ("float32", "int64", "bool"))
def test_concatenate(axis, dtype):
    shapes = [[3, 4, 5] for _ in range(4)]
    for shape, extent in zip(shapes, (1, 0, LANES + 1, 3), strict=True):
        shape[axis] = extent
    arrays = [numbers(shape, dtype) for shape in shapes]
    same(lowered(Concatenate(axis), *arrays, to="padded"), np.concatenate(arrays, axis))


def test_concatenate_of_what_lies_there_already():
    builder = Builder()
    joined = builder.temporary((4, 8))
    left, right = joined.slice((0, 0), (4, 3)), joined.slice((0, 3), (4, 8))
    copies.lower_concatenate(Concatenate(1), [left, right], [joined], builder)
    assert not builder.steps


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric"])
@pytest.mark.parametrize("widths", [((0, 0), (0, 0), (0, 0)), ((1, 1), (2, 0), (0, 3)), ((0, 0), (2, 3), (4, 4))])
def test_pad(mode, widths):
    for dtype in ("float32", "int32", "uint8"):
        x = numbers((3, 4, 5), dtype)
        op = Pad(widths, mode, 7)
        same(lowered(op, x, to="padded"), op.reference(x))


def test_pad_declines_what_it_cannot_do():
    assert lowered(Pad(((3, 0),), "reflect"), numbers((3,))) is None
    assert lowered(Pad(((4, 0),), "symmetric"), numbers((3,))) is None
    same(lowered(Pad(((3, 0),), "symmetric"), numbers((3,))), np.pad(numbers((3,)), ((3, 0),), "symmetric"))


def test_pad_of_nothing_is_all_border():
    x = numbers((0, 3))
    same(lowered(Pad(((1, 1), (0, 1)), "constant", 2.0), x), np.pad(x, ((1, 1), (0, 1)), constant_values=2))


def test_border_covers_once():
    for widths in (((1, 2), (0, 3)), ((0, 0), (0, 0)), ((2, 0), (1, 1))):
        shape = tuple(4 + sum(pair) for pair in widths)
        count = np.zeros(shape, int)
        for starts, stops in copies.border(shape, widths):
            count[tuple(map(slice, starts, stops))] += 1
        count[tuple(slice(a, n - b) for (a, b), n in zip(widths, shape, strict=True))] += 1
        assert (count == 1).all()
