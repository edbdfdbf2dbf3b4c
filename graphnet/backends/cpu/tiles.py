"""A register tile as ONE numba value: rows x vectors accumulators, an LLVM array of vectors that LLVM splits into registers.

numba sees one statement where written-out accumulators are hundreds: a third of the time to compile, with equal bytes and
speed. `product` is the tile of matrix products and convolutions, with its epilogue, in all sizes. A tile with few rows has
several `copies` of its accumulators, which hide the latency of the multiply-add; they are added in a fixed order. Rows and
vectors of the largest tile are chosen so that the accumulators, one row of weights and one broadcast fit the processor's
vector registers.
"""
import platform
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from graphnet.backends.cpu.cache import intrinsic
from graphnet.backends.cpu.llvm import cell, loop
from graphnet.backends.cpu.simd import (
    F32,
    I64,
    LANES,
    REGISTERS,
    VEC,
    ZEROS,
    bounded,
    first,
    fused,
    masked_load,
    masked_store,
    pointer,
    prefetch,
    spread,
)

# what LLVM calls the vector registers
BARRIER = {"x86_64": "v", "amd64": "v", "arm64": "w", "aarch64": "w"}.get(platform.machine().lower())
MOST, VECTORS = {16: (14, 2), 8: (6, 2), 4: (6, 4) if BARRIER == "w" else (6, 2)}[LANES]  # rows and vectors of the largest tile
LANE_MOST = {16: 7, 8: 6, 4: 6}[LANES]  # rows of the largest tile of a product lane by lane
WIDTH = VECTORS * LANES  # columns of a tile, and of a block of packed weights
NARROW = VECTORS // 2  # vectors of the narrow tile, which serves the last block where it has no more than HALF columns
HALF = NARROW * LANES
STREAM_MOST, STREAMED = 8, 8  # rows and vectors of the largest tile of a product whose weights stream through
LINE = 64  # bytes of a line of the caches
LATENCY = 8  # accumulators that keep the multiply-add units busy: two a cycle, four cycles each
ONE = I64(1)


class Tile(NamedTuple):
    """rows x vectors accumulators, `copies` times."""

    rows: int
    vectors: int
    copies: int = 1


def gathered(builder: Any, values: list[Any]) -> Any:
    """The tile of these vectors."""
    out = ir.Constant(ir.ArrayType(VEC, len(values)), ir.Undefined)
    for i, v in enumerate(values):
        out = builder.insert_value(out, v, i)
    return out


def parts(builder: Any, tile: Any) -> list[Any]:
    """The vectors of a tile."""
    return [builder.extract_value(tile, i) for i in range(tile.type.count)]


def cells(builder: Any, t: Tile, address: Any, step: Any) -> list[Any]:
    """The pointer to each vector of a tile whose rows lie `step` elements apart."""
    rows = [builder.mul(I64(m), step) for m in range(t.rows)]
    return [pointer(builder, address, builder.add(row, I64(n * LANES))) for row in rows for n in range(t.vectors)]


@intrinsic(prefer_literal=True)
def cleared(types: Any, rows: Any, vectors: Any, copies: Any) -> Any:
    """A tile of zeros."""
    t = types.Tile(rows.literal_value, vectors.literal_value, copies.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return gathered(builder, [ZEROS] * (t.rows * t.vectors * t.copies))
    return t(rows, vectors, copies), codegen


@intrinsic()
def save(types: Any, tile: Any, address: Any, step: Any) -> Any:
    """Writes whole rows, `step` elements apart. What is read soon again must not be stored with a mask."""
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        write(builder, tile, parts(builder, args[0]), *args[1:])
        return context.get_dummy_value()
    return types.void(tile, types.intp, types.intp), codegen


def lanes(builder: Any, where: Any, mask: Any) -> Any:
    """A vector out of memory, or its lanes of the mask and zeros."""
    return builder.load(where, align=4) if mask is None else masked_load(builder, where, mask)


def multiply_add(builder: Any, t: Tile, c: list[Any], element: Callable[[int, Any], Any], w: Any, w_step: Any, k: Any, steps: int,
                 masks: Sequence[Any] = ()) -> list[Any]:
    """c + x[:, k:k+steps] w[k:k+steps, :]; step u goes into copy u.

    Args:
        element: gives the pointer to x[m, k].
        w_step: from one row of w to the next.
        masks: of each vector of w the lanes that are there, None for all.
    """
    masks = masks or [None] * t.vectors
    c = list(c)
    for u in range(steps):
        at = builder.add(k, I64(u))
        column = builder.mul(at, w_step)
        b = [lanes(builder, pointer(builder, w, builder.add(column, I64(n * LANES))), mask) for n, mask in enumerate(masks)]
        for m in range(t.rows):
            v = spread(builder, builder.load(element(m, at)))
            for n in range(t.vectors):
                i = (u * t.rows + m) * t.vectors + n
                c[i] = in_order(builder, fused(builder, v, b[n], c[i]))
    return c


def strided(builder: Any, x: Any, row: Any, step: Any = ONE) -> Callable[[int, Any], Any]:
    """The pointer to x[m, k], where rows and columns lie so far apart."""
    return lambda m, k: pointer(builder, x, builder.add(builder.mul(I64(m), row), builder.mul(k, step)), F32)


def halves(builder: Any, rows: int, x: Any, row: Any) -> Callable[[int, Any], Any]:
    """The pointer to x[m, k], the lower half of the rows from an address of its own.

    LLVM is not told how these lie to each other. It would else keep a register for each row, and has too few.
    """
    half = -(-rows // 2)
    row = opaque(builder, builder.mul(row, I64(4)))
    bases = [builder.add(x, builder.mul(row, I64(i * half))) for i in range(2)]
    starts: dict[Any, Any] = {}

    def element(m: int, k: Any) -> Any:
        at = m // half, k
        if at not in starts:
            starts[at] = opaque(builder, builder.add(bases[m // half], builder.mul(k, I64(4))))
        return builder.inttoptr(builder.add(starts[at], builder.mul(row, I64(m % half))), F32.as_pointer())
    return element


def opaque(builder: Any, v: Any) -> Any:
    """An integer of which LLVM is not told how it was computed."""
    return builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [v], side_effect=False)


def in_order(builder: Any, v: Any) -> Any:
    """v, after which LLVM may load again: it would else load all of a column first, and push accumulators out of registers."""
    if BARRIER is None:
        return v
    kind = ir.FunctionType(VEC, [VEC])
    return builder.call(ir.InlineAsm(kind, "", f"={BARRIER},0,~{{memory}}", side_effect=True), [v])


def sum_of_copies(builder: Any, t: Tile, c: list[Any]) -> list[Any]:
    """The copies of a tile added, in order."""
    n = t.rows * t.vectors
    out = c[:n]
    for u in range(1, t.copies):
        out = [builder.fadd(a, b) for a, b in zip(out, c[u * n:(u + 1) * n], strict=True)]
    return out


def sum_with_memory(builder: Any, t: Tile, c: list[Any], address: Any, step: Any) -> list[Any]:
    where = cells(builder, t, address, step)
    return [builder.fadd(v, builder.load(p, align=4)) for v, p in zip(c, where, strict=True)]


def clipped(builder: Any, c: list[Any], low: Any, high: Any) -> list[Any]:
    low, high = spread(builder, low), spread(builder, high)
    c = [bounded(builder, v, low) for v in c]
    return [builder.select(builder.fcmp_ordered(">", v, high), high, v) for v in c]


def write(builder: Any, t: Tile, c: list[Any], address: Any, step: Any) -> None:
    for v, p in zip(c, cells(builder, t, address, step), strict=True):
        builder.store(v, p, align=4)


@intrinsic(prefer_literal=True)
def accumulate(types: Any, tile: Any, x: Any, x_step: Any, w: Any, w_step: Any, k: Any, steps: Any) -> Any:
    """tile += x[:, k:k+steps] w[k:k+steps, :], rows of x and of w `x_step` and `w_step` apart; step u goes into copy u."""
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        c, (x, x_step, w, w_step, k) = parts(builder, args[0]), args[1:6]
        return gathered(builder, multiply_add(builder, tile, c, strided(builder, x, x_step), w, w_step, k, steps.literal_value))
    return tile(tile, *(types.intp,) * 5, steps), codegen


@intrinsic()
def summed(types: Any, tile: Any) -> Any:
    """The copies of a tile added, in order."""
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return gathered(builder, sum_of_copies(builder, tile, parts(builder, args[0])))
    return types.Tile(tile.rows, tile.vectors)(tile), codegen


@intrinsic()
def plus(types: Any, tile: Any, address: Any, step: Any) -> Any:
    """The tile plus what lies in memory, rows `step` elements apart (0: one row for all)."""
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return gathered(builder, sum_with_memory(builder, tile, parts(builder, args[0]), *args[1:]))
    return tile(tile, types.intp, types.intp), codegen


def copies(rows: int, vectors: int) -> int:
    """How often a tile holds its accumulators, so that there are LATENCY of them."""
    return max(1, -(-LATENCY // (rows * vectors)))


BIAS, CLIP, RESIDUAL, CLIP_AGAIN = 1, 2, 4, 8  # bits of `mode`: what follows the sum, in this order
INTEGERS = "x x_step offsets segments run w w_step y y_step mode bias residual r_step".split()
NUMBERS = "low high low_again high_again".split()


class Product:
    """The LLVM function of one tile size: sums of products, epilogue, store.

    All sizes are functions of the kernel's own module. As functions of numba's each would pass its compiler and LLVM by itself
    and once more as a part of the kernel, which took ten times as long.
    """

    copies = True  # of the accumulators, where there are few
    integers, numbers = [*INTEGERS, "ahead", "ahead_step"], NUMBERS  # the arguments' names

    def __init__(self, module: Any, rows: int, vectors: int, name: str) -> None:
        self.t = Tile(rows, vectors, copies(rows, vectors) if self.copies else 1)
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(self.integers) + [F32] * len(self.numbers))
        self.function = ir.Function(module, kind, name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.given = dict(zip([*self.integers, *self.numbers], self.function.args, strict=True))
        self.cells = [cell(self.builder, ZEROS) for _ in range(rows * vectors * self.t.copies)]
        self._sum()
        self._finish()
        self.builder.ret_void()

    def _update(self, change: Callable[..., list[Any]], *args: Any) -> None:
        values = change(self.builder, *args)
        for place, value in zip(self.cells, values, strict=False):
            self.builder.store(value, place)

    def _values(self) -> list[Any]:
        return [self.builder.load(place) for place in self.cells]

    def _sum(self) -> None:
        b, g, count = self.builder, self.given, I64(self.t.copies)
        whole = b.mul(b.sdiv(g["run"], count), count)
        size = b.mul(g["run"], g["w_step"])
        with loop(b, I64(0), g["segments"], ONE) as segment:
            start = b.load(pointer(b, g["offsets"], segment, I64, I64))
            x, w = b.add(g["x"], b.mul(start, I64(4))), b.add(g["w"], b.mul(b.mul(segment, size), I64(4)))
            element = halves(b, self.t.rows, x, g["x_step"])
            ahead = b.add(g["ahead"], b.mul(b.mul(segment, g["run"]), g["ahead_step"]))
            with loop(b, I64(0), whole, count) as k:
                self._fetch(b.add(ahead, b.mul(k, g["ahead_step"])), w)
                self._update(multiply_add, self.t, self._values(), element, w, g["w_step"], k, self.t.copies)
            if self.t.copies > 1:
                with loop(b, whole, g["run"], ONE) as k:
                    self._update(multiply_add, self.t, self._values(), element, w, g["w_step"], k, 1)

    def _fetch(self, ahead: Any, near: Any) -> None:
        """Asks for the line at `ahead` once, where it begins; else for one that is near already, which costs nothing."""
        b, step = self.builder, self.builder.mul(self.given["ahead_step"], I64(self.t.copies))
        begins = b.icmp_unsigned("<", b.and_(ahead, I64(LINE - 1)), step)
        prefetch(b, b.select(begins, ahead, near))

    def _finish(self) -> None:
        b, g, one = self.builder, self.given, Tile(self.t.rows, self.t.vectors)
        self._update(sum_of_copies, self.t, self._values())
        del self.cells[one.rows * one.vectors:]
        for bit, change, args in (
                (BIAS, sum_with_memory, (g["bias"], I64(0))), (CLIP, clipped, (g["low"], g["high"])),
                (RESIDUAL, sum_with_memory, (g["residual"], g["r_step"])),
                (CLIP_AGAIN, clipped, (g["low_again"], g["high_again"]))):
            with b.if_then(b.icmp_signed("!=", b.and_(g["mode"], I64(bit)), I64(0))):
                values = (one, self._values()) if change is sum_with_memory else (self._values(),)
                self._update(change, *values, *args)
        write(b, one, self._values(), g["y"], g["y_step"])


class LaneProduct(Product):
    """The same for sums lane by lane (depthwise): one row of w for each of `segments` offsets, whole vectors of x."""

    copies = False
    integers = INTEGERS

    def _sum(self) -> None:
        b, g = self.builder, self.given
        with loop(b, I64(0), g["segments"], ONE) as segment:
            start = b.load(pointer(b, g["offsets"], segment, I64, I64))
            x = [b.load(p, align=4) for p in cells(b, self.t, b.add(g["x"], b.mul(start, I64(4))), g["x_step"])]
            row = b.mul(segment, g["w_step"])
            w = [b.load(pointer(b, g["w"], b.add(row, I64(n * LANES))), align=4) for n in range(self.t.vectors)] * self.t.rows
            self._update(lambda *_: [fused(b, *xwc) for xwc in zip(x, w, self._values(), strict=True)])


class StripProduct(LaneProduct):
    """The same for windows of `taps` elements in a row, side by side, with `stride` of them from a row of the tile to the next.

    Each vector of x is loaded once a row of the window, for all sums that it goes into.
    """

    taps, stride = 3, 1

    def _sum(self) -> None:
        b, g, t = self.builder, self.given, self.t
        unit = b.sdiv(g["x_step"], I64(self.stride))
        with loop(b, I64(0), b.sdiv(g["segments"], I64(self.taps)), ONE) as line:
            first_tap = b.mul(line, I64(self.taps))
            x = b.add(g["x"], b.mul(b.load(pointer(b, g["offsets"], first_tap, I64, I64)), I64(4)))
            w = [b.load(pointer(b, g["w"], b.add(b.mul(b.add(first_tap, I64(k)), g["w_step"]), I64(n * LANES))), align=4)
                 for k in range(self.taps) for n in range(t.vectors)]
            c = self._values()
            for j in range((t.rows - 1) * self.stride + self.taps):
                at = b.mul(I64(j), unit)
                v = [b.load(pointer(b, x, b.add(at, I64(n * LANES))), align=4) for n in range(t.vectors)]
                for k in range(self.taps):
                    m, rest = divmod(j - k, self.stride)
                    if rest == 0 and 0 <= m < t.rows:
                        for n in range(t.vectors):
                            i = m * t.vectors + n
                            c[i] = in_order(b, fused(b, v[n], w[k * t.vectors + n], c[i]))
            self._update(lambda *_: c)


def strips(taps: int, stride: int) -> type[StripProduct]:
    """The kind of tile for windows so wide and so far apart."""
    return type(f"StripProduct{taps}x{stride}", (StripProduct,), {"taps": taps, "stride": stride})


class StreamProduct(Product):
    """y += x w for all columns of y and a few rows of w, however far apart: y stays in the first cache, w passes once.

    With each vector of w that is read, the one `ahead` bytes behind it is asked for. y has room for whole vectors.
    """

    integers = "x x_step run w w_step y y_step columns ahead".split()
    numbers: list[str] = []

    def _sum(self) -> None:
        b, g, one = self.builder, self.given, Tile(self.t.rows, 1, copies(self.t.rows, 1))
        across = I64(self.t.vectors * LANES)
        whole = b.mul(b.sdiv(g["columns"], across), across)
        with loop(b, I64(0), whole, across) as column:
            self._columns(self.t, column, [None] * self.t.vectors)
        with loop(b, whole, g["columns"], I64(LANES)) as column:
            self._columns(one, column, [first(b, b.sub(g["columns"], column))])

    def _columns(self, t: Tile, column: Any, masks: list[Any]) -> None:
        """The columns of a tile from that one on."""
        b, g, count, n = self.builder, self.given, I64(t.copies), t.rows * t.vectors
        w, y = (b.add(g[name], b.mul(column, I64(4))) for name in "wy")
        where = cells(b, t, y, g["y_step"])
        before = [b.load(p, align=4) for p in where] + [ZEROS] * (n * (t.copies - 1))
        self._update(lambda *_: before)
        whole = b.mul(b.sdiv(g["run"], count), count)
        element = halves(b, t.rows, g["x"], g["x_step"])
        with loop(b, I64(0), whole, count) as k:
            self._steps(t, element, w, k, t.copies, masks)
        if t.copies > 1:
            with loop(b, whole, g["run"], ONE) as k:
                self._steps(t, element, w, k, 1, masks)
        for v, p in zip(sum_of_copies(b, t, self._values()), where, strict=False):
            b.store(v, p, align=4)

    def _steps(self, t: Tile, element: Any, w: Any, k: Any, steps: int, masks: list[Any]) -> None:
        """Adds the products of rows k to k + steps - 1 of w."""
        b, g = self.builder, self.given
        for u in range(steps):
            soon = b.add(b.add(w, g["ahead"]), b.mul(b.mul(b.add(k, I64(u)), g["w_step"]), I64(4)))
            for n in range(t.vectors):
                prefetch(b, b.add(soon, I64(4 * n * LANES)))
        self._update(lambda *_: multiply_add(b, t, self._values(), element, w, g["w_step"], k, steps, masks))

    def _finish(self) -> None:
        """Nothing: more rows of w may follow."""


class OuterProduct(Product):
    """A tile of a sum of outer products: rows are adjacent elements of x, columns those of w; the last vector may be a part.

    It sums over `lines` runs of `run` pairs, which lie x_step and w_step apart; a table has where in x and w each run begins.
    Unless `fresh`, it is added to what lies in y.
    """

    integers = "x x_step table lines run w w_step y y_step fresh left".split()
    numbers: list[str] = []

    def _masks(self) -> list[Any]:
        """Of each vector the lanes that are there; of the wide tile only the second half may lack some."""
        b, whole = self.builder, NARROW if self.t.vectors == VECTORS else 0
        return [None if n < whole else first(b, b.sub(self.given["left"], I64(n * LANES))) for n in range(self.t.vectors)]

    def _sum(self) -> None:
        b, g, count, masks = self.builder, self.given, I64(self.t.copies), self._masks()
        whole = b.mul(b.sdiv(g["run"], count), count)
        with loop(b, I64(0), g["lines"], ONE) as line:
            entry = b.mul(line, I64(2))
            starts = [b.load(pointer(b, g["table"], b.add(entry, I64(i)), I64, I64)) for i in range(2)]
            x, w = (b.add(g[name], b.mul(start, I64(4))) for name, start in zip("xw", starts, strict=True))
            with loop(b, I64(0), whole, count) as k:
                self._step(x, w, k, self.t.copies, masks)
            if self.t.copies > 1:
                with loop(b, whole, g["run"], ONE) as k:
                    self._step(x, w, k, 1, masks)

    def _step(self, x: Any, w: Any, k: Any, steps: int, masks: list[Any]) -> None:
        """Adds the products of pairs k to k + steps - 1."""
        g = self.given
        element = strided(self.builder, x, ONE, g["x_step"])
        self._update(multiply_add, self.t, self._values(), element, w, g["w_step"], k, steps, masks)

    def _finish(self) -> None:
        b, g, one = self.builder, self.given, Tile(self.t.rows, self.t.vectors)
        self._update(sum_of_copies, self.t, self._values())
        del self.cells[one.rows * one.vectors:]
        masks, where = self._masks() * one.rows, cells(b, one, g["y"], g["y_step"])
        with b.if_then(b.icmp_signed("==", g["fresh"], I64(0))):
            before = [lanes(b, p, mask) for p, mask in zip(where, masks, strict=True)]
            self._update(lambda *_: [b.fadd(*pair) for pair in zip(self._values(), before, strict=True)])
        for v, p, mask in zip(self._values(), where, masks, strict=True):
            if mask is None:
                b.store(v, p, align=4)
            else:
                masked_store(b, v, p, mask)


class LaneOuterProduct(OuterProduct):
    """The same lane by lane (depthwise): a row is a vector of x too, and lies `between` behind the one before."""

    integers = [*OuterProduct.integers, "between"]

    def _step(self, x: Any, w: Any, k: Any, steps: int, masks: list[Any]) -> None:
        b, g, c, t = self.builder, self.given, self._values(), self.t
        for u in range(steps):
            at = b.add(k, I64(u))
            along, across = b.mul(at, g["x_step"]), b.mul(at, g["w_step"])
            v = [lanes(b, pointer(b, w, b.add(across, I64(n * LANES))), mask) for n, mask in enumerate(masks)]
            for m in range(t.rows):
                row = b.add(along, b.mul(I64(m), g["between"]))
                for n, mask in enumerate(masks):
                    i = (u * t.rows + m) * t.vectors + n
                    c[i] = fused(b, lanes(b, pointer(b, x, b.add(row, I64(n * LANES))), mask), v[n], c[i])
        self._update(lambda *_: c)


def stream_vectors(rows: int) -> int:
    """Vectors of a tile of `StreamProduct`: accumulators, a row of weights and a broadcast fill the registers."""
    return min(STREAMED, (REGISTERS - 1) // (rows + 1))


def _intrinsic(kind: type[Product], name: str, most: int) -> Any:
    """The intrinsic that computes a tile of any size by functions of that kind."""
    def computed(types: Any, size: Any, vectors: Any, integers: Any, numbers: Any) -> Any:
        width = vectors.literal_value

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            named = zip(args[2:], (kind.integers, kind.numbers), strict=True)
            values = [builder.extract_value(group, i) for group, names in named for i in range(len(names))]
            end = builder.append_basic_block("multiplied")
            ladder = builder.switch(args[0], end)
            for rows in range(1, most + 1):
                block, wide = builder.append_basic_block(f"rows_{rows}"), width or stream_vectors(rows)
                ladder.add_case(I64(rows), block)
                builder.position_at_end(block)
                builder.call(kind(builder.module, rows, wide, f"graphnet.{name}.{rows}x{width}").function, values)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()
        groups = (types.Tuple((types.intp,) * len(kind.integers)), types.Tuple((types.float32,) * len(kind.numbers)))
        return types.void(types.intp, vectors, *groups), codegen
    computed.__name__ = computed.__qualname__ = name
    return intrinsic(prefer_literal=True)(computed)


# product(size, vectors, integers, numbers) computes a tile of `size` rows (1 to MOST) and `vectors` (a literal) vectors, its
# epilogue, and writes it. integers: x; the distance of its rows; the address of `segments` offsets in x; how many; the `run` of
# adjacent elements at each; w, the distance of its rows; y, the distance of its rows; mode; bias; residual, the distance of its
# rows; ahead, an address that with each product moves on by ahead_step bytes: what lies there is wanted in the second cache soon.
# numbers: the bounds before and after the residual. Addresses in bytes, distances and offsets in elements.
product = _intrinsic(Product, "product", MOST)
lane_product = _intrinsic(LaneProduct, "lane_product", LANE_MOST)
# the same for windows of so many elements in a row, so far apart; where there are registers for a row of weights
STRIPS = {kind: _intrinsic(strips(*kind), "strip_product_{}x{}".format(*kind), LANE_MOST)
          for kind in ((3, 1), (3, 2), (5, 1)) if REGISTERS == 32}
# outer_product(size, vectors, integers, numbers) is the same for a tile of a sum of outer products, of `left` columns at most.
outer_product = _intrinsic(OuterProduct, "outer_product", MOST)
lane_outer_product = _intrinsic(LaneOuterProduct, "lane_outer_product", LANE_MOST)
# stream_product(size, 0, integers, ()) adds x w of `run` rows of w to a line of columns that are summed up in memory
stream_product = _intrinsic(StreamProduct, "stream_product", STREAM_MOST)
