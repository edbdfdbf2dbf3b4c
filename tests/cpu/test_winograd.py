"""Convolutions by Winograd against sums in float64: every tile size, groups and stages, borders, epilogues, guard pages."""
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowered import close, guarded, run

from graphnet.backends.cpu.kernels import conv_gradient, convolution
from graphnet.backends.cpu.kernels.epilogue import Finish, decode
from graphnet.backends.cpu.kernels.winograd import Shape, Way, Window, add_winograd, choose, shape_of
from graphnet.backends.cpu.kernels.winograd_gradient import Job, choose_gradient
from graphnet.backends.cpu.kernels.winograd_transforms import POINTS, matrices
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import HALF, WIDTH
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, ConvGradInput, ConvGradKernel, ConvTranspose
from graphnet.ops.elementwise import Add, Clip, Exp, Multiply
from graphnet.passes.fuse import Epilogue

TOLERANCE = 1e-5  # of the largest output
LAYOUTS = st.sampled_from([("dense", "dense"), ("padded", "padded"), ("reversed", "dense")])
WAYS = st.builds(Way, st.sampled_from(list(POINTS)), st.sampled_from([1, 5, 14, 1000]), st.booleans())
assert lowering_of(Conv((1, 1))) is convolution.lower_conv
assert lowering_of(ConvGradKernel((3, 3))) is conv_gradient.lower_grad_kernel


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def correlation(x, w, top, left, height, width):
    """The definition, in float64."""
    images, rows, columns, _ = x.shape
    y = np.zeros((images, height, width, w.shape[-1]))
    for i in range(3):
        for j in range(3):
            p, q = np.arange(height) + i - top, np.arange(width) + j - left
            inside = np.ix_((p >= 0) & (p < rows), (q >= 0) & (q < columns))
            seen = x[:, p[(p >= 0) & (p < rows)]][:, :, q[(q >= 0) & (q < columns)]].astype("float64")
            y[:, inside[0], inside[1]] += seen @ w[i, j].astype("float64")
    return y


def computed(x, w, window, way, size, layout="dense", to="dense", constant=False, program=(), extras=()):
    """By that way; the weights a constant or an input of the plan; `extras` are operands of the program that follows."""
    columns = w.shape[2 if window.turned else 3]
    shape = (len(x), *size, columns)

    def lower(inputs, outputs, builder):
        x, *rest = inputs
        kernel = builder.constant(w) if constant else rest.pop(0)
        finish = decode(program, rest, shape) if program else Finish()
        return add_winograd(x, kernel, window, way, *outputs, finish, builder)
    found = run(lower, [x, *([] if constant else [w]), *extras], [Spec(shape, "float32")], layout, to)
    return None if found is None else found[0]


@pytest.mark.parametrize("m", POINTS)
def test_matrices_are_exact(m):
    a, g, b = matrices(m)
    d, w = np.arange(m + 2) ** 3 % 7, np.array([3, -1, 5])
    np.testing.assert_allclose(a @ ((g @ w) * (b @ d)), [d[i:i + 3] @ w for i in range(m)], rtol=1e-13)
    assert all((v == v.astype("float32")).all() for v in (a, b)), "factors of the transforms are float32 numbers"


@settings(max_examples=60, deadline=None)
@given(WAYS, st.tuples(st.integers(1, 3), st.integers(1, 13), st.integers(1, 13)),
       st.sampled_from([1, 3, LANES - 1, LANES, LANES + 1, 2 * LANES + 7]),
       st.sampled_from([1, HALF, HALF + 1, WIDTH, WIDTH + 5]),
       st.tuples(*[st.integers(-1, 3)] * 4), st.booleans(), st.booleans(), LAYOUTS, st.integers(0, 99))
@example(Way(3, 14), (2, 9, 9), 64, 64, (1, 1, 1, 1), False, True, ("dense", "dense"), 0)
@example(Way(4, 14), (1, 3, 3), LANES, WIDTH, (0, 0, 0, 0), False, True, ("padded", "padded"), 0)
@example(Way(4, 2, True), (2, 7, 5), 37, 41, (-1, 3, 2, -1), True, False, ("padded", "padded"), 0)
def test_any_shape(way, x_shape, channels, columns, pads, turned, constant, layouts, seed):
    images, rows, wide = x_shape
    top, bottom, left, right = pads
    height, width = rows + top + bottom - 2, wide + left + right - 2
    if height < 1 or width < 1:
        return
    x, w = random(images, rows, wide, channels, seed=seed), random(3, 3, channels, columns, seed=seed + 1)
    given_w = np.ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3)) if turned else w
    found = computed(x, given_w, Window(top, left, turned), way, (height, width), *layouts, constant)
    close(found, correlation(x, w, top, left, height, width), TOLERANCE)


@pytest.mark.parametrize("m", POINTS)
@pytest.mark.parametrize("channels", [64, 512])
@pytest.mark.parametrize("positive", [False, True])
def test_error_over_many_seeds(m, channels, positive):
    """As after a rectifier or before one; the largest error of all is what counts."""
    for seed in range(6):
        x, w = random(1, 9, 10, channels, seed=seed), random(3, 3, channels, 48, seed=seed + 100)
        x = np.maximum(x, 0) if positive else x
        found = computed(x, w, Window(1, 1), Way(m, 14), (9, 10), constant=seed % 2 == 0)
        close(found, correlation(x, w, 1, 1, 9, 10), TOLERANCE)


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("columns", [HALF + 3, WIDTH])
@pytest.mark.parametrize("m", POINTS)
def test_epilogues(m, columns, staged):
    """What the kernel does itself, and what a tape does: scale and shift by channel, a mask, another activation."""
    x, w = random(2, 7, 10, 20), random(3, 3, 20, columns, seed=1) / 12  # results about 1
    bias, other = random(columns, seed=2), random(2, 7, 10, columns, seed=3)
    relu = Clip(0.0, np.inf)
    for program, extras in ((((Add(), (0, 1)), (Clip(0.0, 6.0), (2,))), [bias]),
                            (((Add(), (0, 1)), (relu, (3,)), (Add(), (4, 2)), (relu, (5,))), [bias, other]),
                            (((Multiply(), (0, 1)), (Add(), (3, 2)), (Exp(), (4,))), [bias, other]),
                            (((Add(), (0, 1)), (Multiply(), (3, 2)), (Clip(-1.0, 1.0), (4,))), [bias, other])):
        values = [correlation(x, w, 1, 1, 7, 10), *extras]
        for op, refs in program:
            values.append(op.reference(*[values[r].astype("float64") for r in refs]))
        found = computed(x, w, Window(1, 1), Way(m, 5, staged), (7, 10), "dense", "padded", True, program, extras)
        close(found, values[-1], 2 * TOLERANCE)


@pytest.mark.parametrize("m", POINTS)
def test_nan_reaches_what_it_touches(m):
    x, w = random(2, 9, 9, 20), random(3, 3, 20, WIDTH, seed=1)
    x[1, 4, 4, 3] = np.nan
    found = computed(x, w, Window(1, 1), Way(m, 14), (9, 9), constant=True)
    assert np.isnan(found[1, 3:6, 3:6]).all() and np.isfinite(found[0]).all()
    near = np.isnan(correlation(x, w, 1, 1, 9, 9)) | np.isfinite(found)
    assert near[1, 6 + m:].all() and near[1, :, 6 + m:].all(), "no further than its tiles"


@pytest.mark.parametrize("way", [Way(3, 14), Way(4, 14), Way(4, 20, True)])
@pytest.mark.parametrize("fixed", [True, False])
def test_any_number_of_threads_gives_the_same_bytes(way, fixed):
    x, w, found = random(7, 13, 11, 40), random(3, 3, 40, 50, seed=1), []
    for threads in (1, 2, 3, 8):
        builder = Builder(threads=threads)
        inputs = [builder.input(x.shape), builder.constant(w) if fixed else builder.input(w.shape)]
        y = builder.output((7, 13, 11, 50))
        assert add_winograd(*inputs, Window(1, 1), way, y, Finish(), builder)
        for step in builder.steps:
            step.chunk = 1
        found.append(np.zeros(y.shape, "float32"))
        builder.finish().instantiate(threads).run([x] if fixed else [x, w], found[-1:])
    close(found[0], correlation(x, w, 1, 1, 13, 11), TOLERANCE)
    assert len({y.tobytes() for y in found}) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("way", [Way(2, 14), Way(3, 5, True), Way(4, 14)])
def test_nothing_around_the_operands_is_touched(way, at_end):
    for channels, columns in ((LANES - 1, WIDTH + 3), (1, LANES + 1), (LANES + 1, 1)):
        arrays = [random(2, 5, 7, channels), random(3, 3, channels, columns, seed=1), random(columns, seed=2),
                  random(2, 6, 6, columns, seed=3)]
        x, w, bias, other = (guarded(a, at_end) for a in arrays)
        found = guarded(np.zeros((2, 6, 6, columns), "float32"), at_end)
        builder = Builder()
        inputs = [builder.input(a.shape) for a in arrays]
        finish = decode(((Add(), (0, 1)), (Add(), (3, 2))), inputs[2:], found.shape)
        assert add_winograd(*inputs[:2], Window(2, 0), way, builder.output(found.shape), finish, builder)
        builder.finish().instantiate(1).run([x, w, bias, other], [found])
        close(found, correlation(x, w, 2, 0, 6, 6) + bias + other, TOLERANCE)


# ---- the cotangent of the kernel

def cotangent(x, g, window, m, held, layout="dense", to="dense"):
    """By that m, in groups where the sums are held."""
    shape = (3, 3, x.shape[-1], g.shape[-1])

    def lower(inputs, outputs, builder):
        inputs = [v if v.strides[-1] == 1 else builder.contiguous(v) for v in inputs]
        job = Job(*inputs, window, m, shape_of(x.shape, g.shape), builder)
        job.finish(job.groups() if held else job.stages(), *outputs)
    return run(lower, [x, g], [Spec(shape, "float32")], layout, to)[0]


def outer_sums_of(x, g, top, left):
    """The definition, in float64: the gradient of `correlation` in w."""
    _, rows, columns, channels = x.shape
    _, height, width, outputs = g.shape
    w = np.zeros((3, 3, channels, outputs))
    for i in range(3):
        for j in range(3):
            p, q = np.arange(height) + i - top, np.arange(width) + j - left
            down, across = (p >= 0) & (p < rows), (q >= 0) & (q < columns)
            w[i, j] = np.einsum("nhwc,nhwo->co", x[:, p[down]][:, :, q[across]].astype("float64"),
                                g[:, down][:, :, across].astype("float64"), optimize=True)
    return w


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(POINTS)), st.booleans(), st.tuples(st.integers(1, 4), st.integers(1, 13), st.integers(1, 13)),
       st.sampled_from([1, LANES - 1, LANES, 2 * LANES + 7]), st.sampled_from([1, HALF, HALF + 1, WIDTH + 5]),
       st.tuples(*[st.integers(-1, 3)] * 4), LAYOUTS, st.integers(0, 99))
@example(3, True, (32, 9, 9), 20, 24, (1, 1, 1, 1), ("dense", "dense"), 0)
@example(4, True, (9, 30, 29), LANES, WIDTH, (0, 0, 0, 0), ("padded", "padded"), 0)
def test_cotangent_of_the_kernel(m, held, x_shape, channels, columns, pads, layouts, seed):
    images, rows, wide = x_shape
    top, bottom, left, right = pads
    height, width = rows + top + bottom - 2, wide + left + right - 2
    if height < 1 or width < 1:
        return
    x, g = random(*x_shape, channels, seed=seed), random(images, height, width, columns, seed=seed + 1)
    close(cotangent(x, g, Window(top, left), m, held, *layouts), outer_sums_of(x, g, top, left), TOLERANCE)


@pytest.mark.parametrize("m", POINTS)
@pytest.mark.parametrize("held", [False, True])
def test_error_of_the_cotangent_over_seeds(m, held):
    for seed in range(4):
        x, g = np.maximum(random(16, 14, 13, 64, seed=seed), 0), random(16, 14, 13, 32, seed=seed + 50) / 100
        close(cotangent(x, g, Window(1, 1), m, held), outer_sums_of(x, g, 1, 1), TOLERANCE)


@pytest.mark.parametrize("shapes", [((32, 9, 9, 64), (32, 9, 9, 48)), ((4, 28, 28, 160), (4, 28, 28, 128))])
def test_cotangents_that_go_by_it(shapes):
    """Step by step or in groups; the same bytes for any number of threads."""
    op, (x, g), found = ConvGradKernel((3, 3), (1, 1), "same"), (random(*s, seed=i) for i, s in enumerate(shapes)), []
    assert choose_gradient(op, *shapes) in POINTS
    for threads in (1, 2, 3, 8):
        builder = Builder(threads=threads)
        y = builder.output((3, 3, shapes[0][-1], shapes[1][-1]))
        assert lowering_of(op)(op, [builder.input(s) for s in shapes], [y], builder)
        assert builder.steps[-1].name == "winograd_kernels"
        for step in builder.steps:
            step.chunk = 1
        found.append(np.zeros(y.shape, "float32"))
        builder.finish().instantiate(threads).run([x, g], found[-1:])
    close(found[0], outer_sums_of(x, g, 1, 1), TOLERANCE)
    assert len({y.tobytes() for y in found}) == 1


# ---- which way

@pytest.mark.parametrize("op, shapes", [
    (Conv((1, 1), "same"), [(3, 9, 9, 64), (3, 3, 64, 48)]),
    (Conv((1, 1), "valid"), [(2, 11, 8, 48), (3, 3, 48, 64)]),
    (Conv((1, 1), ((2, 0), (1, -1))), [(2, 11, 8, 48), (3, 3, 48, 64)]),
    (ConvGradInput((9, 9), (1, 1), "same"), [(3, 9, 9, 48), (3, 3, 64, 48)]),
    (ConvGradInput((11, 8), (1, 1), "valid"), [(2, 9, 6, 64), (3, 3, 48, 64)]),
    (ConvGradInput((11, 8), (1, 1), ((2, 0), (1, -1))), [(2, 11, 6, 64), (3, 3, 48, 64)]),
    (ConvTranspose((1, 1), "same"), [(2, 9, 6, 64), (3, 3, 48, 64)]),
    (ConvTranspose((1, 1), "valid"), [(2, 9, 6, 64), (3, 3, 48, 64)])])
def test_convolutions_that_go_by_it(op, shapes):
    """Forward, transposed and backward, with a bias behind."""
    x, w = (random(*shape, seed=i) for i, shape in enumerate(shapes))
    y_shape = op.infer(*[Spec(shape, "float32") for shape in shapes]).shape
    bias = random(y_shape[-1], seed=2)
    for producer, epilogue in ((op, None), (op, Epilogue(op, 2, ((Add(), (0, 1)),)))):
        arrays, names = [x, w, *([bias] if epilogue else [])], []

        def lower(inputs, outputs, builder, epilogue=epilogue, names=names):
            done = lowering_of(op)(op, inputs, outputs, builder, epilogue)
            names[:] = [step.name for step in builder.steps]
            return done
        found = run(lower, arrays, [Spec(y_shape, "float32")])
        assert names[-1].startswith("winograd_") and "copy" not in names[1:], "weights alone are copied, and no halo is made"
        close(found[0], (epilogue or producer).reference(*[a.astype("float64") for a in arrays]), TOLERANCE)


@pytest.mark.parametrize("height, channels, m", [(56, 64, 4), (28, 128, 4), (14, 256, 3), (7, 512, 2), (14, 512, 3)])
def test_another_batch_needs_no_other_weights(height, channels, m):
    """Weights that are transformed once for all plans are so for any number of images."""
    for images in (1, 2, 7, 32):
        assert choose(Shape(images, height, height, channels, channels), fixed=True).m == m


def test_direct_sums_where_they_are_faster():
    """Few channels, other kernels and strides, images smaller than a tile, weights that one image cannot pay for."""
    assert choose(Shape(1, 224, 224, 3, 64)) is None and choose(Shape(8, 28, 28, 16, 16)) is None
    assert choose(Shape(1, 1, 1, 64, 64)) is None and choose(Shape(1, 7, 7, 512, 512)).m == 2
    assert choose(Shape(32, 9, 9, 64, 64)) == Way(3, choose(Shape(32, 9, 9, 64, 64)).group)
    for op, w_shape in ((Conv((2, 2), "same"), (3, 3, 64, 64)), (Conv((1, 1), "same", (2, 2)), (3, 3, 64, 64)),
                        (Conv((1, 1), "same", (1, 1), 2), (3, 3, 32, 64)), (Conv((1, 1), "same"), (5, 3, 64, 64))):
        builder = Builder()
        x, w = builder.input((2, 12, 12, 64)), builder.input(w_shape)
        y = builder.output(op.infer(Spec(x.shape, "float32"), Spec(w.shape, "float32")).shape)
        assert lowering_of(op)(op, [x, w], [y], builder)
        assert not any(step.name.startswith("winograd_") for step in builder.steps)
