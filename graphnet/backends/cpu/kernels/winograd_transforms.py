"""Winograd's transforms for 3x3 convolutions, F(m x m, 3 x 3) with m = 2, 3, 4: exact matrices, and kernels that apply them.

An output tile of m x m pixels needs a patch d of n x n, n = m + 2: it is A ((G g G^T) * (B d B^T)) A^T, where * is elementwise,
so that over channels it is one matrix product for each of n^2 positions, n^2 / (9 m^2) of the direct work (Lavin and Gray,
"Fast algorithms for convolutional neural networks", arXiv:1509.09308). The matrices come
from evaluating polynomials at n - 1 points and at infinity. Points 3/4 and 3/2 lose a third of what 1 and 2 lose to rounding
(the largest error over the largest output, 64 channels and 512: F(4) 1.5e-6 and 4e-6 against 5e-6 and 1.5e-5), are exact in
float32 as all their powers here, and cost the same: a multiply-add takes any factor.

What is not finite spreads: a NaN or an infinity in x makes all outputs of the tiles that see it NaN.
"""
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import intrinsic, jit, kernel
from graphnet.backends.cpu.llvm import loop
from graphnet.backends.cpu.simd import (
    F32,
    I64,
    LANES,
    VEC,
    first,
    full,
    fused,
    masked_load,
    masked_store,
    pointer,
    real,
    store,
    word,
)
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import BIAS, CLIP, CLIP_AGAIN, RESIDUAL, WIDTH, clipped

POINTS = {2: (0.0, 1.0, -1.0), 3: (0.0, 0.75, -0.75, 1.5), 4: (0.0, 0.75, -0.75, 1.5, -1.5)}
PAIRS = {2: ((1, 2),), 3: ((1, 2),), 4: ((1, 2), (3, 4))}  # of opposite points
HEAD = 64  # bytes of scratch before the table of addresses: in words 0 and 1 a caller says where patches and products lie
TABLE = 8 * 36  # bytes of a table of a patch's elements; there are two, and behind them a zero for each channel


def _product(roots: Sequence[float]) -> list[float]:
    """The coefficients of (x - root) ..., the constant one first."""
    p = [1.0]
    for r in roots:
        p = [(p[i - 1] if i else 0.0) - r * (p[i] if i < len(p) else 0.0) for i in range(len(p) + 1)]
    return p


@functools.cache
def matrices(m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A (m, n), G (n, 3) and B (n, n): the correlation of d (n) with g (3) is A ((G g) * (B d)).

    Example:

        >>> a, g, b = matrices(4)
        >>> d, w = np.arange(6.0) ** 2, np.array([1.0, 2.0, 3.0])
        >>> np.allclose(a @ ((g @ w) * (b @ d)), [d[i:i + 3] @ w for i in range(4)])
        True
    """
    points = POINTS[m]
    others = [[q for q in points if q != p] for p in points]
    a = [[p ** i for p in points] + [float(i == m - 1)] for i in range(m)]
    g = [[p ** k / np.prod([p - q for q in rest]) for k in range(3)] for p, rest in zip(points, others, strict=True)]
    b = [*[[*_product(rest), 0.0] for rest in others], _product(points)]
    return np.array(a), np.array([*g, [0.0, 0.0, 1.0]]), np.array(b)


# ---- pieces of LLVM code

def combined(builder: Any, factors: Sequence[float], values: Sequence[Any]) -> Any:
    """The sum of factors * values; None for values whose factor is 0."""
    terms = [(c, v) for c, v in zip(factors, values, strict=True) if c]
    terms.sort(key=lambda term: (term[0] != 1, abs(term[0]) == 1))  # one that needs no product comes first, additions last
    c, out = terms[0]
    if c != 1:
        out = builder.fmul(out, ir.Constant(VEC, [c] * LANES))
    for c, v in terms[1:]:
        if abs(c) == 1:
            out = builder.fadd(out, v) if c == 1 else builder.fsub(out, v)
        else:
            out = fused(builder, ir.Constant(VEC, [c] * LANES), v, out)
    return out


def patch_side(builder: Any, m: int, rows: Sequence[int], d: Sequence[Any]) -> list[Any]:
    """Rows of B d. Those of opposite points p and -p are u + p v and u - p v."""
    b, out = matrices(m)[2], {}
    for i in rows:
        pair = next((pair for pair in PAIRS[m] if i in pair), None)
        if pair is None:
            out[i] = combined(builder, b[i], d)
        elif i not in out:
            (p, q), point = pair, POINTS[m][pair[0]]
            u, v = combined(builder, (b[p] + b[q]) / 2, d), combined(builder, (b[p] - b[q]) / (2 * point), d)
            out[p], out[q] = (combined(builder, (1, sign * point), (u, v)) for sign in (1, -1))
    return [out[i] for i in rows]


def output_side(builder: Any, m: int, rows: Sequence[int], z: Sequence[Any]) -> list[Any]:
    """Rows of A z. Of opposite points even rows take the sum, odd ones the difference."""
    a, out = matrices(m)[0], []
    for parity in (0, 1):
        chosen = [i for i in rows if i % 2 == parity]
        if chosen:
            folded = [builder.fsub(z[p], z[q]) if parity else builder.fadd(z[p], z[q]) for p, q in PAIRS[m]]
            alone = [j for j in range(m + 2) if not any(j in pair for pair in PAIRS[m])]
            values = [*folded, *[z[j] for j in alone]]
            out += [(i, combined(builder, [*[a[i, p] for p, _ in PAIRS[m]], *a[i, alone]], values)) for i in chosen]
    return [v for _, v in sorted(out, key=lambda pair: pair[0])]


class Function:
    """An LLVM function for one m, within the module of the kernel that calls it."""

    integers: list[str]
    numbers: list[str] = []
    sizes: tuple[int, ...] = tuple(POINTS)

    def __init__(self, module: Any, m: int, name: str) -> None:
        self.m, self.n = m, m + 2
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(self.integers) + [F32] * len(self.numbers))
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.given = dict(zip([*self.integers, *self.numbers], self.function.args, strict=True))
        self.write()
        self.builder.ret_void()

    def write(self) -> None:
        """Emits what it does."""
        raise NotImplementedError

    def times(self, name: str, count: int) -> Any:
        return self.builder.mul(self.given[name], I64(count))


class Offsets(Function):
    """Where the elements of a patch of m x m lie, in bytes behind its beginning (i, j); `zeros` for those outside of x."""

    integers = "table i j height width x_row x_step zeros".split()
    sizes = tuple(range(min(POINTS), max(POINTS) + 3))

    def write(self) -> None:
        b, g = self.builder, self.given
        inside = {name: [b.icmp_unsigned("<", b.add(g[name], I64(k)), g[extent]) for k in range(self.m)]
                  for name, extent in (("i", "height"), ("j", "width"))}
        for p in range(self.m):
            for q in range(self.m):
                offset = b.add(self.times("x_row", 4 * p), self.times("x_step", 4 * q))
                offset = b.select(b.and_(inside["i"][p], inside["j"][q]), offset, g["zeros"])
                b.store(offset, pointer(b, g["table"], I64(p * self.m + q), I64, I64))


class Transform(Function):
    """A loop over channels, LANES at a time, whose last vector may be a part.

    With AVX-512 one body serves whole vectors and the part, as masks cost nothing there; elsewhere whole ones have their own.
    """

    def write(self) -> None:
        b, channels, step = self.builder, self.given["channels"], I64(LANES)
        whole = I64(0) if LANES == 16 else b.mul(b.sdiv(channels, step), step)
        if LANES != 16:
            with loop(b, I64(0), whole, step) as c:
                self.body(c, None)
        with loop(b, whole, channels, step) as c:
            self.body(c, first(b, b.sub(channels, c)))

    def body(self, c: Any, mask: Any) -> None:
        """Emits what is done to channels c to c + LANES - 1, or to those of the mask."""
        raise NotImplementedError

    def at(self, address: Any, *offsets: Any) -> Any:
        """The pointer to a vector, the sum of the offsets behind an address."""
        total = offsets[0]
        for offset in offsets[1:]:
            total = self.builder.add(total, offset)
        return pointer(self.builder, address, total)

    def load(self, where: Any, mask: Any) -> Any:
        return self.builder.load(where, align=4) if mask is None else masked_load(self.builder, where, mask)

    def store(self, value: Any, where: Any, mask: Any) -> None:
        if mask is None:
            self.builder.store(value, where, align=4)
        else:
            masked_store(self.builder, value, where, mask)


class Patch(Transform):
    """v[i, j] = (B d B^T)[i, j], positions `position` apart; `table` has how many bytes behind x each element of d lies.

    A few rows at a time, so that what lies between the two sides stays in registers: what is loaded twice comes from L1.
    """

    integers = "x table v position channels".split()

    def body(self, c: Any, mask: Any) -> None:
        b, n, m = self.builder, self.n, self.m
        alone = [i for i in range(n) if not any(i in pair for pair in PAIRS[m])]
        for rows in (alone, *PAIRS[m]):
            needed = [p for p in range(n) if any(matrices(m)[2][i, p] for i in rows)]
            columns = []
            for j in range(n):
                d = [None] * n
                for p in needed:
                    offset = b.load(pointer(b, self.given["table"], I64(p * n + j), I64, I64))
                    d[p] = self.load(self.at(b.add(self.given["x"], offset), c), mask)
                columns.append(patch_side(b, m, rows, d))
            for k, i in enumerate(rows):
                for j, v in enumerate(patch_side(b, m, range(n), [column[k] for column in columns])):
                    b.store(v, self.at(self.given["v"], self.times("position", i * n + j), c), align=4)


class Cotangent(Transform):
    """v[i, j] = (A^T d A)[i, j] of a tile d of m x m: what patches meet in the cotangent of the weights."""

    integers = Patch.integers

    def body(self, c: Any, mask: Any) -> None:
        b, m, a = self.builder, self.m, matrices(self.m)[0].T
        columns = []
        for j in range(m):
            offsets = [b.load(pointer(b, self.given["table"], I64(i * m + j), I64, I64)) for i in range(m)]
            d = [self.load(self.at(b.add(self.given["x"], offset), c), mask) for offset in offsets]
            columns.append([combined(b, row, d) for row in a])
        for i in range(self.n):
            for j, row in enumerate(a):
                v = combined(b, row, [column[i] for column in columns])
                b.store(v, self.at(self.given["v"], self.times("position", i * self.n + j), c), align=4)


class Output(Transform):
    """y = A z A^T and the epilogue, of so many rows and columns; a column that is not there is written over the last."""

    integers = "z position y y_row y_step bias residual r_row r_step rows columns mode channels".split()
    numbers = "low high low_again high_again".split()

    def body(self, c: Any, mask: Any) -> None:
        b, n, m, g = self.builder, self.n, self.m, self.given
        for rows in ((range(m),) if m == 2 else (range(0, m, 2), range(1, m, 2))):
            columns = []
            for j in range(n):
                z = [self.load(self.at(g["z"], self.times("position", i * n + j), c), None) for i in range(n)]
                columns.append(output_side(b, m, rows, z))
            for k, i in enumerate(rows):
                values = output_side(b, m, range(m), [column[k] for column in columns])
                with b.if_then(b.icmp_signed("<", I64(i), g["rows"])):
                    self._finish(i, values, c, mask)

    def _finish(self, i: int, values: list[Any], c: Any, mask: Any) -> None:
        """The epilogue of a row, and its store."""
        b, g = self.builder, self.given
        last = b.sub(g["columns"], I64(1))
        at = [b.select(b.icmp_signed("<", I64(j), last), I64(j), last) for j in range(self.m)]

        def cells(name: str) -> list[Any]:
            what = {"y": "y", "r": "residual"}[name]
            return [self.at(g[what], self.times(f"{name}_row", i), b.mul(g[f"{name}_step"], j), c) for j in at]

        def changed(bit: int, change: Callable[[list[Any]], list[Any]], values: list[Any]) -> list[Any]:
            before = b.block
            with b.if_then(b.icmp_signed("!=", b.and_(g["mode"], I64(bit)), I64(0))):
                new, inside = change(values), b.block
            merged = []
            for old, value in zip(values, new, strict=True):
                phi = b.phi(VEC)
                phi.add_incoming(old, before)
                phi.add_incoming(value, inside)
                merged.append(phi)
            return merged

        def biased(vs: list[Any]) -> list[Any]:
            bias = self.load(self.at(g["bias"], c), mask)
            return [b.fadd(v, bias) for v in vs]

        def added(vs: list[Any]) -> list[Any]:
            return [b.fadd(v, self.load(p, mask)) for v, p in zip(vs, cells("r"), strict=True)]
        values = changed(BIAS, biased, values)
        values = changed(CLIP, lambda vs: clipped(b, vs, g["low"], g["high"]), values)
        values = changed(RESIDUAL, added, values)
        values = changed(CLIP_AGAIN, lambda vs: clipped(b, vs, g["low_again"], g["high_again"]), values)
        for v, p in reversed(list(zip(values, cells("y"), strict=True))):  # so that the last is right in the end
            self.store(v, p, mask)


class Weights(Transform):
    """u[i, j] = (G g G^T)[i, j], LANES columns of a row of g at a time; behind the last column zeros are written."""

    integers = "g g_row g_tap u position block channels".split()

    def body(self, c: Any, mask: Any) -> None:
        b, n, given, matrix = self.builder, self.n, self.given, matrices(self.m)[1]
        columns = []
        for j in range(3):
            g = [self.load(self.at(given["g"], self.times("g_row", i), self.times("g_tap", j), c), mask) for i in range(3)]
            columns.append([combined(b, row, g) for row in matrix])
        width = I64(WIDTH)
        at = b.add(b.mul(b.sdiv(c, width), given["block"]), b.srem(c, width))
        for i in range(n):
            for j, row in enumerate(matrix):
                v = combined(b, row, [column[i] for column in columns])
                b.store(v, self.at(given["u"], self.times("position", i * n + j), at), align=4)


class Taps(Transform):
    """w = G^T u G, 3 x 3: the cotangent of the weights from that of the transformed ones."""

    integers = "u position w w_row w_tap channels".split()

    def body(self, c: Any, mask: Any) -> None:
        b, n, g = self.builder, self.n, matrices(self.m)[1].T
        columns = []
        for j in range(n):
            u = [self.load(self.at(self.given["u"], self.times("position", i * n + j), c), mask) for i in range(n)]
            columns.append([combined(b, row, u) for row in g])
        for i in range(3):
            for j, row in enumerate(g):
                v = combined(b, row, [column[i] for column in columns])
                self.store(v, self.at(self.given["w"], self.times("w_row", i), self.times("w_tap", j), c), mask)


def _intrinsic(kind: type[Function], name: str) -> Any:
    """The intrinsic name(m, integers, numbers)."""
    def applied(types: Any, m: Any, integers: Any, numbers: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            named = zip(args[1:], (kind.integers, kind.numbers), strict=True)
            values = [builder.extract_value(group, i) for group, names in named for i in range(len(names))]
            end = builder.append_basic_block("transformed")
            ladder = builder.switch(args[0], end)
            for size in kind.sizes:
                block = builder.append_basic_block(f"size_{size}")
                ladder.add_case(I64(size), block)
                builder.position_at_end(block)
                name_of = f"graphnet.{name}.{size}"  # from a second call on it is there
                function = builder.module.globals.get(name_of) or kind(builder.module, size, name_of).function
                builder.call(function, values)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()
        groups = (types.Tuple((types.intp,) * len(kind.integers)), types.Tuple((types.float32,) * len(kind.numbers)))
        return types.void(types.intp, *groups), codegen
    applied.__name__ = applied.__qualname__ = name
    return intrinsic()(applied)


patch_offsets = _intrinsic(Offsets, "patch_offsets")
patch_transform = _intrinsic(Patch, "patch_transform")
output_transform = _intrinsic(Output, "output_transform")
weights_transform = _intrinsic(Weights, "weights_transform")
cotangent_transform = _intrinsic(Cotangent, "cotangent_transform")
kernel_transform = _intrinsic(Taps, "kernel_transform")


# ---- kernels

PATCH_WORDS = "x v m across down top left height width x_image x_row x_step position step channels first side".split()


@jit
def place(t, across, down):
    """Image, row and column of tile t."""
    line = t // across
    return line // down, line % down, t - line * across


@jit
def following(image, i, j, across, down):
    """The place after one."""
    if j + 1 < across:
        return image, i, j + 1
    return (image, i + 1, 0) if i + 1 < down else (image + 1, 0, 0)


@kernel
def winograd_patches(row, begin, end, scratch):
    """A task is a patch of x, transformed to v, or to where word 0 of scratch says; a tile of m x m if that is its `side`."""
    x, v, m, across, down = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4)
    top, left, height, width = word(row, 5), word(row, 6), word(row, 7), word(row, 8)
    x_image, x_row, x_step = word(row, 9), word(row, 10), word(row, 11)
    position, step, channels, first_patch = word(row, 12), word(row, 13), word(row, 14), word(row, 15)
    if v == 0:
        v = word(scratch, 0)
    side, inner, clipped_table, zeros = word(row, 16), scratch + HEAD, scratch + HEAD + TABLE, scratch + HEAD + 2 * TABLE
    patch_offsets(side, (inner, 0, 0, side, side, x_row, x_step, 0), ())
    for c in range(0, channels, LANES):
        store(zeros, c, full(np.float32(0.0)))
    image, a, b = place(first_patch + begin, across, down)
    for t in range(begin, end):
        i, j, table = a * m - top, b * m - left, inner
        base = x + 4 * (image * x_image + i * x_row + j * x_step)
        if i < 0 or j < 0 or i + side > height or j + side > width:
            table = clipped_table
            patch_offsets(side, (table, i, j, height, width, x_row, x_step, zeros - base), ())
        given = (base, table, v + 4 * t * step, position, channels)
        if side == m:
            cotangent_transform(m, given, ())
        else:
            patch_transform(m, given, ())
        image, a, b = following(image, a, b, across, down)


OUTPUT_WORDS = """z y bias residual tape mode low high low_again high_again  m across down height width
    y_image y_row y_step r_image r_row r_step position step columns first""".split()


@kernel
def winograd_outputs(row, begin, end, scratch):
    """A task is an output tile, from z, or from where word 1 of scratch says; a tape runs over the lines of tiles in a row."""
    z, y, bias, residual, tape = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4)
    mode, bounds = word(row, 5), (real(row, 6), real(row, 7), real(row, 8), real(row, 9))
    m, across, down, height, width = word(row, 10), word(row, 11), word(row, 12), word(row, 13), word(row, 14)
    y_image, y_row, y_step = word(row, 15), word(row, 16), word(row, 17)
    r_image, r_row, r_step = word(row, 18), word(row, 19), word(row, 20)
    position, step, columns, first_tile = word(row, 21), word(row, 22), word(row, 23), word(row, 24)
    if z == 0:
        z = word(scratch, 1)
    image, a, b = place(first_tile + begin, across, down)
    start = b  # of the line of tiles the first that the tape has not run over
    for t in range(begin, end):
        i, j = a * m, b * m
        to, more = y + 4 * (image * y_image + i * y_row + j * y_step), residual + 4 * (image * r_image + i * r_row + j * r_step)
        output_transform(m, (z + 4 * t * step, position, to, y_row, y_step, bias, more, r_row, r_step,
                             min(m, height - i), min(m, width - j), mode, columns), bounds)
        if tape and (b == across - 1 or t == end - 1):
            for line in range(i, min(i + m, height)):
                run_tile(tape, scratch + HEAD, image, 0, line, start * m, min(j + m, width) - start * m, 0, columns)
            start = 0
        image, a, b = following(image, a, b, across, down)


WEIGHTS_WORDS = "g u m g_row g_tap g_channel channels columns position block".split()


@kernel
def winograd_weights(row, begin, end, scratch):
    """A task is a row of a 3x3 kernel: one channel of x, all columns."""
    g, u, m, g_row, g_tap, g_channel = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4), word(row, 5)
    columns, position, block = word(row, 7), word(row, 8), word(row, 9)
    for c in range(begin, end):
        weights_transform(m, (g + 4 * c * g_channel, g_row, g_tap, u + 4 * c * WIDTH, position, block, columns), ())


KERNEL_WORDS = "u w m w_row w_tap w_channel columns position".split()


@kernel
def winograd_kernels(row, begin, end, scratch):
    """A task is a row of a 3x3 kernel's cotangent: one channel of x, all columns."""
    u, w, m, w_row, w_tap, w_channel = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4), word(row, 5)
    columns, position = word(row, 6), word(row, 7)
    for c in range(begin, end):
        kernel_transform(m, (u + 4 * c * columns, position, w + 4 * c * w_channel, w_row, w_tap, columns), ())
